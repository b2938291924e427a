package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// A job is a stored list of people or lines that is worked off in slices, by whichever node takes up the next one:
//
//	Begin ───────────────────────────────────────────────> running ──> done
//	Store ──> [columns ──SetColumns──>] checking ──> checked ──Run──┘ └──> stopped (its maker's session or right is gone)
//	                                    each of them ──Cancel──> cancelled
//
// A slice is leased. Each row is ticked off in the transaction of its own operation, under the lease: so it is done once, whoever else believes to
// hold the job, and what was not committed is taken up again when the lease has run out. Before each row it is asked whether the session that the job
// was made in is still good, and whether its maker still has the right.

// JobState is where a job stands.
type JobState string

// The states of a job. Those of an import come before it runs.
const (
	JobStored    JobState = "stored"   // being stored
	JobColumns   JobState = "columns"  // waits to be told what the columns hold
	JobChecking  JobState = "checking" // finds out what would become of each line
	JobChecked   JobState = "checked"  // waits for its maker to go on
	JobRunning   JobState = "running"
	JobDone      JobState = "done"
	JobCancelled JobState = "cancelled"
	JobStopped   JobState = "stopped" // Reason says why
)

// Why a job was stopped.
const (
	StoppedSignedOut = "signed_out" // the session that it was made in is over
	StoppedRight     = "right"      // its maker has not the right any more
)

// Times of a job.
const (
	jobLease  = time.Minute         // of a slice
	JobWaits  = 24 * time.Hour      // for an answer
	JobStays  = 30 * 24 * time.Hour // after its end, with its result
	jobsOpen  = 5                   // of one organisation at once
	jobSlice  = 20                  // people in a slice
	jobClears = 2000                // rows that are removed in a transaction
)

// Job is work on many people, see above.
type Job struct {
	ID       id.Job
	Org      id.Org
	Kind     Act
	State    JobState
	Reason   string // with JobStopped
	Actor    access.Actor
	Params   Params
	Total    int // people, or lines
	Done     int // of them, so far
	Added    int // of Done: those with whom it was done
	There    int // of Done, with an import: those who are here already
	Refused  int // of Done
	Created  time.Time
	Finished time.Time // zero: not yet

	lease string
}

// Params is what a job was asked to do.
type Params struct {
	Bulk
	Head    []string `json:"head,omitempty"` // of an import, from here on
	Columns []Column `json:"columns,omitempty"`
	Guessed bool     `json:"guessed,omitempty"` // how the file is written
	Later   bool     `json:"later,omitempty"`   // no invitations yet
	Sample  []string `json:"sample,omitempty"`  // a cell of each column
	Free    int      `json:"free,omitempty"`    // seats left, while it is checked; negative: any number
	Ran     bool     `json:"ran,omitempty"`     // it was not only checked
}

// JobRow is what became of a person or a line.
type JobRow struct {
	N       int // the line of an import
	Account id.Account
	Email   string
	State   RowState
	Err     *refusal.Error // with RowRefused: why, see Key and Args
}

// RowState is what became of a row.
type RowState string

// The states of a row.
const (
	RowWaits   RowState = ""
	RowDone    RowState = "done"
	RowThere   RowState = "there" // of an import: here already
	RowRefused RowState = "refused"
)

// Over tells whether nothing more becomes of a job.
func (j Job) Over() bool { return !j.Finished.IsZero() }

// Works tells whether somebody works at a job, or will without being asked.
func (j Job) Works() bool { return j.State == JobChecking || j.State == JobRunning }

// SeenBy tells whether a job is for somebody with those rights to see: who could make it. Its maker, too, only as long as that is so.
func (j Job) SeenBy(r access.Rights) bool { return r.May(acts[j.Kind].permission) }

// errLost means that a job is somebody else's by now, or is over.
var errLost = errors.New("account: the job was taken over or has ended")

const jobColumns = `id, org_id, kind, state, reason, actor, params, total, done, added, there, refused, lease, created_at, finished_at`

func scanJob(row sqldb.Row) (j Job, err error) {
	var actor, params string
	if err := row(&j.ID, &j.Org, &j.Kind, &j.State, &j.Reason, &actor, &params, &j.Total, &j.Done, &j.Added, &j.There, &j.Refused, &j.lease,
		sqldb.Time(&j.Created), sqldb.Time(&j.Finished)); err != nil {
		return j, err
	}
	return j, errors.Join(json.Unmarshal([]byte(actor), &j.Actor), json.Unmarshal([]byte(params), &j.Params))
}

