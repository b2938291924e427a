package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/locale"
	"doorward/internal/outbox"
	"doorward/internal/page"
	"doorward/internal/refusal"
	"doorward/internal/signin"
)

const peoplePerPage = 50

// peopleDoc is the people list.
type peopleDoc struct {
	page.Base
	People   []personRow
	Seats    license.Seats
	Counts   account.Counts
	Query    string
	State    string
	States   []page.Option
	Filtered bool
	Next     string
	Invite   string // empty for who may not
}

// personRow is a line of the people list.
type personRow struct {
	account.Listed
	Href string
	Mail string // why the invitation could not be delivered; empty when nothing is wrong
	Late bool   // the invitation's link has ended
}

func (c *Console) people(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	f := account.Filter{Search: q.Get("q"), State: account.State(q.Get("state")), After: q.Get("after"), Most: peoplePerPage}
	if !plainText(f.Search, 254) || !plainText(f.After, 400) || !slices.Contains([]account.State{"", account.Invited, account.Active, account.Disabled}, f.State) {
		return refusal.New(refusal.Invalid, "error.query")
	}
	tx := c.DB.Read(r.Context())
	list, next, err := account.People(tx, v.About.ID, f)
	if err != nil {
		return err
	}
	doc := &peopleDoc{Base: c.base(v, "users", "users.title"), Query: f.Search, State: string(f.State), Filtered: f.Search != "" || f.State != "" || f.After != ""}
	for _, a := range list {
		row := personRow{Listed: a, Href: v.path("users/" + string(a.ID))}
		if a.State == account.Invited {
			m, ok, err := outbox.Latest(tx, a.ID, outbox.KindInvite)
			if err != nil {
				return err
			}
			if ok && m.State == outbox.Dead {
				row.Mail = m.LastError
			}
			row.Late = ok && c.Now().Sub(m.Created) > v.About.Rules.LinkLife
		}
		doc.People = append(doc.People, row)
	}
	if doc.Seats, err = license.SeatsOf(tx, v.About.ID); err != nil {
		return err
	}
	if doc.Counts, err = account.Count(tx, v.About.ID); err != nil {
		return err
	}
	for _, s := range []string{"", string(account.Active), string(account.Invited), string(account.Disabled)} {
		key := "users.state.any"
		if s != "" {
			key = "users.state." + s
		}
		doc.States = append(doc.States, page.Option{Value: s, Key: key, Chosen: s == string(f.State)})
	}
	if next != "" {
		doc.Next = "?" + url.Values{"q": {f.Search}, "state": {string(f.State)}, "after": {next}}.Encode()
	}
	if v.Rights.May(access.PeopleInvite) {
		doc.Invite = v.path("users/invite")
	}
	return c.pages.Render(w, r, http.StatusOK, "users", doc)
}

// plainText tells whether a query value is text of at most that many bytes.
func plainText(s string, most int) bool {
	return len(s) <= most && strings.ToValidUTF8(s, "") == s && !strings.ContainsRune(s, 0)
}

// inviteDoc is the form that invites people.
type inviteDoc struct {
	page.Base
	Action    string
	Back      string
	Roles     []page.Option
	Languages []page.Option
	Seats     license.Seats
	Results   []inviteResult // of the addresses that were refused, and those that were not
	Invited   int
}

// inviteResult is what became of one address.
type inviteResult struct {
	Email string
	Err   *refusal.Error
}

func (c *Console) inviteForm(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showInvite(w, r, v, http.StatusOK, page.Form{}, nil)
}

func (c *Console) showInvite(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form, results []inviteResult) error {
	doc := &inviteDoc{Base: c.base(v, "users.invite", "users.invite.title"), Action: v.path("users/invite"), Back: v.path("users"), Results: results}
	doc.Form = f
	var err error
	if doc.Seats, err = license.SeatsOf(c.DB.Read(r.Context()), v.About.ID); err != nil {
		return err
	}
	doc.Roles = c.roleOptions(v, v.Rights.Assignable(), f.Values["roles"])
	for _, l := range locale.Languages {
		doc.Languages = append(doc.Languages, page.Option{Value: string(l), Text: l.Name(), Chosen: l == v.About.Language})
	}
	for _, res := range results {
		if res.Err == nil {
			doc.Invited++
		}
	}
	return c.pages.Render(w, r, status, "users.invite", doc)
}

