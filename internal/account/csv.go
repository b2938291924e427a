package account

import (
	"context"
	"encoding/csv"
	"io"
	"slices"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Lines is a sheet with people who are to be added.
type Lines struct {
	Sheet
	Columns []Column // of each cell; EmailColumn is among them, and none is there twice
	Later   bool     // they get no invitation yet
}

// LineResult is what became, or would become, of a line: added, There or refused.
type LineResult struct {
	Line  int
	Email string         // as it is written there
	There bool           // the address has an account: nothing is changed
	Err   *refusal.Error // nothing was made for this line
}

// Added tells whether the line adds somebody.
func (r LineResult) Added() bool { return r.Err == nil && !r.There }

// Tally counts what became of lines.
func Tally(list []LineResult) (added, there, refused int) {
	for _, r := range list {
		switch {
		case r.There:
			there++
		case r.Err != nil:
			refused++
		default:
			added++
		}
	}
	return added, there, refused
}

// newcomer is a line on its way to an account.
type newcomer struct {
	LineResult
	account    Account
	roleWords  []string
	groupWords []string
	expires    time.Time

	roles  []string
	groups []id.Group
}

// perSlice is how many lines share a transaction.
const perSlice = 50

// CheckLines returns what AddLines would do with each line, and changes nothing. The error concerns them all: a missing right, columns that cannot be.
func (d *Directory) CheckLines(ctx context.Context, actor access.Actor, o id.Org, in Lines) ([]LineResult, error) {
	list, err := d.weigh(ctx, actor, o, in)
	return results(list), err
}

// AddLines adds the people of a sheet, in the order of its lines and as many as there are seats, and mails each a link unless that is for later. Nobody is
// given a password. Who is there already is left as they are, so that a file can be taken again when the work was broken off. The error concerns them all:
// a missing right, columns that cannot be, a proof too old for administrative roles; lines worked off before a failure stay.
func (d *Directory) AddLines(ctx context.Context, actor access.Actor, o id.Org, in Lines) ([]LineResult, error) {
	list, err := d.weigh(ctx, actor, o, in)
	if err != nil {
		return nil, err
	}
	var open []int
	for i, n := range list {
		if !n.Added() {
			continue
		}
		open = append(open, i)
		if slices.ContainsFunc(n.roles, sensitiveRole) {
			if err := actor.RequireFresh(d.Now()); err != nil {
				return nil, err
			}
		}
	}
	for part := range slices.Chunk(open, perSlice) {
		err := d.addSlice(ctx, actor, o, in, list, part)
		if sqldb.Unique(err) { // somebody else added one of them meanwhile: each by itself, and that one a second time
			for _, i := range part {
				if err = d.addSlice(ctx, actor, o, in, list, []int{i}); sqldb.Unique(err) {
					err = d.addSlice(ctx, actor, o, in, list, []int{i})
				}
				if err != nil {
					break
				}
			}
		}
		if err != nil {
			return results(list), err
		}
	}
	out := results(list)
	added, there, refused := Tally(out)
	return out, d.DB.Write(ctx, func(tx sqldb.Tx) error {
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.PeopleImported, Actor: actor, Target: audit.TargetOf(o),
			Data: map[string]any{"added": added, "there": there, "refused": refused}})
	})
}

func results(list []newcomer) []LineResult {
	out := make([]LineResult, len(list))
	for i, n := range list {
		out[i] = n.LineResult
	}
	return out
}

// sensitiveRole tells whether giving a role needs a fresh proof.
func sensitiveRole(role string) bool {
	return access.IsOwn(role) || role == access.Administrator || role == access.CoManager
}

// weigh judges every line by what is there now.
func (d *Directory) weigh(ctx context.Context, actor access.Actor, o id.Org, in Lines) ([]newcomer, error) {
	if fault := in.checkColumns(); fault != nil {
		return nil, fault
	}
	read := d.DB.Read(ctx)
	k, err := d.intake(read, actor, o)
	if err != nil {
		return nil, d.Book.Refusal(ctx, actor, audit.PeopleImported, err)
	}
	seats, err := license.SeatsOf(read, o)
	if err != nil {
		return nil, err
	}
	list, free, usernames := in.newcomers(k.org, d.Now()), seats.Left(), map[string]bool{}
	for i := range list {
		n := &list[i]
		if n.Err != nil {
			continue
		}
		if err := k.settle(read, n); err != nil {
			return nil, err
		}
		switch key := org.Fold(n.account.Username); {
		case !n.Added():
		case key != "" && usernames[key]:
			n.Err = refusal.Field("username", "username.taken")
		case free == 0:
			n.Err = refusal.New(refusal.Conflict, "seats.full", "Limit", seats.Limit)
		default:
			usernames[key] = true
			if free > 0 {
				free--
			}
		}
	}
	return list, nil
}

