package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/server"
)

type orgCommand struct {
	Create orgCreateCommand `cmd:"" help:"Create an organisation."`
	List   orgListCommand   `cmd:"" help:"List all organisations."`
	Set    orgSetCommand    `cmd:"" help:"Change an organisation."`
	Brand  orgBrandCommand  `cmd:"" help:"Set an organisation's logo and accent colour."`

	Suspend orgSuspendCommand `cmd:"" help:"Shut an organisation: everybody is signed out, nobody signs in."`
	Resume  orgResumeCommand  `cmd:"" help:"Open a suspended organisation again."`
	Delete  orgDeleteCommand  `cmd:"" help:"Delete an organisation with all its people, after a waiting time."`
	Move    orgMoveCommand    `cmd:"" help:"Move a customer to another MSP at once, without anybody's confirmation. Everyone concerned is told."`
	Keep    orgKeepCommand    `cmd:"" help:"Keep an organisation whose waiting time is not over."`
}

// orgLine is an organisation in JSON.
type orgLine struct {
	Org      id.Org          `json:"org"`
	Kind     access.OrgKind  `json:"kind"`
	Parent   string          `json:"parent,omitempty"` // tenant domain
	Slug     string          `json:"slug"`
	Name     string          `json:"name"`
	State    access.State    `json:"state"`
	Setup    org.Setup       `json:"setup"`
	Language locale.Language `json:"language"`
	TimeZone string          `json:"time_zone"`
	Limit    *int            `json:"seat_limit"` // null: none
	Used     int             `json:"seats_used"`
	Admin    *invited        `json:"admin,omitempty"` // invited with it
}

func lineOf(o org.Org, parent string, s license.Seats) orgLine {
	l := orgLine{Org: o.ID, Kind: o.Kind, Parent: parent, Slug: o.Slug, Name: o.Name, State: o.State, Setup: o.Setup, Language: o.Language,
		TimeZone: o.TimeZone, Used: s.Used}
	if s.Limit != license.Unlimited {
		l.Limit = &s.Limit
	}
	return l
}

func (l orgLine) seats() string {
	if l.Limit == nil {
		return strconv.Itoa(l.Used)
	}
	return fmt.Sprintf("%d of %d", l.Used, *l.Limit)
}

type orgCreateCommand struct {
	Kind      string     `required:"" enum:"msp,customer" help:"msp or customer."`
	Parent    string     `required:"" placeholder:"SLUG" help:"Tenant domain of the organisation above: the provider, or a customer's MSP."`
	Slug      string     `required:"" help:"Tenant domain: lower-case letters, digits, dots and hyphens."`
	Name      string     `required:"" help:"Name that people see."`
	Setup     string     `enum:"done" default:"done" help:"done: the organisation does not start with Initial Setup."`
	Language  string     `help:"en, de or fr; the parent's by default."`
	TimeZone  string     `name:"time-zone" help:"Such as Europe/Berlin; the parent's by default."`
	Country   string     `help:"Two letters, such as DE."`
	Tag       []string   `help:"A tag; may be given several times." sep:"none"`
	SeatLimit *seatLimit `name:"seat-limit" placeholder:"N" help:"How many people may have an account, or none for no limit; 5 for a customer and none for an MSP by default."`
	Admin     string     `placeholder:"EMAIL" help:"Invite the first administrator."`
	JSON      bool       `help:"Write JSON."`
}

// Run makes one organisation.
func (c *orgCreateCommand) Run(ctx context.Context, t *terminal) (err error) {
	h, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	parent, err := t.org(ctx, h, c.Parent)
	if err != nil {
		return err
	}
	n := account.NewOrg{Admin: c.Admin, Seats: (*int)(c.SeatLimit), New: org.New{Kind: access.OrgKind(c.Kind), Parent: parent.ID, Slug: c.Slug, Name: c.Name,
		Language: locale.Language(c.Language), TimeZone: c.TimeZone, Country: c.Country, Tags: c.Tag}}
	made, err := h.Directory.Establish(ctx, operator(), n)
	if err != nil {
		return err
	}
	o := made.Org
	seats, err := license.SeatsOf(h.DB.Read(ctx), o.ID)
	if err != nil {
		return err
	}
	link := ""
	if made.Admin.Email != "" {
		link = t.link(made.Admin.Token)
	}
	if c.JSON {
		l := lineOf(o, parent.Slug, seats)
		if link != "" {
			l.Admin = &invited{Email: made.Admin.Email, Account: made.Admin.Account, Link: link}
		}
		return t.json(l)
	}
	if err := t.say("%s is there, with its sign-in page at %s.", o.Name, t.address(o.SignInPath())); err != nil || link == "" {
		return err
	}
	return t.say("%s is invited: %s", made.Admin.Email, link)
}

type orgListCommand struct {
	JSON bool `help:"Write JSON."`
}

// Run lists parents before children.
func (c *orgListCommand) Run(ctx context.Context, t *terminal) (err error) {
	h, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	list, err := org.All(ctx, h.DB)
	if err != nil {
		return err
	}
	slugs := map[id.Org]string{}
	lines := []orgLine{}
	rows := [][]string{{"TENANT DOMAIN", "KIND", "UNDER", "STATE", "SEATS", "NAME"}}
	for _, o := range list {
		slugs[o.ID] = o.Slug
		seats, err := license.SeatsOf(h.DB.Read(ctx), o.ID)
		if err != nil {
			return err
		}
		l := lineOf(o, slugs[o.Parent], seats)
		lines = append(lines, l)
		rows = append(rows, []string{l.Slug, string(l.Kind), l.Parent, string(l.State), l.seats(), l.Name})
	}
	switch {
	case c.JSON:
		return t.json(lines)
	case len(lines) == 0:
		return t.say("There is no organisation yet; `doorward init` creates the provider.")
	}
	return t.table(rows)
}