// insert stores a job, unless the organisation has enough of them.
func (j *Jobs) insert(tx sqldb.Tx, made *Job) error {
	if err := access.Lock(tx, made.Org); err != nil {
		return err
	}
	n, err := sqldb.One(tx, sqldb.Value[int], `select count(*) from jobs where org_id = $1 and finished_at = 0`, made.Org)
	if err != nil {
		return err
	}
	if n >= jobsOpen {
		return refusal.New(refusal.Conflict, "job.many", "Most", jobsOpen)
	}
	now := j.Now()
	made.ID, made.Created = id.New[id.Job](now), now
	due := now
	if !made.Works() {
		due = now.Add(JobWaits)
	}
	params, err := json.Marshal(made.Params)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into jobs (id, org_id, account_id, kind, state, reason, actor, params, total, done, added, there, refused, lease, due_at, created_at,
		finished_at, untidy) values ($1, $2, $3, $4, $5, '', $6, $7, $8, 0, 0, 0, 0, '', $9, $10, 0, 0)`, made.ID, made.Org, made.Actor.Account, made.Kind, made.State,
		actorText(made.Actor), string(params), made.Total, sqldb.Micros(due), sqldb.Micros(now))
	return err
}

// actorText is how an actor is stored, without the time of a proof.
func actorText(a access.Actor) string {
	a.ProvedAt = time.Time{}
	b, _ := json.Marshal(a) // nothing in it fails
	return string(b)
}

// insertRows writes rows of a job.
func insertRows(tx sqldb.Tx, job id.Job, rows []JobRow) error {
	for part := range slices.Chunk(rows, 100) {
		args, values := []any{job}, make([]string, 0, len(part))
		for _, r := range part {
			reason, text, err := r.reason()
			if err != nil {
				return err
			}
			n := len(args)
			args = append(args, r.N, string(r.Account), r.Email, r.State, reason, text)
			values = append(values, `($1, $`+strconv.Itoa(n+1)+`, $`+strconv.Itoa(n+2)+`, $`+strconv.Itoa(n+3)+`, $`+strconv.Itoa(n+4)+`, $`+strconv.Itoa(n+5)+
				`, $`+strconv.Itoa(n+6)+`)`)
		}
		if _, err := tx.Exec(`insert into job_rows (job_id, n, account_id, email, state, reason, args) values `+strings.Join(values, `, `), args...); err != nil {
			return err
		}
	}
	return nil
}

// reason returns key and arguments of a refusal as they are stored.
func (r JobRow) reason() (key, args string, err error) {
	if r.Err == nil {
		return "", "{}", nil
	}
	b, err := json.Marshal(r.Err.Args)
	return r.Err.Key, string(b), err
}

func scanJobRow(row sqldb.Row) (r JobRow, err error) {
	var reason, args string
	if err := row(&r.N, &r.Account, &r.Email, &r.State, &reason, &args); err != nil || reason == "" {
		return r, err
	}
	r.Err = &refusal.Error{Code: refusal.Conflict, Key: reason}
	if err := json.Unmarshal([]byte(args), &r.Err.Args); err != nil {
		return r, err
	}
	for name, v := range r.Err.Args { // what sentences ask for: whole numbers, lists of names
		switch v := v.(type) {
		case float64:
			r.Err.Args[name] = int(v)
		case []any:
			list := make([]string, 0, len(v))
			for _, one := range v {
				list = append(list, fmt.Sprint(one))
			}
			r.Err.Args[name] = list
		}
	}
	return r, nil
}

const rowColumns = `n, account_id, email, state, reason, args`

// FindJob returns a job of an organisation, or a NotFound refusal, also for another organisation's.
func FindJob(tx sqldb.Tx, o id.Org, job id.Job) (Job, error) {
	j, err := sqldb.One(tx, scanJob, `select `+jobColumns+` from jobs where org_id = $1 and id = $2`, o, job)
	if errors.Is(err, sqldb.ErrNone) {
		e := refusal.New(refusal.NotFound, "error.not_found")
		e.Denied = true
		return j, e
	}
	return j, err
}

// OpenJobs returns the jobs of an organisation that are not over, oldest first: a few at most.
func OpenJobs(tx sqldb.Tx, o id.Org) ([]Job, error) {
	return sqldb.All(tx, scanJob, `select `+jobColumns+` from jobs where org_id = $1 and finished_at = 0 and state <> 'stored' order by id limit 20`, o)
}

// JobRows returns rows of a job behind a number, in their order and at most so many: all, or those in one state.
func JobRows(tx sqldb.Tx, job id.Job, only RowState, after, most int) ([]JobRow, error) {
	if only != "" {
		return sqldb.All(tx, scanJobRow, `select `+rowColumns+` from job_rows where job_id = $1 and state = $2 and n > $3 order by n limit $4`, job, only, after, most)
	}
	return sqldb.All(tx, scanJobRow, `select `+rowColumns+` from job_rows where job_id = $1 and n > $2 order by n limit $3`, job, after, most)
}

// Cancel ends a job where it stands: what was done stays. Who may see it may cancel it.
func (j *Jobs) Cancel(ctx context.Context, actor access.Actor, o id.Org, job id.Job) error {
	return j.Book.Do(ctx, actor, audit.JobEnded, func(tx sqldb.Tx) error {
		it, err := j.seen(tx, actor, o, job)
		if err != nil {
			return err
		}
		if it.Over() {
			return refusal.New(refusal.Conflict, "job.over")
		}
		return j.end(tx, it, actor, JobCancelled, "", "")
	})
}

// seen loads a job that an actor may see; any other one is answered like one that does not exist.
func (j *Jobs) seen(tx sqldb.Tx, actor access.Actor, o id.Org, job id.Job) (Job, error) {
	rights, err := j.Guard.Require(tx, actor, access.OrgView, o)
	if err != nil {
		return Job{}, err
	}
	it, err := FindJob(tx, o, job)
	if err == nil && !it.SeenBy(rights) {
		err = deniedNotFound()
	}
	return it, err
}

func deniedNotFound() error {
	e := refusal.New(refusal.NotFound, "error.not_found")
	e.Denied = true
	return e
}

// end ends a job, under a lease or, when that is empty, whoever works at it. It tells errLost when it is over or somebody else's.
func (j *Jobs) end(tx sqldb.Tx, it Job, actor access.Actor, state JobState, reason, lease string) error {
	list, err := sqldb.All(tx, scanJob, `update jobs set state = $1, reason = $2, lease = '', finished_at = $3 where id = $4 and finished_at = 0
		and ($5 = '' or lease = $5) returning `+jobColumns, state, reason, sqldb.Micros(j.Now()), it.ID, lease)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return errLost
	}
	it = list[0]
	if _, err := tx.Exec(`delete from job_parts where job_id = $1`, it.ID); err != nil {
		return err
	}
	if it.Params.Sample != nil { // of the file, which goes
		it.Params.Sample = nil
		params, err := json.Marshal(it.Params)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`update jobs set params = $1 where id = $2`, string(params), it.ID); err != nil {
			return err
		}
	}
	if it.Params.Ran { // who was added stands in the log as with an import of few
		if err := audit.Record(tx, j.Now(), audit.Event{Org: it.Org, Action: audit.PeopleImported, Actor: it.Actor, Target: audit.TargetOf(it.Org),
			Data: map[string]any{"added": it.Added, "there": it.There, "refused": it.Refused}}); err != nil {
			return err
		}
	}
	return audit.Record(tx, j.Now(), audit.Event{Org: it.Org, Action: audit.JobEnded, Reason: reason, Actor: actor, Target: audit.TargetOf(it.ID),
		Data: map[string]any{"kind": string(it.Kind), "state": string(state), "total": it.Total, "done": it.Added, "refused": it.Refused}})
}

// Wake lets this node look for work at once.
func (j *Jobs) Wake() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Run works jobs off until ctx ends. It looks when it is woken, and each second for what other nodes stored or left behind.
func (j *Jobs) Run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if err := j.Work(ctx); err != nil && ctx.Err() == nil {
			j.Log.Error("jobs", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-j.wake:
		case <-tick.C:
		}
	}
}

// Work works off slices until there is nothing to do. An error leaves its job to whoever comes when the lease has run out.
func (j *Jobs) Work(ctx context.Context) error {
	for ctx.Err() == nil {
		took, err := j.Slice(ctx)
		if err != nil || !took {
			return err
		}
	}
	return ctx.Err()
}

// Slice leases the job whose turn it is, works off a slice of it, and tells whether there was one.
func (j *Jobs) Slice(ctx context.Context) (bool, error) {
	now := sqldb.Micros(j.Now())
	due, err := sqldb.All(j.DB.Read(ctx), sqldb.Value[id.Job], `select id from jobs where state in ('checking', 'running') and due_at <= $1 order by due_at limit 1`, now)
	if err != nil || len(due) == 0 {
		return false, err
	}
	lease := string(secret.Token("lease_"))
	var list []Job
	if err := j.DB.Write(ctx, func(tx sqldb.Tx) (err error) {
		list, err = sqldb.All(tx, scanJob, `update jobs set lease = $1, due_at = $2 where id = $3 and state in ('checking', 'running') and due_at <= $4 returning `+jobColumns,
			lease, sqldb.Micros(j.Now().Add(jobLease)), due[0], now)
		return err
	}); err != nil || len(list) == 0 {
		return err == nil, err // another node was first
	}
	it := list[0]
	switch err := j.slice(ctx, it); {
	case errors.Is(err, errLost):
		return true, nil
	case err != nil:
		return true, err
	}
	return true, j.DB.Write(ctx, func(tx sqldb.Tx) error { // the others' turn
		_, err := tx.Exec(`update jobs set lease = '', due_at = $1 where id = $2 and lease = $3`, sqldb.Micros(j.Now()), it.ID, lease)
		return err
	})
}

// slice works off some rows of a job that is leased.
func (j *Jobs) slice(ctx context.Context, it Job) error {
	switch {
	case it.State == JobChecking:
		return j.checkPart(ctx, it)
	case it.Kind == ActImport:
		return j.addPart(ctx, it)
	}
	rows, err := sqldb.All(j.DB.Read(ctx), scanJobRow, `select `+rowColumns+` from job_rows where job_id = $1 and state = '' order by n limit $2`, it.ID, jobSlice)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if ctx.Err() != nil {
			return nil
		}
		if ended, err := j.unlessStopped(ctx, it); err != nil || ended {
			return err
		}
		if err := j.row(context.WithoutCancel(ctx), it, r); err != nil {
			return err
		}
	}
	if len(rows) == jobSlice {
		return nil
	}
	return j.DB.Write(ctx, func(tx sqldb.Tx) error { return j.end(tx, it, it.Actor, JobDone, "", it.lease) })
}

// unlessStopped stops a job whose maker is signed out, or has not the right any more.
func (j *Jobs) unlessStopped(ctx context.Context, it Job) (ended bool, err error) {
	reason := StoppedSignedOut
	if err = j.Stands(ctx, it.Actor, it.Org); err == nil {
		reason = StoppedRight
		_, err = j.Guard.Require(j.DB.Read(ctx), it.Actor, acts[it.Kind].permission, it.Org)
	}
	if refusal.As(err) == nil {
		return false, err
	}
	return true, j.stop(ctx, it, reason)
}

// stop ends a job that cannot go on.
func (j *Jobs) stop(ctx context.Context, it Job, reason string) error {
	return j.DB.Write(ctx, func(tx sqldb.Tx) error { return j.end(tx, it, access.System(), JobStopped, reason, it.lease) })
}

// proved is the actor of a job: the proof was asked for when it was made.
func (j *Jobs) proved(it Job) access.Actor {
	a := it.Actor
	a.ProvedAt = j.Now()
	return a
}

// row does an act to one person and ticks the row off in the same transaction. What is refused, or fails, is ticked off with the reason.
func (j *Jobs) row(ctx context.Context, it Job, r JobRow) error {
	ticked := false
	done := r
	done.State = RowDone
	err := j.one(audit.Along(ctx, func(tx sqldb.Tx) error {
		ticked = true
		return j.tick(tx, it, done)
	}), j.proved(it), it.Org, it.Params.Bulk, r.Account)
	switch {
	case errors.Is(err, errLost):
		return err
	case err == nil && ticked:
		return nil
	case err != nil:
		done.State = RowRefused
		if done.Err = refusal.As(err); done.Err == nil {
			j.Log.Error("jobs", "job", it.ID, "error", err)
			done.Err = refusal.New(refusal.Conflict, "job.failed")
		}
	}
	return j.DB.Write(ctx, func(tx sqldb.Tx) error { return j.tick(tx, it, done) })
}

// tick notes what became of a row, under the lease.
func (j *Jobs) tick(tx sqldb.Tx, it Job, r JobRow) error {
	added, refused := 1, 0
	if r.State == RowRefused {
		added, refused = 0, 1
	}
	n, err := tx.Exec(`update jobs set done = done + 1, added = added + $1, refused = refused + $2 where id = $3 and lease = $4 and state || '' = 'running'`, added, refused, it.ID, it.lease)
	if err != nil {
		return err
	}
	if n == 0 {
		return errLost
	}
	reason, args, err := r.reason()
	if err != nil {
		return err
	}
	n, err = tx.Exec(`update job_rows set state = $1, reason = $2, args = $3 where job_id = $4 and n = $5 and state = ''`, r.State, reason, args, it.ID, r.N)
	if err == nil && n == 0 {
		err = errLost
	}
	return err
}

// Sweep gives up what waits for an answer too long, and removes what nobody needs any more: at its end the keys of an import, and the whole job JobStays
// later. It runs again and again, on every node.
func (j *Jobs) Sweep(ctx context.Context) error {
	now := sqldb.Micros(j.Now())
	waiting, err := sqldb.All(j.DB.Read(ctx), scanJob, `select `+jobColumns+` from jobs where state in ('stored', 'columns', 'checked') and due_at <= $1 order by due_at limit 20`, now)
	if err != nil {
		return err
	}
	for _, it := range waiting {
		if err := j.DB.Write(ctx, func(tx sqldb.Tx) error { return j.end(tx, it, access.System(), JobCancelled, "", "") }); err != nil && !errors.Is(err, errLost) {
			return err
		}
	}
	untidy, err := sqldb.All(j.DB.Read(ctx), sqldb.Value[id.Job], `select id from jobs where untidy = 1 and finished_at > 0 and finished_at <= $1 limit 20`, now)
	if err != nil {
		return err
	}
	for _, job := range untidy {
		if err := j.clear(ctx, job, `delete from job_keys where job_id = $1 and key in (select key from job_keys where job_id = $1 limit $2)`); err != nil {
			return err
		}
		if err := j.DB.Write(ctx, func(tx sqldb.Tx) error {
			_, err := tx.Exec(`update jobs set untidy = 0 where id = $1`, job)
			return err
		}); err != nil {
			return err
		}
	}
	old, err := sqldb.All(j.DB.Read(ctx), sqldb.Value[id.Job], `select id from jobs where finished_at > 0 and finished_at <= $1 limit 20`, sqldb.Micros(j.Now().Add(-JobStays)))
	for _, job := range old {
		if err := j.clear(ctx, job, `delete from job_rows where job_id = $1 and n in (select n from job_rows where job_id = $1 limit $2)`); err != nil {
			return err
		}
		if err := j.DB.Write(ctx, func(tx sqldb.Tx) error {
			_, err := tx.Exec(`delete from jobs where id = $1`, job)
			return err
		}); err != nil {
			return err
		}
	}
	return err
}

// clear removes what a statement removes, a stretch at a time.
func (j *Jobs) clear(ctx context.Context, job id.Job, statement string) error {
	for {
		n := int64(0)
		if err := j.DB.Write(ctx, func(tx sqldb.Tx) (err error) {
			n, err = tx.Exec(statement, job, jobClears)
			return err
		}); err != nil || n < jobClears {
			return err
		}
	}
}

// JobsUseKey tells whether the lines of an import that is under way are sealed with a key.
func JobsUseKey(tx sqldb.Tx, key string) (bool, error) {
	boxes, err := sqldb.All(tx, sqldb.Value[[]byte], `select substr(box, 1, 300) from job_parts`)
	if err != nil {
		return false, err
	}
	for _, b := range boxes {
		if name, _, err := secret.KeyOf(b); err != nil || name == key {
			return true, err
		}
	}
	return false, nil
}
