package account_test

import (
	"net/mail"
	"slices"
	"strings"
	"testing"

	"doorward/internal/account"
	"doorward/internal/refusal"
)

func TestParseEmail(t *testing.T) {
	label := strings.Repeat("x", 63)
	long := strings.Repeat("l", 64) + "@" + label + "." + label + "." + strings.Repeat("y", 61) // 254
	for _, row := range []struct{ in, text, key string }{
		{"ann@fabrikam.example", "ann@fabrikam.example", "ann@fabrikam.example"},
		{" \tann@fabrikam.example\r\n", "ann@fabrikam.example", "ann@fabrikam.example"},
		{"\u00a0ann@fabrikam.example\u2003", "ann@fabrikam.example", "ann@fabrikam.example"},
		{"Ann.O'Brien@FABRIKAM.Example", "Ann.O'Brien@fabrikam.example", "ann.o'brien@fabrikam.example"},
		{"ann+door@x.example", "ann+door@x.example", "ann+door@x.example"},
		{"!#$%&'*+/=?^_`{|}~-@x.example", "!#$%&'*+/=?^_`{|}~-@x.example", "!#$%&'*+/=?^_`{|}~-@x.example"},
		{"a.b.c@x.y.z.example", "a.b.c@x.y.z.example", "a.b.c@x.y.z.example"},
		{"1@1.example", "1@1.example", "1@1.example"},
		{"a@münchen.example", "a@xn--mnchen-3ya.example", "a@xn--mnchen-3ya.example"},
		{"a@MÜNCHEN.example", "a@xn--mnchen-3ya.example", "a@xn--mnchen-3ya.example"},
		{"a@mu\u0308nchen.example", "a@xn--mnchen-3ya.example", "a@xn--mnchen-3ya.example"},
		{"a@XN--MNCHEN-3YA.example", "a@xn--mnchen-3ya.example", "a@xn--mnchen-3ya.example"},
		{"a@straße.example", "a@xn--strae-oqa.example", "a@xn--strae-oqa.example"},
		{"a@strasse.example", "a@strasse.example", "a@strasse.example"},
		{"a@пример.example", "a@xn--e1afmkfd.example", "a@xn--e1afmkfd.example"},
		{"a@еxample.com" /* Cyrillic е */, "a@xn--xample-2of.com", "a@xn--xample-2of.com"},
		{"a@аррӏе.com", "a@xn--80ak6aa92e.com", "a@xn--80ak6aa92e.com"},
		{"a@ｅｘａｍｐｌｅ．com", "a@example.com", "a@example.com"},
		{"a@ex\u00adample.com", "a@example.com", "a@example.com"},
		{"a@example.com\u200b", "a@example.com", "a@example.com"},
		{long, long, long},
		{"a@" + label + ".example", "a@" + label + ".example", "a@" + label + ".example"},
	} {
		got, fault := account.ParseEmail("email", row.in)
		if fault != nil || got.Text != row.text || got.Key != row.key {
			t.Errorf("%.80q gives %.80q, %.80q (%v)", row.in, got.Text, got.Key, fault)
		}
	}
	for key, list := range map[string][]string{
		"email.missing": {"", " ", "\r\n\u00a0"},
		"email.long":    {long + "y", strings.Repeat("a", 1<<20), strings.Repeat("ü", 200) + "@x.example", strings.Repeat("l", 64) + "@" + strings.Repeat("ü.", 24) + "example"},
		"email.ascii":   {"anné@x.example", "аnn@x.example" /* Cyrillic а */, "ａnn@x.example", "ann\u200b@x.example", "ann\u202e@x.example", "ſ@x.example", "\u212a@x.example" /* Kelvin */, "a\u00a0b@x.example"},
		"email.form": {"ann", "@", "ann@", "@x.example", "ann@x", "ann@localhost", "ann@x.", "ann@.x.example", "ann@x..example", "ann@x.example.", "a@b@x.example",
			"ann @x.example", "ann@ x.example", "a n@x.example", ".ann@x.example", "ann.@x.example", "a..n@x.example", `"ann"@x.example`, `"a@b"@x.example`,
			`ann\@x.example`, "Ann <ann@x.example>", "<ann@x.example>", "ann@x.example, bob@x.example", "ann@x.example;bob@x.example", "ann(comment)@x.example",
			"ann@x.example(comment)", "ann@[192.0.2.1]", "ann@[IPv6:::1]", "ann@x_y.example", "ann@-x.example", "ann@x-.example", "ann@x.example\x00", "ann\x00@x.example",
			"ann@x.example\r\nBcc: eve@evil.example", "ann\r\n@x.example", "ann\n@x.example", "ann@x\n.example", "ann\t@x.example", "ann\x7f@x.example",
			"ann@x.example/path", "ann@x.example?subject=x", "mailto:ann@x.example", "=?utf-8?q?ann?=@x.example\x80", "ann@xn--.example", "ann@xn--a.example",
			"ann@x\u200d.example", "ann@x.\u0300example", "ann@" + label + "x.example", strings.Repeat("l", 65) + "@x.example", "\xff@x.example", "ann@\xff.example"},
	} {
		for _, in := range list {
			got, fault := account.ParseEmail("somewhere", in)
			if fault == nil || fault.Key != key || fault.Field != "somewhere" || fault.Code != refusal.Invalid || got != (account.Email{}) {
				t.Errorf("%.80q gives %+v, %v; want %s", in, got, fault, key)
			}
		}
	}
}