// roleOptions are the check boxes of the roles of the visited organisation; those that may not be given are shown, and say so.
func (c *Console) roleOptions(v visit, may, chosen []string) []page.Option {
	var list []page.Option
	for _, role := range access.Roles(v.About.Kind) {
		o := page.Option{Value: role, Key: "role." + role, Hint: "role." + string(v.About.Kind) + "." + role + ".hint", Chosen: slices.Contains(chosen, role)}
		if !slices.Contains(may, role) {
			o.Refused = "roles.beyond_short"
		}
		list = append(list, o)
	}
	return list
}

func (c *Console) invite(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	var results []inviteResult
	if err == nil {
		var typed map[string]string
		if typed, err = take(values, "emails", "language"); err == nil {
			var out []account.Outcome
			out, err = c.Directory.Invite(r.Context(), v.Actor, v.About.ID, account.Invitation{Emails: account.SplitEmails(typed["emails"]),
				Roles: values["roles"], Language: locale.Language(typed["language"])})
			for _, o := range out {
				if o.Err != nil && refusal.As(o.Err) == nil {
					return o.Err
				}
				results = append(results, inviteResult{o.Email, refusal.As(o.Err)})
			}
		}
	}
	if err != nil {
		if !again(err) {
			return err
		}
		return c.showInvite(w, r, v, status(w, err), page.FormOf(values, err), nil)
	}
	var left []string
	for _, res := range results {
		if res.Err != nil {
			left = append(left, res.Email)
		}
	}
	if len(left) == 0 {
		return c.done(w, r, v.path("users"), "users.invite.done", "Count", len(results))
	}
	// Those that were refused stay in the field, the others are done.
	values.Set("emails", strings.Join(left, "\n"))
	var first *refusal.Error
	for _, res := range results {
		if res.Err != nil && first == nil {
			copied := *res.Err
			copied.Field = "emails"
			first = &copied
		}
	}
	return c.showInvite(w, r, v, http.StatusUnprocessableEntity, page.FormOf(values, first), results)
}

// personDoc is the page of one person.
type personDoc struct {
	page.Base
	Person   account.Account
	Roles    []page.Option
	Held     []access.Assignment
	Factors  []factor.Factor
	Sessions []signin.Session
	Events   []audit.Event
	Mail     *outbox.Message // the invitation, while the account is pending
	At       string          // the page's own address, without a slash at its end

	MayResend, MayWithdraw, MayDisable, MayRoles, MayReset, MayEnd, MayCode, MaySetup bool
	Lives                                                                             []page.Option // of a temporary access code
	Myself                                                                            bool
}

