package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/refusal"
	"doorward/internal/server"
)

type userCommand struct {
	Invite  userInviteCommand  `cmd:"" help:"Invite people and mail each a link."`
	Import  userImportCommand  `cmd:"" help:"Add people who come from another system with their passwords' hashes."`
	Export  userExportCommand  `cmd:"" help:"Write an organisation's people as CSV; passwords and other secrets are never in it."`
	List    userListCommand    `cmd:"" help:"List an organisation's people."`
	Disable userDisableCommand `cmd:"" help:"Shut an account: its sessions and links end at once."`
	Enable  userEnableCommand  `cmd:"" help:"Open a disabled account again."`
	Delete  userDeleteCommand  `cmd:"" help:"Take someone out: shut at once, gone after 7 days; who was never active is gone at once."`
	Keep    userKeepCommand    `cmd:"" help:"Keep someone whose 7 days are not over."`
	Explain userExplainCommand `cmd:"" help:"Say whether someone can sign in now, why not, and where the rule is set."`
	Reset   userResetCommand   `cmd:"" name:"reset-factors" help:"Take away someone's second factors; the next sign-in sets up a new one."`
}

type userInviteCommand struct {
	Org      string   `required:"" placeholder:"SLUG" help:"Tenant domain of the organisation."`
	Role     []string `placeholder:"ROLE" help:"Role to give; may be repeated. Provider: administrator, support. MSP: administrator, editor, viewer. Customer: administrator, co_manager, core, viewer, auditor. Own roles by their name."`
	Until    string   `placeholder:"TIME" help:"When the roles end: a day, or a day and time, in the organisation's time zone (2026-12-31 18:00), or RFC 3339; never by default."`
	Language string   `help:"Language of the mail and the pages: en, de or fr; the organisation's by default."`
	JSON     bool     `help:"Write JSON."`
	Emails   []string `arg:"" name:"email" help:"Addresses to invite."`
}

// invited is the outcome for one address in JSON.
type invited struct {
	Email   string     `json:"email"`
	Account id.Account `json:"account,omitempty"`
	Link    string     `json:"activation_url,omitempty"`
	Error   string     `json:"error,omitempty"`
}

// Run invites each address by itself: one that is refused does not keep the others out.
func (c *userInviteCommand) Run(ctx context.Context, t *terminal) (err error) {
	h, o, leave, err := t.at(ctx, c.Org)
	if err != nil {
		return err
	}
	defer leave(&err)
	until, fault := account.ParseEnd(c.Until, o.Location(), h.Now())
	if fault != nil {
		return fault
	}
	outcomes, err := h.Directory.Invite(ctx, operator(), o.ID, account.Invitation{Emails: c.Emails, Roles: c.Role, Expires: until, Language: locale.Language(c.Language)})
	if err != nil {
		return err
	}
	list, failed := []invited{}, 0
	for _, out := range outcomes {
		one := invited{Email: out.Email}
		if out.Err != nil {
			one.Error = oneLine(t.explain(out.Err))
			failed++
		} else {
			one.Account, one.Link = out.Account, t.link(out.Token)
		}
		list = append(list, one)
	}
	if err := c.write(t, list); err != nil {
		return err
	}
	switch {
	case failed > 0 && len(list) == 1:
		return fmt.Errorf("%s was not invited: %s", list[0].Email, list[0].Error)
	case failed > 0:
		return fmt.Errorf("%d of %d addresses were not invited", failed, len(list))
	}
	return nil
}

func (c *userInviteCommand) write(t *terminal, list []invited) error {
	if c.JSON {
		return t.json(list)
	}
	var rows [][]string
	for _, one := range list {
		switch {
		case one.Error == "":
			rows = append(rows, []string{one.Email, one.Link})
		case len(list) > 1:
			rows = append(rows, []string{one.Email, "not invited: " + one.Error})
		}
	}
	return t.table(rows)
}

