package signin

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

// ask keeps a fresh question to the account's keys, and what the browser needs for it.
func (d *Desk) ask(tx sqldb.Tx, a *Attempt) error {
	c, options, err := d.Relying.Ask(tx, d.Now(), a.Account)
	a.Proved.Question, a.Proved.Options = &c, options
	return err
}

// Way answers a second-factor step by choosing another way to prove it: one that is enrolled, a recovery code, a temporary code.
func (d *Desk) Way(ctx context.Context, k Key, way string, client access.Client) (Progress, error) {
	a, err := d.open(d.DB.Read(ctx), k)
	if err == nil && !a.proved() { // as in due
		err = ErrStartAgain
	}
	if err != nil {
		return Progress{}, err
	}
	s, err := d.look(d.DB.Read(ctx), a)
	if err != nil {
		return Progress{}, err
	}
	now := policy.Decide(s.Facts).Step
	if !slices.Contains(policy.Ways(s.Facts), now) || !slices.Contains(policy.Ways(s.Facts), policy.Step(way)) {
		return Progress{}, ErrStartAgain
	}
	return d.answer(ctx, k, now, client, Held{}, func(_ sqldb.Tx, a *Attempt, _ *scene) error {
		a.Proved.Asking = way
		return nil
	})
}

// Passkey answers the step that asks for a security key or passkey as the second factor. The question is good once: after a wrong answer the page has
// a new one.
func (d *Desk) Passkey(ctx context.Context, k Key, answer string, client access.Client, held Held) (Progress, error) {
	a, around, err := d.takeStep(ctx, k, policy.AskPasskey, client)
	if err != nil {
		return Progress{}, err
	}
	var wrong error
	p, err := d.answer(ctx, k, policy.AskPasskey, client, held, func(tx sqldb.Tx, a *Attempt, _ *scene) error {
		wrong = nil
		question := a.Proved.Question
		a.Proved.Question, a.Proved.Options = nil, nil
		if question == nil {
			return ErrStartAgain
		}
		if _, _, err := d.Relying.Prove(tx, d.Now(), a.Account, *question, answer, false); err != nil {
			wrong = err
			return refusalOnly(err) // kept: the question is spent
		}
		a.Proved.Second, a.Proved.Method = sqldb.Micros(d.Now()), string(factor.Passkey)
		return nil
	})
	if err == nil && wrong != nil {
		return p, d.failed(ctx, a, policy.AskPasskey, client, wrong, around...)
	}
	return p, err
}

// refusalOnly lets a refusal pass as nil, so that a transaction keeps what a wrong answer costs.
func refusalOnly(err error) error {
	if refusal.As(err) != nil {
		return nil
	}
	return err
}

// takeStep checks that a step of keys is due and that the address is not blocked. The organisation's counter does not hold it up: a key is no guess, and
// where passwords are tried from everywhere it is the way in that is left.
func (d *Desk) takeStep(ctx context.Context, k Key, step policy.Step, client access.Client) (Attempt, []throttle.Key, error) {
	read := d.DB.Read(ctx)
	a, _, err := d.due(read, k, step)
	if err != nil {
		return a, nil, err
	}
	around := a.around(client)
	return a, around, d.Gate.Blocked(read, around[0])
}

// PasskeyStart makes, or takes up again, the attempt of a sign-in with a passkey alone, and returns what the browser needs. It is the same for
// everybody: nothing is known of who will answer. Tabs that ask within a few minutes get the same question, so that each of them can answer it.
func (d *Desk) PasskeyStart(ctx context.Context, st Start, k Key) (Key, json.RawMessage, error) {
	if _, err := d.Gate.Take(ctx, throttle.Requests("attempts", st.Client.Address, 3000, 10*time.Minute)); err != nil {
		return Key{}, nil, err
	}
	now := d.Now()
	var key Key
	var options json.RawMessage
	err := d.DB.Write(ctx, func(tx sqldb.Tx) error {
		old, err := d.open(tx, k)
		if err != nil && refusal.As(err) == nil {
			return err
		}
		again := err == nil && old.Account == "" && old.Identifier == "" && old.Org == st.Org.ID && old.Proved.Slug == st.Slug && old.Proved.General == st.General &&
			old.Expires.Sub(now) > factor.CeremonyLife
		if q := old.Proved.Question; again && q != nil && sqldb.At(q.Until).Sub(now) > factor.CeremonyLife/2 {
			key, options = k, old.Proved.Options
			return nil
		}
		question, text, err := d.Relying.Ask(tx, now, "")
		if err != nil {
			return err
		}
		options = text
		if again {
			old.Proved = st.proved()
			old.Proved.Question, old.Proved.Options = &question, text
			key = k
			return save(tx, old, "")
		}
		a := Attempt{ID: id.New[id.Attempt](now), Org: st.Org.ID, State: "open", Step: policy.AskPassword, Created: now, Expires: now.Add(attemptLife),
			Proved: st.proved()}
		a.Proved.Question, a.Proved.Options = &question, text
		s := secret.Token("dwt_")
		key = Key{a.ID, s}
		return insertAttempt(tx, a, s)
	})
	return key, options, err
}

