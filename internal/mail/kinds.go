package mail

import (
	"errors"
	"fmt"
	"net/url"
	"slices"

	"doorward/internal/outbox"
)

// write fills the draft with what this kind of mail says.
func (r *Renderer) write(d *draft, data outbox.Data) error {
	switch v := data.(type) {
	case outbox.Invite:
		return r.invite(d, v)
	case outbox.Reset:
		return r.reset(d, v)
	case outbox.MailCode:
		return r.mailCode(d, v)
	case outbox.Setup:
		return r.setup(d, v)
	case outbox.PasswordChanged:
		return r.passwordChanged(d, v)
	case outbox.FactorAdded:
		return r.factorAdded(d, v)
	case outbox.FactorRemoved:
		return r.factorRemoved(d, v)
	case outbox.FactorDisabled:
		return r.factorDisabled(d, v)
	case outbox.RecoveryUsed:
		return r.recoveryUsed(d, v)
	case outbox.NewDevice:
		return r.newDevice(d, v)
	case outbox.AccessCode:
		return r.accessCode(d, v)
	case outbox.NotMeAlert:
		return r.notMeAlert(d, v)
	case outbox.MyOrganisations:
		return r.myOrganisations(d, v)
	case outbox.RoleChanged:
		r.roleChanged(d, v)
	case outbox.Expiry:
		r.expiry(d, v)
	case outbox.OrgState:
		r.orgState(d, v)
	case outbox.MoveAsked:
		return r.moveAsked(d, v)
	case outbox.MoveDone:
		d.move(v.Customer, v.From, v.To)
		d.fact(d.shared("label.when"), d.when(v.At))
		d.Note = d.own("note", "From", clean(v.From, nameMax), "To", clean(v.To, nameMax))
	case outbox.MoveDeclined:
		d.move(v.Customer, v.From, v.To)
		d.fact(d.shared("label.by"), clean(v.By, nameMax))
		d.fact(d.shared("label.reason"), clean(v.Reason, reasonMax))
		d.fact(d.shared("label.when"), d.when(v.At))
	case outbox.MoveCancelled:
		d.move(v.Customer, v.From, v.To)
		d.fact(d.shared("label.when"), d.when(v.At))
	case outbox.AccountState:
		r.accountState(d, v)
	case outbox.EmailConfirm:
		return r.emailConfirm(d, v)
	case outbox.EmailChanging:
		return r.emailChanging(d, v)
	case outbox.EmailChanged:
		return r.emailChanged(d, v)
	case outbox.SeatsRequest:
		return r.seatsRequest(d, v)
	case outbox.SeatsAnswer:
		return r.seatsAnswer(d, v)
	case outbox.Linked:
		return r.linked(d, v)
	case outbox.Unlinked:
		r.unlinked(d, v)
	case outbox.LinkedReset:
		return r.linkedReset(d, v)
	case outbox.ResetElsewhere:
		return r.resetElsewhere(d, v)
	case outbox.Deadline:
		return r.deadline(d, v)
	default:
		return fmt.Errorf("mail: kind %q is not known here", data.Kind())
	}
	return nil
}

func (r *Renderer) invite(d *draft, v outbox.Invite) error {
	to, err := r.page("activate", v.Token)
	if err != nil {
		return err
	}
	inviter := clean(v.Inviter, nameMax)
	d.Intro = d.own("intro", "Inviter", inviter)
	if inviter == "" {
		d.Intro = d.own("intro.nobody")
	}
	d.fact(d.shared("label.inviter"), inviter)
	d.fact(d.shared("label.organisation"), d.Org)
	d.roles(v.Roles)
	d.fact(d.shared("label.link-ends"), d.when(v.Until))
	d.act(to)
	d.Note = d.own("note")
	d.NotYou = d.own("not-you")
	d.SignIn = d.link(d.own("sign-in"), d.SignIn.URL)
	d.Footer = d.own("footer", "Address", d.address)
	return nil
}

