package console

import (
	"net/http"
	"net/url"
	"strconv"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/page"
	"doorward/internal/refusal"
)

// What is done to many people begins on their list: some are ticked, or all that the list finds; a page says what will happen to how many; a few are
// worked off by the answer, more by a job. The list's filter stays in the address all the way.

// bulkDoc asks before something is done to many people.
type bulkDoc struct {
	page.Base
	Action, Back string
	Act          account.Act
	Count        int
	People       []account.Account // the first of them
	More         int               // beyond those
	Later        bool              // more than a request takes
	Roles        []page.Option     // with an act on roles
	Groups       []page.Option     // with one on groups
	Kept         []kept
}

// bulkDoneDoc says what became of each person.
type bulkDoneDoc struct {
	page.Base
	Back          string
	Act           account.Act
	Rows          []account.Done
	Done, Refused int
}

// namedInBulk is how many people the question names.
const namedInBulk = 10

// actOptions returns the acts that the visitor can do to others.
func actOptions(v visit) (list []page.Option) {
	for _, a := range account.Acts {
		if a.Offered(v.Rights) {
			list = append(list, page.Option{Value: string(a), Key: "bulk.act." + string(a)})
		}
	}
	return list
}

// toPeople answers the address of a form that was sent for who loads it again.
func (c *Console) toPeople(w http.ResponseWriter, r *http.Request, v visit) error {
	return seeOther(w, r, v.path("users")+sameQuery(r))
}

// sameQuery returns the query of an address, with its question mark.
func sameQuery(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	return "?" + r.URL.Query().Encode()
}

func (c *Console) bulk(w http.ResponseWriter, r *http.Request, v visit) error {
	if len(actOptions(v)) == 0 {
		return c.denied(r, v, access.PeopleEdit)
	}
	values, err := c.form(w, r, v)
	var typed map[string]string
	if err == nil {
		typed, err = take(values, "action", "all", "step", "count", "role", "group")
	}
	act := account.Act(typed["action"])
	var people []account.Account
	if err == nil {
		people, err = c.picked(r, v, act, values["account"], typed["all"] != "")
	}
	if err != nil {
		if !again(err) {
			return err
		}
		return c.showPeople(w, r, v, status(w, err), page.FormOf(values, err))
	}
	in := account.Bulk{Act: act, Role: typed["role"]}
	if g, ok := id.Parse[id.Group](typed["group"]); ok {
		in.Group = g
	}
	if typed["step"] == stepRun {
		if typed["count"] == strconv.Itoa(len(people)) {
			err = c.runBulk(w, r, v, in, people)
		} else {
			err = refusal.New(refusal.Conflict, "bulk.changed")
		}
		if err == nil || !again(err) {
			return err
		}
	}
	return c.askBulk(w, r, v, act, people, values, err)
}

// denied notes and returns the refusal of a right.
func (c *Console) denied(r *http.Request, v visit, p access.Permission) error {
	e := refusal.New(refusal.Forbidden, "error.forbidden")
	e.Denied = true
	return c.Book.Refusal(r.Context(), v.Actor, audit.Action(p), e)
}

