package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"doorward/internal/access"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/signin"
)

const shutPerPage = 50

// policyDoc is the page of an organisation's sign-in rules: what is in effect and where it comes from, and the form that changes it.
type policyDoc struct {
	page.Base
	At       string
	May      bool // change them
	Sources  signin.Sources
	Own      policy.Settings
	Rules    policy.Rules
	Zone     *time.Location
	Rev      string
	Confirm  string // what the box sends that confirms the consequences; empty: there is none
	Modes    []page.Option
	Kinds    []page.Option
	Inviters []page.Option
	People   signin.Tally
	Campaign string // address of the page about how people stand
}

// fromLayout is how browsers send and take day and time.
const fromLayout = "2006-01-02T15:04"

func (c *Console) rules(w http.ResponseWriter, r *http.Request, v visit) error {
	f := page.Form{}
	if q := r.URL.Query(); q.Has("rev") { // back from the preview: the draft stands there again
		f = page.FormOf(q, nil)
	}
	return c.showRules(w, r, v, http.StatusOK, f, "")
}

func (c *Console) showRules(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form, confirm string) error {
	tx := c.DB.Read(r.Context())
	doc := &policyDoc{Base: c.base(v, "org.policy", "policy.title"), At: v.path("settings/sign-in"), May: v.Rights.May(access.PolicyEdit), Own: v.About.Settings,
		Rules: v.About.Rules, Zone: v.About.Location(), Rev: signin.Rev(v.About.Settings), Confirm: confirm, Campaign: v.path("security")}
	doc.Form = f
	if rev := f.Values.Get("rev"); rev != "" {
		doc.Rev = rev
	}
	var err error
	if doc.Sources, err = signin.SourcesOf(tx, v.About); err != nil {
		return err
	}
	list, err := c.Desk.Campaign(r.Context(), v.Actor, v.About, "", "", 0)
	if err != nil {
		return err
	}
	doc.People = list.Tally
	for _, m := range []policy.Mode{"", policy.Off, policy.Administrators, policy.Everyone} {
		o := page.Option{Value: string(m), Key: "policy.mode." + string(m), Chosen: m == doc.Own.SecondFactor}
		if m == "" {
			o.Key = "policy.inherit"
		}
		doc.Modes = append(doc.Modes, o)
	}
	for _, k := range policy.Kinds() {
		doc.Kinds = append(doc.Kinds, page.Option{Value: string(k), Key: "factor." + string(k), Chosen: slices.Contains(doc.Own.Factors, k)})
	}
	doc.Inviters = []page.Option{{Value: "", Key: "policy.inherit", Chosen: doc.Own.Invite == ""},
		{Value: policy.InviteAdministrators, Key: "policy.invite.administrators", Chosen: doc.Own.Invite == policy.InviteAdministrators}}
	return c.pages.Render(w, r, status, "org.policy", doc)
}

// ConfirmBox is the box that agrees to what the draft does.
func (d *policyDoc) ConfirmBox() *page.Tick {
	t := d.Check("confirm", "policy.confirm")
	t.Value, t.On = d.Confirm, false
	return t
}

// NumberField is the field of a rule that is a number.
func (d *policyDoc) NumberField(f policy.Field) *page.Field {
	x := d.Field(string(f), "policy.field."+string(f)).Kind("number").Max(6)
	if n, ok := d.Own.Number(f); ok {
		x.Start(strconv.Itoa(n))
	}
	x.Hint = d.Origin(f)
	return x
}

// FromField is the field of the date.
func (d *policyDoc) FromField() *page.Field {
	return d.Field(signin.FieldFrom, "policy.from").Kind("datetime-local").Help("policy.from_help", "Zone", d.Zone.String()).Start(fromText(d.Own.From, d.Zone))
}

// Choose is the field of a rule that is a choice.
func (d *policyDoc) Choose(f policy.Field, options []page.Option) *page.Choosing {
	x := d.Choice(string(f), "policy.field."+string(f), options)
	x.Hint = d.Origin(f)
	return x
}

// fromText is a date as the form has it.
func fromText(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	return t.In(zone).Format(fromLayout)
}

// Origin returns what is in effect, and where it comes from, in a sentence.
func (d *policyDoc) Origin(f policy.Field) string {
	value := d.Effect(f)
	by, ok := d.Sources.Of(f)
	switch {
	case !ok:
		return d.T("policy.origin.default", "Value", value)
	case by.ID == d.Sources.Levels[len(d.Sources.Levels)-1].ID:
		return d.T("policy.origin.here", "Value", value)
	}
	return d.T("policy.origin.from", "Value", value, "Organisation", by.Name)
}