// Whatever is typed: what comes back is one plain address that a mail can be sent to, and it is its own canonical form.
func FuzzParseEmail(f *testing.F) {
	for _, s := range []string{"ann@x.example", "A+b@MÜNCHEN.example", "\u212a@\u212a.example", "a@b@c", "a\r\nb@x.example", "a@x.example\u200b", "a@ｘ．example", "`@x.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, fault := account.ParseEmail("email", s)
		if fault != nil {
			return
		}
		for _, r := range e.Text + e.Key {
			if r <= ' ' || r > '~' || strings.ContainsRune(`<>()[]\,;:"`, r) {
				t.Errorf("%q gives %q, %q with %q", s, e.Text, e.Key, r)
			}
		}
		if a, err := mail.ParseAddress(e.Text); err != nil || a.Address != e.Text || strings.Count(e.Text, "@") != 1 || len(e.Text) > 254 {
			t.Errorf("%q gives %q (%v)", s, e.Text, err)
		}
		for _, again := range []string{e.Text, e.Key, strings.ToUpper(e.Text)} {
			if other, fault := account.ParseEmail("email", again); fault != nil || other.Key != e.Key {
				t.Errorf("%q gives the key %q, and %q gives %q (%v)", s, e.Key, again, other.Key, fault)
			}
		}
		if account.FoldIdentifier(s) != e.Key {
			t.Errorf("%q is looked up as %q, kept as %q", s, account.FoldIdentifier(s), e.Key)
		}
	})
}

func TestSplitEmails(t *testing.T) {
	for in, want := range map[string][]string{
		"":                        nil,
		" ,;\r\n\t ":              nil,
		"a@x.example":             {"a@x.example"},
		"a@x.example,b@x.example": {"a@x.example", "b@x.example"},
		" a@x.example ; b@x.example\r\nc@x.example\td@x.example\u00a0e@x.example,,": {"a@x.example", "b@x.example", "c@x.example", "d@x.example", "e@x.example"},
		"Ann <a@x.example>": {"Ann", "<a@x.example>"},
	} {
		if got := account.SplitEmails(in); !slices.Equal(got, want) {
			t.Errorf("%q gives %q", in, got)
		}
	}
}

func TestFoldIdentifier(t *testing.T) {
	for in, want := range map[string]string{" Ann ": "ann", "ANN@X.Example": "ann@x.example", "a@MÜNCHEN.example": "a@xn--mnchen-3ya.example", "no mail@": "no mail@",
		"STRAẞE": "strasse", "a@b@c": "a@b@c", "": ""} {
		if got := account.FoldIdentifier(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}
