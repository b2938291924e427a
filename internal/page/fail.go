package page

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"doorward/internal/refusal"
)

// internal stands beside the codes of refusals for every error that is none.
const internal refusal.Code = "internal"

// statuses are the HTTP answers to the codes (RFC 9110 section 15.5, RFC 6585 section 4 for 429).
var statuses = map[refusal.Code]int{
	refusal.Invalid:         http.StatusBadRequest,
	refusal.Unauthenticated: http.StatusUnauthorized,
	refusal.Forbidden:       http.StatusForbidden,
	refusal.NotFound:        http.StatusNotFound,
	refusal.Conflict:        http.StatusConflict,
	refusal.Expired:         http.StatusGone,
	refusal.Limited:         http.StatusTooManyRequests,
	refusal.StepUp:          http.StatusForbidden,
	internal:                http.StatusInternalServerError,
}

// Handle makes a handler of one that may return an error; the error, or a panic, becomes its page (Fail).
func (k *Kit) Handle(h func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				k.Fail(w, r, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		if err := h(w, r); err != nil {
			k.Fail(w, r, err)
		}
	})
}

// errorDoc is the page of an error.
type errorDoc struct {
	Base
	Sentences []string // what happened
	Ref       string   // to quote
	Home      bool     // a link to the start is of use
}

// Fail answers with the page of an error: what happened, what to do next, and a short id to quote. What is not a refusal is
// logged, once, with that id, and shown as internal only.
func (k *Kit) Fail(w http.ResponseWriter, r *http.Request, err error) {
	refused, status := k.refused(r, err)
	code := refused.Code
	if code == refusal.Limited && refused.Wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((refused.Wait+time.Second-1)/time.Second))) // RFC 9110 section 10.2.3
	}
	p := k.catalogue.In(k.language(r, LayoutCard))
	doc := &errorDoc{Base: Base{Page: "error", Reason: string(code), Title: "error.title." + string(code)}, Ref: requestOf(r).ref}
	for _, e := range append([]*refusal.Error{refused}, refused.More...) {
		doc.Sentences = append(doc.Sentences, p.TMap(e.Key, e.Args))
	}
	switch code {
	case refusal.NotFound, refusal.Forbidden, refusal.Expired, refusal.Conflict, refusal.Unauthenticated, internal:
		doc.Home = r.URL.Path != "/"
	}
	if err := k.own.Render(w, r, status, "error", doc); err != nil {
		k.log.ErrorContext(r.Context(), "the error page failed", slog.String("ref", doc.Ref), slog.Any("error", err))
		http.Error(w, http.StatusText(status), status)
	}
}

// refused returns err as a refusal with its status, and logs it when it is internal.
func (k *Kit) refused(r *http.Request, err error) (*refusal.Error, int) {
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return refusal.New(refusal.Invalid, "error.large"), http.StatusRequestEntityTooLarge
	}
	if errors.Is(err, errMediaType) {
		return refusal.New(refusal.Invalid, "error.form"), http.StatusUnsupportedMediaType
	}
	if e := refusal.As(err); e != nil {
		if status, ok := statuses[e.Code]; ok {
			return e, status
		}
	}
	level := slog.LevelError
	if r.Context().Err() != nil {
		level = slog.LevelDebug // the browser went away: nobody's fault
	}
	k.log.Log(r.Context(), level, "request failed", slog.String("ref", requestOf(r).ref), slog.String("method", r.Method),
		slog.String("route", r.Pattern), slog.Any("error", err)) // never the path: it may hold a token
	return refusal.New(internal, "error.internal"), http.StatusInternalServerError
}

// Routes serves mux with our own pages where it has no route: 404, and 405 with Allow.
func (k *Kit) Routes(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		probe := &unrouted{header: http.Header{}}
		h.ServeHTTP(probe, r)
		if probe.status != http.StatusMethodNotAllowed {
			k.Fail(w, r, refusal.New(refusal.NotFound, "error.not_found"))
			return
		}
		w.Header()["Allow"] = probe.header["Allow"]
		doc := &errorDoc{Base: Base{Page: "error", Reason: "not_found", Title: "error.title.not_found"}, Ref: requestOf(r).ref, Home: true}
		doc.Sentences = []string{k.catalogue.In(k.language(r, LayoutCard)).T("error.method")}
		if err := k.own.Render(w, r, http.StatusMethodNotAllowed, "error", doc); err != nil {
			k.Fail(w, r, err)
		}
	})
}

// unrouted takes the answer of a mux that knows no route.
type unrouted struct {
	header http.Header
	status int
}

func (u *unrouted) Header() http.Header         { return u.header }
func (u *unrouted) WriteHeader(status int)      { u.status = status }
func (u *unrouted) Write(b []byte) (int, error) { return len(b), nil }
