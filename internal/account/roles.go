package account

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// MostOwnRoles is how many own roles an organisation can have. They are read with each request that asks for rights there.
const MostOwnRoles = 50

// OwnRole is what an own role is made of.
type OwnRole struct {
	Name        string
	Permissions []access.Permission
	Below       bool // also in the organisations below that are in the holder's groups
}

// DefineRole makes an own role of the organisation. Its maker gives no permission that they do not hold there themselves, and holds them
// beyond any group when it is to count below. Refusals are at the fields name and permissions.
func (d *Directory) DefineRole(ctx context.Context, actor access.Actor, o id.Org, in OwnRole) (access.Role, error) {
	var made access.Role
	err := d.Book.Do(ctx, actor, audit.RoleDefined, func(tx sqldb.Tx) error {
		if err := access.Lock(tx, o); err != nil {
			return err
		}
		rights, err := d.Guard.Require(tx, actor, access.RoleDefine, o)
		if err != nil {
			return err
		}
		if made, err = draft(rights, access.Role{Org: o, Kind: rights.Org.Kind}, in); err != nil {
			return err
		}
		if err := actor.RequireFresh(d.Now()); err != nil {
			return err
		}
		if len(rights.Own) >= MostOwnRoles {
			return refusal.New(refusal.Conflict, "roles.many", "Most", MostOwnRoles)
		}
		if made.ID, err = access.CreateRole(tx, d.Now(), made); err != nil {
			return nameTaken(err, "roles.name_taken")
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.RoleDefined, Actor: actor, Target: audit.TargetOf(made.ID),
			Data: map[string]any{"after": roleFacts(made)}})
	})
	return made, err
}

// EditRole changes an own role; rev is the revision that the editor saw, and when somebody changed it since, nothing happens but a Conflict
// refusal. Nobody edits a role that they hold, or one that gives more than they have, before or after. What a permission gave ends at once.
func (d *Directory) EditRole(ctx context.Context, actor access.Actor, o id.Org, role id.Role, rev int64, in OwnRole) error {
	return d.Book.Do(ctx, actor, audit.RoleChanged, func(tx sqldb.Tx) error {
		if err := access.Lock(tx, o); err != nil {
			return err
		}
		rights, before, err := d.ownRole(tx, actor, o, role)
		if err != nil {
			return err
		}
		after, err := draft(rights, before, in)
		if err != nil {
			return err
		}
		if err := actor.RequireFresh(d.Now()); err != nil {
			return err
		}
		after.Rev = rev
		switch ok, err := access.UpdateRole(tx, after); {
		case err != nil:
			return nameTaken(err, "roles.name_taken")
		case !ok:
			return refusal.New(refusal.Conflict, "roles.changed_meanwhile")
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.RoleChanged, Actor: actor, Target: audit.TargetOf(role),
			Data: map[string]any{"before": roleFacts(before), "after": roleFacts(after)}})
	})
}

// DeleteRole deletes an own role. As long as somebody holds it, it returns a Conflict refusal with the number.
func (d *Directory) DeleteRole(ctx context.Context, actor access.Actor, o id.Org, role id.Role) error {
	return d.Book.Do(ctx, actor, audit.RoleDeleted, func(tx sqldb.Tx) error {
		if err := access.Lock(tx, o); err != nil {
			return err
		}
		_, before, err := d.ownRole(tx, actor, o, role)
		if err != nil {
			return err
		}
		if err := actor.RequireFresh(d.Now()); err != nil {
			return err
		}
		n, err := access.DeleteRole(tx, d.Now(), o, role)
		if err != nil {
			return err
		}
		if n > 0 {
			return refusal.New(refusal.Conflict, "roles.held", "Count", n)
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.RoleDeleted, Actor: actor, Target: audit.TargetOf(role),
			Data: map[string]any{"before": roleFacts(before)}})
	})
}