func (r *Renderer) reset(d *draft, v outbox.Reset) error {
	to, err := r.page("reset", v.Token)
	if err != nil {
		return err
	}
	d.Intro = d.own("intro")
	d.about()
	d.fact(d.shared("label.link-ends"), d.when(v.Until))
	d.act(to)
	d.Note = d.own("note")
	d.NotYou = d.own("not-you")
	return nil
}

func (r *Renderer) mailCode(d *draft, v outbox.MailCode) error {
	if v.Code == "" {
		return errors.New("mail: the code is missing")
	}
	d.Intro = d.own("intro")
	d.Code = clean(v.Code, nameMax)
	d.about()
	d.fact(d.shared("label.code-ends"), d.when(v.Until))
	d.Note = d.own("note")
	d.NotYou = d.own("not-you")
	return nil
}

func (r *Renderer) setup(d *draft, v outbox.Setup) error {
	to, err := r.page("setup", v.Token)
	if err != nil {
		return err
	}
	by := clean(v.By, nameMax)
	d.Intro = d.own("intro", "By", by)
	if by == "" {
		d.Intro = d.own("intro.nobody")
	}
	d.about()
	d.fact(d.shared("label.by"), by)
	d.fact(d.shared("label.link-ends"), d.when(v.Until))
	d.act(to)
	d.Note = d.own("note")
	d.NotYou = d.own("not-you")
	return nil
}

func (r *Renderer) passwordChanged(d *draft, v outbox.PasswordChanged) error {
	d.Intro = d.own("intro")
	d.about()
	d.fact(d.shared("label.when"), d.when(v.At))
	d.Note = d.own("note")
	return r.notMe(d, d.own("not-you"), v.NotMe)
}

func (r *Renderer) factorAdded(d *draft, v outbox.FactorAdded) error {
	d.Intro = d.own("intro")
	if v.Factor == "recovery" {
		d.Subject, d.Title, d.Intro = d.own("subject.recovery"), d.own("title.recovery"), d.own("intro.recovery")
	}
	d.about()
	d.fact(d.shared("label.factor"), d.factor(v.Factor))
	d.fact(d.shared("label.name"), clean(v.Name, nameMax))
	d.fact(d.shared("label.when"), d.when(v.At))
	return r.notMe(d, d.own("not-you"), v.NotMe)
}

func (r *Renderer) factorRemoved(d *draft, v outbox.FactorRemoved) error {
	by, notYou := clean(v.By, nameMax), d.own("not-you")
	d.Intro = d.own("intro")
	if by != "" {
		d.Title, d.Intro, notYou = d.own("title.by"), d.own("intro.by", "By", by), d.own("not-you.by")
	}
	d.about()
	var names []string
	for _, f := range v.Factors {
		names = append(names, d.factor(f))
	}
	d.fact(d.shared("label.removed"), clean(d.printer.List(names), listMax))
	d.fact(d.shared("label.by"), by)
	d.fact(d.shared("label.reason"), clean(v.Reason, reasonMax))
	d.fact(d.shared("label.when"), d.when(v.At))
	d.Note = d.own("note")
	return r.notMe(d, notYou, v.NotMe)
}

func (r *Renderer) factorDisabled(d *draft, v outbox.FactorDisabled) error {
	notYou := d.own("not-you")
	switch v.Factor {
	case "password":
		d.Intro, d.Note, notYou = d.own("intro.password"), d.own("note.password"), d.own("not-you.password")
	case "recovery":
		d.Intro, d.Note = d.own("intro"), d.own("note.recovery")
	default:
		d.Intro, d.Note = d.own("intro"), d.own("note")
	}
	d.about()
	d.fact(d.shared("label.disabled"), d.factor(v.Factor))
	d.fact(d.shared("label.when"), d.when(v.At))
	return r.notMe(d, notYou, v.NotMe)
}

func (r *Renderer) recoveryUsed(d *draft, v outbox.RecoveryUsed) error {
	d.Intro = d.own("intro", "Count", v.Left)
	if v.Left < 1 {
		d.Intro = d.own("intro.none")
	}
	d.about()
	d.fact(d.shared("label.when"), d.when(v.At))
	d.Note = d.own("note")
	return r.notMe(d, d.own("not-you"), v.NotMe)
}

