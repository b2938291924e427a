package console

import (
	"net/http"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/id"
	"doorward/internal/page"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/signin"
)

// movesDoc lists the open moves of an MSP, or of all for the provider. A customer has one at most.
type movesDoc struct {
	page.Base
	Moves []account.Moving
	At    string
}

// newMoveDoc is the form that starts a move.
type newMoveDoc struct {
	page.Base
	Action, Back string
	Slug         string // of the customer
	Days         int
}

// moveDoc is a move as one of its sides sees it.
type moveDoc struct {
	page.Base
	Move   account.Moving
	At     string
	Rules  *signin.Moved // for the customer's own people alone: how its sign-in rules change
	Speaks bool          // for its side; a linked account does not
	Cancel bool
}

// ruleChange is a rule that reads differently after the move.
type ruleChange struct {
	Field   policy.Field
	Was, Is string
}

// standing is how a side stands.
type standing struct {
	Side account.Side
	Name string
	At   time.Time // zero: not yet
}

// Standings lists the sides of the move.
func (d *moveDoc) Standings() []standing {
	list := make([]standing, 0, len(account.Sides))
	for _, s := range account.Sides {
		list = append(list, standing{s, d.Move.Names[s], d.Move.Confirmed[s]})
	}
	return list
}

// moveArgs are the names that the sentences about the move name.
func moveArgs(m account.Moving) []any {
	return []any{"Customer", m.CustomerName(), "From", m.GiverName(), "To", m.ReceiverName()}
}

// Says writes a sentence about the move.
func (d *moveDoc) Says(key string) string { return d.T(key, moveArgs(d.Move)...) }

// To is the address of a move: the provider sees it at the customer, where it can cancel it.
func (d *movesDoc) To(m account.Moving) string {
	if m.Side == account.Overseer {
		return "/o/" + m.Slug + "/move/" + string(m.ID)
	}
	return d.At + string(m.ID)
}

// Says writes a sentence about one of the moves.
func (d *movesDoc) Says(key string, m account.Moving) string { return d.T(key, moveArgs(m)...) }

// moves is what somebody can do about moves: the list, the one that is open, or the form that starts one.
func (c *Console) moves(w http.ResponseWriter, r *http.Request, v visit) error {
	list, err := c.Directory.Moves(r.Context(), v.Actor, v.Rights)
	if err != nil {
		return err
	}
	if v.About.Kind == access.Customer {
		if len(list) > 0 {
			return seeOther(w, r, v.path("move/"+string(list[0].ID)))
		}
		if v.Rights.May(access.OrgMoveStart) {
			return c.showNewMove(w, r, v, http.StatusOK, page.Form{})
		}
	}
	return c.pages.Render(w, r, http.StatusOK, "org.moves", &movesDoc{Base: c.base(v, "org.moves", "moves.title"), Moves: list, At: v.path("move/")})
}

func (c *Console) showNewMove(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	doc := &newMoveDoc{Base: c.base(v, "org.move.new", "move.new.title", "Customer", v.About.Name), Action: v.path("move"), Back: v.path("settings"),
		Slug: v.About.Slug, Days: int(account.MoveLife / (24 * time.Hour))}
	doc.Form = f
	return c.pages.Render(w, r, status, "org.move.new", doc)
}

func (c *Console) startMove(w http.ResponseWriter, r *http.Request, v visit) error {
	if v.About.Kind != access.Customer {
		return refusal.New(refusal.NotFound, "error.not_found")
	}
	values, err := c.form(w, r, v)
	var m account.Move
	if err == nil {
		var typed map[string]string
		if typed, err = take(values, "to", "reason", "confirm_move"); err == nil {
			m, err = c.Directory.StartMove(r.Context(), v.Actor, v.About.ID, account.Started{To: typed["to"], Reason: typed["reason"], Confirm: typed["confirm_move"]})
		}
	}
	if err != nil {
		if !again(err) {
			return err
		}
		return c.showNewMove(w, r, v, status(w, err), page.FormOf(values, err))
	}
	return c.done(w, r, v.path("move/"+string(m.ID)), "move.started", "Customer", v.About.Name)
}