// ownRole loads an own role that the actor is about to change.
func (d *Directory) ownRole(tx sqldb.Tx, actor access.Actor, o id.Org, role id.Role) (access.Rights, access.Role, error) {
	rights, err := d.Guard.Require(tx, actor, access.RoleDefine, o)
	if err != nil {
		return rights, access.Role{}, err
	}
	r, err := access.FindRole(tx, o, role)
	if err != nil {
		return rights, r, err
	}
	if rights.HoldsOwn(role) {
		return rights, r, deniedRole("roles.edit_own")
	}
	if len(rights.Beyond(r)) > 0 {
		return rights, r, deniedRole("roles.beyond_you")
	}
	return rights, r, nil
}

func deniedRole(key string) error {
	e := refusal.New(refusal.Forbidden, key)
	e.Denied = true
	return e
}

// draft returns the role with what was asked for, checked.
func draft(rights access.Rights, r access.Role, in OwnRole) (access.Role, error) {
	name, nameFault := checkRoleName(in.Name)
	r.Name, r.NameKey = name, roleKey(name)
	r.Below = in.Below && rights.Org.Kind != access.Customer
	var fault *refusal.Error
	definable := access.Definable(rights.Org.Kind, r.Below)
	for _, p := range in.Permissions {
		switch {
		case slices.Contains(definable, p):
		case slices.Contains(access.Definable(rights.Org.Kind, true), p):
			fault = refusal.Field("permissions", "roles.permission_below")
		default:
			fault = refusal.Field("permissions", "roles.permission_unknown")
		}
	}
	if len(in.Permissions) == 0 {
		fault = refusal.Field("permissions", "roles.permission_missing")
	}
	if err := refusal.All(nameFault, fault); err != nil {
		return r, err
	}
	r.Permissions = access.WithLooks(in.Permissions)
	if len(rights.Beyond(r)) > 0 {
		return r, deniedRole("roles.beyond_you")
	}
	return r, nil
}

func roleFacts(r access.Role) map[string]any {
	words := make([]string, 0, len(r.Permissions))
	for _, p := range r.Permissions {
		words = append(words, string(p))
	}
	return map[string]any{"name": r.Name, "permissions": words, "below": r.Below}
}

// nameTaken turns the refusal of a second row of the same name into one at the field "name".
func nameTaken(err error, key string) error {
	if sqldb.Unique(err) {
		return refusal.Field("name", key)
	}
	return err
}

// roleKey is the form in which names of roles and groups are compared.
func roleKey(name string) string {
	return org.Fold(norm.NFKC.String(strings.Join(strings.Fields(name), " ")))
}

// builtinNames are the names of the built-in roles in every language, squeezed; a test compares them with the catalogues.
var builtinNames = []string{"administrator", "support", "editor", "viewer", "comanagingadministrator", "comanager", "core", "coreuser", "auditor",
	"bearbeiter", "betrachter", "mitverwaltenderadministrator", "basisbenutzer", "prüfer",
	"administrateur", "éditeur", "lecteur", "administrateurcogestionnaire", "utilisateurdebase", "auditeur"}

// checkRoleName returns an own role's name without outer space, or a refusal at the field "name". Nobody can make a role that passes for a
// built-in one: not by its name in any language, however it is spelled, nor by letters of another script that look the same.
func checkRoleName(s string) (string, *refusal.Error) {
	name, fault := org.CheckName(s)
	if fault != nil {
		return "", fault
	}
	if len([]rune(name)) > 60 {
		return "", refusal.Field("name", "name.long", "Most", 60)
	}
	squeezed := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, roleKey(name))
	switch {
	case squeezed == "":
		return "", refusal.Field("name", "roles.name_letters")
	case slices.Contains(builtinNames, squeezed), access.IsOwn(name):
		return "", refusal.Field("name", "roles.name_builtin")
	}
	scripts := 0
	for _, script := range []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee} {
		if strings.ContainsFunc(squeezed, func(r rune) bool { return unicode.Is(script, r) }) {
			scripts++
		}
	}
	if scripts > 1 {
		return "", refusal.Field("name", "roles.name_mixed")
	}
	return name, nil
}