func (r *Renderer) newDevice(d *draft, v outbox.NewDevice) error {
	d.Intro = d.own("intro")
	d.about()
	d.fact(d.shared("label.device"), clean(v.Device, nameMax))
	d.fact(d.shared("label.address"), clean(v.Address, nameMax))
	d.fact(d.shared("label.when"), d.when(v.At))
	d.Note = d.own("note")
	return r.notMe(d, d.own("not-you"), v.NotMe)
}

func (r *Renderer) accessCode(d *draft, v outbox.AccessCode) error {
	by := clean(v.By, nameMax)
	d.Intro = d.own("intro", "By", by)
	if by == "" {
		d.Intro = d.own("intro.nobody")
	}
	d.about()
	d.fact(d.shared("label.by"), by)
	d.fact(d.shared("label.code-ends"), d.when(v.Until))
	d.Note = d.own("note")
	return r.notMe(d, d.own("not-you"), v.NotMe)
}

func (r *Renderer) notMeAlert(d *draft, v outbox.NotMeAlert) error {
	if !headerToken(v.Slug) || !headerToken(v.Account) {
		return errors.New("mail: the page of the account is missing")
	}
	d.Intro = d.own("intro", "Person", clean(v.Person, nameMax))
	d.fact(d.shared("label.organisation"), d.Org)
	d.fact(d.shared("label.account"), clean(v.Address, nameMax*3))
	if v.Removed != "" {
		d.fact(d.shared("label.removed"), d.factor(v.Removed))
	}
	d.fact(d.shared("label.when"), d.when(v.At))
	d.act(r.publicURL.JoinPath("o", v.Slug, "users", v.Account))
	d.Note = d.own("note")
	d.NotYou = d.own("not-you")
	return nil
}

func (r *Renderer) myOrganisations(d *draft, v outbox.MyOrganisations) error {
	for _, p := range v.Pages {
		if !headerToken(p.Slug) {
			return errors.New("mail: the page of an organisation is missing")
		}
		d.Links = append(d.Links, d.link(clean(p.Name, nameMax), r.publicURL.JoinPath("o", p.Slug, "login").String()))
	}
	if len(v.Pages) > 1 {
		d.Subject = d.own("subject.more", "Count", len(v.Pages)-1)
	}
	d.Intro = d.own("intro", "Address", d.address)
	d.SignIn = link{} // it is in the list
	d.Note = d.own("note")
	d.NotYou = d.own("not-you")
	return nil
}

func (r *Renderer) roleChanged(d *draft, v outbox.RoleChanged) {
	d.Intro = d.own("intro")
	if len(v.Roles) == 0 {
		d.Intro = d.own("intro.none")
	}
	d.about()
	d.roles(v.Roles)
	d.fact(d.shared("label.by"), clean(v.By, nameMax))
	d.fact(d.shared("label.when"), d.when(v.At))
	d.NotYou = d.own("not-you")
}

func (r *Renderer) expiry(d *draft, v outbox.Expiry) {
	about := clean(v.Organisation, nameMax)
	if about != d.Org {
		d.Subject = d.own("subject.below", "About", about)
	}
	d.Intro = d.own("intro", "Person", clean(v.Person, nameMax), "About", about)
	d.fact(d.shared("label.organisation"), about)
	d.fact(d.shared("label.administrator"), clean(v.Person, nameMax))
	d.fact(d.shared("label.access-ends"), d.when(v.Until))
	d.Note = d.own("note")
	d.NotYou = d.own("not-you")
}

