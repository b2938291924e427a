package account

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Act is something that is done to many people, each by the operation that does it to one.
type Act string

// The acts. Import is of lines; the others are of people.
const (
	ActEnable     Act = "enable"
	ActDisable    Act = "disable"
	ActResend     Act = "resend"
	ActSetup      Act = "setup"
	ActSessions   Act = "end-sessions"
	ActGiveRole   Act = "give-role"
	ActTakeRole   Act = "take-role"
	ActGroup      Act = "add-group"
	ActLeaveGroup Act = "remove-group"
	ActDelete     Act = "delete"
	ActImport     Act = "import"
)

// Acts lists those on people, in the order in which they are offered.
var Acts = []Act{ActResend, ActSetup, ActSessions, ActGiveRole, ActTakeRole, ActGroup, ActLeaveGroup, ActEnable, ActDisable, ActDelete}

// acts says for each what it takes: the permission, and whether the proof of who the actor is has to be fresh.
var acts = map[Act]struct {
	permission access.Permission
	fresh      bool
}{
	ActEnable: {access.PeopleDisable, false}, ActDisable: {access.PeopleDisable, false}, ActResend: {access.PeopleResend, false},
	ActSetup: {access.PeopleFactors, true}, ActSessions: {access.PeopleSessions, false}, ActGiveRole: {access.RoleAssign, true},
	ActTakeRole: {access.RoleAssign, true}, ActGroup: {access.GroupManage, false}, ActLeaveGroup: {access.GroupManage, false},
	ActDelete: {access.PeopleDelete, true}, ActImport: {access.PeopleImport, true},
}

// Offered tells whether somebody with those rights can do an act at all.
func (a Act) Offered(r access.Rights) bool {
	takes, known := acts[a]
	if !known || !r.May(takes.permission) {
		return false
	}
	switch a {
	case ActGroup, ActLeaveGroup:
		return r.Org.Kind != access.Customer && !r.GroupsOnly()
	case ActGiveRole, ActTakeRole:
		return len(r.Assignable()) > 0
	}
	return true
}

// Bulk is an act with what it needs.
type Bulk struct {
	Act   Act      `json:"act"`
	Role  string   `json:"role,omitempty"`  // with the acts on roles
	Group id.Group `json:"group,omitempty"` // with those on groups
}

// MostBulk is how many people an act takes at most, MostAtOnce how many of them in one request.
const (
	MostBulk   = 10_000
	MostAtOnce = 50
)

// Jobs does things to many people: a few at once, more as a job that any node works off.
type Jobs struct {
	*Directory
	Log *slog.Logger

	// EndSessions ends the sessions of an account, Stands tells whether an actor's own session is good; both are the desk's.
	EndSessions func(ctx context.Context, actor access.Actor, o id.Org, a id.Account) error
	Stands      func(ctx context.Context, actor access.Actor, o id.Org) error

	wake chan struct{}
	room chan struct{}
}

// NewJobs returns what works on that directory.
func NewJobs(d *Directory, log *slog.Logger) *Jobs {
	return &Jobs{Directory: d, Log: log, wake: make(chan struct{}, 1), room: make(chan struct{}, 4)}
}

// Done is what became of one person: Err is nil, or why nothing was done.
type Done struct {
	Account id.Account
	Email   string
	Err     *refusal.Error
}

// check refuses an act that the actor cannot do to anybody: a missing right, a role or group that is none of theirs, a proof too old. Those at the
// fields are "action", "role" and "group".
func (j *Jobs) check(ctx context.Context, actor access.Actor, o id.Org, in *Bulk) error {
	takes, known := acts[in.Act]
	if !known || in.Act == ActImport {
		return refusal.Field("action", "bulk.action_missing")
	}
	tx := j.DB.Read(ctx)
	rights, err := j.Guard.Require(tx, actor, takes.permission, o)
	if err == nil && !in.Act.Offered(rights) {
		err = deniedRole("error.forbidden")
	}
	if err != nil {
		return j.Book.Refusal(ctx, actor, audit.Action(takes.permission), err)
	}
	switch in.Act {
	case ActGiveRole, ActTakeRole:
		if in.Role == "" {
			return refusal.Field("role", "bulk.role_missing")
		}
		keys, err := roleKeys(rights, []string{in.Role})
		if err == nil {
			err = mayGive(rights, keys)
		}
		if err != nil {
			return j.Book.Refusal(ctx, actor, audit.RolesChanged, err)
		}
		in.Role = keys[0]
	case ActGroup, ActLeaveGroup:
		if in.Group == "" {
			return refusal.Field("group", "bulk.group_missing")
		}
		if _, err := access.FindGroup(tx, o, in.Group); err != nil {
			return j.Book.Refusal(ctx, actor, audit.GroupChanged, err)
		}
	}
	if takes.fresh {
		return actor.RequireFresh(j.Now())
	}
	return nil
}

