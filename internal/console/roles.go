package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/id"
	"doorward/internal/page"
	"doorward/internal/refusal"
)

// rolesDoc lists the roles of an organisation with what each may do.
type rolesDoc struct {
	page.Base
	Kind    access.OrgKind
	Builtin []roleRow
	Own     []roleRow
	New     string // empty for who may not make one
}

// Row is what the part of the template gets that shows the rights of a role.
func (d *rolesDoc) Row(row roleRow) roleRights {
	return roleRights{d.Self(), row, d.Kind == access.Customer}
}

// roleRights is a role with the page that shows it.
type roleRights struct {
	Base   *page.Base
	Row    roleRow
	Single bool // the organisation has none below it: where a right counts needs no word
}

// roleRow is one role of the list.
type roleRow struct {
	Key    string // of a built-in role
	Name   string // of an own one
	Below  bool   // an own role that counts below too
	People int
	Href   string // where it is edited; empty for who may not
	Areas  []rightsArea
}

// rightsArea is what a role may do in one area.
type rightsArea struct {
	Name   string
	Rights []right
}

// right is one permission of a role: here, below, or both.
type right struct {
	Permission  access.Permission
	Here, Below bool
}

// rightsOf lists permissions by area; where tells where a role gives one.
func rightsOf(where func(access.Permission) (here, under bool)) (list []rightsArea) {
	for _, a := range access.Areas {
		area := rightsArea{Name: a.Name}
		for _, p := range a.Permissions {
			if here, under := where(p); here || under {
				area.Rights = append(area.Rights, right{p, here, under})
			}
		}
		if area.Rights != nil {
			list = append(list, area)
		}
	}
	return list
}

func (c *Console) roleList(w http.ResponseWriter, r *http.Request, v visit) error {
	doc := &rolesDoc{Base: c.base(v, "roles", "roles.title"), Kind: v.About.Kind}
	held, err := access.HolderCounts(c.DB.Read(r.Context()), c.Now(), v.About.ID)
	if err != nil {
		return err
	}
	for _, key := range access.Roles(v.About.Kind) {
		doc.Builtin = append(doc.Builtin, roleRow{Key: key, People: held[key],
			Areas: rightsOf(func(p access.Permission) (bool, bool) { return access.Reach(v.About.Kind, key, p) })})
	}
	may := v.Rights.May(access.RoleDefine)
	for _, o := range v.Rights.Own {
		row := roleRow{Name: o.Name, Below: o.Below, People: held[string(o.ID)], Areas: rightsOf(o.Where)}
		if may {
			row.Href = v.path("roles/" + string(o.ID))
		}
		doc.Own = append(doc.Own, row)
	}
	if may {
		doc.New = v.path("roles/new")
	}
	return c.pages.Render(w, r, http.StatusOK, "roles", doc)
}

// roleDoc is the form of an own role.
type roleDoc struct {
	page.Base
	Action string
	Back   string
	Name   string
	Kind   access.OrgKind
	Below  bool
	Areas  []choiceArea
	Rev    int64  // 0 for a new one
	Delete string // where the button that deletes it leads; empty for a new one
	People int    // who hold it
}

// choiceArea is the permissions of one area to choose from.
type choiceArea struct {
	Name    string
	Options []page.Option
}

// choices lists what an own role of the visited organisation can give; what the visitor does not have is shown, and says so.
func choices(v visit, chosen []access.Permission) (list []choiceArea) {
	here := access.Definable(v.About.Kind, false)
	all := access.Definable(v.About.Kind, v.About.Kind != access.Customer)
	for _, a := range access.Areas {
		area := choiceArea{Name: a.Name}
		for _, p := range a.Permissions {
			if p == access.OrgView || !slices.Contains(all, p) {
				continue
			}
			o := page.Option{Value: string(p), Key: "permission." + string(p), Chosen: slices.Contains(chosen, p)}
			only := !slices.Contains(here, p)
			if only {
				o.Hint = "roles.only_below"
			}
			probe := access.Role{Kind: v.About.Kind, Permissions: []access.Permission{p}, Below: only}
			if len(v.Rights.Beyond(probe)) > 0 {
				o.Refused = "roles.not_yours"
			}
			area.Options = append(area.Options, o)
		}
		if area.Options != nil {
			list = append(list, area)
		}
	}
	return list
}

