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
	Groups    []page.Option // none where there are none, or for who may not put people into them
	Zone      string        // of the time at which the roles end
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
	if !account.MayAdd(v.Actor, v.Rights, v.About.Rules) {
		return refusal.New(refusal.Forbidden, "policy.invite.refused")
	}
	return c.showInvite(w, r, v, http.StatusOK, page.Form{}, nil)
}

func (c *Console) showInvite(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form, results []inviteResult) error {
	doc := &inviteDoc{Base: c.base(v, "users.invite", "users.invite.title"), Action: v.path("users/invite"), Back: v.path("users"), Results: results}
	doc.Form = f
	var err error
	if doc.Seats, err = license.SeatsOf(c.DB.Read(r.Context()), v.About.ID); err != nil {
		return err
	}
	doc.Roles, doc.Zone = c.roleOptions(v, v.Rights.Assignable(), f.Values["roles"]), v.About.TimeZone
	if doc.Groups, err = c.groupOptions(r, v); err != nil {
		return err
	}
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

func (c *Console) invite(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	var results []inviteResult
	if err == nil {
		var typed map[string]string
		typed, err = take(values, "emails", "language", "expires_at")
		until, endFault := account.ParseEnd(typed["expires_at"], v.About.Location(), c.Now())
		groups, groupFault := groupsIn(values)
		if err == nil {
			err = refusal.All(endFault, groupFault)
		}
		if err == nil {
			var out []account.Outcome
			out, err = c.Directory.Invite(r.Context(), v.Actor, v.About.ID, account.Invitation{Emails: account.SplitEmails(typed["emails"]),
				Roles: values["roles"], Groups: groups, Expires: until, Language: locale.Language(typed["language"])})
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
	Kept     []string          // roles held that the visitor may neither give nor take
	Ends     []page.Option     // roles whose end can be changed
	Zone     string            // of the times at which roles end
	Groups   []access.OrgGroup // that the person is in
	GroupsAt string            // where they are managed; empty for who may not
	Grouped  bool              // the person sees only what is in their groups
	Factors  []factor.Factor
	Sessions []signin.Session
	Events   []audit.Event
	Explain  signin.Explanation // why this person can, or cannot, sign in
	Mail     *outbox.Message    // the invitation, while the account is pending
	At       string             // the page's own address, without a slash at its end

	Home string // of a linked account: name of the organisation where its password and factors live

	exception

	MayResend, MayWithdraw, MayDisable, MayRoles, MayReset, MayEnd, MayCode, MaySetup, MayUnlink, MayDelete, MayKeep bool
	Lives                                                                                                            []page.Option // of a temporary access code
	Myself                                                                                                           bool
	Pending                                                                                                          account.PendingEmail // a change of address that waits
	MayEmail                                                                                                         bool
	Waits                                                                                                            int // days until somebody who is deleted goes
}

func (c *Console) person(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showPerson(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showPerson(w http.ResponseWriter, r *http.Request, v visit, status int, form page.Form) error {
	a, err := inPath[id.Account](r, "account")
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
	if doc.Explain, err = c.Desk.Explain(r.Context(), v.Actor, v.About.ID, a); err != nil {
		return err
	}
	doc.Myself = a == v.Account.ID
	pending := doc.Person.State == account.Invited
	doc.MayResend = pending && v.Rights.MayTouch(access.PeopleResend, held)
	doc.MayWithdraw = pending && doc.Person.Activated.IsZero() && v.Rights.MayTouch(access.PeopleWithdraw, held)
	deleting := doc.Person.State == account.Deleting
	doc.MayDelete = !deleting && !pending && !doc.Myself && v.Rights.MayTouch(access.PeopleDelete, held)
	doc.MayKeep = deleting && v.Rights.MayTouch(access.PeopleDelete, held)
	doc.Waits = int(account.DeletionWaits.Hours() / 24)
	doc.MayDisable = !deleting && !doc.Myself && v.Rights.MayTouch(access.PeopleDisable, held)
	doc.MayRoles = !doc.Myself && v.Rights.MayTouch(access.RoleAssign, held)
	doc.MayReset = !doc.Myself && len(factor.Seconds(factors, factor.Active))+len(factor.Seconds(factors, factor.Disabled)) > 0 && v.Rights.MayTouch(access.PeopleFactors, held)
	doc.MaySetup = doc.Person.State == account.Active && v.Rights.MayTouch(access.PeopleFactors, held)
	doc.MayCode = !doc.Myself && doc.Person.State == account.Active && v.Rights.MayTouch(access.PeopleAccessCode, held)
	if doc.Person.Linked() {
		home, err := account.HomeOrg(tx, doc.Person)
		if err != nil {
			return err
		}
		doc.Home, doc.MaySetup, doc.MayCode, doc.MayReset = home.Name, false, false, false
		doc.MayUnlink = doc.Person.State == account.Active && v.Rights.MayTouch(access.PeopleEdit, held)
	}
	doc.MayEmail = !doc.Myself && (pending || doc.Person.State == account.Active) && v.Rights.MayTouch(access.PeopleEdit, held)
	if doc.Pending, err = account.EmailPending(tx, c.Now(), doc.Person); err != nil {
		return err
	}
	for _, l := range []string{"1h", "4h", "24h"} {
		doc.Lives = append(doc.Lives, page.Option{Value: l, Key: "user.access_code." + l, Chosen: l == "4h"})
	}
	doc.MayExempt = !doc.Myself && !doc.Person.Linked() && v.Rights.MayTouch(access.PolicyEdit, held)
	doc.Excepted = doc.Person.ExemptUntil.After(c.Now())
	doc.MayEnd = len(doc.Sessions) > 0 && v.Rights.MayTouch(access.PeopleSessions, held)
	chosen := held
	if form.Values.Has("roles") { // the form of the roles came back, not another one
		chosen = form.Values["roles"]
	}
	doc.Roles, doc.Zone = c.roleOptions(v, v.Rights.Assignable(), chosen), v.About.TimeZone
	if doc.Grouped = slices.ContainsFunc(held, v.Rights.InGroups); doc.Grouped {
		if doc.Groups, err = access.GroupsOf(tx, v.About.ID, a); err != nil {
			return err
		}
		if v.Rights.May(access.GroupManage) {
			doc.GroupsAt = v.path("groups")
		}
	}
	for _, o := range doc.Roles {
		switch {
		case !doc.MayRoles || !slices.Contains(held, o.Value):
		case o.Refused != "":
			doc.Kept = append(doc.Kept, o.Value)
		default:
			o.Hint, o.Chosen = "", false
			doc.Ends = append(doc.Ends, o)
		}
	}
	if v.Rights.Delegated() && r.Method == http.MethodGet {
		if err := c.Directory.NoteView(r.Context(), v.Actor, v.About.ID, a); err != nil {
			return err
		}
	}
	return c.pages.Render(w, r, status, "user", doc)
}

// Said returns a sentence of the explanation in the page's language.
func (d *personDoc) Said(l signin.Line) string { return l.Text(d.P, d.Location) }

// Outcome says why an attempt did not succeed: the step that failed, or the refusal.
func (d *personDoc) Outcome(e audit.Event) string {
	switch e.Action {
	case audit.SignInFailed:
		return d.T("explain.step." + e.Reason)
	case audit.SignInRefused:
		return d.T("explain.reason." + e.Reason)
	}
	return ""
}

// act runs an operation of a button on the person page.
func (c *Console) act(w http.ResponseWriter, r *http.Request, v visit, key string, operation func(a id.Account, values url.Values) error) error {
	values, err := c.form(w, r, v)
	if err != nil {
		return err
	}
	a, err := inPath[id.Account](r, "account")
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
	a, err := inPath[id.Account](r, "account")
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
		typed, err := take(values, "expires_at")
		if err != nil {
			return err
		}
		until, fault := account.ParseEnd(typed["expires_at"], v.About.Location(), c.Now())
		if fault != nil {
			return fault
		}
		return c.Directory.SetRolesUntil(r.Context(), v.Actor, v.About.ID, a, values["roles"], until)
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