func (c *Console) person(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showPerson(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showPerson(w http.ResponseWriter, r *http.Request, v visit, status int, form page.Form) error {
	a, err := accountID(r)
	if err != nil {
		return err
	}
	tx := c.DB.Read(r.Context())
	doc := &personDoc{Base: c.base(v, "user", "user.title"), At: v.path("users/" + string(a))}
	doc.Form = form
	if doc.Person, err = account.Find(tx, v.About.ID, a); err != nil {
		return c.Book.Refusal(r.Context(), v.Actor, audit.AccountViewed, err)
	}
	doc.TitleArgs = []any{"Name", doc.Person.Shown()}
	if doc.Held, err = access.Assignments(tx, a); err != nil {
		return err
	}
	held := make([]string, 0, len(doc.Held))
	for _, h := range doc.Held {
		if h.Holds(c.Now()) {
			held = append(held, h.Role)
		}
	}
	factors, err := factor.List(tx, a)
	if err != nil {
		return err
	}
	for _, f := range factors {
		if f.State != factor.Pending && f.Kind != factor.AccessCodeKind {
			doc.Factors = append(doc.Factors, f)
		}
	}
	if doc.Sessions, err = c.Desk.Sessions(r.Context(), v.About.ID, a); err != nil {
		return err
	}
	if v.Rights.May(access.AuditView) {
		if doc.Events, err = audit.List(tx, v.About.ID, string(a), 10); err != nil {
			return err
		}
	}
	if doc.Person.State == account.Invited {
		m, ok, err := outbox.Latest(tx, a, outbox.KindInvite)
		if err != nil {
			return err
		}
		if ok {
			doc.Mail = &m
		}
	}
	doc.Myself = a == v.Account.ID
	pending := doc.Person.State == account.Invited
	doc.MayResend = pending && v.Rights.MayTouch(access.PeopleResend, held)
	doc.MayWithdraw = pending && doc.Person.Activated.IsZero() && v.Rights.MayTouch(access.PeopleWithdraw, held)
	doc.MayDisable = !doc.Myself && v.Rights.MayTouch(access.PeopleDisable, held)
	doc.MayRoles = !doc.Myself && v.Rights.MayTouch(access.RoleAssign, held)
	doc.MayReset = !doc.Myself && len(factor.Seconds(factors, factor.Active))+len(factor.Seconds(factors, factor.Disabled)) > 0 && v.Rights.MayTouch(access.PeopleFactors, held)
	doc.MaySetup = doc.Person.State == account.Active && v.Rights.MayTouch(access.PeopleFactors, held)
	doc.MayCode = !doc.Myself && doc.Person.State == account.Active && v.Rights.MayTouch(access.PeopleAccessCode, held)
	for _, l := range []string{"1h", "4h", "24h"} {
		doc.Lives = append(doc.Lives, page.Option{Value: l, Key: "user.access_code." + l, Chosen: l == "4h"})
	}
	doc.MayEnd = len(doc.Sessions) > 0 && v.Rights.MayTouch(access.PeopleSessions, held)
	chosen := held
	if form.Values.Has("roles") { // the form of the roles came back, not another one
		chosen = form.Values["roles"]
	}
	doc.Roles = c.roleOptions(v, v.Rights.Assignable(), chosen)
	if v.Rights.Delegated() && r.Method == http.MethodGet {
		if err := c.Directory.NoteView(r.Context(), v.Actor, v.About.ID, a); err != nil {
			return err
		}
	}
	return c.pages.Render(w, r, status, "user", doc)
}

// act runs an operation of a button on the person page.
func (c *Console) act(w http.ResponseWriter, r *http.Request, v visit, key string, operation func(a id.Account, values url.Values) error) error {
	values, err := c.form(w, r, v)
	if err != nil {
		return err
	}
	a, err := accountID(r)
	if err != nil {
		return err
	}
	to := v.path("users/" + string(a))
	if err := operation(a, values); err != nil {
		if e := refusal.As(err); e != nil && e.Code == refusal.Invalid && e.Field != "" {
			return c.showPerson(w, r, v, http.StatusUnprocessableEntity, page.FormOf(values, err))
		}
		return c.sorry(w, r, to, err)
	}
	return c.done(w, r, to, key)
}

func (c *Console) resend(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.act(w, r, v, "user.resent", func(a id.Account, _ url.Values) error {
		_, err := c.Directory.Resend(r.Context(), v.Actor, v.About.ID, a)
		return err
	})
}

func (c *Console) withdraw(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := c.form(w, r, v); err != nil {
		return err
	}
	a, err := accountID(r)
	if err != nil {
		return err
	}
	if err := c.Directory.Withdraw(r.Context(), v.Actor, v.About.ID, a); err != nil {
		return c.sorry(w, r, v.path("users/"+string(a)), err)
	}
	return c.done(w, r, v.path("users"), "user.withdrawn")
}

func (c *Console) disable(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.act(w, r, v, "user.disabled", func(a id.Account, _ url.Values) error {
		return c.Directory.Disable(r.Context(), v.Actor, v.About.ID, a)
	})
}

func (c *Console) enable(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.act(w, r, v, "user.enabled", func(a id.Account, _ url.Values) error {
		return c.Directory.Enable(r.Context(), v.Actor, v.About.ID, a)
	})
}

func (c *Console) roles(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.act(w, r, v, "user.roles_changed", func(a id.Account, values url.Values) error {
		return c.Directory.SetRoles(r.Context(), v.Actor, v.About.ID, a, values["roles"])
	})
}

func (c *Console) resetFactors(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.act(w, r, v, "user.factors_reset", func(a id.Account, values url.Values) error {
		typed, err := take(values, "reason")
		if err != nil {
			return err
		}
		return c.Directory.ResetFactors(r.Context(), v.Actor, v.About.ID, a, trim(typed["reason"]))
	})
}

func (c *Console) sendSetup(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.act(w, r, v, "user.setup_sent", func(a id.Account, _ url.Values) error {
		return c.Directory.SendSetup(r.Context(), v.Actor, v.About.ID, a)
	})
}

func (c *Console) endSessions(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.act(w, r, v, "user.sessions_ended", func(a id.Account, _ url.Values) error {
		return c.Desk.EndSessions(r.Context(), v.Actor, v.About.ID, a)
	})
}

// nameOf returns what a person is called.
func (c *Console) nameOf(r *http.Request, v visit, a id.Account) (string, error) {
	who, err := account.Find(c.DB.Read(r.Context()), v.About.ID, a)
	return who.Shown(), err
}