func (r *Renderer) orgState(d *draft, v outbox.OrgState) {
	about := clean(v.Organisation, nameMax)
	switch v.State {
	case "suspended":
		d.Subject, d.Intro = d.own("subject.suspended", "About", about), d.own("intro.suspended", "About", about)
	case "deleting":
		d.Subject = d.own("subject.deleting", "About", about)
		if v.Suspended {
			d.Intro = d.own("intro.deleting_suspended", "About", about)
		} else {
			d.Intro, d.Note = d.own("intro.deleting", "About", about), d.own("note.deleting")
		}
	case "gone":
		d.Subject, d.Intro = d.own("subject.gone", "About", about), d.own("intro.gone", "About", about)
	case "kept":
		d.Subject, d.Intro = d.own("subject.kept", "About", about), d.own("intro.kept", "About", about)
		if v.Suspended {
			d.Intro = d.own("intro.kept_suspended", "About", about)
		}
	default:
		d.Subject, d.Intro = d.own("subject", "About", about), d.own("intro", "About", about)
	}
	d.fact(d.shared("label.organisation"), about)
	d.fact(d.shared("label.by"), clean(v.By, nameMax))
	d.fact(d.shared("label.reason"), clean(v.Reason, 300))
	d.fact(d.shared("label.when"), d.when(v.At))
	if !v.Until.IsZero() {
		d.fact(d.shared("label.gone"), d.when(v.Until))
	}
	d.NotYou = d.own("not-you")
}

func (r *Renderer) accountState(d *draft, v outbox.AccountState) {
	d.Intro = d.own("intro")
	if v.State == "kept" {
		d.Subject, d.Title, d.Intro = d.own("subject.kept"), d.own("title.kept"), d.own("intro.kept")
	} else {
		d.Note = d.own("note")
	}
	d.about()
	d.fact(d.shared("label.by"), clean(v.By, nameMax))
	d.fact(d.shared("label.when"), d.when(v.At))
	if !v.Until.IsZero() {
		d.fact(d.shared("label.deleted"), d.when(v.Until))
	}
	d.NotYou = d.own("not-you")
}

func (r *Renderer) emailConfirm(d *draft, v outbox.EmailConfirm) error {
	to, err := r.page("confirm-email", v.Token)
	if err != nil {
		return err
	}
	by := clean(v.By, nameMax)
	d.Intro = d.own("intro")
	if by != "" {
		d.Intro = d.own("intro.by", "By", by)
	}
	d.fact(d.shared("label.organisation"), d.Org)
	d.fact(d.shared("label.email-before"), clean(v.Old, nameMax*3))
	d.fact(d.shared("label.email"), clean(v.New, nameMax*3))
	d.fact(d.shared("label.link-ends"), d.when(v.Until))
	d.act(to)
	d.Note = d.own("note")
	d.NotYou = d.own("not-you")
	d.Footer = d.own("footer", "Address", d.address)
	return nil
}

func (r *Renderer) emailChanging(d *draft, v outbox.EmailChanging) error {
	by := clean(v.By, nameMax)
	d.Intro = d.own("intro")
	if by != "" {
		d.Intro = d.own("intro.by", "By", by)
	}
	d.about()
	d.fact(d.shared("label.email"), clean(v.New, nameMax*3))
	d.fact(d.shared("label.by"), by)
	d.fact(d.shared("label.when"), d.when(v.At))
	d.Note = d.own("note")
	return r.notMe(d, d.own("not-you"), v.NotMe)
}

func (r *Renderer) emailChanged(d *draft, v outbox.EmailChanged) error {
	d.Intro = d.own("intro")
	d.fact(d.shared("label.organisation"), d.Org)
	d.fact(d.shared("label.email-before"), clean(v.Old, nameMax*3))
	d.fact(d.shared("label.email"), clean(v.New, nameMax*3))
	d.fact(d.shared("label.when"), d.when(v.At))
	d.Note = d.own("note")
	d.Footer = d.own("footer", "Address", d.address)
	return r.notMe(d, d.own("not-you"), v.NotMe)
}

func (r *Renderer) moveAsked(d *draft, v outbox.MoveAsked) error {
	if !headerToken(v.Slug) || !headerToken(v.Move) {
		return errors.New("mail: the page of the move is missing")
	}
	d.move(v.Customer, v.From, v.To)
	d.fact(d.shared("label.reason"), clean(v.Reason, reasonMax))
	d.fact(d.shared("label.confirm-until"), d.when(v.Until))
	d.act(r.publicURL.JoinPath("o", v.Slug, "move", v.Move))
	d.Note = d.own("note")
	return nil
}