// PasskeyAlone answers PasskeyStart: a passkey that verified the person names the account and proves both factors. to is where the tab goes on to.
// Whatever is wrong gives the one refusal at the field "credential", and the question is spent.
func (d *Desk) PasskeyAlone(ctx context.Context, k Key, answer, to string, client access.Client, held Held) (Progress, error) {
	read := d.DB.Read(ctx)
	a, err := d.open(read, k)
	if err != nil {
		return Progress{}, err
	}
	if a.Account != "" || a.Identifier != "" || a.Proved.Question == nil {
		return Progress{}, ErrStartAgain
	}
	around := a.around(client)
	if err := d.Gate.Blocked(read, around[0]); err != nil { // as in takeStep
		return Progress{}, err
	}
	var wrong error
	var p Progress
	err = d.DB.Write(ctx, func(tx sqldb.Tx) error {
		wrong, p = nil, Progress{}
		a, err := d.open(tx, k)
		if err != nil {
			return err
		}
		seq := a.head
		question := a.Proved.Question
		if question == nil || a.Account != "" {
			return ErrStartAgain
		}
		a.Proved.Question, a.Proved.Options = nil, nil
		a.Proved.To = to
		owner, home, err := d.Relying.Owner(tx, a.Org, answer)
		if err == nil && a.Org == "" && !a.Unplaced() { // at the page of an organisation that there is not
			err = factor.ErrPasskey
		}
		if err == nil {
			_, _, err = d.Relying.Prove(tx, d.Now(), owner, *question, answer, true)
		}
		if err != nil {
			if wrong = err; refusalOnly(err) != nil {
				return err
			}
			return save(tx, a, "")
		}
		who, err := account.Find(tx, home, owner)
		if err != nil {
			return err
		}
		if a.Unplaced() {
			o, err := org.Find(tx, home)
			if err != nil {
				return err
			}
			a.Org, a.Proved.Slug = home, o.Slug
		}
		a.Proved.Target = targetOf(to, a.Proved.Slug)
		a.Account, a.Identifier, a.Seq = owner, who.Email, seq
		a.Proved.Alone, a.Proved.Second, a.Proved.Method = true, sqldb.Micros(d.Now()), string(factor.Passkey)
		if _, err := tx.Exec(`update attempts set identifier = $1 where id = $2`, a.Identifier, a.ID); err != nil {
			return err
		}
		p, err = d.advance(tx, k, a, scene{}, seq, client, held)
		return err
	})
	if err == nil && wrong != nil {
		return p, d.failed(ctx, a, policy.AskPasskey, client, wrong, around...)
	}
	return p, err
}

// EnrolPasskey answers the step that makes a passkey or security key, in a sign-in: as the first second factor, or because it was offered.
func (d *Desk) EnrolPasskey(ctx context.Context, k Key, answer, name string, client access.Client, held Held) (Progress, error) {
	a, around, err := d.takeStep(ctx, k, policy.EnrolPasskey, client)
	if err != nil {
		return Progress{}, err
	}
	codes, err := d.codesForKey(ctx, a.Account, answer, name)
	if err != nil {
		return Progress{}, err
	}
	var wrong error
	p, err := d.answer(ctx, k, policy.EnrolPasskey, client, held, func(tx sqldb.Tx, a *Attempt, s *scene) error {
		wrong = nil
		actor := personActor(s.Account, client)
		if err := d.activatePasskey(tx, s.Org, s.Account, actor, answer, name); err != nil {
			if wrong = err; refusalOnly(err) != nil {
				return err
			}
			return d.beginEnrolment(tx, a, *s, string(factor.Passkey)) // the challenge is spent: the page has a new one
		}
		// Also for who proved another kind of factor before: where only keys count, this is the one that does.
		a.Proved.Second, a.Proved.Method = sqldb.Micros(d.Now()), string(factor.Passkey)
		a.Proved.Enrolling, a.Proved.Options, a.Proved.Later = "", nil, true
		return d.keepCodes(tx, a, actor, codes)
	})
	if err == nil && wrong != nil {
		return p, d.failed(ctx, a, policy.EnrolPasskey, client, wrong, around...)
	}
	return p, err
}

// KeyName is what the field for a new key's name starts with: the browser and system that it is made on; empty when they are not known.
func KeyName(userAgent string) string {
	if name := (Session{UserAgent: userAgent}).Device(); name != "–" {
		return name
	}
	return ""
}

