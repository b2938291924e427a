package secret_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"doorward/internal/secret"
)

func TestTokens(t *testing.T) {
	seen := map[secret.Text]bool{}
	for range 1000 {
		token := secret.Token("dwa_")
		if len(token) != 4+43 || !strings.HasPrefix(string(token), "dwa_") || seen[token] {
			t.Fatalf("token of %d characters, seen before: %v", len(token), seen[token])
		}
		seen[token] = true
		if code := secret.Digits(); len(code) != 6 || strings.Trim(string(code), "0123456789") != "" {
			t.Fatalf("%q is not six digits", string(code))
		}
	}
}

// A secret shows itself in no format and no log.
func TestTextIsHidden(t *testing.T) {
	s := secret.Text("geheim")
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("x", "secret", s)
	held := struct{ S secret.Text }{s}
	for _, shown := range []string{fmt.Sprint(s), fmt.Sprintf("%v %s %+v %#v", s, s, s, s), fmt.Sprintf("%v %+v %#v", held, held, held), log.String()} {
		if strings.Contains(shown, "geheim") {
			t.Errorf("shown: %s", shown)
		}
	}
}
