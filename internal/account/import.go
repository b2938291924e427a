package account

import (
	"context"
	"errors"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// Import is someone who comes from another system, with the password that they have there.
type Import struct {
	Email    string          `json:"email"`
	Name     string          `json:"name"`
	Username string          `json:"username"`
	Language locale.Language `json:"language"`      // empty: the organisation's
	Roles    []string        `json:"roles"`         // role keys; none is allowed
	Hash     string          `json:"password_hash"` // with Active, see secret.CheckHash
	State    State           `json:"state"`         // empty: Active with a hash, Invited without
}

// Imported is what became of an import.
type Imported struct {
	Account id.Account
	State   State
	There   bool        // the address has this account already: nothing was changed
	Token   secret.Text // of the activation link, with Invited
}

// Import adds one person in a transaction of its own; for the operator alone. Who is Active signs in with the password that the hash is
// of, and that sign-in replaces it by one of ours; who is Invited is mailed a link. Neither proves the mailbox, so before a second factor
// is enrolled a code is mailed. The error is a refusal or one line for the operator: nothing was made then.
func (d *Directory) Import(ctx context.Context, actor access.Actor, o id.Org, in Import) (Imported, error) {
	if err := access.RequireOperator(actor); err != nil {
		return Imported{}, err
	}
	email, emailFault := ParseEmail("email", in.Email)
	name, nameFault := checkPersonName(in.Name)
	username, _, usernameFault := parseUsername(in.Username)
	var languageFault *refusal.Error
	if _, ok := locale.Parse(string(in.Language)); in.Language != "" && !ok {
		languageFault = refusal.Field("language", "language.unknown")
	}
	if err := refusal.All(emailFault, nameFault, usernameFault, languageFault); err != nil {
		return Imported{}, err
	}
	state, kind, err := in.standing()
	if err != nil {
		return Imported{}, err
	}
	var out Imported
	err = d.Book.Do(ctx, actor, audit.AccountImported, func(tx sqldb.Tx) error {
		out = Imported{State: state}
		rights, err := d.Guard.Require(tx, actor, access.PeopleInvite, o)
		if err != nil {
			return err
		}
		roles, err := roleKeys(rights, in.Roles)
		if err != nil {
			return err
		}
		there, ok, err := ByIdentifier(tx, o, email.Text)
		if err != nil {
			return err
		}
		if ok {
			out = Imported{Account: there.ID, State: there.State, There: true}
			return nil
		}
		now := d.Now()
		a := Account{ID: id.New[id.Account](now), Org: o, Email: email.Text, EmailKey: email.Key, Username: username, Name: name,
			Language: in.Language, State: state, Created: now}
		if state == Active {
			a.Activated = now
		}
		if err := d.addImported(tx, a, roles); err != nil {
			return err
		}
		out.Account = a.ID
		if err := audit.Record(tx, now, audit.Event{Org: o, Action: audit.AccountImported, Actor: actor, Target: audit.TargetOf(a.ID),
			Data: map[string]any{"roles": roles, "state": string(state), "hash": kind}, Person: map[string]any{"email": a.Email}}); err != nil {
			return err
		}
		if state == Active {
			return factor.SetPassword(tx, now, o, a.ID, in.Hash, 0)
		}
		to, err := org.Find(tx, o)
		if err != nil {
			return err
		}
		out.Token, err = d.sendInvitation(tx, actor, to, a, roles)
		return err
	})
	if err != nil {
		return Imported{}, err
	}
	return out, nil
}

// standing returns the state that the account is to have, and the kind of its hash.
func (in Import) standing() (state State, kind string, err error) {
	state = in.State
	if state == "" {
		if state = Invited; in.Hash != "" {
			state = Active
		}
	}
	switch {
	case state != Active && state != Invited:
		return "", "", errors.New("state: want active or invited")
	case state == Active && in.Hash == "":
		return "", "", errors.New("state: who is active needs a password_hash; who has none can be invited")
	case state == Invited && in.Hash != "":
		return "", "", errors.New("state: who is invited chooses a password; leave the password_hash out, or make it active")
	case state == Active:
		kind, err = secret.CheckHash(in.Hash)
	}
	return state, kind, err
}

func (d *Directory) addImported(tx sqldb.Tx, a Account, roles []string) error {
	if a.Username != "" {
		if _, there, err := ByIdentifier(tx, a.Org, a.Username); err != nil {
			return err
		} else if there {
			return refusal.Field("username", "username.taken")
		}
	}
	if err := license.TakeSeat(tx, d.Now(), a.Org); err != nil {
		return err
	}
	if err := insert(tx, a); err != nil {
		if sqldb.Unique(err) { // two at once: the other was first
			return refusal.New(refusal.Conflict, "error.conflict")
		}
		return err
	}
	for _, role := range roles {
		if err := access.Assign(tx, d.Now(), a.Org, a.ID, role, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}
