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
	case outbox.RoleChanged:
		r.roleChanged(d, v)
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
