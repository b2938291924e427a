package demo

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/policy"
	"doorward/internal/secret"
	"doorward/internal/signin"
)

// story is the sample world while it is being made.
type story struct {
	*Demo
	orgs map[string]org.Org
}

// What happens on a day begins an hour and a half before the time at which the demo starts, and one thing comes after the other.
const (
	beforeNow = 90 * time.Minute
	pause     = 4 * time.Minute
)

// play makes the world: it lets the cast live through their days, one after the other, up to today.
func (d *Demo) play(ctx context.Context) error {
	d.People = cast()
	s := &story{Demo: d, orgs: map[string]org.Org{}}
	begun := time.Now()
	days := len(d.People[0].days)
	for day := range days {
		d.clock.set(begun.AddDate(0, 0, day+1-days).Add(-beforeNow))
		for i := range d.People {
			if err := s.live(ctx, &d.People[i], d.People[i].days[day]); err != nil {
				return fmt.Errorf("%s, day %d: %w", d.People[i].Email, day, err)
			}
		}
	}
	if err := s.today(ctx); err != nil {
		return fmt.Errorf("today: %w", err)
	}
	d.clock.set(time.Time{})
	link, err := d.invitation(fresh)
	d.Link = link
	return err
}

// today is what stands open when the story ends: the MSP has a colour of its own, which its customers share, and one of them has asked for seats.
func (s *story) today(ctx context.Context) error {
	d := s.house.Directory
	msp, err := org.Find(s.house.DB.Read(ctx), s.orgs["contoso"].ID)
	if err != nil {
		return err
	}
	by, err := s.present(ctx, "ada.byrne@contoso.example")
	if err != nil {
		return err
	}
	green := "#0b6b4f"
	if err := d.SetBrand(ctx, by, msp.ID, msp.Rev, account.Rebrand{Accent: &green}); err != nil {
		return err
	}
	if by, err = s.present(ctx, "katrin.vogel@fabrikam.example"); err != nil {
		return err
	}
	if err := d.AskSeats(ctx, by, s.orgs["fabrikam"].ID, 12, "Ein zweites Büro in Hamburg"); err != nil {
		return err
	}
	return s.deliver(ctx)
}

// live lets one person live through one day.
func (s *story) live(ctx context.Context, p *Person, what byte) error {
	if what == rests {
		return nil
	}
	if p.account == "" {
		token, err := s.invite(ctx, p)
		if err != nil || what == isInvited {
			return err
		}
		if err := s.activate(ctx, p, token); err != nil || what == activates {
			return err
		}
	}
	if what == isLeaving {
		by, err := s.present(ctx, p.by)
		if err != nil {
			return err
		}
		return s.house.Directory.Disable(ctx, by, s.orgs[p.Org].ID, p.account)
	}
	return s.signIn(ctx, p)
}

// present returns the person with that address as an actor whose proof is fresh.
func (s *story) present(ctx context.Context, email string) (access.Actor, error) {
	for i := range s.People {
		p := &s.People[i]
		if p.Email != email {
			continue
		}
		if p.visitor.Actor.Account == "" || !p.visitor.Actor.Fresh(s.clock.Now()) {
			if err := s.signIn(ctx, p); err != nil {
				return access.Actor{}, err
			}
		}
		return p.visitor.Actor, nil
	}
	return access.Actor{}, fmt.Errorf("nobody has the address %s", email)
}

// invite adds a person, after their organisation if they are its first one, and returns the secret of the mailed link.
func (s *story) invite(ctx context.Context, p *Person) (secret.Text, error) {
	d := s.house.Directory
	if p.by == "" {
		f, err := d.Found(ctx, access.Operator("demo"), stages()[p.Org].Name, p.Org, p.Email, "")
		s.orgs[p.Org], p.account = f.Org, f.Account.ID
		return f.Token, err
	}
	by, err := s.present(ctx, p.by)
	if err != nil {
		return "", err
	}
	s.clock.move(pause)
	o, there := s.orgs[p.Org]
	if !there {
		n := stages()[p.Org]
		n.Slug, n.Parent = p.Org, by.Org
		if o, err = d.CreateOrg(ctx, by, n); err != nil {
			return "", err
		}
		s.orgs[p.Org] = o
	}
	in := account.Invitation{Emails: []string{p.Email}, Roles: p.Roles}
	if p.ends > 0 {
		in.Expires = time.Now().AddDate(0, 0, -p.ends)
	}
	out, err := d.Invite(ctx, by, o.ID, in)
	if err != nil {
		return "", err
	}
	if out[0].Err != nil {
		return "", out[0].Err
	}
	p.account = out[0].Account
	if p.sees != "" {
		g, err := d.CreateGroup(ctx, by, o.ID, stages()[p.sees].Name)
		if err == nil {
			err = d.AddToGroup(ctx, by, o.ID, g, account.Grouped{Customers: []id.Org{s.orgs[p.sees].ID}, People: []id.Account{p.account}})
		}
		if err != nil {
			return "", err
		}
	}
	if err := s.deliver(ctx); err != nil {
		return "", err
	}
	link, err := s.invitation(p.Email)
	return secret.Text(path.Base(link)), err
}

