package account

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/org"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// An import of a long file is a job. The file is cut into parts when it comes, sealed, and never whole in memory again: each slice reads one part, and
// a part goes when all of it is done.

const (
	perPart    = 500 // lines in a part; perSlice divides it
	MostFaults = 200 // lines with faults that the check keeps
)

// partLine is a line in a part.
type partLine struct {
	Line  int      `json:"l"`
	Cells []string `json:"c,omitempty"`
	Fault string   `json:"f,omitempty"`
}

// Room waits for a place for a long file: those that are read at the same time are whole in memory. Call what it returns when the file is stored.
func (j *Jobs) Room(ctx context.Context) (leave func(), err error) {
	select {
	case j.room <- struct{}{}:
		return func() { <-j.room }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Store makes a job of the import of a long text: it waits for what its columns hold, unless its head says so, and then checks the lines. guessed is how the
// file is written, see DecodeSheet. Refusals of the text are at the field "text".
func (j *Jobs) Store(ctx context.Context, actor access.Actor, o id.Org, text string, guessed bool) (id.Job, error) {
	var s Sheet
	made := Job{Org: o, Kind: ActImport, State: JobStored, Actor: actor, Params: Params{Guessed: guessed}}
	if fault := s.cut(text, func(SheetLine) *refusal.Error {
		if made.Total++; made.Total > MostJobLines {
			return sheetFault("csv.too_long", "Lines", MostJobLines)
		}
		return nil
	}); fault != nil {
		return "", fault
	}
	made.Params.Head = s.Head
	var sure bool
	if made.Params.Columns, sure = s.Guess(); !sure {
		made.Params.Sample = make([]string, len(s.Head))
	}
	if err := j.Book.Do(ctx, actor, audit.PeopleImported, func(tx sqldb.Tx) error {
		rights, err := j.Guard.Require(tx, actor, access.PeopleImport, o)
		if err != nil {
			return err
		}
		at, err := org.Find(tx, o)
		if err != nil {
			return err
		}
		if err := requireAdd(actor, rights, at.Rules); err != nil {
			return err
		}
		return j.insert(tx, &made)
	}); err != nil {
		return "", err
	}
	var lines []partLine
	part := 0
	var failed error
	flush := func() {
		if failed == nil && len(lines) > 0 {
			failed = j.storePart(ctx, made.ID, part, lines)
		}
		part, lines = part+1, lines[:0]
	}
	s = Sheet{}
	if fault := s.cut(text, func(l SheetLine) *refusal.Error {
		one := partLine{Line: l.Line, Cells: l.Cells}
		if l.Fault != nil {
			one.Fault = l.Fault.Key
		}
		for i := range made.Params.Sample {
			if made.Params.Sample[i] == "" && i < len(l.Cells) {
				made.Params.Sample[i] = shortened(l.Cells[i])
			}
		}
		if lines = append(lines, one); len(lines) == perPart {
			flush()
		}
		return nil
	}); fault != nil {
		return "", fault
	}
	if flush(); failed != nil {
		return "", failed // Sweep removes what is there
	}
	err := j.DB.Write(ctx, func(tx sqldb.Tx) error {
		it := made
		if it.State = JobColumns; sure {
			var err error
			if it, err = j.toCheck(tx, it); err != nil {
				return err
			}
		}
		if err := j.turnJob(tx, it, JobStored); err != nil {
			return err
		}
		return audit.Record(tx, j.Now(), audit.Event{Org: o, Action: audit.JobBegun, Actor: actor, Target: audit.TargetOf(made.ID),
			Data: map[string]any{"kind": string(ActImport), "lines": made.Total}})
	})
	j.Wake()
	return made.ID, err
}

// storePart seals lines and stores them.
func (j *Jobs) storePart(ctx context.Context, job id.Job, n int, lines []partLine) error {
	plain, err := json.Marshal(lines)
	if err != nil {
		return err
	}
	box := j.Vault.Seal("job_parts", "box", partRow(job, n), plain)
	return j.DB.Write(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(`insert into job_parts (job_id, n, box) values ($1, $2, $3)`, job, n, box)
		return err
	})
}

func partRow(job id.Job, n int) string { return string(job) + "." + strconv.Itoa(n) }

// part returns lines of a job from one on: those up to the end of their part.
func (j *Jobs) part(tx sqldb.Tx, it Job, from int) ([]SheetLine, error) {
	n := from / perPart
	box, err := sqldb.One(tx, sqldb.Value[[]byte], `select box from job_parts where job_id = $1 and n = $2`, it.ID, n)
	if errors.Is(err, sqldb.ErrNone) {
		return nil, errLost
	}
	if err != nil {
		return nil, err
	}
	plain, err := j.Vault.Open("job_parts", "box", partRow(it.ID, n), box)
	if err != nil {
		return nil, err
	}
	var list []partLine
	if err := json.Unmarshal(plain, &list); err != nil {
		return nil, err
	}
	lines := make([]SheetLine, 0, len(list))
	for _, l := range list[min(from%perPart, len(list)):] {
		line := SheetLine{Line: l.Line, Cells: l.Cells}
		if l.Fault != "" {
			line.Fault = sheetFault(l.Fault)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// toCheck makes a job one that is checked, from its first line.
func (j *Jobs) toCheck(tx sqldb.Tx, it Job) (Job, error) {
	if fault := (Lines{Columns: it.Params.Columns}).checkColumns(); fault != nil {
		return it, fault
	}
	seats, err := license.SeatsOf(tx, it.Org)
	it.State, it.Params.Free, it.Params.Sample = JobChecking, seats.Left(), nil
	it.Done, it.Added, it.There, it.Refused = 0, 0, 0, 0
	return it, err
}

// turnJob writes a job's state, counts and parameters, if it still is in a state and not leased. What works has its turn now.
func (j *Jobs) turnJob(tx sqldb.Tx, it Job, from JobState) error {
	params, err := json.Marshal(it.Params)
	if err != nil {
		return err
	}
	due, lease := j.Now(), it.lease
	if !it.Works() {
		due, lease = due.Add(JobWaits), ""
	}
	// The state as an expression: by the index of what waits, PostgreSQL would read all that does.
	n, err := tx.Exec(`update jobs set state = $1, params = $2, done = $3, added = $4, there = $5, refused = $6, due_at = $7, lease = $8, untidy = 1, actor = $9
		where id = $10 and state || '' = $11 and lease = $12`, it.State, string(params), it.Done, it.Added, it.There, it.Refused, sqldb.Micros(due), lease, actorText(it.Actor),
		it.ID, from, it.lease)
	if err == nil && n == 0 {
		err = errLost
	}
	return err
}

// SetColumns says what the columns of an import hold, and has its lines checked. Only its maker may, before it runs. The refusal is at the field "columns".
func (j *Jobs) SetColumns(ctx context.Context, actor access.Actor, o id.Org, job id.Job, columns []Column) error {
	return j.goOn(ctx, actor, o, job, func(tx sqldb.Tx, it Job) (Job, error) {
		if it.State != JobColumns && it.State != JobChecked {
			return it, errOver
		}
		if len(columns) != len(it.Params.Head) {
			return it, refusal.Field("columns", "csv.column_unknown")
		}
		it.Params.Columns = columns
		if err := j.forget(tx, it.ID); err != nil {
			return it, err
		}
		return j.toCheck(tx, it)
	})
}

// Ask opens the question of what the columns hold once more.
func (j *Jobs) Ask(ctx context.Context, actor access.Actor, o id.Org, job id.Job) error {
	return j.goOn(ctx, actor, o, job, func(tx sqldb.Tx, it Job) (Job, error) {
		if it.State != JobChecked {
			return it, errOver
		}
		lines, err := j.part(tx, it, 0)
		if err != nil {
			return it, err
		}
		it.Params.Sample = make([]string, len(it.Params.Head))
		for _, l := range lines {
			for i := range min(len(l.Cells), len(it.Params.Sample)) {
				if it.Params.Sample[i] == "" {
					it.Params.Sample[i] = shortened(l.Cells[i])
				}
			}
		}
		it.State = JobColumns
		return it, nil
	})
}

// RunImport adds the people of a checked import, as AddLines does; later says that they get no invitation yet. Only its maker may, with a fresh proof.
func (j *Jobs) RunImport(ctx context.Context, actor access.Actor, o id.Org, job id.Job, later bool) error {
	return j.goOn(ctx, actor, o, job, func(tx sqldb.Tx, it Job) (Job, error) {
		if it.State != JobChecked {
			return it, errOver
		}
		if err := actor.RequireFresh(j.Now()); err != nil {
			return it, err
		}
		it.State, it.Params.Later, it.Params.Ran = JobRunning, later, true
		it.Done, it.Added, it.There, it.Refused = 0, 0, 0, 0
		_, err := tx.Exec(`delete from job_rows where job_id = $1`, it.ID) // those of the check, a few
		return it, err
	})
}

var errOver = refusal.New(refusal.Conflict, "job.over")

// goOn changes an import that waits for its maker, who then works from the session that it goes on in.
func (j *Jobs) goOn(ctx context.Context, actor access.Actor, o id.Org, job id.Job, change func(tx sqldb.Tx, it Job) (Job, error)) error {
	err := j.Book.Do(ctx, actor, audit.PeopleImported, func(tx sqldb.Tx) error {
		it, err := j.seen(tx, actor, o, job)
		if err != nil {
			return err
		}
		if it.Actor.Account != actor.Account {
			return deniedRole("job.not_yours")
		}
		if _, err := j.Guard.Require(tx, actor, access.PeopleImport, o); err != nil {
			return err
		}
		from := it.State
		if it, err = change(tx, it); err != nil {
			return err
		}
		it.Actor = actor
		return j.turnJob(tx, it, from)
	})
	if errors.Is(err, errLost) {
		err = errOver
	}
	j.Wake()
	return err
}

// forget removes what a check found out.
func (j *Jobs) forget(tx sqldb.Tx, job id.Job) error {
	for _, statement := range []string{`delete from job_rows where job_id = $1`, `delete from job_keys where job_id = $1`} {
		if _, err := tx.Exec(statement, job); err != nil {
			return err
		}
	}
	return nil
}

// checkPart finds out what would become of the next lines, up to the end of their part.
func (j *Jobs) checkPart(ctx context.Context, it Job) error {
	if ended, err := j.unlessStopped(ctx, it); err != nil || ended {
		return err
	}
	read := j.DB.Read(ctx)
	lines, err := j.part(read, it, it.Done)
	if err != nil {
		return err
	}
	k, err := j.intake(read, it.Actor, it.Org)
	if refusal.As(err) != nil {
		return j.stop(ctx, it, StoppedRight)
	}
	if err != nil {
		return err
	}
	in := Lines{Sheet: Sheet{Head: it.Params.Head, Lines: lines}, Columns: it.Params.Columns}
	judged := in.newcomers(k.org, j.Now())
	for i := range judged {
		if judged[i].Err == nil {
			if err := k.settle(read, &judged[i]); err != nil {
				return err
			}
		}
	}
	return j.DB.Write(ctx, func(tx sqldb.Tx) error {
		next := it
		var rows []JobRow
		for _, n := range judged {
			if err := j.checkLine(tx, &next, &n); err != nil {
				return err
			}
			next.count(n)
			if n.Err != nil && next.Refused <= MostFaults {
				rows = append(rows, n.row())
			}
		}
		if next.Done += len(judged); next.Done >= next.Total {
			next.State = JobChecked
		}
		if err := insertRows(tx, it.ID, rows); err != nil {
			return err
		}
		return j.turnJob(tx, next, JobChecking)
	})
}

// checkLine finds what stands twice in the file, and counts the seats.
func (j *Jobs) checkLine(tx sqldb.Tx, it *Job, n *newcomer) error {
	if n.account.EmailKey != "" {
		first, err := j.first(tx, it.ID, n.account.EmailKey, n.Line)
		if err != nil {
			return err
		}
		if first != n.Line && n.Err == nil {
			n.There, n.Err = false, refusal.Field("emails", "email.twice")
		}
	}
	if !n.Added() {
		return nil
	}
	if key := org.Fold(n.account.Username); key != "" {
		first, err := j.first(tx, it.ID, "u "+key, n.Line)
		if err != nil {
			return err
		}
		if first != n.Line {
			n.Err = refusal.Field("username", "username.taken")
			return nil
		}
	}
	switch free := &it.Params.Free; {
	case *free == 0:
		seats, err := license.SeatsOf(tx, it.Org)
		if err != nil {
			return err
		}
		n.Err = refusal.New(refusal.Conflict, "seats.full", "Limit", seats.Limit)
	case *free > 0:
		*free--
	}
	return nil
}

// first returns the line in which a key stands first, noting this one when there is none yet.
func (j *Jobs) first(tx sqldb.Tx, job id.Job, key string, line int) (int, error) {
	n, err := tx.Exec(`insert into job_keys (job_id, key, line) values ($1, $2, $3) on conflict (job_id, key) do nothing`, job, key, line)
	if err != nil || n > 0 {
		return line, err
	}
	return sqldb.One(tx, sqldb.Value[int], `select line from job_keys where job_id = $1 and key = $2`, job, key)
}

// count counts what became of a line.
func (j *Job) count(n newcomer) {
	switch {
	case n.Err != nil:
		j.Refused++
	case n.There:
		j.There++
	default:
		j.Added++
	}
}

// row is what became of a line.
func (n newcomer) row() JobRow {
	r := JobRow{N: n.Line, Account: n.account.ID, Email: n.Email, State: RowDone, Err: n.Err}
	switch {
	case n.Err != nil:
		r.State = RowRefused
	case n.There:
		r.State = RowThere
	}
	return r
}

// addPart adds the next lines, in one transaction with their rows and the count.
func (j *Jobs) addPart(ctx context.Context, it Job) error {
	if ended, err := j.unlessStopped(ctx, it); err != nil || ended {
		return err
	}
	lines, err := j.part(j.DB.Read(ctx), it, it.Done)
	if err != nil {
		return err
	}
	last := len(lines) <= perSlice // of their part
	lines = lines[:min(perSlice, len(lines))]
	in := Lines{Sheet: Sheet{Head: it.Params.Head, Lines: lines}, Columns: it.Params.Columns, Later: it.Params.Later}
	o, err := org.Find(j.DB.Read(ctx), it.Org)
	if err != nil {
		return err
	}
	list := in.newcomers(o, j.Now())
	actor := j.proved(it)
	add := func() error {
		return j.Book.Do(ctx, actor, audit.PeopleImported, func(tx sqldb.Tx) error { return j.addLines(tx, it, actor, in, list, last) })
	}
	for range 5 { // somebody else may add one of them meanwhile: once more, and that one is here already
		if err = add(); !sqldb.Unique(err) {
			break
		}
	}
	if refusal.As(err) != nil { // the right went this very moment, or the rules let others add people
		return j.stop(ctx, it, StoppedRight)
	}
	return err
}

func (j *Jobs) addLines(tx sqldb.Tx, it Job, actor access.Actor, in Lines, list []newcomer, last bool) error {
	if slices.ContainsFunc(list, func(n newcomer) bool { return len(n.roleWords) > 0 || len(n.groupWords) > 0 }) { // own roles and groups stay until the people have them
		if err := access.Lock(tx, it.Org); err != nil {
			return err
		}
	}
	k, err := j.intake(tx, actor, it.Org)
	if err != nil {
		return err
	}
	next, rows := it, make([]JobRow, 0, len(list))
	for _, n := range list { // a copy of each: the transaction may be run once more
		if n.Err == nil {
			first, err := sqldb.One(tx, sqldb.Value[int], `select line from job_keys where job_id = $1 and key = $2`, it.ID, n.account.EmailKey)
			switch {
			case err != nil:
				return err
			case first != n.Line:
				n.Err = refusal.Field("emails", "email.twice")
			default:
				if err := k.add(tx, &n, in.Later); err != nil {
					return err
				}
			}
		}
		next.count(n)
		rows = append(rows, n.row())
	}
	next.Done += len(list)
	if err := insertRows(tx, it.ID, rows); err != nil {
		return err
	}
	if last {
		if _, err := tx.Exec(`delete from job_parts where job_id = $1 and n = $2`, it.ID, it.Done/perPart); err != nil {
			return err
		}
	}
	if err := j.turnJob(tx, next, JobRunning); err != nil {
		return err
	}
	if next.Done < next.Total {
		return nil
	}
	return j.end(tx, next, it.Actor, JobDone, "", it.lease)
}