// AtOnce does an act to at most MostAtOnce people of an organisation and returns what became of each, in their order. The error concerns them all. Who is
// not of that organisation is answered like somebody who does not exist.
func (j *Jobs) AtOnce(ctx context.Context, actor access.Actor, o id.Org, in Bulk, people []id.Account) ([]Done, error) {
	if err := j.check(ctx, actor, o, &in); err != nil {
		return nil, err
	}
	if len(people) > MostAtOnce {
		return nil, refusal.New(refusal.Conflict, "bulk.many", "Most", MostAtOnce)
	}
	out := make([]Done, 0, len(people))
	for _, a := range people {
		d := Done{Account: a}
		who, err := Find(j.DB.Read(ctx), o, a)
		if err == nil {
			d.Email = who.Email
			err = j.one(ctx, actor, o, in, a)
		} else if refusal.As(err) != nil {
			err = j.Book.Refusal(ctx, actor, audit.Action(acts[in.Act].permission), err)
		}
		if d.Err = refusal.As(err); err != nil && d.Err == nil {
			return out, err
		}
		out = append(out, d)
	}
	return out, nil
}

// one does an act to one person, by the operation that there is for one.
func (j *Jobs) one(ctx context.Context, actor access.Actor, o id.Org, in Bulk, a id.Account) error {
	switch in.Act {
	case ActEnable:
		return j.Enable(ctx, actor, o, a)
	case ActDisable:
		return j.Disable(ctx, actor, o, a)
	case ActResend:
		_, err := j.Resend(ctx, actor, o, a)
		return err
	case ActSetup:
		return j.SendSetup(ctx, actor, o, a)
	case ActSessions:
		return j.EndSessions(ctx, actor, o, a)
	case ActGiveRole:
		return j.changeRoles(ctx, actor, o, a, time.Time{}, func(held []string) ([]string, error) {
			if slices.Contains(held, in.Role) {
				return nil, refusal.New(refusal.Conflict, "bulk.role_held")
			}
			return append(held, in.Role), nil
		})
	case ActTakeRole:
		return j.changeRoles(ctx, actor, o, a, time.Time{}, func(held []string) ([]string, error) {
			if !slices.Contains(held, in.Role) {
				return nil, refusal.New(refusal.Conflict, "roles.not_held")
			}
			return minus(held, []string{in.Role}), nil
		})
	case ActGroup:
		return j.AddToGroup(ctx, actor, o, in.Group, Grouped{People: []id.Account{a}})
	case ActLeaveGroup:
		return j.RemoveFromGroup(ctx, actor, o, in.Group, Grouped{People: []id.Account{a}})
	case ActDelete:
		return j.Delete(ctx, actor, o, a)
	}
	return refusal.Field("action", "bulk.action_missing")
}

// Begin makes a job of an act on people of an organisation. The list is frozen now: who is not of the organisation is left out of it.
func (j *Jobs) Begin(ctx context.Context, actor access.Actor, o id.Org, in Bulk, people []Account) (id.Job, error) {
	if err := j.check(ctx, actor, o, &in); err != nil {
		return "", err
	}
	switch {
	case len(people) == 0:
		return "", refusal.New(refusal.Conflict, "bulk.nobody")
	case len(people) > MostBulk:
		return "", refusal.New(refusal.Conflict, "bulk.many", "Most", MostBulk)
	}
	var made Job
	err := j.Book.Do(ctx, actor, audit.JobBegun, func(tx sqldb.Tx) error {
		if _, err := j.Guard.Require(tx, actor, acts[in.Act].permission, o); err != nil {
			return err
		}
		var rows []JobRow
		for _, p := range people {
			if p.Org == o {
				rows = append(rows, JobRow{N: len(rows) + 1, Account: p.ID, Email: p.Email})
			}
		}
		made = Job{Org: o, Kind: in.Act, State: JobRunning, Actor: actor, Params: Params{Bulk: in}, Total: len(rows)}
		if err := j.insert(tx, &made); err != nil {
			return err
		}
		if err := insertRows(tx, made.ID, rows); err != nil {
			return err
		}
		return audit.Record(tx, j.Now(), audit.Event{Org: o, Action: audit.JobBegun, Actor: actor, Target: audit.TargetOf(made.ID),
			Data: map[string]any{"kind": string(in.Act), "people": made.Total}})
	})
	j.Wake()
	return made.ID, err
}
