package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/factor"
	"doorward/internal/org"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/server"
	"doorward/internal/signin"
	"doorward/internal/sqldb"
)

type benchListsCommand struct {
	Rounds   int    `help:"How often each page is asked for." default:"20"`
	Password string `required:"" help:"The one that bench fill was given, or has shown." placeholder:"PASSWORD"`
}

// Run measures the pages with lists in a database that bench fill has filled, as the administrators that it made. Times are from outside: a
// request over the loop-back interface until the whole page is there, one after the other.
func (c *benchListsCommand) Run(ctx context.Context, t *terminal) (err error) {
	if c.Rounds < 1 || c.Rounds > 1000 {
		return errors.New("bench lists: --rounds is 1 to 1000")
	}
	if t.settings.SMTP == "" && t.settings.MailDir == "" { // a server wants one; nothing is sent here
		if t.settings.MailDir, err = os.MkdirTemp("", "doorward-bench-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(t.settings.MailDir)) }()
	}
	h, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	srv, err := server.New(h)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	web := &http.Server{Handler: srv.Handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = web.Serve(l) }()
	defer func() { _ = web.Close() }()
	b := &listBench{House: h, srv: srv, base: "http://" + l.Addr().String(), command: c, progress: newProgress(t.screen)}
	rows, err := b.run(ctx)
	b.progress.end()
	if err != nil {
		return err
	}
	if err := t.say("%s, %d rounds", h.DB.Dialect, c.Rounds); err != nil {
		return err
	}
	return t.table(rows)
}

// listBench is one run.
type listBench struct {
	*server.House
	srv      *server.Server
	base     string
	command  *benchListsCommand
	progress *progress
}

// listPages are pages of one kind, below the address of an organisation.
type listPages struct {
	name  string
	slug  string
	paths []string
	deep  bool // on to the pages after it, as long as there are some
}

// pages are the ones that are measured.
func (b *listBench) pages() []listPages {
	sorts := func(path string, orders []string) (list []string) {
		for _, o := range orders {
			list = append(list, path+"sort="+o, path+"sort=-"+o)
		}
		return list
	}
	people, children := []string{}, []string{}
	for _, o := range account.Orders {
		people = append(people, string(o))
	}
	for _, o := range org.Orders {
		children = append(children, string(o))
	}
	searches := func(path string) (list []string) {
		for _, q := range []string{"a", "m", "z", "an", "ma", "be", "mar", "sch", "anna", "lindq", "anna.b", "ümit", "zzz"} {
			list = append(list, path+"q="+q)
		}
		return list
	}
	var filters, rare []string
	for _, o := range []string{"", "&sort=name", "&sort=-seen", "&sort=-created"} {
		for _, f := range []string{"state=active", "state=invited", "state=disabled", "role=core", "role=auditor", "factor=any", "factor=none", "factor=totp", "factor=passkey", "source=own", "source=linked",
			"seen=never", "seen=week", "seen=month", "seen=quarter"} {
			filters = append(filters, "users?"+f+o)
		}
		rare = append(rare, "users?role=core&factor=none&seen=quarter"+o, "users?q=z&state=disabled&role=auditor&factor=passkey"+o, "users?role=core&factor=any&state=invited"+o,
			"users?q=s&role=core&factor=none&source=own"+o)
	}
	return []listPages{
		{"dashboard, customer of 20,000 people", fillCustomer, []string{""}, false},
		{"dashboard, MSP", fillMSP, []string{""}, false},
		{"dashboard, provider", fillProvider, []string{""}, false},
		{"people, each order", fillCustomer, sorts("users?", people), false},
		{"people, twenty pages on", fillCustomer, sorts("users?", people), true},
		{"people, search", fillCustomer, searches("users?"), false},
		{"people, one filter", fillCustomer, filters, false},
		{"people, several filters", fillCustomer, rare, false},
		{"people, narrowed, twenty pages on", fillCustomer, []string{"users?state=active", "users?role=core&sort=-seen", "users?factor=none&sort=name", "users?q=m&sort=created"}, true},
		{"customers of an MSP, each order", fillMSP, sorts("orgs?", children), false},
		{"customers of an MSP, twenty pages on", fillMSP, sorts("orgs?", children), true},
		{"customers of an MSP, search and filter", fillMSP, append(searches("orgs?"), "orgs?state=suspended", "orgs?state=active&sort=-seats", "orgs?tag=gold", "orgs?tag=pilot&sort=-created"), false},
		{"organisations of the provider", fillProvider, append(sorts("orgs?", children), "orgs?kind=msp", "orgs?kind=customer&sort=-created"), false},
		{"organisations of the provider, search", fillProvider, searches("orgs?"), false},
		{"seats of an MSP's customers", fillMSP, []string{"seats"}, false},
		{"search everywhere, customer", fillCustomer, searches("search?"), false},
		{"search everywhere, MSP", fillMSP, searches("search?"), false},
		{"search everywhere, provider", fillProvider, searches("search?"), false},
	}
}

func (b *listBench) run(ctx context.Context) ([][]string, error) {
	cookies := map[string]*http.Cookie{}
	for _, slug := range []string{fillProvider, fillMSP, fillCustomer} {
		session, err := b.signIn(ctx, slug)
		if err != nil {
			return nil, fmt.Errorf("bench lists: %s: %w", slug, err)
		}
		cookies[slug] = &http.Cookie{Name: b.srv.Kit.Cookie("session"), Value: string(session)}
	}
	rows := [][]string{{"", "pages", "p50", "p95", "slowest", ""}}
	pages := b.pages()
	for i, p := range pages {
		var took []time.Duration
		var slowest time.Duration
		worst := ""
		for round := range b.command.Rounds {
			for _, path := range p.paths {
				pages := 1
				if p.deep {
					pages = 20
				}
				for at := path; pages > 0; pages-- {
					d, next, err := b.ask(ctx, p.slug, at, cookies[p.slug])
					if err != nil {
						return nil, err
					}
					if round > 0 || b.command.Rounds == 1 { // the first one warms up
						took = append(took, d)
						if d > slowest {
							slowest, worst = d, at
						}
					}
					if at = next; next == "" {
						break
					}
				}
			}
			b.progress.share("lists", (float64(i)+float64(round)/float64(b.command.Rounds))/float64(len(pages)))
		}
		slices.Sort(took)
		if len(worst) > 60 {
			worst = worst[:60] + "…"
		}
		ms := func(d time.Duration) string { return strconv.FormatFloat(float64(d)/1e6, 'f', 1, 64) + " ms" }
		rows = append(rows, []string{p.name, strconv.Itoa(len(took)), ms(took[len(took)/2]), ms(took[len(took)*95/100]), ms(slowest), worst})
	}
	return rows, nil
}

var nextPage = regexp.MustCompile(`href="\?([^"]*)" rel="next"`)

// ask returns how long a page took, and the path of the page after it.
func (b *listBench) ask(ctx context.Context, slug, path string, cookie *http.Cookie) (took time.Duration, next string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.base+"/o/"+slug+"/"+path, nil)
	if err != nil {
		return 0, "", err
	}
	r.AddCookie(cookie)
	began := time.Now()
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(res.Body)
	took = time.Since(began)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return 0, "", err
	}
	if res.StatusCode != http.StatusOK {
		return 0, "", fmt.Errorf("bench lists: %s is answered %d", path, res.StatusCode)
	}
	if found := nextPage.FindSubmatch(body); found != nil {
		before, _, _ := strings.Cut(path, "?")
		next = before + "?" + html.UnescapeString(string(found[1]))
	}
	return took, next, nil
}