// checkColumns returns a refusal, at the field "columns", unless there is exactly one column of addresses and none twice.
func (in Lines) checkColumns() *refusal.Error {
	seen := map[Column]bool{}
	for _, c := range in.Columns {
		switch {
		case c == "":
		case !slices.Contains(ReadColumns, c):
			return refusal.Field("columns", "csv.column_unknown")
		case seen[c]:
			return refusal.Field("columns", "csv.column_twice")
		default:
			seen[c] = true
		}
	}
	if !seen[EmailColumn] {
		return refusal.Field("columns", "csv.column_email")
	}
	return nil
}

// newcomers reads the cells of every line.
func (in Lines) newcomers(o org.Org, now time.Time) []newcomer {
	list := make([]newcomer, 0, len(in.Lines))
	emails := map[string]bool{}
	for _, l := range in.Lines {
		n := newcomer{LineResult: LineResult{Line: l.Line, Err: l.Fault}}
		if n.Err == nil {
			n.Err = n.read(in.Columns, l.Cells, o, now)
		}
		if key := n.account.EmailKey; key != "" {
			if emails[key] && n.Err == nil {
				n.Err = refusal.Field("emails", "email.twice")
			}
			emails[key] = true
		}
		list = append(list, n)
	}
	return list
}

// read takes the cells of a line.
func (n *newcomer) read(columns []Column, cells []string, o org.Org, now time.Time) *refusal.Error {
	cell := map[Column]string{}
	for i, c := range columns {
		if c != "" && i < len(cells) {
			cell[c] = cells[i]
		}
	}
	n.Email = shortened(cell[EmailColumn])
	if len(cells) > len(columns) && slices.ContainsFunc(cells[len(columns):], func(c string) bool { return c != "" }) {
		return refusal.Field("text", "csv.cells", "Most", len(columns))
	}
	for _, c := range ReadColumns {
		if formula(cell[c]) {
			return refusal.Field(string(c), "csv.formula", "Column", string(c))
		}
	}
	email, emailFault := ParseEmail("email", cell[EmailColumn])
	if emailFault != nil {
		return emailFault
	}
	n.account = Account{Org: o.ID, Email: email.Text, EmailKey: email.Key, State: Invited}
	var fault *refusal.Error
	if n.account.Name, fault = checkPersonName(cell[NameColumn]); fault != nil {
		return fault
	}
	if n.account.Username, _, fault = parseUsername(cell[UsernameColumn]); fault != nil {
		return fault
	}
	if word := strings.ToLower(cell[LanguageColumn]); word != "" {
		var ok bool
		if n.account.Language, ok = locale.Parse(word); !ok {
			return refusal.Field("language", "language.unknown")
		}
	}
	if n.expires, fault = ParseEnd(cell[ExpiresColumn], o.Location(), now); fault != nil {
		return fault
	}
	n.roleWords, n.groupWords = listed(cell[RolesColumn]), listed(cell[GroupsColumn])
	return nil
}

// listed cuts a cell with several words. The separator of the cells is among these: it stands there in quotes.
func listed(cell string) (words []string) {
	for _, w := range strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(",;|", r) }) {
		if w = strings.TrimSpace(w); w != "" {
			words = append(words, w)
		}
	}
	return words
}

// shortened is a cell as a page shows it.
func shortened(cell string) string {
	if r := []rune(cell); len(r) > 100 {
		return string(r[:100]) + "…"
	}
	return cell
}

// intake is what lines are judged by: the actor's rights, and what the organisation has.
type intake struct {
	d      *Directory
	actor  access.Actor
	org    org.Org
	rights access.Rights
	groups []access.OrgGroup
	closed error // why the actor may put nobody into a group
}

func (d *Directory) intake(tx sqldb.Tx, actor access.Actor, o id.Org) (*intake, error) {
	k := &intake{d: d, actor: actor}
	var err error
	if k.rights, err = d.Guard.Require(tx, actor, access.PeopleImport, o); err != nil {
		return nil, err
	}
	if k.org, err = org.Find(tx, o); err != nil {
		return nil, err
	}
	if err := requireAdd(actor, k.rights, k.org.Rules); err != nil {
		return nil, err
	}
	switch {
	case k.org.Kind == access.Customer: // has no groups
		return k, nil
	case !k.rights.May(access.GroupManage) || k.rights.GroupsOnly():
		k.closed = deniedRole("groups.beyond")
		return k, nil
	}
	k.groups, err = access.Groups(tx, o)
	return k, err
}

