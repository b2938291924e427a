package factor_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"doorward/internal/factor"
)

func TestCleanName(t *testing.T) {
	for in, want := range map[string]string{
		"": "", " ": "", "\u2003\u00a0\t\n": "", "\u200d": "", "blue key": "blue key", "  travel \u2003 key\r\n": "travel key", "Schlüssel": "Schlüssel", "Schlu\u0308ssel": "Schlüssel",
		"👩\u200d💻 laptop": "👩\u200d💻 laptop", "<b>&amp;": "<b>&amp;", "مفتاح": "مفتاح", strings.Repeat("🔑", 60): strings.Repeat("🔑", 60), "a\u2028b": "a b",
	} {
		if got, fault := factor.CleanName(in); got != want || fault != nil {
			t.Errorf("%q gives %q, %v; want %q", in, got, fault, want)
		}
	}
	for key, list := range map[string][]string{
		"text.long": {strings.Repeat("x", 61), strings.Repeat("🔑", 61), strings.Repeat("x", 5000), strings.Repeat("x ", 1<<20)},
		"name.form": {"a\x00b", "a\x01b", "a\x7fb", "a\u009bb", "blue \u202eyek", "\u2066key\u2069", "\u200fkey", "a\u200bb", "\ufeffkey", "a\u00adb", "a\U000e0041b", "a\xffb"},
	} {
		for _, in := range list {
			if got, fault := factor.CleanName(in); got != "" || fault == nil || fault.Key != key || fault.Field != "name" {
				t.Errorf("%.40q gives %q, %v; want %s", in, got, fault, key)
			}
		}
	}
}

func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"", "blue key", "a\u202eb", "👩\u200d💻", "\xff", strings.Repeat("x ", 61)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, fault := factor.CleanName(s)
		if again, _ := factor.CleanName(got); fault == nil && (again != got || !utf8.ValidString(got) || utf8.RuneCountInString(got) > 60 || strings.ContainsFunc(got, unicode.IsControl)) {
			t.Errorf("%q gives %q, and that %q", s, got, again)
		}
	})
}