// Effect returns what is in effect.
func (d *policyDoc) Effect(f policy.Field) string { return effect(d.Self(), d.Rules, f, d.Zone) }

// effect says what rules ask in one respect.
func effect(b *page.Base, r policy.Rules, f policy.Field, zone *time.Location) string {
	switch f {
	case policy.FieldSecondFactor:
		return demandText(b, r, zone)
	case policy.FieldFactors:
		var names []string
		for _, k := range r.MayEnrol() {
			names = append(names, b.T("factor."+string(k)))
		}
		return b.P.List(names)
	case policy.FieldRemember:
		if r.Remember == 0 {
			return b.T("policy.remember.none")
		}
		return b.T("unit.days", "Count", int(r.Remember/(24*time.Hour)))
	case policy.FieldIdleAdmin:
		return exactly(b, r.IdleAdmin)
	case policy.FieldIdle:
		return exactly(b, r.Idle)
	case policy.FieldAbsolute:
		return exactly(b, r.Absolute)
	case policy.FieldLinkHours:
		return exactly(b, r.LinkLife)
	case policy.FieldPasswordLength:
		if r.Length == 0 {
			return b.T("policy.length.default")
		}
		return b.T("policy.length", "Count", r.Length)
	case policy.FieldPasswordHistory:
		if r.History == 0 {
			return b.T("policy.history.none")
		}
		return b.T("policy.history", "Count", r.History)
	case policy.FieldInvite:
		if r.AdministratorsInvite {
			return b.T("policy.invite.administrators")
		}
	}
	return b.T("policy.invite.anyone")
}

// exactly writes a duration without rounding it.
func exactly(b *page.Base, d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d%time.Hour != 0:
		return b.T("unit.minutes", "Count", int(d/time.Minute))
	case d >= 3*day && d%day == 0:
		return b.T("unit.days", "Count", int(d/day))
	}
	return b.T("unit.hours", "Count", int(d/time.Hour))
}

// demandText says of whom a second factor is asked, and from when on where that lies ahead.
func demandText(b *page.Base, r policy.Rules, zone *time.Location) string {
	admins, ofAdmins := r.DemandedFrom(true)
	all, ofAll := r.DemandedFrom(false)
	part := func(who string, from time.Time) string {
		if from.After(b.Now) {
			return b.T("policy.demand."+who+"_from", "When", b.P.DateTime(from.In(zone)))
		}
		return b.T("policy.demand." + who)
	}
	switch {
	case !ofAdmins:
		return b.T("policy.demand.off")
	case !ofAll:
		return part("administrators", admins)
	case all.Equal(admins) || !all.After(b.Now):
		return part("everyone", all)
	}
	return b.P.List([]string{part("administrators", admins), part("everyone", all)})
}

// ruleFields are the fields of the form that stand in it once.
var ruleFields = []string{string(policy.FieldSecondFactor), signin.FieldFrom, string(policy.FieldLinkHours), string(policy.FieldIdleAdmin), string(policy.FieldIdle),
	string(policy.FieldAbsolute), string(policy.FieldRemember), string(policy.FieldPasswordLength), string(policy.FieldPasswordHistory), string(policy.FieldInvite),
	"rev", "confirm", "do"}

// draftOf reads settings as the form has them; what is empty is inherited.
func draftOf(values url.Values, o org.Org) (signin.Draft, map[string]string, error) {
	typed, err := take(values, ruleFields...)
	if err != nil {
		return signin.Draft{}, typed, err
	}
	s := policy.Settings{SecondFactor: policy.Mode(typed[string(policy.FieldSecondFactor)]), Invite: typed[string(policy.FieldInvite)]}
	var faults []*refusal.Error
	if from := trim(typed[signin.FieldFrom]); from == fromText(o.Settings.From, o.Location()) {
		s.From = o.Settings.From // also where the clock shows a time twice
	} else {
		var fault *refusal.Error
		s.From, fault = signin.ParseFrom(from, o.Location())
		faults = append(faults, fault)
	}
	for _, k := range values[string(policy.FieldFactors)] {
		s.Factors = append(s.Factors, policy.Kind(k))
	}
	for _, f := range signin.Fields {
		bounds, isNumber := policy.Ranges()[f]
		text := trim(typed[string(f)])
		if !isNumber || text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			n = bounds.Most + 1
		}
		faults = append(faults, signin.SetNumber(&s, f, n))
	}
	return signin.Draft{Settings: s, Rev: typed["rev"], Seen: typed["confirm"]}, typed, refusal.All(faults...)
}

