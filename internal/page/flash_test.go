package page_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"
)

// flashed returns the Cookie header of a browser after SetFlash, "" when none was set.
func (b bench) flashed(kind, key string, args ...any) string {
	res := b.serve(get("/"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.SetFlash(w, r, kind, key, args...) }))
	cookie, _, _ := strings.Cut(res.Header.Get("Set-Cookie"), ";")
	return cookie
}

func TestFlashIsShownOnce(t *testing.T) {
	b := newBench(t, "http://localhost")
	cookie := b.flashed("good", "page.progress", "Done", 1204, "Total", `<b>`)
	if cookie == "" {
		t.Fatal("no cookie")
	}
	res := b.show(t, get("/", cookie), "bare", newSample())
	has(t, body(t, res), `<div class="notice good" role="status">`, "1,204 of &lt;b&gt;")
	has(t, res.Header.Get("Set-Cookie"), "door-flash=; Path=/; Max-Age=0")
	hasNot(t, body(t, b.show(t, get("/"), "bare", newSample())), "notice")

	has(t, body(t, b.show(t, get("/", b.flashed("warn", "error.limited", "Wait", 4*time.Minute)), "bare", newSample())), "4 minutes")
	has(t, body(t, b.show(t, get("/", b.flashed("bad", "field.password.min", "Count", 1)), "bare", newSample())), "At least 1 character<")

	head := get("/", cookie)
	head.Method = http.MethodHead
	if got := b.show(t, head, "bare", newSample()).Header.Get("Set-Cookie"); got != "" {
		t.Errorf("a HEAD request took the message: %q", got)
	}
	if got := b.flashed("good", "page.progress", "Done", strings.Repeat("x", 3000)); got != "" {
		t.Error("a message too long for a cookie was set")
	}
}

func TestForgedFlashShowsNothing(t *testing.T) {
	b := newBench(t, "http://localhost")
	for _, forged := range []string{
		"", "x", "[", `[]`, `["good"]`, `["good","no.such.key"]`, `["good","page.menu","A"]`, `["good","page.menu","A",""]`,
		`["good","page.menu","A","x1"]`, `["evil","page.menu"]`, `{"good":"page.menu"}`, `["good","page.progress","Done","iNaN"]`,
	} {
		cookie := "door-flash=" + base64.RawURLEncoding.EncodeToString([]byte(forged))
		res := b.show(t, get("/", cookie), "bare", newSample())
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", forged, res.StatusCode)
		}
		hasNot(t, body(t, res), "notice")
	}
	res := b.show(t, get("/", "door-flash="+base64.RawURLEncoding.EncodeToString([]byte(`["good","page.menu"]`))), "bare", newSample())
	has(t, body(t, res), "notice good") // the same by hand is shown: the rows above fail for what is wrong in them
}