// move says which customer moves, from whom and to whom.
func (d *draft) move(customer, from, to string) {
	about := clean(customer, nameMax)
	d.Subject, d.Intro = d.own("subject", "About", about), d.own("intro", "About", about, "From", clean(from, nameMax), "To", clean(to, nameMax))
	d.fact(d.shared("label.customer"), about)
	d.fact(d.shared("label.move-from"), clean(from, nameMax))
	d.fact(d.shared("label.move-to"), clean(to, nameMax))
	d.NotYou = d.own("not-you")
}

func (r *Renderer) seatsRequest(d *draft, v outbox.SeatsRequest) error {
	if !headerToken(v.Slug) {
		return errors.New("mail: the page of the seats is missing")
	}
	about := clean(v.Organisation, nameMax)
	d.Subject = d.own("subject", "About", about)
	d.Intro = d.own("intro", "About", about)
	d.fact(d.shared("label.organisation"), about)
	d.fact(d.shared("label.seats"), d.own("used", "Used", d.printer.Number(v.Used), "Limit", d.printer.Number(v.Limit)))
	d.fact(d.shared("label.wanted"), d.printer.Number(v.Wanted))
	d.fact(d.shared("label.reason"), clean(v.Reason, reasonMax))
	d.fact(d.shared("label.by"), clean(v.By, nameMax))
	d.fact(d.shared("label.when"), d.when(v.At))
	d.act(r.publicURL.JoinPath("o", v.Slug, "seats"))
	d.Note = d.own("note")
	d.NotYou = d.own("not-you")
	return nil
}

func (r *Renderer) seatsAnswer(d *draft, v outbox.SeatsAnswer) error {
	if !headerToken(v.Slug) {
		return errors.New("mail: the page of the seats is missing")
	}
	about, by := clean(v.Organisation, nameMax), clean(v.By, nameMax)
	d.Subject, d.Intro = d.own("subject.declined", "About", about), d.own("intro.declined", "By", by, "About", about)
	if v.Granted {
		d.Subject, d.Intro = d.own("subject", "About", about), d.own("intro", "By", by, "About", about)
	}
	d.fact(d.shared("label.organisation"), about)
	limit := d.own("unlimited")
	if v.Limit >= 0 {
		limit = d.printer.Number(v.Limit)
	}
	d.fact(d.shared("label.seats"), limit)
	d.fact(d.shared("label.reason"), clean(v.Reason, reasonMax))
	d.fact(d.shared("label.when"), d.when(v.At))
	d.act(r.publicURL.JoinPath("o", v.Slug, "seats"))
	d.NotYou = d.own("not-you")
	return nil
}

func (r *Renderer) linked(d *draft, v outbox.Linked) error {
	about, home := clean(v.Organisation, nameMax), clean(v.Home, nameMax)
	d.Intro = d.own("intro", "About", about, "Home", home)
	d.fact(d.shared("label.organisation"), about)
	d.fact(d.shared("label.account"), clean(v.Address, nameMax*3))
	d.fact(d.shared("label.home"), home)
	d.fact(d.shared("label.home-account"), clean(v.HomeAddress, nameMax*3))
	d.fact(d.shared("label.when"), d.when(v.At))
	if v.Own {
		d.Note = d.own("note.own", "About", about)
	}
	return r.notMe(d, d.own("not-you", "About", about), v.NotMe)
}

func (r *Renderer) unlinked(d *draft, v outbox.Unlinked) {
	about, by := clean(v.Organisation, nameMax), clean(v.By, nameMax)
	d.Intro = d.own("intro", "About", about)
	if by != "" {
		d.Intro = d.own("intro.by", "By", by, "About", about)
	}
	d.fact(d.shared("label.organisation"), about)
	d.fact(d.shared("label.account"), clean(v.Address, nameMax*3))
	d.fact(d.shared("label.by"), by)
	d.fact(d.shared("label.when"), d.when(v.At))
	d.Note = d.own("note.disabled", "About", about)
	if v.Invited {
		d.Note = d.own("note", "About", about)
	}
	d.NotYou = d.own("not-you", "About", about)
}