type orgSetCommand struct {
	Slug      string     `arg:"" help:"Tenant domain."`
	SeatLimit *seatLimit `name:"seat-limit" placeholder:"N" help:"How many people may have an account, or none for no limit."`
	SeatPool  *seatLimit `name:"seat-pool" placeholder:"N" help:"What the limits of an MSP's customers together never exceed, or none for no pool."`
}

// Validate refuses a change of nothing.
func (c *orgSetCommand) Validate() error {
	if c.SeatLimit == nil && c.SeatPool == nil {
		return errors.New("missing flags: --seat-limit or --seat-pool")
	}
	return nil
}

// seatLimit is a number of seats, or "none".
type seatLimit int

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *seatLimit) UnmarshalText(b []byte) error {
	if string(b) == "none" {
		*l = license.Unlimited
		return nil
	}
	n, err := strconv.Atoi(string(b))
	if err != nil || n < 0 {
		return fmt.Errorf("%q is neither a number of seats nor none", b)
	}
	*l = seatLimit(n)
	return nil
}

// Run changes what is given.
func (c *orgSetCommand) Run(ctx context.Context, t *terminal) (err error) {
	h, o, leave, err := t.at(ctx, c.Slug)
	if err != nil {
		return err
	}
	defer leave(&err)
	if c.SeatPool != nil {
		if err := h.Directory.SetPool(ctx, operator(), o.ID, int(*c.SeatPool)); err != nil {
			return err
		}
		pool, err := license.PoolOf(h.DB.Read(ctx), o.ID)
		if err != nil {
			return err
		}
		if err := t.say("%s: given out of the pool: %s.", o.Slug, poolText(pool)); err != nil {
			return err
		}
	}
	if c.SeatLimit == nil {
		return nil
	}
	if err := h.Directory.SetSeats(ctx, operator(), o.ID, int(*c.SeatLimit)); err != nil {
		return err
	}
	seats, err := license.SeatsOf(h.DB.Read(ctx), o.ID)
	if err != nil {
		return err
	}
	return t.say("%s: seats in use: %s.", o.Slug, lineOf(o, "", seats).seats())
}

func poolText(p license.Pool) string {
	if p.Size == license.Unlimited {
		return fmt.Sprintf("%d, no pool", p.Given)
	}
	return fmt.Sprintf("%d of %d", p.Given, p.Size)
}

// oneOrg is what the commands on one organisation have in common.
type oneOrg struct {
	Slug string `arg:"" help:"Tenant domain."`
}

// do finds the organisation, runs the operation and says how the organisation stands after it.
func (c oneOrg) do(ctx context.Context, t *terminal, operation func(*server.House, org.Org) error) (err error) {
	h, o, leave, err := t.at(ctx, c.Slug)
	if err != nil {
		return err
	}
	defer leave(&err)
	if err := operation(h, o); err != nil {
		return err
	}
	if o, err = org.Find(h.DB.Read(ctx), o.ID); err != nil {
		return err
	}
	if o.State == access.Deleting {
		return t.say("%s: %s, goes on %s.", o.Slug, o.State, o.DeleteAt.In(o.Location()).Format("2006-01-02 15:04 MST"))
	}
	return t.say("%s: %s.", o.Slug, o.State)
}

type orgSuspendCommand struct {
	oneOrg
	Reason string `required:"" help:"Why; its administrators read it in a mail, and it stands in the audit log."`
}

// Run suspends.
func (c *orgSuspendCommand) Run(ctx context.Context, t *terminal) error {
	return c.do(ctx, t, func(h *server.House, o org.Org) error {
		return h.Directory.Suspend(ctx, operator(), o.ID, o.Slug, c.Reason)
	})
}

type orgResumeCommand struct{ oneOrg }

// Run opens it again.
func (c *orgResumeCommand) Run(ctx context.Context, t *terminal) error {
	return c.do(ctx, t, func(h *server.House, o org.Org) error { return h.Directory.Resume(ctx, operator(), o.ID) })
}

type orgDeleteCommand struct {
	oneOrg
	Confirm string `required:"" placeholder:"SLUG" help:"The tenant domain once more."`
}

// Run starts the waiting time.
func (c *orgDeleteCommand) Run(ctx context.Context, t *terminal) error {
	return c.do(ctx, t, func(h *server.House, o org.Org) error {
		_, err := h.Directory.RequestDeletion(ctx, operator(), o.ID, c.Confirm)
		return err
	})
}

type orgKeepCommand struct{ oneOrg }

// Run cancels the deletion.
func (c *orgKeepCommand) Run(ctx context.Context, t *terminal) error {
	return c.do(ctx, t, func(h *server.House, o org.Org) error { return h.Directory.CancelDeletion(ctx, operator(), o.ID) })
}

type orgMoveCommand struct {
	oneOrg
	To     string `required:"" placeholder:"SLUG" help:"Tenant domain of the MSP that it comes to."`
	Reason string `required:"" help:"Why; it stands in the audit log of all sides."`
}

// Run moves. The provider's administrators start a move in the console, where every side confirms it; this is for an MSP that is not there any more to do so.
func (c *orgMoveCommand) Run(ctx context.Context, t *terminal) (err error) {
	h, o, leave, err := t.at(ctx, c.Slug)
	if err != nil {
		return err
	}
	defer leave(&err)
	if err := h.Directory.MoveNow(ctx, operator(), o.ID, account.Started{To: c.To, Reason: c.Reason, Confirm: o.Slug}); err != nil {
		return err
	}
	to, err := t.org(ctx, h, c.To)
	if err != nil {
		return err
	}
	return t.say("%s: under %s.", o.Slug, to.Slug)
}