func (c *Console) newRoleForm(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showNewRole(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showNewRole(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	doc := &roleDoc{Base: c.base(v, "role.new", "roles.new"), Action: v.path("roles/new"), Back: v.path("roles"), Kind: v.About.Kind,
		Areas: choices(v, nil)}
	doc.Form = f
	return c.pages.Render(w, r, status, "role", doc)
}

func (c *Console) newRole(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	var in account.OwnRole
	if err == nil {
		if in, err = ownRoleOf(values); err == nil {
			_, err = c.Directory.DefineRole(r.Context(), v.Actor, v.About.ID, in)
		}
	}
	if err != nil {
		if !again(err) {
			return err
		}
		return c.showNewRole(w, r, v, status(w, err), page.FormOf(values, err))
	}
	return c.done(w, r, v.path("roles"), "roles.created", "Name", in.Name)
}

func ownRoleOf(values url.Values) (account.OwnRole, error) {
	typed, err := take(values, "name", "below")
	in := account.OwnRole{Name: typed["name"], Below: typed["below"] != ""}
	for _, p := range values["permissions"] {
		in.Permissions = append(in.Permissions, access.Permission(p))
	}
	return in, err
}

func (c *Console) roleForm(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showRole(w, r, v, http.StatusOK, page.Form{}, 0)
}

// showRole shows the form of an own role; rev is the revision that the form was first shown with, 0 for the present one.
func (c *Console) showRole(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form, rev int64) error {
	role, err := inPath[id.Role](r, "role")
	if err != nil {
		return err
	}
	tx := c.DB.Read(r.Context())
	own, err := access.FindRole(tx, v.About.ID, role)
	if err != nil {
		return c.Book.Refusal(r.Context(), v.Actor, roleAction, err)
	}
	at := v.path("roles/" + string(role))
	doc := &roleDoc{Base: c.base(v, "role", "roles.edit", "Name", own.Name), Action: at, Back: v.path("roles"), Name: own.Name, Kind: v.About.Kind,
		Below: own.Below, Areas: choices(v, own.Permissions), Rev: own.Rev, Delete: at + "/delete"}
	if doc.Form = f; rev != 0 {
		doc.Rev = rev
	}
	if doc.People, err = access.Holders(tx, c.Now(), v.About.ID, string(role)); err != nil {
		return err
	}
	return c.pages.Render(w, r, status, "role", doc)
}

func (c *Console) editRole(w http.ResponseWriter, r *http.Request, v visit) error {
	role, err := inPath[id.Role](r, "role")
	if err != nil {
		return err
	}
	values, err := c.form(w, r, v)
	var in account.OwnRole
	var rev int64
	if err == nil {
		var typed map[string]string
		in, err = ownRoleOf(values)
		if err == nil {
			typed, err = take(values, "rev")
		}
		if err == nil {
			rev, _ = strconv.ParseInt(typed["rev"], 10, 64) // what is no number is nobody's present revision
			err = c.Directory.EditRole(r.Context(), v.Actor, v.About.ID, role, rev, in)
		}
	}
	if err != nil {
		if !again(err) {
			return err
		}
		return c.showRole(w, r, v, status(w, err), page.FormOf(values, err), rev)
	}
	return c.done(w, r, v.path("roles"), "roles.saved", "Name", in.Name)
}

func (c *Console) deleteRole(w http.ResponseWriter, r *http.Request, v visit) error {
	role, err := inPath[id.Role](r, "role")
	if err != nil {
		return err
	}
	if _, err := c.form(w, r, v); err != nil {
		return err
	}
	if err := c.Directory.DeleteRole(r.Context(), v.Actor, v.About.ID, role); err != nil {
		return c.sorry(w, r, v.path("roles/"+string(role)), err)
	}
	return c.done(w, r, v.path("roles"), "roles.deleted")
}

// roleOptions are the check boxes of the roles of the visited organisation; those that may not be given are shown, and say so.
func (c *Console) roleOptions(v visit, may, chosen []string) []page.Option {
	var list []page.Option
	for _, role := range access.Roles(v.About.Kind) {
		list = append(list, page.Option{Value: role, Key: "role." + role, Hint: "role." + string(v.About.Kind) + "." + role + ".hint"})
	}
	for _, o := range v.Rights.Own {
		list = append(list, page.Option{Value: string(o.ID), Text: o.Name, Hint: "roles.own_hint"})
	}
	for i, o := range list {
		list[i].Chosen = slices.Contains(chosen, o.Value)
		if !slices.Contains(may, o.Value) {
			list[i].Refused = "roles.beyond_short"
		}
	}
	return list
}

// roleEnd changes when a role that somebody holds ends.
func (c *Console) roleEnd(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.act(w, r, v, "user.end_changed", func(a id.Account, values url.Values) error {
		typed, err := take(values, "role", "ends_at")
		if err != nil {
			return err
		}
		until, fault := account.ParseEnd(typed["ends_at"], v.About.Location(), c.Now())
		if fault == nil {
			err = c.Directory.SetRoleEnd(r.Context(), v.Actor, v.About.ID, a, typed["role"], until)
		} else {
			err = fault
		}
		if e := refusal.As(err); e != nil {
			named := *e
			named.Field = map[string]string{"expires_at": "ends_at", "roles": "role"}[e.Field]
			return &named
		}
		return err
	})
}
