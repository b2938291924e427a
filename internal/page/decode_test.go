package page_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"doorward/internal/page"
	"doorward/internal/refusal"
)

func post(query, kind, content string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/x"+query, strings.NewReader(content))
	r.Header.Set("Content-Type", kind)
	return r
}

const form = "application/x-www-form-urlencoded"

func TestDecode(t *testing.T) {
	v, err := page.Decode(httptest.NewRecorder(), post("?a=query&b=query", form+"; charset=utf-8", "a=body&e=&n=%F0%9F%98%80%0D%0A"), 0)
	if err != nil || v.Get("a") != "body" || v.Has("b") || !v.Has("e") || v.Get("n") != "😀\r\n" {
		t.Errorf("%v, %v", v, err)
	}
	empty := httptest.NewRequest(http.MethodPost, "/x", nil)
	if v, err := page.Decode(httptest.NewRecorder(), empty, 0); err != nil || v == nil || len(v) != 0 {
		t.Errorf("a form without a field: %v, %v", v, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct {
		name, kind, body, fields string
		status                   int
	}{
		{name: "invalid UTF-8", kind: form, body: "good=1&name=a%ff", fields: "name", status: 400},
		{name: "overlong UTF-8", kind: form, body: "name=%c0%af", fields: "name", status: 400},
		{name: "surrogate", kind: form, body: "name=%ed%a0%80", fields: "name", status: 400},
		{name: "NUL", kind: form, body: "name=a%00&other=%00", fields: "name,other", status: 400},
		{name: "NUL in the second of two", kind: form, body: "name=a&name=%00", fields: "name", status: 400},
		{name: "NUL in a name", kind: form, body: "na%00me=a", fields: "", status: 400},
		{name: "broken encoding", kind: form, body: "name=%zz", fields: "", status: 400},
		{name: "semicolon", kind: form, body: "a=1;b=2", fields: "", status: 400},
		{name: "very many values", kind: form, body: strings.Repeat("a&", 5001), fields: "", status: 400},
		{name: "too large", kind: form, body: "a=" + strings.Repeat("x", 1<<20), status: 413},
		{name: "JSON", kind: "application/json", body: `{"a":1}`, status: 415},
		{name: "multipart", kind: "multipart/form-data; boundary=x", body: "--x--", status: 415},
		{name: "no type", kind: "", body: "a=1", status: 415},
		{name: "two types", kind: form + ", text/plain", body: "a=1", status: 415},
	} {
		b := newBench(t, "http://localhost")
		res := b.serve(post("", c.kind, c.body), b.Handle(func(w http.ResponseWriter, r *http.Request) error {
			v, err := page.Decode(w, r, 0)
			if err == nil {
				t.Fatalf("%s: decoded as %v", c.name, v)
			}
			if e := refusal.As(err); e != nil {
				var fields []string
				for _, e := range append([]*refusal.Error{e}, e.More...) {
					fields = append(fields, e.Field)
					if e.Field != "" && v.Has(e.Field) {
						t.Errorf("%s: the value came back", c.name)
					}
				}
				if got := strings.Join(fields, ","); got != c.fields {
					t.Errorf("%s: refused at %q", c.name, got)
				}
			}
			if c.name == "invalid UTF-8" && v.Get("good") != "1" {
				t.Errorf("%s: what was right is lost: %v", c.name, v)
			}
			return err
		}))
		if res.StatusCode != c.status {
			t.Errorf("%s: %d instead of %d", c.name, res.StatusCode, c.status)
		}
		has(t, body(t, res), `data-page="error" data-reason="invalid"`)
		if b.log.Len() > 0 {
			t.Errorf("%s: logged as ours: %s", c.name, b.log)
		}
	}
}

func TestDecodeOfABrokenConnection(t *testing.T) {
	r := post("", form, "")
	r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader("a=1"), failing{})), -1
	if _, err := page.Decode(httptest.NewRecorder(), r, 0); !refusal.Is(err, refusal.Invalid) {
		t.Errorf("%v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("reset by peer") }

func TestOneAndText(t *testing.T) {
	v := url.Values{"one": {" é "}, "two": {"a", "a"}, "long": {"éééé"}}
	if s, err := page.One(v, "one"); s != " é " || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	if s, err := page.One(v, "none"); s != "" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	for _, get := range []func() (string, *refusal.Error){
		func() (string, *refusal.Error) { return page.One(v, "two") },
		func() (string, *refusal.Error) { return page.Text(v, "two", 9) },
		func() (string, *refusal.Error) { return page.Text(v, "long", 3) },
	} {
		if s, err := get(); s != "" || err == nil || err.Field == "" || err.Code != refusal.Invalid {
			t.Errorf("%q, %v", s, err)
		}
	}
	if s, err := page.Text(v, "long", 4); s != "éééé" || err != nil {
		t.Errorf("characters are counted as bytes: %q, %v", s, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "a=1&b=2", "a=%ff", "a=%00&a=1", "%00", "a;b", "&&&&", "a=%F0%9F%98%80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, content string) {
		v, err := page.Decode(httptest.NewRecorder(), post("", form, content), 0)
		for name, list := range v {
			for _, s := range append(list, name) {
				if strings.ContainsRune(s, 0) || strings.ToValidUTF8(s, "") != s {
					t.Errorf("%q came through (%v)", s, err)
				}
			}
		}
	})
}