// queryOf is a draft as the address of its preview has it.
func queryOf(s policy.Settings, rev string, zone *time.Location) url.Values {
	q := url.Values{"rev": {rev}}
	set := func(field, text string) {
		if text != "" {
			q.Add(field, text)
		}
	}
	set(string(policy.FieldSecondFactor), string(s.SecondFactor))
	set(signin.FieldFrom, fromText(s.From, zone))
	for _, k := range s.Factors {
		set(string(policy.FieldFactors), string(k))
	}
	for f := range policy.Ranges() {
		if n, ok := s.Number(f); ok {
			set(string(f), strconv.Itoa(n))
		}
	}
	set(string(policy.FieldInvite), s.Invite)
	return q
}

func (c *Console) setRules(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	var draft signin.Draft
	var typed map[string]string
	if err == nil {
		draft, typed, err = draftOf(values, v.About)
	}
	switch {
	case err != nil:
	case typed["do"] == "preview":
		var p signin.Preview
		if p, err = c.Desk.Preview(r.Context(), v.Actor, v.About.ID, draft.Settings, "", 0); err == nil {
			return seeOther(w, r, v.path("settings/sign-in/preview?"+queryOf(p.Settings, draft.Rev, v.About.Location()).Encode()))
		}
	default:
		err = c.Desk.SetRules(r.Context(), v.Actor, v.About.ID, draft)
	}
	if err != nil {
		if !again(err) {
			return err
		}
		if refusal.Is(err, refusal.Conflict) && values != nil {
			values.Set("rev", signin.Rev(v.About.Settings)) // whoever sends it once more has seen what it is now
		}
		confirm := ""
		if e := refusal.As(err); e.Field == "confirm" {
			confirm = signin.RevOf(draft.Settings)
		}
		return c.showRules(w, r, v, status(w, err), page.FormOf(values, err), confirm)
	}
	return c.done(w, r, v.path("settings/sign-in"), "policy.saved")
}

// previewDoc tells what a draft would do, with the people who could not sign in.
type previewDoc struct {
	page.Base
	Would  signin.Preview
	At     string
	May    bool
	Draft  []kept
	Back   string
	Next   string
	People string // address of the people's pages
	Zone   *time.Location
}

func (c *Console) previewRules(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	after := q.Get("after")
	if !plainText(after, 400) || len(r.URL.RawQuery) > 4000 {
		return refusal.New(refusal.Invalid, "error.query")
	}
	q.Del("after")
	draft, _, err := draftOf(q, v.About)
	var p signin.Preview
	if err == nil {
		p, err = c.Desk.Preview(r.Context(), v.Actor, v.About.ID, draft.Settings, after, shutPerPage)
	}
	if err != nil {
		if !again(err) {
			return err
		}
		return c.showRules(w, r, v, status(w, err), page.FormOf(q, err), "")
	}
	doc := &previewDoc{Base: c.base(v, "org.policy.preview", "policy.preview.title"), Would: p, At: v.path("settings/sign-in"), May: v.Rights.May(access.PolicyEdit),
		People: v.path("users/"), Zone: v.About.Location()}
	back := queryOf(p.Settings, draft.Rev, doc.Zone)
	doc.Back = doc.At + "?" + back.Encode()
	for name, list := range back {
		for _, value := range list {
			doc.Draft = append(doc.Draft, kept{name, value})
		}
	}
	doc.Draft = append(doc.Draft, kept{"confirm", signin.RevOf(draft.Settings)}) // what it agrees to stands on this page
	if p.Next != "" {
		back.Set("after", p.Next)
		doc.Next = "?" + back.Encode()
	}
	return c.pages.Render(w, r, http.StatusOK, "org.policy.preview", doc)
}

// Asks says of whom the draft asks a second factor.
func (d *previewDoc) Asks() string { return demandText(d.Self(), d.Would.Org.Rules, d.Zone) }

// Figures are the people here by how they would stand.
func (d *previewDoc) Figures() []page.Part { return standingParts(d.Would.Tally, "") }

// RolesOf names the roles of a person; nothing for who has none.
func (d *previewDoc) RolesOf(m signin.Member) string { return rolesText(d.Self(), m) }

// Shown are the rules as they stand in the list of who may not change them.
func (d *policyDoc) Shown() []policy.Field { return signin.Fields }