// activatePasskey finishes a pending passkey, spends the link that vouched, and tells the person.
func (d *Desk) activatePasskey(tx sqldb.Tx, o org.Org, acc account.Account, actor access.Actor, answer, name string) error {
	now := d.Now()
	f, err := d.Relying.Finish(tx, now, acc.ID, answer, name)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`update accounts set link_used_at = 0 where id = $1 and org_id = $2`, acc.ID, o.ID); err != nil {
		return err
	}
	if err := distrust(tx, acc.ID); err != nil {
		return err
	}
	if err := outbox.Discard(tx, acc.ID, outbox.KindDeadline); err != nil {
		return err
	}
	if err := account.Tell(tx, d.Queue, o.ID, acc.ID, outbox.FactorAdded{Factor: string(factor.Passkey), Name: f.Name, At: now}); err != nil {
		return err
	}
	return audit.Record(tx, now, audit.Event{Org: o.ID, Action: audit.FactorEnrolled, Actor: actor, Target: audit.TargetOf(acc.ID),
		Data: map[string]any{"factor": string(factor.Passkey), "id": string(f.ID)}})
}

// makeCodes computes a set of recovery codes for an account that has none; nil when it has.
func (d *Desk) makeCodes(ctx context.Context, a id.Account) (*factor.RecoverySet, error) {
	if has, err := hasCodes(d.DB.Read(ctx), a); err != nil || has {
		return nil, err
	}
	set, err := factor.NewRecovery(ctx, d.Hasher)
	return &set, err
}

// codesForKey is makeCodes for who registers a key: nil as well when the answer or the name is not one that can be taken.
func (d *Desk) codesForKey(ctx context.Context, a id.Account, answer, name string) (*factor.RecoverySet, error) {
	fits, err := d.Relying.Fits(d.DB.Read(ctx), d.Now(), a, answer, name)
	if err != nil || !fits {
		return nil, err
	}
	return d.makeCodes(ctx, a)
}

// codesForApp is makeCodes for who proves a new authenticator app: nil as well when the code is not its.
func (d *Desk) codesForApp(ctx context.Context, a id.Account, code secret.Text) (*factor.RecoverySet, error) {
	fits, err := factor.FitsPending(d.DB.Read(ctx), d.Vault, d.Now(), a, code)
	if err != nil || !fits {
		return nil, err
	}
	return d.makeCodes(ctx, a)
}

func hasCodes(tx sqldb.Tx, a id.Account) (bool, error) {
	list, err := factor.List(tx, a)
	return slices.ContainsFunc(list, func(f factor.Factor) bool { return f.Kind == factor.Recovery }), err
}

// giveCodes stores a set for an account that has none, and returns its codes to be shown; nil when it has one by now.
func (d *Desk) giveCodes(tx sqldb.Tx, actor access.Actor, o id.Org, a id.Account, set *factor.RecoverySet) ([]string, error) {
	if set == nil {
		return nil, nil
	}
	if has, err := hasCodes(tx, a); err != nil || has {
		return nil, err
	}
	return set.Codes, d.setCodes(tx, actor, o, a, *set)
}

// keepCodes is giveCodes in a sign-in: the codes are kept, sealed, until the person has confirmed them.
func (d *Desk) keepCodes(tx sqldb.Tx, a *Attempt, actor access.Actor, set *factor.RecoverySet) error {
	codes, err := d.giveCodes(tx, actor, a.Org, a.Account, set)
	if err != nil || codes == nil {
		return err
	}
	text, err := json.Marshal(codes)
	a.Proved.Codes = d.Vault.Seal("attempts", "codes", string(a.ID), text)
	return err
}

func (d *Desk) setCodes(tx sqldb.Tx, actor access.Actor, o id.Org, a id.Account, set factor.RecoverySet) error {
	if err := factor.SetRecovery(tx, d.Now(), o, a, set); err != nil {
		return err
	}
	if err := throttle.Clear(tx, account.CodeTries(string(factor.Recovery), a)); err != nil {
		return err
	}
	return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.RecoveryMade, Actor: actor, Target: audit.TargetOf(a)})
}

func (d *Desk) shownCodes(a Attempt) ([]string, error) {
	plain, err := d.Vault.Open("attempts", "codes", string(a.ID), a.Proved.Codes)
	if err != nil {
		return nil, err
	}
	var list []string
	return list, json.Unmarshal(plain, &list)
}

// Saved answers the step that shows the recovery codes: from now on nobody can read them again.
func (d *Desk) Saved(ctx context.Context, k Key, client access.Client, held Held) (Progress, error) {
	return d.answer(ctx, k, policy.ShowRecovery, client, held, func(_ sqldb.Tx, a *Attempt, _ *scene) error {
		a.Proved.Codes = nil
		return nil
	})
}

