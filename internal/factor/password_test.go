package factor_test

import (
	"strings"
	"testing"
	"time"

	"doorward/internal/factor"
	"doorward/internal/refusal"
	"doorward/internal/secret"
)

func TestCheckNew(t *testing.T) {
	personal := []string{"ann.smith@fabrikam.example", "Ann Smith", "asmith", "Fabrikam GmbH", "fabrikam.sms", "doorward"}
	check := func(typed, again secret.Text, least int) string {
		t.Helper()
		err := factor.CheckNew(typed, again, least, personal, nil)
		if err == nil {
			return ""
		}
		r := refusal.As(err)
		if r == nil || r.Code != refusal.Invalid {
			t.Fatalf("%.40q: %v", string(typed), err)
		}
		return r.Field + " " + r.Key
	}
	long := strings.Repeat("é ünd ", 42) + "door" // 256 characters
	for typed, want := range map[secret.Text]string{
		"correct horse battery 7":              "",
		"  leading and trailing  ":             "",
		"tür-schloß-öffner":                    "",
		"東京の玄関の鍵は青い":                           "",
		"🚪🔑🏠🪟🛋️🛏️🚿🧹":                           "",
		"hZ7!kw2Q":                             "",
		secret.Text(long):                      "",
		secret.Text(long + "x"):                "new_password password.too_long",
		secret.Text(strings.Repeat("x", 4096)): "new_password password.too_long",
		secret.Text(strings.Repeat("x", 4097)): "new_password password.too_long",
		"":                                     "new_password password.missing",
		"hZ7!kw2":                              "new_password password.too_short",
		"e\u0301e\u0301e\u0301e\u0301":         "new_password password.too_short", // four characters, in eight runes
		"correct\x00horse battery 7":           "new_password password.form",
		"correct\xffhorse battery 7":           "new_password password.form",
		"password":                             "new_password password.too_common",
		"PASSWORD":                             "new_password password.too_common",
		"Passw0rd!":                            "new_password password.too_common",
		"ann.smith@fabrikam.example":           "new_password password.too_own",
		"annsmith1x":                           "", // an own word, and five characters of others
		"smith123":                             "new_password password.too_own",
		"Fabrikam!":                            "new_password password.too_own",
		"doorward1":                            "new_password password.too_own",
		"73917391":                             "new_password password.too_simple",
	} {
		if got := check(typed, typed, 8); got != want {
			t.Errorf("%.40q: %q, want %q", string(typed), got, want)
		}
	}
	// In composed or decomposed letters it is the same password, of the same length.
	nfd := secret.Text(strings.Repeat("e\u0301 u\u0308nd ", 42) + "door")
	if got := check(nfd, nfd, 8); got != "" {
		t.Errorf("256 characters in decomposed letters: %q", got)
	}
	if got := check("correct horse battery 7", "correct horse battery 8", 8); got != "confirm_password password.differs" {
		t.Errorf("two texts: %q", got)
	}
	if got := check("correct horse battery 7", "", 8); got != "confirm_password password.differs" {
		t.Errorf("one text: %q", got)
	}
	if got := check("short", "other", 8); got != "new_password password.too_short" {
		t.Errorf("two faults: %q", got)
	}
	if got := check("hZ7!kw2Qx#9vLm", "hZ7!kw2Qx#9vLm", 15); got != "new_password password.too_short" {
		t.Errorf("14 characters where it is the only factor: %q", got)
	}
	if got := check("hZ7!kw2Qx#9vLmq", "hZ7!kw2Qx#9vLmq", 15); got != "" {
		t.Errorf("15 characters where it is the only factor: %q", got)
	}
}

// Nothing that somebody types keeps the judge busy.
func TestCheckNewTime(t *testing.T) {
	for _, s := range []string{strings.Repeat("a1!", 85), strings.Repeat("password", 32), strings.Repeat("q", 4096), strings.Repeat("\u0301", 2048), strings.Repeat("x", 1<<20)} {
		began := time.Now()
		_ = factor.CheckNew(secret.Text(s), secret.Text(s), 8, []string{s[:min(len(s), 254)]}, nil)
		if took := time.Since(began); took > 20*time.Second { // milliseconds are usual; what is not linear takes minutes
			t.Errorf("%d bytes take %v", len(s), took)
		}
	}
}

func FuzzCheckNew(f *testing.F) {
	for _, s := range []string{"", "password", "correct horse battery 7", "\xff", "e\u0301", "\x00"} {
		f.Add(s, "ann@x.example")
	}
	f.Fuzz(func(t *testing.T, s, personal string) {
		err := factor.CheckNew(secret.Text(s), secret.Text(s), 8, []string{personal}, nil)
		if n := len([]rune(string(factor.Normalize(secret.Text(s))))); err == nil && (n < 8 || n > 256 || strings.ContainsRune(s, 0)) {
			t.Errorf("%q is taken", s)
		}
		if err != nil && refusal.As(err) == nil {
			t.Errorf("%q: %v", s, err)
		}
	})
}

func TestNormalize(t *testing.T) {
	for in, want := range map[secret.Text]secret.Text{"\u2003x\t": "\u2003x\t", "e\u0301": "é", "ﬁ": "ﬁ", "Ａ": "Ａ", "X": "X", "": ""} {
		if got := factor.Normalize(in); got != want {
			t.Errorf("%q gives %q", string(in), string(got))
		}
	}
}
