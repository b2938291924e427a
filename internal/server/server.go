package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/console"
	"doorward/internal/entry"
	"doorward/internal/locale"
	"doorward/internal/mail"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/page"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Server is the house with its surfaces.
type Server struct {
	*House
	Kit     *page.Kit
	Entry   *entry.Entry
	Console *console.Console
	Handler http.Handler

	metrics  *metrics // nil unless they are asked for
	renderer *mail.Renderer
	sender   mail.Sender
}

// New builds the surfaces over a house. The error is one line for the operator: a setting that does not fit, a mail folder that cannot be
// written.
func New(h *House) (*Server, error) {
	s := &Server{House: h}
	public, err := h.Settings.Public()
	if err != nil {
		return nil, err
	}
	proxies, err := h.Settings.Proxies()
	if err != nil {
		return nil, err
	}
	catalogue, err := locale.Load(func(l locale.Language, key string, err error) {
		h.Log.Error("missing text", "language", l, "key", key, "error", err)
	})
	if err != nil {
		return nil, err
	}
	if err := s.openMail(catalogue); err != nil {
		return nil, err
	}
	if s.Kit, err = page.New(page.Options{PublicURL: public, Catalogue: catalogue, Log: h.Log, Now: h.Now}); err != nil {
		return nil, err
	}
	client := clients(proxies)
	s.Entry = &entry.Entry{DB: h.DB, Kit: s.Kit, Desk: h.Desk, Directory: h.Directory, Client: client}
	s.Console = &console.Console{DB: h.DB, Kit: s.Kit, Desk: h.Desk, Directory: h.Directory, Jobs: h.Jobs, Guard: h.Guard, Book: h.Book, Vault: h.Vault,
		Now: h.Now, Client: client, Stranger: s.Entry.Welcome}
	if _, err := s.Entry.Pages(); err != nil {
		return nil, err
	}
	if _, err := s.Console.Pages(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/assets/", s.Kit.Assets())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	for _, r := range s.Entry.Routes() {
		mux.Handle(r.Pattern, s.Kit.Handle(r.Handle))
	}
	for _, r := range s.Console.Routes() {
		mux.Handle(r.Pattern, s.Kit.Handle(r.Handle))
	}
	deny := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Kit.Fail(w, r, refusal.New(refusal.Forbidden, "error.cross_origin"))
	})
	own := ownOrigin(public.String(), deny, s.Kit.Routes(mux))
	s.Handler = s.Kit.Wrap(bounded(s.requests(own, client)))
	if h.Settings.MetricsListen != "" {
		s.metrics = newMetrics(s)
		s.Handler = s.metrics.wrap(s.Handler, mux)
	}
	return s, nil
}

// bounded limits the body of a request: to 1 MB, and where a file is uploaded to what that takes.
func bounded(next http.Handler) http.Handler {
	small, file, logo := http.MaxBytesHandler(next, 1<<20), http.MaxBytesHandler(next, console.MostUpload), http.MaxBytesHandler(next, console.MostLogoUpload)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch inOrg := strings.HasPrefix(r.URL.Path, "/o/"); {
		case inOrg && strings.HasSuffix(r.URL.Path, "/users/import"):
			file.ServeHTTP(w, r)
		case inOrg && strings.HasSuffix(r.URL.Path, "/settings/branding"):
			logo.ServeHTTP(w, r)
		default:
			small.ServeHTTP(w, r)
		}
	})
}

// requests carries the request's id into the events and logs one line per request, without its path: that may hold a token.
func (s *Server) requests(next http.Handler, client func(*http.Request) access.Client) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ref := page.Ref(r.Context())
		r = r.WithContext(audit.WithRequest(r.Context(), ref))
		if !s.Log.Enabled(r.Context(), slog.LevelDebug) {
			next.ServeHTTP(w, r)
			return
		}
		start := time.Now()
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(rec, r)
		s.Log.Debug("request", "ref", ref, "method", r.Method, "route", r.Pattern, "status", rec.status, "took", time.Since(start),
			"client", client(r).Address)
	})
}

type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	status, err := s.DB.Status(r.Context())
	switch {
	case err != nil:
		s.Log.Error("not ready", "error", err)
		plain(w, http.StatusServiceUnavailable, "database not reachable")
	case !status.Current():
		plain(w, http.StatusServiceUnavailable, "migrations not current")
	default:
		plain(w, http.StatusOK, "ok")
	}
}