// Offer answers the passkey offer: now makes one, later goes on, and is not asked again for a month.
func (d *Desk) Offer(ctx context.Context, k Key, now bool, client access.Client, held Held) (Progress, error) {
	return d.answer(ctx, k, policy.OfferPasskey, client, held, func(tx sqldb.Tx, a *Attempt, s *scene) error {
		if now {
			return d.beginEnrolment(tx, a, *s, string(factor.Passkey))
		}
		return d.putOff(tx, a)
	})
}

// NotNow goes on from the page that makes an offered passkey without making one.
func (d *Desk) NotNow(ctx context.Context, k Key, client access.Client, held Held) (Progress, error) {
	return d.answer(ctx, k, policy.EnrolPasskey, client, held, func(tx sqldb.Tx, a *Attempt, s *scene) error {
		a.Proved.Enrolling, a.Proved.Options = "", nil
		if err := d.Relying.Spend(tx, a.Account); err != nil {
			return err
		}
		if !s.Facts.Offer { // it was to be the first factor: back to the choice, or to the notice that can be put off
			a.Proved.SetUp = false
			return nil
		}
		return d.putOff(tx, a)
	})
}

func (d *Desk) putOff(tx sqldb.Tx, a *Attempt) error {
	a.Proved.Later = true
	_, err := tx.Exec(`update accounts set offers = offers + 1, offered_at = $1 where id = $2 and org_id = $3`, sqldb.Micros(d.Now()), a.Account, a.Org)
	return err
}

// Recovery answers the second-factor step with a recovery code: it is spent, and the person is mailed.
func (d *Desk) Recovery(ctx context.Context, k Key, typed string, client access.Client, held Held) (Progress, error) {
	code, fault := factor.CleanRecovery(typed)
	if fault != nil {
		return Progress{}, fault
	}
	a, around, err := d.takeCode(ctx, k, policy.AskRecovery, string(factor.Recovery), client)
	if err != nil {
		return Progress{}, err
	}
	m, err := factor.MatchRecovery(ctx, d.DB.Read(ctx), d.Hasher, a.Account, code)
	var p Progress
	if err == nil {
		p, err = d.answer(ctx, k, policy.AskRecovery, client, held, func(tx sqldb.Tx, a *Attempt, s *scene) error {
			if err := factor.SpendRecovery(tx, d.Now(), m); err != nil {
				return err
			}
			a.Proved.Second, a.Proved.Method = sqldb.Micros(d.Now()), string(factor.Recovery)
			if err := account.Tell(tx, d.Queue, a.Org, a.Account, outbox.RecoveryUsed{Left: m.Left, At: d.Now()}); err != nil {
				return err
			}
			if err := audit.Record(tx, d.Now(), audit.Event{Org: a.Org, Action: audit.RecoveryUsed, Actor: personActor(s.Account, client),
				Target: audit.TargetOf(a.Account), Data: map[string]any{"left": m.Left}}); err != nil {
				return err
			}
			return throttle.Clear(tx, account.CodeTries(string(factor.Recovery), a.Account))
		})
	}
	if refusal.Is(err, refusal.Invalid) {
		return p, d.failed(ctx, a, policy.AskRecovery, client, err, around...)
	}
	return p, err
}

// AccessCode answers the second-factor step with a temporary access code. It proves nothing but the right to enrol: the next step is a new second
// factor, whatever the rules say.
func (d *Desk) AccessCode(ctx context.Context, k Key, typed string, client access.Client, held Held) (Progress, error) {
	code, fault := factor.CleanRecovery(typed)
	if fault != nil {
		return Progress{}, fault
	}
	a, around, err := d.takeCode(ctx, k, policy.AskAccessCode, string(factor.AccessCodeKind), client)
	if err != nil {
		return Progress{}, err
	}
	f, err := factor.MatchAccessCode(ctx, d.DB.Read(ctx), d.Hasher, d.Now(), a.Account, code)
	var p Progress
	if err == nil {
		p, err = d.answer(ctx, k, policy.AskAccessCode, client, held, func(tx sqldb.Tx, a *Attempt, s *scene) error {
			if err := factor.SpendAccessCode(tx, f); err != nil {
				return err
			}
			a.Proved.Code = sqldb.Micros(d.Now())
			if err := audit.Record(tx, d.Now(), audit.Event{Org: a.Org, Action: audit.AccessCodeUsed, Actor: personActor(s.Account, client),
				Target: audit.TargetOf(a.Account)}); err != nil {
				return err
			}
			return throttle.Clear(tx, account.CodeTries(string(factor.AccessCodeKind), a.Account))
		})
	}
	if refusal.Is(err, refusal.Invalid) {
		return p, d.failed(ctx, a, policy.AskAccessCode, client, err, around...)
	}
	return p, err
}