// picked returns the people whom a form names: those that are ticked, or all that the list finds.
func (c *Console) picked(r *http.Request, v visit, act account.Act, ticked []string, all bool) ([]account.Account, error) {
	known := false
	for _, a := range account.Acts {
		known = known || a == act
	}
	switch {
	case !known:
		return nil, refusal.Field("action", "bulk.action_missing")
	case !act.Offered(v.Rights):
		return nil, c.denied(r, v, access.PeopleEdit)
	case all:
		_, f := c.peopleFilter(r.URL.Query())
		list, err := account.Choose(c.DB.Read(r.Context()), v.About.ID, f, account.MostBulk)
		if err == nil && len(list) == 0 {
			err = refusal.New(refusal.Conflict, "bulk.nobody")
		}
		return list, err
	case len(ticked) == 0:
		return nil, refusal.New(refusal.Conflict, "bulk.nobody")
	case len(ticked) > account.MostAtOnce:
		return nil, refusal.New(refusal.Conflict, "bulk.many", "Most", account.MostAtOnce)
	}
	var list []account.Account
	seen := map[id.Account]bool{}
	for _, text := range ticked {
		a, ok := id.Parse[id.Account](text)
		if !ok {
			return nil, refusal.New(refusal.Invalid, "error.form")
		}
		if seen[a] {
			continue
		}
		seen[a] = true
		who, err := account.Find(c.DB.Read(r.Context()), v.About.ID, a)
		if refusal.Is(err, refusal.NotFound) { // gone meanwhile, or never one of theirs
			if err := c.Book.Refusal(r.Context(), v.Actor, audit.Action(access.PeopleEdit), err); refusal.As(err) == nil {
				return nil, err
			}
			return nil, refusal.New(refusal.Conflict, "bulk.gone")
		}
		if err != nil {
			return nil, err
		}
		list = append(list, who)
	}
	return list, nil
}

func (c *Console) askBulk(w http.ResponseWriter, r *http.Request, v visit, act account.Act, people []account.Account, values url.Values, failed error) error {
	doc := &bulkDoc{Base: c.base(v, "users.bulk", "bulk.act."+string(act)), Action: v.path("users/bulk") + sameQuery(r), Back: v.path("users") + sameQuery(r), Act: act,
		Count: len(people), People: people[:min(namedInBulk, len(people))], Later: len(people) > account.MostAtOnce}
	doc.More = doc.Count - len(doc.People)
	doc.Kept = []kept{{"action", string(act)}, {"count", strconv.Itoa(doc.Count)}}
	if values.Get("all") != "" {
		doc.Kept = append(doc.Kept, kept{"all", "1"})
	} else {
		for _, p := range people {
			doc.Kept = append(doc.Kept, kept{"account", string(p.ID)})
		}
	}
	code := http.StatusOK
	if failed != nil {
		code, doc.Form = status(w, failed), page.FormOf(values, failed)
	}
	switch act {
	case account.ActGiveRole, account.ActTakeRole:
		for _, o := range c.roleOptions(v, v.Rights.Assignable(), values["role"]) {
			if o.Refused == "" {
				doc.Roles = append(doc.Roles, o)
			}
		}
	case account.ActGroup, account.ActLeaveGroup:
		groups, err := c.groupOptions(r, v)
		if err != nil {
			return err
		}
		doc.Groups = chosen(values.Get("group"), groups...)
	}
	return c.pages.Render(w, r, code, "users.bulk", doc)
}

// runBulk does it: at once to a few, as a job to more.
func (c *Console) runBulk(w http.ResponseWriter, r *http.Request, v visit, in account.Bulk, people []account.Account) error {
	if len(people) > account.MostAtOnce {
		job, err := c.Jobs.Begin(r.Context(), v.Actor, v.About.ID, in, people)
		if err != nil {
			return err
		}
		return seeOther(w, r, v.path("jobs/"+string(job)))
	}
	ids := make([]id.Account, 0, len(people))
	for _, p := range people {
		ids = append(ids, p.ID)
	}
	rows, err := c.Jobs.AtOnce(r.Context(), v.Actor, v.About.ID, in, ids)
	if err != nil {
		return err
	}
	doc := &bulkDoneDoc{Base: c.base(v, "users.bulk.done", "bulk.act."+string(in.Act)), Back: v.path("users") + sameQuery(r), Act: in.Act, Rows: rows}
	for i, row := range rows {
		if doc.Rows[i].Email == "" {
			doc.Rows[i].Email = people[i].Email
		}
		if row.Err == nil {
			doc.Done++
		} else {
			doc.Refused++
		}
	}
	return c.pages.Render(w, r, http.StatusOK, "users.bulk.done", doc)
}