type userImportCommand struct {
	Org  string `required:"" placeholder:"SLUG" help:"Tenant domain of the organisation."`
	JSON bool   `help:"Write a JSON object for each line."`
	File string `arg:"" help:"One JSON object on each line: email, name, username, language, roles, password_hash, state (active or invited). A hyphen stands for standard input."`
}

// imported is the outcome of one line in JSON.
type imported struct {
	Line    int           `json:"line"`
	Email   string        `json:"email,omitempty"`
	Result  string        `json:"result"` // imported, skipped or failed
	Account id.Account    `json:"account,omitempty"`
	State   account.State `json:"state,omitempty"`
	Link    string        `json:"activation_url,omitempty"`
	Error   string        `json:"error,omitempty"`
}

// mostImportLine is longer than any line with one person, in bytes.
const mostImportLine = 1 << 16

// Run imports each line by itself and says at once what became of it. Who is there already is skipped, so that a file can be imported
// again after its faults were put right.
func (c *userImportCommand) Run(ctx context.Context, t *terminal) (err error) {
	f, _, err := t.input(c.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h, o, leave, err := t.at(ctx, c.Org)
	if err != nil {
		return err
	}
	defer leave(&err)
	n, failed, line := 0, 0, 0
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, mostImportLine)
	for lines.Scan() {
		line++
		text := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\ufeff")))
		if len(text) == 0 {
			continue
		}
		one := c.one(ctx, t, h, o, text)
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted at line %d; what was imported before stays", line)
		}
		one.Line = line
		if n++; one.Result == "failed" {
			failed++
		}
		if err := c.write(t, one); err != nil {
			return err
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("line %d is longer than %d bytes; what was imported before it stays", line+1, mostImportLine)
	case err != nil:
		return err
	case n == 0:
		return fmt.Errorf("there is nobody in %s", c.File)
	case failed > 0:
		return fmt.Errorf("%d of %d people were not imported", failed, n)
	}
	return nil
}

func (c *userImportCommand) one(ctx context.Context, t *terminal, h *server.House, o org.Org, text []byte) imported {
	var in account.Import
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&in)
	if err == nil && d.More() {
		err = errors.New("more than one object")
	}
	var out account.Imported
	if err != nil {
		err = fmt.Errorf("not a JSON object with a person: %s", strings.TrimPrefix(err.Error(), "json: "))
	} else {
		out, err = h.Directory.Import(ctx, operator(), o.ID, in)
	}
	one := imported{Email: in.Email, Result: "imported", Account: out.Account, State: out.State}
	switch {
	case err != nil:
		one.Result, one.Error = "failed", oneLine(t.explain(err))
	case out.There:
		one.Result = "skipped"
	case out.Token != "":
		one.Link = t.link(out.Token)
	}
	return one
}