func (r *Renderer) linkedReset(d *draft, v outbox.LinkedReset) error {
	if !headerToken(v.Slug) || !headerToken(v.Account) {
		return errors.New("mail: the page of the account is missing")
	}
	person, home := clean(v.Person, nameMax), clean(v.Home, nameMax)
	d.Intro, d.Note = d.own("intro", "Person", person, "Home", home), d.own("note")
	if v.Disabled {
		d.Intro, d.Note = d.own("intro.disabled", "Person", person, "Home", home), d.own("note.disabled")
	}
	d.fact(d.shared("label.organisation"), d.Org)
	d.fact(d.shared("label.account"), clean(v.Address, nameMax*3))
	d.fact(d.shared("label.home"), home)
	d.fact(d.shared("label.when"), d.when(v.At))
	d.act(r.publicURL.JoinPath("o", v.Slug, "users", v.Account))
	return nil
}

func (r *Renderer) resetElsewhere(d *draft, v outbox.ResetElsewhere) error {
	if !headerToken(v.Slug) {
		return errors.New("mail: the home organisation is missing")
	}
	home := clean(v.Home, nameMax)
	d.Intro = d.own("intro", "Home", home)
	d.about()
	d.fact(d.shared("label.home"), home)
	d.act(r.publicURL.JoinPath("o", v.Slug, "forgot"))
	d.Note = d.own("note", "Home", home)
	d.NotYou = d.own("not-you")
	d.SignIn = d.link(d.own("sign-in", "Home", home), r.publicURL.JoinPath("o", v.Slug, "login").String())
	return nil
}

func (r *Renderer) deadline(d *draft, v outbox.Deadline) error {
	to, err := url.Parse(d.SignIn.URL)
	if err != nil {
		return err
	}
	d.Intro = d.own("intro", "When", d.when(v.From))
	if v.From.IsZero() {
		d.Intro = d.own("intro.now")
	}
	d.about()
	if !v.From.IsZero() {
		d.fact(d.shared("label.from"), d.when(v.From))
	}
	d.fact(d.shared("label.reminded-by"), clean(v.By, nameMax))
	d.act(to)
	d.Note = d.own("note")
	if v.Keys {
		d.Note = d.own("note.keys")
	}
	d.NotYou = d.own("not-you")
	return nil
}

// notMe says what to do if it was not the receiver, with the link that does it. A mail that waits since before there was such a link
// goes out without it.
func (r *Renderer) notMe(d *draft, advice, token string) error {
	d.NotYou = advice
	if token == "" {
		return nil
	}
	to, err := r.page("not-me", token)
	if err == nil {
		d.NotMe = d.link(d.shared("not-me"), to.String())
	}
	return err
}

// page returns the address of a page of a one-time link.
func (r *Renderer) page(name, token string) (*url.URL, error) {
	if !headerToken(token) {
		return nil, errors.New("mail: the link's secret is missing or malformed")
	}
	return r.publicURL.JoinPath(name, token), nil
}

// about adds which account of which organisation the mail is about.
func (d *draft) about() {
	d.fact(d.shared("label.organisation"), d.Org)
	d.fact(d.shared("label.account"), d.address)
}

// builtinRoles are the keys of the roles that have a name in the catalogues. Others are own roles: their key is their name.
var builtinRoles = []string{"administrator", "support", "editor", "viewer", "co_manager", "core", "auditor"}

func (d *draft) roles(keys []string) {
	var names []string
	for _, key := range keys {
		if slices.Contains(builtinRoles, key) {
			key = d.printer.T("role." + key)
		}
		if name := clean(key, nameMax); name != "" {
			names = append(names, name)
		}
	}
	list := clean(d.printer.List(names), listMax)
	if list == "" {
		list = d.shared("no-roles")
	}
	d.fact(d.shared("label.roles", "Count", max(len(names), 1)), list)
}

// factorKinds are the kinds of factors that have a name in the catalogues.
var factorKinds = []string{"password", "totp", "passkey", "recovery", "access-code"}

func (d *draft) factor(kind string) string {
	if slices.Contains(factorKinds, kind) {
		return d.printer.T("factor." + kind)
	}
	return clean(kind, nameMax)
}