func (c *Console) move(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showMove(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showMove(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	which, err := inPath[id.Move](r, "move")
	if err != nil {
		return err
	}
	m, err := c.Directory.Move(r.Context(), v.Actor, v.About.ID, which)
	if err != nil {
		return err
	}
	doc := &moveDoc{Base: c.base(v, "org.move", "move.title", moveArgs(m)...), Move: m, At: v.path("move/" + string(m.ID)),
		Speaks: m.Awaits() && !v.Account.Linked(), Cancel: m.State == account.MoveOpen && m.Side == account.Overseer && v.Rights.May(access.OrgMoveStart)}
	doc.Form = f
	if m.State == account.MoveOpen && m.Side == account.Customer && !v.Account.Linked() && v.Rights.May(access.PolicyView) {
		would, err := c.Desk.PreviewMove(r.Context(), v.Actor, m.Org, m.To)
		if err != nil {
			return err
		}
		doc.Rules = &would
	}
	return c.pages.Render(w, r, status, "org.move", doc)
}

// RuleChanges lists the sign-in rules that read differently after the move.
func (d *moveDoc) RuleChanges() (list []ruleChange) {
	for _, f := range signin.Fields {
		was, is := effect(d.Self(), d.Rules.Was, f, d.Location), effect(d.Self(), d.Rules.Is, f, d.Location)
		if was != is {
			list = append(list, ruleChange{f, was, is})
		}
	}
	return list
}

// answerMove runs what somebody does about a move; what is refused is told on its page.
func (c *Console) answerMove(w http.ResponseWriter, r *http.Request, v visit, operation func(id.Move, map[string]string) (to, key string, err error)) error {
	which, err := inPath[id.Move](r, "move")
	if err != nil {
		return err
	}
	m, err := c.Directory.Move(r.Context(), v.Actor, v.About.ID, which) // for the names, while it can still be seen
	if err != nil {
		return err
	}
	values, err := c.form(w, r, v)
	var typed map[string]string
	if err == nil {
		typed, err = take(values, "reason")
	}
	var to, key string
	if err == nil {
		to, key, err = operation(which, typed)
	}
	if err == nil {
		return c.done(w, r, to, key, moveArgs(m)...)
	}
	if !again(err) {
		return err
	}
	return c.showMove(w, r, v, status(w, err), page.FormOf(values, err))
}

func (c *Console) confirmMove(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.answerMove(w, r, v, func(m id.Move, _ map[string]string) (string, string, error) {
		moved, err := c.Directory.ConfirmMove(r.Context(), v.Actor, v.About.ID, m)
		if moved { // who was in the customer from above may not be any more
			return v.Visitor.Org.HomePath(), "move.done", err
		}
		return v.path("move/" + string(m)), "move.confirmed", err
	})
}

func (c *Console) declineMove(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.answerMove(w, r, v, func(m id.Move, typed map[string]string) (string, string, error) {
		return v.path("move/" + string(m)), "move.declined", c.Directory.DeclineMove(r.Context(), v.Actor, v.About.ID, m, typed["reason"])
	})
}

func (c *Console) cancelMove(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.answerMove(w, r, v, func(m id.Move, _ map[string]string) (string, string, error) {
		return v.path("move/" + string(m)), "move.cancelled", c.Directory.CancelMove(r.Context(), v.Actor, v.About.ID, m)
	})
}

// movesNotice asks for the confirmations that wait for the visitor, on the dashboard of their organisation; nil when none does.
func (c *Console) movesNotice(r *http.Request, v visit) (*page.Flash, error) {
	list, err := c.Directory.AwaitedMoves(r.Context(), v.Actor, v.Rights)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	f := &page.Flash{Kind: "warn", Key: "move.waits", Args: append(moveArgs(list[0]), "Count", len(list)), Href: v.path("move"), Link: "move.look"}
	if len(list) == 1 {
		f.Href = v.path("move/" + string(list[0].ID))
	}
	return f, nil
}