func (c *userImportCommand) write(t *terminal, one imported) error {
	if c.JSON {
		return t.json(one)
	}
	what := string(one.State)
	switch {
	case one.Error != "":
		what = one.Error
	case one.Result == "skipped":
		what = "this address has an account already: " + what
	case one.Link != "":
		what = one.Link
	}
	typed := strings.Map(func(r rune) rune { // what a file has may have been written for a terminal
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, one.Email)
	return t.say("%d  %s  %s: %s", one.Line, typed, one.Result, what)
}

type userExportCommand struct {
	Org    string   `required:"" placeholder:"SLUG" help:"Tenant domain of the organisation."`
	Column []string `placeholder:"COLUMN" help:"Column to write; may be repeated. All by default: email, name, username, language, roles, groups, expires_at, state, second_factor, source, created_at, last_sign_in_at."`
}

// Run writes everyone, oldest first.
func (c *userExportCommand) Run(ctx context.Context, t *terminal) (err error) {
	h, o, leave, err := t.at(ctx, c.Org)
	if err != nil {
		return err
	}
	defer leave(&err)
	columns := account.Columns
	if len(c.Column) > 0 {
		columns = nil
		for _, text := range c.Column {
			if !slices.Contains(account.Columns, account.Column(text)) {
				return fmt.Errorf("there is no column %q; `doorward user export --help` lists them", text)
			}
			columns = append(columns, account.Column(text))
		}
	}
	return h.Directory.Export(ctx, operator(), o.ID, account.Filter{}, columns, func() io.Writer { return t.out })
}

type userListCommand struct {
	Org  string `required:"" placeholder:"SLUG" help:"Tenant domain of the organisation."`
	JSON bool   `help:"Write JSON."`
}

// person is an account in JSON.
type person struct {
	Account id.Account    `json:"account"`
	Email   string        `json:"email"`
	State   account.State `json:"state"`
	Roles   []string      `json:"roles"`   // keys of built-in roles, names of own ones
	Factors []factor.Kind `json:"factors"` // kinds that can be used now
}

// Run lists everyone, in the order of their addresses.
func (c *userListCommand) Run(ctx context.Context, t *terminal) (err error) {
	h, o, leave, err := t.at(ctx, c.Org)
	if err != nil {
		return err
	}
	defer leave(&err)
	list, err := people(ctx, h, o.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return t.json(list)
	}
	rows := [][]string{{"E-MAIL", "STATE", "ROLES", "FACTORS"}}
	for _, p := range list {
		var kinds []string
		for _, k := range p.Factors {
			kinds = append(kinds, string(k))
		}
		rows = append(rows, []string{p.Email, string(p.State), strings.Join(p.Roles, ", "), strings.Join(kinds, ", ")})
	}
	return t.table(rows)
}

func people(ctx context.Context, h *server.House, o id.Org) ([]person, error) {
	list := []person{}
	for f := (account.Filter{Most: 500}); ; {
		some, next, err := account.People(h.DB.Read(ctx), o, f)
		if err != nil {
			return nil, err
		}
		for _, a := range some {
			p := person{Account: a.ID, Email: a.Email, State: a.State, Roles: []string{}, Factors: []factor.Kind{}}
			for _, r := range a.Roles {
				if r.Holds(h.Now()) {
					p.Roles = append(p.Roles, cmp.Or(r.Name, r.Role))
				}
			}
			factors, err := factor.List(h.DB.Read(ctx), a.ID)
			if err != nil {
				return nil, err
			}
			for _, f := range factors {
				if f.State == factor.Active && !slices.Contains(p.Factors, f.Kind) {
					p.Factors = append(p.Factors, f.Kind)
				}
			}
			list = append(list, p)
		}
		if f.After = next; next == "" {
			return list, nil
		}
	}
}

// oneUser is what the commands on one person have in common.
type oneUser struct {
	Org   string `required:"" placeholder:"SLUG" help:"Tenant domain of the organisation."`
	Email string `arg:"" help:"E-mail address or user name."`
}

// do finds the person, runs the operation and says how the account stands after it.
func (u oneUser) do(ctx context.Context, t *terminal, operation func(*server.House, access.Actor, org.Org, account.Account) error) (err error) {
	h, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	o, a, err := u.find(ctx, t, h)
	if err != nil {
		return err
	}
	if err := operation(h, operator(), o, a); err != nil {
		return err
	}
	email := a.Email
	a, err = account.Find(h.DB.Read(ctx), o.ID, a.ID)
	switch {
	case refusal.Is(err, refusal.NotFound):
		return t.say("%s in %s: gone.", email, o.Slug)
	case err != nil:
		return err
	case a.State == account.Deleting:
		return t.say("%s in %s: deleting, goes on %s.", a.Email, o.Slug, a.DeleteAt.In(o.Location()).Format("2006-01-02 15:04 MST"))
	}
	return t.say("%s in %s: %s.", a.Email, o.Slug, a.State)
}

// find returns the organisation and the person.
func (u oneUser) find(ctx context.Context, t *terminal, h *server.House) (org.Org, account.Account, error) {
	o, err := t.org(ctx, h, u.Org)
	if err != nil {
		return o, account.Account{}, err
	}
	a, ok, err := account.ByIdentifier(h.DB.Read(ctx), o.ID, u.Email)
	if err == nil && !ok {
		err = fmt.Errorf("there is no account %q in %s; `doorward user list --org %s` shows all", u.Email, o.Slug, o.Slug)
	}
	return o, a, err
}

type userDisableCommand struct {
	oneUser
}

// Run shuts the account.
func (c *userDisableCommand) Run(ctx context.Context, t *terminal) error {
	return c.do(ctx, t, func(h *server.House, by access.Actor, o org.Org, a account.Account) error {
		return h.Directory.Disable(ctx, by, o.ID, a.ID)
	})
}

type userEnableCommand struct {
	oneUser
}

// Run opens the account.
func (c *userEnableCommand) Run(ctx context.Context, t *terminal) error {
	return c.do(ctx, t, func(h *server.House, by access.Actor, o org.Org, a account.Account) error {
		return h.Directory.Enable(ctx, by, o.ID, a.ID)
	})
}

type userDeleteCommand struct {
	oneUser
}

// Run starts the waiting time; who was never active is gone at once.
func (c *userDeleteCommand) Run(ctx context.Context, t *terminal) error {
	return c.do(ctx, t, func(h *server.House, by access.Actor, o org.Org, a account.Account) error {
		return h.Directory.Delete(ctx, by, o.ID, a.ID)
	})
}

type userKeepCommand struct {
	oneUser
}

// Run ends the waiting time.
func (c *userKeepCommand) Run(ctx context.Context, t *terminal) error {
	return c.do(ctx, t, func(h *server.House, by access.Actor, o org.Org, a account.Account) error {
		return h.Directory.Keep(ctx, by, o.ID, a.ID)
	})
}

type userResetCommand struct {
	oneUser
	Reason string `help:"Why; the person reads it in a mail, and it stands in the audit log."`
}

// Run removes the second factors.
func (c *userResetCommand) Run(ctx context.Context, t *terminal) error {
	return c.do(ctx, t, func(h *server.House, by access.Actor, o org.Org, a account.Account) error {
		return h.Directory.ResetFactors(ctx, by, o.ID, a.ID, c.Reason)
	})
}

type userExplainCommand struct {
	oneUser
	JSON bool `help:"Write JSON."`
}

// explained is an explanation in JSON.
type explained struct {
	Email    string      `json:"email"`
	State    string      `json:"state"`
	Verdict  string      `json:"verdict"` // yes, enrol, wait or no
	Says     []string    `json:"says"`
	Attempts []attempted `json:"attempts"` // the last ten, newest first
}

// attempted is one sign-in of the past in JSON.
type attempted struct {
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome"`          // finished, failed or refused
	Reason  string    `json:"reason,omitempty"` // the step that failed, or the refusal
	Address string    `json:"address,omitempty"`
}

// Run explains.
func (c *userExplainCommand) Run(ctx context.Context, t *terminal) (err error) {
	h, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	o, a, err := c.find(ctx, t, h)
	if err != nil {
		return err
	}
	e, err := h.Desk.Explain(ctx, operator(), o.ID, a.ID)
	if err != nil {
		return err
	}
	loc := o.Location()
	out := explained{Email: a.Email, State: string(a.State), Verdict: strings.TrimPrefix(e.Verdict.Key, "explain.verdict."), Says: []string{}, Attempts: []attempted{}}
	for _, l := range e.Lines {
		out.Says = append(out.Says, l.Text(t.words(), loc))
	}
	for _, ev := range e.Attempts {
		out.Attempts = append(out.Attempts, attempted{ev.At, strings.TrimPrefix(string(ev.Action), "signin."), ev.Reason, ev.Actor.Client.Address})
	}
	if c.JSON {
		return t.json(out)
	}
	if err := t.say("%s in %s: %s", a.Email, o.Slug, e.Verdict.Text(t.words(), loc)); err != nil {
		return err
	}
	for _, line := range out.Says {
		if err := t.say("- %s", line); err != nil {
			return err
		}
	}
	var rows [][]string
	for _, one := range out.Attempts {
		rows = append(rows, []string{one.At.In(loc).Format("2006-01-02 15:04:05"), one.Outcome, one.Reason, one.Address})
	}
	return t.table(rows)
}