// roleKeys returns the keys of roles that are given as keys, ids of own roles or names of own roles, see access.Rights.CheckRoles.
func roleKeys(rights access.Rights, typed []string) ([]string, error) {
	keys := slices.Clone(typed)
	for i, key := range keys {
		folded := roleKey(key)
		if slices.ContainsFunc(rights.Own, func(r access.Role) bool { return r.NameKey == folded }) {
			keys[i] = folded
		}
	}
	return rights.CheckRoles(keys)
}

// FarthestEnd is how far ahead an access can end, in years.
const FarthestEnd = 10

// ParseEnd reads when an access is to end: a day and time as browsers send them, in the organisation's time zone, a day alone, which is
// meant to the end of it, or RFC 3339. Nothing is the zero time: never. The refusal is at the field "expires_at".
func ParseEnd(text string, zone *time.Location, now time.Time) (time.Time, *refusal.Error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05", time.RFC3339, time.DateOnly} {
		t, err := time.ParseInLocation(layout, text, zone)
		if err != nil {
			continue
		}
		if layout == time.DateOnly {
			t = t.AddDate(0, 0, 1)
		}
		return t, checkEnd(t, now)
	}
	return time.Time{}, refusal.Field("expires_at", "expires.form")
}

// checkEnd refuses ends that have passed and those that nobody will live to see. The zero time is none.
func checkEnd(t, now time.Time) *refusal.Error {
	switch {
	case t.IsZero():
		return nil
	case !t.After(now):
		return refusal.Field("expires_at", "expires.past")
	case t.After(now.AddDate(FarthestEnd, 0, 0)):
		return refusal.Field("expires_at", "expires.far", "Most", FarthestEnd)
	}
	return nil
}

// SetRoles gives an account exactly these roles, those it keeps with the end that they have. The person is mailed.
func (d *Directory) SetRoles(ctx context.Context, actor access.Actor, o id.Org, a id.Account, roles []string) error {
	return d.SetRolesUntil(ctx, actor, o, a, roles, time.Time{})
}

// SetRolesUntil is SetRoles with an end for the roles that are added; the zero time: none.
func (d *Directory) SetRolesUntil(ctx context.Context, actor access.Actor, o id.Org, a id.Account, roles []string, expires time.Time) error {
	return d.changeRoles(ctx, actor, o, a, expires, func([]string) ([]string, error) { return roles, nil })
}

// changeRoles gives an account the roles that choose makes of those that it holds.
func (d *Directory) changeRoles(ctx context.Context, actor access.Actor, o id.Org, a id.Account, expires time.Time, choose func(held []string) ([]string, error)) error {
	return d.Book.Do(ctx, actor, audit.RolesChanged, func(tx sqldb.Tx) error {
		acc, held, rights, err := d.assigned(tx, actor, o, a)
		if err != nil {
			return err
		}
		roles, err := choose(slices.Clone(held))
		if err != nil {
			return err
		}
		if roles, err = roleKeys(rights, roles); err != nil {
			return err
		}
		added, taken := minus(roles, held), minus(held, roles)
		if err := mayGive(rights, append(slices.Clone(added), taken...)); err != nil {
			return err
		}
		if err := checkEnd(expires, d.Now()); err != nil {
			return err
		}
		if err := actor.RequireFresh(d.Now()); err != nil {
			return err
		}
		if len(added) == 0 && len(taken) == 0 {
			return nil
		}
		if slices.Contains(taken, access.Administrator) {
			if err := d.keepAdministrator(tx, o, a); err != nil {
				return err
			}
		}
		now := d.Now()
		for _, r := range taken {
			if err := access.Unassign(tx, o, a, r); err != nil {
				return err
			}
		}
		for _, r := range added {
			if err := access.Assign(tx, now, o, a, r, expires); err != nil {
				return err
			}
		}
		return d.tellRoles(tx, actor, acc, held, roles, map[string]any{"until": written(expires)})
	})
}

