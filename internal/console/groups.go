package console

import (
	"net/http"
	"net/url"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/page"
	"doorward/internal/refusal"
)

const (
	groupedPerPage = 50 // of a group's organisations and people
	groupedFound   = 20 // that can be added
)

// groupAction and roleAction are what a look at a foreign group or role is noted as.
const (
	groupAction = audit.Action(access.GroupManage)
	roleAction  = audit.Action(access.RoleDefine)
)

// groupsDoc lists an organisation's groups, with the form that makes one.
type groupsDoc struct {
	page.Base
	Kind   access.OrgKind
	Groups []access.OrgGroup
	At     string
}

// groupDoc is one group.
type groupDoc struct {
	page.Base
	Kind       access.OrgKind
	Group      access.OrgGroup
	At, Up     string
	Customers  []page.Option
	People     []page.Option
	MoreOrgs   string // the rest of the list; empty at its end
	MorePeople string

	Query, Who  string        // what was searched for
	FoundOrgs   []page.Option // that are not in the group
	FoundPeople []page.Option
}

// withGroups tells whether an organisation has groups at all.
func withGroups(k access.OrgKind) bool { return k != access.Customer }

func (c *Console) groups(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showGroups(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showGroups(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	if !withGroups(v.About.Kind) {
		return refusal.New(refusal.NotFound, "error.not_found")
	}
	doc := &groupsDoc{Base: c.base(v, "groups", "groups.title"), Kind: v.About.Kind, At: v.path("groups")}
	doc.Form = f
	var err error
	if doc.Groups, err = access.Groups(c.DB.Read(r.Context()), v.About.ID); err != nil {
		return err
	}
	return c.pages.Render(w, r, status, "groups", doc)
}

func (c *Console) newGroup(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	var g id.Group
	if err == nil {
		var typed map[string]string
		if typed, err = take(values, "name"); err == nil {
			g, err = c.Directory.CreateGroup(r.Context(), v.Actor, v.About.ID, typed["name"])
		}
	}
	if err != nil {
		if !again(err) {
			return err
		}
		return c.showGroups(w, r, v, status(w, err), page.FormOf(values, err))
	}
	return c.done(w, r, v.path("groups/"+string(g)), "groups.created")
}

func (c *Console) group(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showGroup(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showGroup(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	g, err := inPath[id.Group](r, "group")
	if err != nil {
		return err
	}
	tx := c.DB.Read(r.Context())
	group, err := access.FindGroup(tx, v.About.ID, g)
	if err != nil {
		return c.Book.Refusal(r.Context(), v.Actor, groupAction, err)
	}
	q := r.URL.Query()
	for _, text := range []string{q.Get("q"), q.Get("who"), q.Get("orgs_after"), q.Get("people_after")} {
		if !plainText(text, 254) {
			return refusal.New(refusal.Invalid, "error.query")
		}
	}
	doc := &groupDoc{Base: c.base(v, "group", "groups.one", "Name", group.Name), Kind: v.About.Kind, Group: group, At: v.path("groups/" + string(g)), Up: v.path("groups"),
		Query: trim(q.Get("q")), Who: trim(q.Get("who"))}
	doc.Form = f
	orgs, next, err := account.GroupCustomers(tx, g, q.Get("orgs_after"), groupedPerPage)
	if err != nil {
		return err
	}
	if doc.Customers = members(orgs); next != "" {
		doc.MoreOrgs = "?" + url.Values{"orgs_after": {next}}.Encode()
	}
	people, next, err := account.GroupPeople(tx, g, q.Get("people_after"), groupedPerPage)
	if err != nil {
		return err
	}
	if doc.People = members(people); next != "" {
		doc.MorePeople = "?" + url.Values{"people_after": {next}}.Encode()
	}
	if orgs, err = account.FindCustomers(tx, v.About.ID, g, doc.Query, groupedFound); err != nil {
		return err
	}
	if people, err = account.FindGroupable(tx, v.About.ID, g, doc.Who, groupable(v), groupedFound); err != nil {
		return err
	}
	doc.FoundOrgs, doc.FoundPeople = members(orgs), members(people)
	return c.pages.Render(w, r, status, "group", doc)
}

// groupable are the keys of the roles whose holders see only what is in their groups.
func groupable(v visit) (list []string) {
	for _, role := range access.Roles(v.About.Kind) {
		if v.Rights.InGroups(role) {
			list = append(list, role)
		}
	}
	for _, o := range v.Rights.Own {
		if o.Below {
			list = append(list, string(o.ID))
		}
	}
	return list
}

func members(list []account.Member) (options []page.Option) {
	for _, m := range list {
		o := page.Option{Value: m.ID, Text: m.Name, Note: m.Note}
		if m.Name == "" {
			o.Text, o.Note = m.Note, ""
		}
		options = append(options, o)
	}
	return options
}

func (c *Console) renameGroup(w http.ResponseWriter, r *http.Request, v visit) error {
	g, err := inPath[id.Group](r, "group")
	if err != nil {
		return err
	}
	values, err := c.form(w, r, v)
	if err == nil {
		var typed map[string]string
		if typed, err = take(values, "name"); err == nil {
			err = c.Directory.RenameGroup(r.Context(), v.Actor, v.About.ID, g, typed["name"])
		}
	}
	if err != nil {
		if !again(err) {
			return err
		}
		return c.showGroup(w, r, v, status(w, err), page.FormOf(values, err))
	}
	return c.done(w, r, v.path("groups/"+string(g)), "groups.saved")
}

func (c *Console) addToGroup(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.changeGroup(w, r, v, func(g id.Group, in account.Grouped) error {
		return c.Directory.AddToGroup(r.Context(), v.Actor, v.About.ID, g, in)
	})
}

func (c *Console) removeFromGroup(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.changeGroup(w, r, v, func(g id.Group, in account.Grouped) error {
		return c.Directory.RemoveFromGroup(r.Context(), v.Actor, v.About.ID, g, in)
	})
}

// changeGroup takes a form with customers and people that go into a group or out of it.
func (c *Console) changeGroup(w http.ResponseWriter, r *http.Request, v visit, operation func(id.Group, account.Grouped) error) error {
	g, err := inPath[id.Group](r, "group")
	if err != nil {
		return err
	}
	values, err := c.form(w, r, v)
	if err != nil {
		return err
	}
	in := account.Grouped{}
	for _, text := range values["customers"] {
		o, ok := id.Parse[id.Org](text)
		if !ok {
			return refusal.New(refusal.Invalid, "groups.gone")
		}
		in.Customers = append(in.Customers, o)
	}
	for _, text := range values["people"] {
		a, ok := id.Parse[id.Account](text)
		if !ok {
			return refusal.New(refusal.Invalid, "groups.gone")
		}
		in.People = append(in.People, a)
	}
	to := v.path("groups/" + string(g))
	if err := operation(g, in); err != nil {
		return c.sorry(w, r, to, err)
	}
	return c.done(w, r, to, "groups.saved")
}

func (c *Console) deleteGroup(w http.ResponseWriter, r *http.Request, v visit) error {
	g, err := inPath[id.Group](r, "group")
	if err != nil {
		return err
	}
	if _, err := c.form(w, r, v); err != nil {
		return err
	}
	if err := c.Directory.DeleteGroup(r.Context(), v.Actor, v.About.ID, g); err != nil {
		return c.sorry(w, r, v.path("groups/"+string(g)), err)
	}
	return c.done(w, r, v.path("groups"), "groups.deleted")
}

// groupOptions are the check boxes of the organisation's groups, for who may put people into them; none for anybody else.
func (c *Console) groupOptions(r *http.Request, v visit) (list []page.Option, err error) {
	if !withGroups(v.About.Kind) || !v.Rights.May(access.GroupManage) || v.Rights.GroupsOnly() {
		return nil, nil
	}
	groups, err := access.Groups(c.DB.Read(r.Context()), v.About.ID)
	for _, g := range groups {
		list = append(list, page.Option{Value: string(g.ID), Text: g.Name})
	}
	return list, err
}

// groupsIn reads the groups that a form names.
func groupsIn(values url.Values) (list []id.Group, fault *refusal.Error) {
	for _, text := range values["groups"] {
		g, ok := id.Parse[id.Group](text)
		if !ok {
			return nil, refusal.Field("groups", "groups.gone")
		}
		list = append(list, g)
	}
	return list, nil
}