// deliver lets the mail that is due go out, so that it arrives on the day of the story.
func (s *story) deliver(ctx context.Context) error {
	for {
		n, err := s.house.Queue.Work(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			return s.box.collect(s.clock.Now())
		}
	}
}

// invitation returns the activation link of the newest invitation to an address.
func (d *Demo) invitation(email string) (string, error) {
	l, ok := d.box.newest(email, "invite")
	if !ok {
		return "", fmt.Errorf("no invitation for %s has arrived", email)
	}
	for line := range strings.Lines(l.Text) {
		if u, err := url.Parse(strings.TrimSpace(line)); err == nil && u.Scheme != "" && strings.HasPrefix(u.Path, "/activate/") {
			return u.String(), nil
		}
	}
	return "", errors.New("the invitation has no link")
}

// activate opens the link and chooses a random password.
func (s *story) activate(ctx context.Context, p *Person, token secret.Text) (err error) {
	s.clock.move(pause)
	if p.Password, err = newPassword(); err != nil {
		return err
	}
	if _, err := s.house.Directory.Use(ctx, account.Activate, token, p.Password, p.Password, p.client()); err != nil {
		return err
	}
	_, p.password, err = factor.PasswordOf(s.house.DB.Read(ctx), p.account)
	return err
}

// signIn takes a sign-in wherever its steps lead: to a session, or to a refusal.
func (s *story) signIn(ctx context.Context, p *Person) error {
	s.clock.move(pause)
	desk, client := s.house.Desk, p.client()
	at, err := desk.Begin(ctx, signin.Start{Org: s.orgs[p.Org], Slug: p.Org, Identifier: p.Email, Client: client})
	for err == nil && at.Finished == nil {
		switch at.Decision.Step {
		case policy.AskPassword:
			at, err = desk.Password(ctx, at.Key, p.Password, client, p.held)
		case policy.ChooseFactor:
			at, err = desk.Choose(ctx, at.Key, string(factor.TOTP), client)
		case policy.EnrolTOTP, policy.AskTOTP:
			var code string
			if code, err = s.code(ctx, p.account); err != nil {
				return err
			}
			if at.Decision.Step == policy.AskTOTP {
				at, err = desk.Code(ctx, at.Key, code, false, client, p.held)
			} else {
				at, err = desk.EnrolTOTP(ctx, at.Key, code, client, p.held)
			}
		case policy.ShowRecovery:
			at, err = desk.Saved(ctx, at.Key, client, p.held)
		case policy.OfferPasskey:
			at, err = desk.Offer(ctx, at.Key, false, client, p.held)
		case policy.Refuse:
			return nil
		default:
			return fmt.Errorf("the sign-in asks for %q", at.Decision.Step)
		}
	}
	if err != nil {
		return err
	}
	p.held.Session = at.Finished.Secret
	if at.Finished.Device != "" {
		p.held.Device = at.Finished.Device
	}
	first := p.visitor.Account.ID == ""
	if p.visitor, err = desk.Resolve(ctx, at.Finished.Secret, client); err != nil {
		return err
	}
	if first {
		err = s.house.Directory.EditProfile(ctx, p.visitor.Actor, account.Profile{Name: p.Name})
	}
	return errors.Join(err, s.deliver(ctx))
}

// client is where a person's requests come from: an address out of those for documentation (RFC 5737), and one of the usual browsers.
func (p *Person) client() access.Client {
	agents := []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
		"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
	}
	n := len(p.Name) + int(p.Email[0])
	network := map[string]string{"northwind": "192.0.2.", "contoso": "198.51.100."}[p.Org]
	if network == "" {
		network = "203.0.113."
	}
	return access.Client{Address: fmt.Sprint(network, n), UserAgent: agents[n%len(agents)]}
}