// settle judges a line by what is there. What refuses the line is noted at it; the error is a failure.
func (k *intake) settle(tx sqldb.Tx, n *newcomer) error {
	n.There, n.Err, n.groups = false, nil, nil
	if _, there, err := ByIdentifier(tx, k.org.ID, n.account.Email); err != nil || there {
		n.There = there
		return err
	}
	for _, w := range n.groupWords {
		at := slices.IndexFunc(k.groups, func(g access.OrgGroup) bool { return roleKey(g.Name) == roleKey(w) })
		switch {
		case k.closed != nil:
			return n.refuse(k.closed)
		case at < 0:
			n.Err = refusal.Field("groups", "csv.group_unknown", "Group", shortened(w))
			return nil
		case !slices.Contains(n.groups, k.groups[at].ID):
			n.groups = append(n.groups, k.groups[at].ID)
		}
	}
	words := slices.Clone(n.roleWords)
	for i, w := range words {
		if key := strings.NewReplacer("-", "_", " ", "_").Replace(roleKey(w)); slices.Contains(access.Roles(k.org.Kind), key) {
			words[i] = key
		}
	}
	var err error
	if n.roles, err = roleKeys(k.rights, words); err == nil {
		err = mayGive(k.rights, n.roles)
	}
	if err != nil {
		return n.refuse(err)
	}
	if n.account.Username != "" {
		if _, taken, err := ByIdentifier(tx, k.org.ID, n.account.Username); err != nil {
			return err
		} else if taken {
			n.Err = refusal.Field("username", "username.taken")
		}
	}
	return nil
}

// refuse notes a refusal; what is none stays an error.
func (n *newcomer) refuse(err error) error {
	if n.Err = refusal.As(err); n.Err != nil {
		return nil
	}
	return err
}