// SetRoleEnd changes when a role that the account holds ends; the zero time: never. The last administrator's does not end this way.
func (d *Directory) SetRoleEnd(ctx context.Context, actor access.Actor, o id.Org, a id.Account, role string, expires time.Time) error {
	return d.Book.Do(ctx, actor, audit.RolesChanged, func(tx sqldb.Tx) error {
		acc, held, rights, err := d.assigned(tx, actor, o, a)
		if err != nil {
			return err
		}
		roles, err := roleKeys(rights, []string{role})
		if err != nil {
			return err
		}
		if err := mayGive(rights, roles); err != nil {
			return err
		}
		if err := checkEnd(expires, d.Now()); err != nil {
			return err
		}
		if err := actor.RequireFresh(d.Now()); err != nil {
			return err
		}
		if !slices.Contains(held, roles[0]) {
			return refusal.New(refusal.Conflict, "roles.not_held")
		}
		if roles[0] == access.Administrator && !expires.IsZero() {
			if err := d.keepAdministrator(tx, o, a); err != nil {
				return err
			}
		}
		if err := access.Assign(tx, d.Now(), o, a, roles[0], expires); err != nil {
			return err
		}
		return d.tellRoles(tx, actor, acc, held, held, map[string]any{"role": roles[0], "until": written(expires)})
	})
}

// written is a time in an event; nothing for the zero time.
func written(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// assigned loads an account whose roles the actor is about to change, with the organisation locked, and refuses people their own.
func (d *Directory) assigned(tx sqldb.Tx, actor access.Actor, o id.Org, a id.Account) (Account, []string, access.Rights, error) {
	if err := access.Lock(tx, o); err != nil {
		return Account{}, nil, access.Rights{}, err
	}
	acc, held, rights, err := d.person(tx, actor, access.RoleAssign, o, a)
	if err != nil {
		return acc, held, rights, err
	}
	if actor.Account != "" && (actor.Account == a || actor.Account == acc.Home) {
		return acc, held, rights, d.ownRolesRefused(tx, o, actor.Account)
	}
	return acc, held, rights, nil
}

// ownRolesRefused is the refusal of a change to one's own roles: it says who can make it.
func (d *Directory) ownRolesRefused(tx sqldb.Tx, o id.Org, self id.Account) error {
	admins, err := Administrators(tx, o, d.Now())
	if err != nil {
		return err
	}
	var names []string
	for _, a := range admins {
		if a.ID != self && len(names) < 3 {
			names = append(names, a.Shown())
		}
	}
	if len(names) > 0 {
		return refusal.New(refusal.Conflict, "roles.own", "Who", names)
	}
	here, err := org.Find(tx, o)
	if err != nil || here.Parent == "" {
		return errOr(err, refusal.New(refusal.Conflict, "roles.own_nobody"))
	}
	parent, err := org.Find(tx, here.Parent)
	return errOr(err, refusal.New(refusal.Conflict, "roles.own_parent", "Parent", parent.Name))
}

func errOr(err error, r *refusal.Error) error {
	if err != nil {
		return err
	}
	return r
}

// mayGive refuses roles that the actor may neither give nor take.
func mayGive(rights access.Rights, roles []string) error {
	may := rights.Assignable()
	if slices.ContainsFunc(roles, func(r string) bool { return !slices.Contains(may, r) }) {
		return deniedRole("roles.beyond")
	}
	return nil
}

// tellRoles mails the person which roles they have now and records the change.
func (d *Directory) tellRoles(tx sqldb.Tx, actor access.Actor, acc Account, before, after []string, facts map[string]any) error {
	by, err := d.shown(tx, actor)
	if err != nil {
		return err
	}
	names, err := access.RoleNames(tx, acc.Org, after)
	if err != nil {
		return err
	}
	if acc.State == Active {
		if err := d.Queue.Enqueue(tx, acc.Org, acc.ID, outbox.RoleChanged{Roles: names, By: by, At: d.Now()}, 24*time.Hour); err != nil {
			return err
		}
	}
	facts["before"], facts["after"] = before, after
	return audit.Record(tx, d.Now(), audit.Event{Org: acc.Org, Action: audit.RolesChanged, Actor: actor, Target: audit.TargetOf(acc.ID), Data: facts})
}
