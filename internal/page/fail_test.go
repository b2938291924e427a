package page_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"doorward/internal/refusal"
)

func TestFail(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		reason string
		home   bool
	}{
		{refusal.New(refusal.Invalid, "error.invalid"), 400, "invalid", false},
		{refusal.New(refusal.Unauthenticated, "error.unauthenticated"), 401, "unauthenticated", true},
		{refusal.New(refusal.Forbidden, "error.forbidden"), 403, "forbidden", true},
		{refusal.New(refusal.NotFound, "error.not_found"), 404, "not_found", true},
		{refusal.New(refusal.Conflict, "error.conflict"), 409, "conflict", true},
		{refusal.New(refusal.Expired, "error.expired"), 410, "expired", true},
		{refusal.Wait(3*time.Minute + time.Millisecond), 429, "limited", false},
		{refusal.New(refusal.StepUp, "error.step_up"), 403, "step_up", false},
		{fmt.Errorf("wrapped: %w", refusal.New(refusal.NotFound, "error.not_found")), 404, "not_found", true},
		{&refusal.Error{Code: "unheard_of", Key: "error.forbidden"}, 500, "internal", true},
		{errors.New("canary secret"), 500, "internal", true},
	} {
		for _, lang := range []string{"en", "de", "fr"} {
			b := newBench(t, "http://localhost")
			r := get("/o/x/secret-token")
			r.Header.Set("Accept-Language", lang)
			res := b.serve(r, b.Handle(func(http.ResponseWriter, *http.Request) error { return c.err }))
			text := body(t, res)
			if res.StatusCode != c.status {
				t.Errorf("%v: %d", c.err, res.StatusCode)
			}
			has(t, text, `<html lang="`+lang+`"`, `data-page="error" data-reason="`+c.reason+`"`)
			ref := regexp.MustCompile(`<code id="ref">([a-z2-7]{8})</code>`).FindStringSubmatch(text)
			if ref == nil {
				t.Fatalf("%v: no reference in %s", c.err, text)
			}
			if strings.Contains(text, `href="/"`) != c.home {
				t.Errorf("%v: the link to the start is wrong", c.err)
			}
			hasNot(t, text, "canary", "secret-token", "unheard")
			if c.reason == "internal" {
				if n := strings.Count(b.log.String(), "\n"); n != 1 {
					t.Errorf("%v: logged %d times: %s", c.err, n, b.log)
				}
				has(t, b.log.String(), "ref="+ref[1], "level=ERROR")
				hasNot(t, b.log.String(), "secret-token")
			} else if b.log.Len() > 0 {
				t.Errorf("%v: logged: %s", c.err, b.log)
			}
			if c.reason == "limited" {
				if got := res.Header.Get("Retry-After"); got != "181" {
					t.Errorf("Retry-After is %q", got)
				}
			}
		}
	}
}

func TestFailTellsAllSentences(t *testing.T) {
	b := newBench(t, "http://localhost")
	res := b.serve(get("/"), b.Handle(func(http.ResponseWriter, *http.Request) error {
		return refusal.All(refusal.Field("a", "error.text.invalid"), refusal.Field("b", "error.text.long", "Count", 9))
	}))
	has(t, body(t, res), "cannot be stored", "At most 9 characters.")
}

func TestPanicBecomesAPage(t *testing.T) {
	b := newBench(t, "http://localhost")
	res := b.serve(get("/"), b.Handle(func(http.ResponseWriter, *http.Request) error { panic("canary") }))
	if res.StatusCode != http.StatusInternalServerError {
		t.Errorf("status %d", res.StatusCode)
	}
	hasNot(t, body(t, res), "canary")
	has(t, b.log.String(), "canary", "fail_test.go")

	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("a handler that aborts its connection did not: %v", p)
		}
	}()
	b.serve(get("/"), b.Handle(func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }))
}

func TestRoutes(t *testing.T) {
	b := newBench(t, "http://localhost")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /here", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	mux.HandleFunc("POST /here", func(http.ResponseWriter, *http.Request) {})
	h := b.Routes(mux)
	if res := b.serve(get("/here"), h); res.StatusCode != http.StatusTeapot {
		t.Errorf("a route answered %d", res.StatusCode)
	}
	res := b.serve(get("/there"), h)
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("no route answered %d", res.StatusCode)
	}
	has(t, body(t, res), `data-page="error" data-reason="not_found"`)
	res = b.serve(httptest.NewRequest(http.MethodDelete, "/here", nil), h)
	if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("another method answered %d, Allow %q", res.StatusCode, res.Header.Get("Allow"))
	}
	has(t, body(t, res), `data-page="error"`)
}