// addSlice adds some of the lines in one transaction.
func (d *Directory) addSlice(ctx context.Context, actor access.Actor, o id.Org, in Lines, list []newcomer, part []int) error {
	var done []newcomer
	err := d.Book.Do(ctx, actor, audit.PeopleImported, func(tx sqldb.Tx) error {
		done = make([]newcomer, 0, len(part)) // anew when the transaction is run once more
		kept := false
		for _, i := range part {
			done = append(done, list[i])
			kept = kept || len(list[i].groups) > 0 || slices.ContainsFunc(list[i].roles, access.IsOwn)
		}
		if kept { // own roles and groups stay until the people have them
			if err := access.Lock(tx, o); err != nil {
				return err
			}
		}
		k, err := d.intake(tx, actor, o)
		if err != nil {
			return err
		}
		for i := range done {
			if err := k.add(tx, &done[i], in.Later); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, at := range part {
		list[at] = done[i]
	}
	return nil
}

// add makes the account of a line, unless it is refused now.
func (k *intake) add(tx sqldb.Tx, n *newcomer, later bool) error {
	if err := k.settle(tx, n); err != nil || !n.Added() {
		return err
	}
	if slices.ContainsFunc(n.roles, sensitiveRole) {
		if err := k.actor.RequireFresh(k.d.Now()); err != nil {
			return n.refuse(err)
		}
	}
	if err := license.TakeSeat(tx, k.d.Now(), k.org.ID); err != nil {
		return n.refuse(err)
	}
	now, a := k.d.Now(), n.account
	a.ID, a.Created, a.InvitedAt = id.New[id.Account](now), now, now
	if err := insert(tx, a); err != nil {
		return err
	}
	n.account.ID = a.ID
	for _, role := range n.roles {
		if err := access.Assign(tx, now, k.org.ID, a.ID, role, n.expires); err != nil {
			return err
		}
	}
	for _, g := range n.groups {
		if _, err := access.AddPerson(tx, k.org.ID, g, a.ID); err != nil {
			return err
		}
	}
	facts := map[string]any{"roles": n.roles, "line": n.Line}
	if !n.expires.IsZero() && len(n.roles) > 0 {
		facts["until"] = written(n.expires)
	}
	if len(n.groups) > 0 {
		facts["groups"] = n.groups
	}
	if err := audit.Record(tx, now, audit.Event{Org: k.org.ID, Action: audit.AccountInvited, Actor: k.actor, Target: audit.TargetOf(a.ID),
		Data: facts, Person: map[string]any{"email": a.Email}}); err != nil {
		return err
	}
	if later {
		return nil
	}
	_, err := k.d.sendInvitation(tx, k.actor, k.org, a, n.roles)
	return err
}

// perPage is how many people an export reads at a time.
const perPage = 200

// Export writes the people of an organisation whom a filter finds as CSV, in its order: a head, then a line for each person. No secret is among the
// columns, and no cell is a formula to a spreadsheet. It is an event, and needs a fresh proof; open is called once both are given, and says where to. The work is that of a page
// of people at a time, and ends when the right does.
func (d *Directory) Export(ctx context.Context, actor access.Actor, o id.Org, f Filter, columns []Column, open func() io.Writer) error {
	if len(columns) == 0 {
		return refusal.Field("columns", "csv.column_none")
	}
	if slices.ContainsFunc(columns, func(c Column) bool { return !slices.Contains(Columns, c) }) {
		return refusal.Field("columns", "csv.column_unknown")
	}
	columns = slices.DeleteFunc(slices.Clone(Columns), func(c Column) bool { return !slices.Contains(columns, c) })
	if f.After, f.Most = "", perPage; f.Order == "" {
		f.Order = ByCreated
	}
	if _, _, err := pageOf(d.DB.Read(ctx), o, f); err != nil {
		return err
	}
	err := d.Book.Do(ctx, actor, audit.PeopleExported, func(tx sqldb.Tx) error {
		if _, err := d.Guard.Require(tx, actor, access.PeopleExport, o); err != nil {
			return err
		}
		if err := actor.RequireFresh(d.Now()); err != nil {
			return err
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.PeopleExported, Actor: actor, Target: audit.TargetOf(o),
			Data: map[string]any{"columns": columns, "narrowed": f.narrow()}})
	})
	if err != nil {
		return err
	}
	w := csv.NewWriter(open())
	w.UseCRLF = true // RFC 4180 section 2
	head := make([]string, len(columns))
	for i, c := range columns {
		head[i] = string(c)
	}
	if err := w.Write(head); err != nil {
		return err
	}
	for {
		read := d.DB.Read(ctx)
		if _, err := d.Guard.Require(read, actor, access.PeopleExport, o); err != nil {
			return err
		}
		page, next, err := People(read, o, f)
		if err != nil {
			return err
		}
		for _, p := range page {
			cells, err := d.cells(read, p, columns)
			if err != nil {
				return err
			}
			if err := w.Write(cells); err != nil {
				return err
			}
		}
		if w.Flush(); w.Error() != nil || next == "" {
			return w.Error()
		}
		f.After = next
	}
}

// cells returns a person's line.
func (d *Directory) cells(tx sqldb.Tx, p Listed, columns []Column) ([]string, error) {
	var roles, second, groups []string
	ends := time.Time{} // of the last role, when all of them end
	for i, a := range slices.DeleteFunc(slices.Clone(p.Roles), func(a access.Assignment) bool { return !a.Holds(d.Now()) }) {
		roles = append(roles, a.Role)
		if a.Name != "" {
			roles[i] = a.Name
		}
		switch {
		case i == 0, a.Expires.IsZero():
			ends = a.Expires
		case !ends.IsZero() && a.Expires.After(ends):
			ends = a.Expires
		}
	}
	if p.Apps > 0 {
		second = append(second, WithApp)
	}
	if p.Passkeys > 0 {
		second = append(second, WithPasskey)
	}
	if slices.Contains(columns, GroupsColumn) {
		in, err := access.GroupsOf(tx, p.Org, p.ID)
		if err != nil {
			return nil, err
		}
		for _, g := range in {
			groups = append(groups, g.Name)
		}
	}
	source := OwnSource
	if p.Linked() {
		source = LinkedSource
	}
	all := map[Column]string{EmailColumn: p.Email, NameColumn: p.Name, UsernameColumn: p.Username, LanguageColumn: string(p.Language),
		RolesColumn: strings.Join(roles, "; "), GroupsColumn: strings.Join(groups, "; "), ExpiresColumn: moment(ends), StateColumn: string(p.State),
		SecondColumn: strings.Join(second, "; "), SourceColumn: source, CreatedColumn: moment(p.Created), SeenColumn: moment(p.LastSignIn)}
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = Harmless(all[c])
	}
	return cells, nil
}

// moment writes a time for other programs; nothing for never.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