// signIn opens a session of the organisation's administrator, with an authenticator app of its own, in place of the one of an earlier run.
func (b *listBench) signIn(ctx context.Context, slug string) (secret.Text, error) {
	o, err := org.BySlug(b.DB.Read(ctx), slug)
	if refusal.Is(err, refusal.NotFound) {
		return "", errors.New("there is no such organisation; `doorward bench fill` makes it")
	}
	if err != nil {
		return "", err
	}
	a, ok, err := account.ByIdentifier(b.DB.Read(ctx), o.ID, fillAdmin+slug)
	if err != nil || !ok {
		return "", errors.Join(err, errors.New("its administrator is gone"))
	}
	const app = "bench lists"
	key := ""
	if err := b.DB.Write(ctx, func(tx sqldb.Tx) error {
		held, err := factor.List(tx, a.ID)
		if err != nil {
			return err
		}
		for _, f := range held {
			if f.Kind == factor.TOTP && f.Name == app {
				if _, err := factor.Remove(tx, a.ID, f.ID); err != nil {
					return err
				}
			}
		}
		key, err = bindApp(tx, b.House, o.ID, a.ID, a.Email, app)
		return err
	}); err != nil {
		return "", err
	}
	client := access.Client{Address: "127.0.0.1"}
	p, err := b.Desk.Begin(ctx, signin.Start{Org: o, Slug: slug, Identifier: a.Email, Client: client})
	if err != nil {
		return "", err
	}
	if p, err = b.Desk.Password(ctx, p.Key, secret.Text(b.command.Password), client, signin.Held{}); err != nil {
		return "", err
	}
	code, err := factor.CodeAt(key, b.Now())
	if err != nil {
		return "", err
	}
	if p, err = b.Desk.Code(ctx, p.Key, code, false, client, signin.Held{}); err != nil {
		return "", err
	}
	if p.Finished == nil { // a passkey is offered
		if p, err = b.Desk.Offer(ctx, p.Key, false, client, signin.Held{}); err != nil {
			return "", err
		}
	}
	if p.Finished == nil {
		return "", errors.New("the sign-in asks for more")
	}
	return p.Finished.Secret, nil
}