func (s *Server) openMail(catalogue *locale.Catalogue) error {
	public, err := s.Settings.Public()
	if err != nil {
		return err
	}
	from, err := s.Settings.From()
	if err != nil {
		return err
	}
	if s.renderer, err = mail.NewRenderer(catalogue, public, from); err != nil {
		return err
	}
	switch {
	case s.Settings.MailDir != "":
		s.sender, err = mail.NewFolder(s.Settings.MailDir)
	case s.Settings.SMTP != "":
		var smtp *mail.SMTP
		if smtp, err = mail.NewSMTP(s.Settings.SMTP); err == nil {
			smtp.Name = public.Hostname()
			s.sender = smtp
		}
	default:
		err = errors.New("no way to send mail: set --smtp, or --mail-dir to write mails as files")
	}
	s.Queue.Deliver = s.deliver
	s.Queue.Permanent = func(err error) bool { return mail.Permanent(err) || refusal.Is(err, refusal.NotFound) }
	return err
}

// deliver looks up whom a message is for, writes it in that person's language, and sends it.
func (s *Server) deliver(ctx context.Context, m outbox.Message) error {
	tx := s.DB.Read(ctx)
	a, err := account.Find(tx, m.Org, m.Account)
	if err != nil {
		return err
	}
	o, err := org.Find(tx, m.Org)
	if err != nil {
		return err
	}
	language := a.Language
	if language == "" {
		language = o.Language
	}
	public, err := s.Settings.Public()
	if err != nil {
		return err
	}
	look, err := lookOf(tx, o.Brand)
	if err != nil {
		return err
	}
	to := a.Email
	if d, ok := m.Data.(outbox.Elsewhere); ok {
		to = d.To()
	}
	letter, err := s.renderer.Render(mail.Letter{ID: string(m.ID), To: to, Name: a.Name, Language: language, OrgName: o.Name,
		OrgURL: public.String() + o.SignInPath(), Location: o.Location(), Data: m.Data, Look: look})
	if err != nil {
		return err
	}
	return s.sender.Send(ctx, letter)
}

// lookOf is what mails of an organisation look like.
func lookOf(tx sqldb.Tx, b org.Brand) (l mail.Look, err error) {
	if light, dark, ok := b.Tones(); ok {
		l.Light = mail.Paint{Fill: light.Accent.String(), Text: light.Text.String(), Link: light.Link.String()}
		l.Dark = mail.Paint{Fill: dark.Accent.String(), Text: dark.Text.String(), Link: dark.Link.String()}
	}
	l.Logo, err = org.MailPicture(tx, b)
	return l, err
}

const drain = 15 * time.Second

// Run serves until ctx ends, then drains. ready is called with the address once requests are taken; nil is fine.
func Run(ctx context.Context, h *House, ready func(addr string)) error {
	s, err := New(h)
	if err != nil {
		return err
	}
	return s.Serve(ctx, ready)
}

// Serve listens, delivers mail and tidies up until ctx ends; then it takes no more requests, finishes the running ones and returns.
func (s *Server) Serve(ctx context.Context, ready func(addr string)) error {
	l, err := net.Listen("tcp", s.Settings.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", s.Settings.Listen, err)
	}
	web := &http.Server{Handler: s.Handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 60 * time.Second, WriteTimeout: 90 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug)}
	if s.Settings.TLSCert != "" || s.Settings.TLSKey != "" {
		cert, err := tls.LoadX509KeyPair(s.Settings.TLSCert, s.Settings.TLSKey)
		if err != nil {
			return errors.Join(fmt.Errorf("tls-cert, tls-key: %w", err), l.Close())
		}
		web.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	s.Hasher.MakeRoom()
	work, stop := context.WithCancel(context.Background())
	if s.metrics != nil {
		if err := s.serveMetrics(work, s.metrics); err != nil {
			stop()
			return errors.Join(err, l.Close())
		}
	}
	var workers sync.WaitGroup
	workers.Go(func() { s.Queue.Run(work) })
	workers.Go(func() { s.Jobs.Run(work) })
	workers.Go(func() { s.sweep(work) })
	failed := make(chan error, 1)
	go func() {
		if web.TLSConfig != nil {
			failed <- web.ServeTLS(l, "", "")
			return
		}
		failed <- web.Serve(l)
	}()
	if ready != nil {
		ready(l.Addr().String())
	}
	select {
	case err = <-failed:
	case <-ctx.Done():
		end, cancel := context.WithTimeout(context.Background(), drain)
		if err = web.Shutdown(end); err != nil {
			err = errors.Join(err, web.Close())
		}
		cancel()
	}
	stop()
	workers.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// sweep deletes what has been over for a day, warns of what ends soon, and judges how people stand to the rules.
func (s *Server) sweep(ctx context.Context) {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := errors.Join(s.Desk.Sweep(ctx), s.Gate.Sweep(ctx), s.Directory.WarnExpiry(ctx), s.Directory.Purge(ctx), s.Jobs.Sweep(ctx), s.Directory.PurgePeople(ctx), s.Desk.Judge(ctx)); err != nil && ctx.Err() == nil {
				s.Log.Error("sweep", "error", err)
			}
		}
	}
}
