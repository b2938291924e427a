package config_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"doorward/internal/config"
)

// good are settings without a fault; each case changes one thing.
func good() config.Settings {
	return config.Settings{Listen: "127.0.0.1:8080", PublicURL: "https://login.example.com", Data: "data", Database: "sqlite",
		Argon2: "m=19456,t=2,p=1"}
}

func TestCheck(t *testing.T) {
	if err := good().Check(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*config.Settings)
		want   string // part of the one line; empty: no fault
	}{
		"listen on all":         {func(s *config.Settings) { s.Listen = ":443" }, ""},
		"listen on IPv6":        {func(s *config.Settings) { s.Listen = "[::1]:443" }, ""},
		"listen without port":   {func(s *config.Settings) { s.Listen = "127.0.0.1" }, "listen:"},
		"listen on a name":      {func(s *config.Settings) { s.Listen = "127.0.0.1:http" }, "listen:"},
		"listen out of range":   {func(s *config.Settings) { s.Listen = "127.0.0.1:65536" }, "listen:"},
		"metrics":               {func(s *config.Settings) { s.MetricsListen = "9090" }, "metrics-listen:"},
		"no public URL":         {func(s *config.Settings) { s.PublicURL = "" }, "public-url:"},
		"public host alone":     {func(s *config.Settings) { s.PublicURL = "login.example.com" }, "public-url:"},
		"public ftp":            {func(s *config.Settings) { s.PublicURL = "ftp://login.example.com" }, "public-url:"},
		"public path":           {func(s *config.Settings) { s.PublicURL = "https://example.com/login" }, "scheme and host alone"},
		"public query":          {func(s *config.Settings) { s.PublicURL = "https://example.com/?x=1" }, "scheme and host alone"},
		"public user":           {func(s *config.Settings) { s.PublicURL = "https://a:b@example.com" }, "scheme and host alone"},
		"public http":           {func(s *config.Settings) { s.PublicURL = "http://login.example.com" }, "use https://"},
		"public http loopback":  {func(s *config.Settings) { s.PublicURL = "http://127.0.0.1:8080" }, ""},
		"public http LOCALHOST": {func(s *config.Settings) { s.PublicURL = "http://LOCALHOST:8080" }, ""},
		"public port alone":     {func(s *config.Settings) { s.PublicURL = "https://:8080" }, "public-url:"},
		"certificate alone":     {func(s *config.Settings) { s.TLSCert = "c.pem" }, "go together"},
		"key alone":             {func(s *config.Settings) { s.TLSKey = "k.pem" }, "go together"},
		"other database":        {func(s *config.Settings) { s.Database = "mysql://u:geheim@h/d" }, "database:"},
		"postgres":              {func(s *config.Settings) { s.Database = "postgresql://u:geheim@h/d" }, ""},
		"smtp without scheme":   {func(s *config.Settings) { s.SMTP = "u:geheim@mail.example.com:587" }, "smtp:"},
		"smtps":                 {func(s *config.Settings) { s.SMTP = "smtps://u:geheim@mail.example.com" }, ""},
		"mail-from":             {func(s *config.Settings) { s.MailFrom = "Doorward" }, "mail-from:"},
		"mail-from with a name": {func(s *config.Settings) { s.MailFrom = "Doorward <no@example.com>" }, ""},
		"no host for mail":      {func(s *config.Settings) { s.PublicURL = "http://[::1]:8080" }, "mail-from:"},
		"proxies":               {func(s *config.Settings) { s.TrustedProxies = []string{"10.0.0.0/8", " ::1/128 ", ""} }, ""},
		"proxy without length":  {func(s *config.Settings) { s.TrustedProxies = []string{"10.0.0.1"} }, "trusted-proxies:"},
		"outbound":              {func(s *config.Settings) { s.OutboundAllow = []string{"intranet"} }, "outbound-allow:"},
		"argon2":                {func(s *config.Settings) { s.Argon2 = "m=1,t=1,p=1" }, "argon2:"},
	} {
		s := good()
		c.change(&s)
		err := s.Check()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: %v, want one line with %q", name, err, c.want)
		case err != nil && strings.Contains(err.Error(), "geheim"):
			t.Errorf("%s: the password is shown: %v", name, err)
		}
	}
	// Everything is told at once.
	s := good()
	s.Listen, s.PublicURL, s.Argon2 = "x", "y", "z"
	if err := s.Check(); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("three faults: %v", err)
	}
}

func TestPublic(t *testing.T) {
	for setting, want := range map[string]string{
		"https://login.example.com":      "https://login.example.com",
		"https://Login.Example.COM/":     "https://login.example.com",
		"https://login.example.com:443":  "https://login.example.com",
		"https://login.example.com:":     "https://login.example.com",
		"https://login.example.com:8443": "https://login.example.com:8443",
		"HTTPS://login.example.com":      "https://login.example.com",
		"http://localhost:80":            "http://localhost",
		"http://localhost:8080":          "http://localhost:8080",
		"http://[::1]:443":               "http://[::1]:443",
	} {
		u, err := config.Settings{PublicURL: setting}.Public()
		if err != nil || u.String() != want {
			t.Errorf("%s: %v, %v; want %s", setting, u, err, want)
		}
	}
}

func TestDerived(t *testing.T) {
	s := good()
	if got, want := s.KeyPath(), filepath.Join("data", "doorward.key"); got != want {
		t.Errorf("key file %s, want %s", got, want)
	}
	if got, want := s.DatabaseFile(), filepath.Join("data", "doorward.db"); got != want {
		t.Errorf("database %s, want %s", got, want)
	}
	if from, err := s.From(); err != nil || from != "noreply-account@login.example.com" {
		t.Errorf("from %s, %v", from, err)
	}
	s.KeyFile, s.Database, s.MailFrom = "elsewhere", "postgres://h/d", "door@example.com"
	if s.KeyPath() != "elsewhere" || s.DatabaseFile() != "" {
		t.Errorf("key file %s, database file %s", s.KeyPath(), s.DatabaseFile())
	}
	if from, err := s.From(); err != nil || from != "door@example.com" {
		t.Errorf("from %s, %v", from, err)
	}
}

// No way of printing the settings shows a password.
func TestPasswordsAreHidden(t *testing.T) {
	for _, c := range []struct{ database, smtp string }{
		{"postgres://door:geheim@db.example.com:5432/door", "smtp://door:geheim@mail.example.com"},
		{"postgres://db/door?user=door&password=geheim&sslmode=disable", "smtps://door:geheim@mail"},
		{"postgres://db/door?sslpassword=geheim", "door:geheim@mail:25"},
		{"postgres://door:ge%zzheim@db", "smtp://door:ge heim@mail"},
		{"host=db password=geheim", "geheim"},
	} {
		s := good()
		s.Database, s.SMTP = c.database, c.smtp
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("start", "settings", s)
		held := struct{ S config.Settings }{s}
		shown := []string{s.String(), fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s", s, s, s, s), fmt.Sprintf("%+v %#v", held, &held), log.String(),
			config.Hide("database", c.database), config.Hide("smtp", c.smtp)}
		for _, text := range shown {
			if strings.Contains(text, "heim") {
				t.Errorf("%q, %q: shown: %s", c.database, c.smtp, text)
			}
		}
		if !strings.Contains(s.String(), "login.example.com") {
			t.Errorf("the rest is not shown: %s", s)
		}
	}
	if got := config.Hide("smtp", "smtp://door:geheim@mail.example.com:25?starttls=off"); got != "smtp://door:xxxxx@mail.example.com:25?starttls=off" {
		t.Errorf("hidden too much: %s", got)
	}
	for flag, value := range map[string]string{"database": "sqlite", "smtp": "", "listen": "127.0.0.1:8080"} {
		if got := config.Hide(flag, value); got != value {
			t.Errorf("%s: %s, want %s", flag, got, value)
		}
	}
}

func TestLogger(t *testing.T) {
	for _, c := range []struct {
		level, format string
		terminal      bool
		json, info    bool
	}{
		{"info", "auto", false, true, true},
		{"info", "auto", true, false, true},
		{"info", "json", true, true, true},
		{"info", "text", false, false, true},
		{"warn", "auto", false, true, false},
	} {
		s := good()
		s.LogLevel, s.LogFormat = c.level, c.format
		var out bytes.Buffer
		log := s.Logger(&out, c.terminal)
		log.Info("information")
		if (out.Len() > 0) != c.info {
			t.Errorf("%+v: %q", c, out.String())
		}
		log.Error("error")
		if strings.HasPrefix(out.String(), "{") != c.json {
			t.Errorf("%+v: %q", c, out.String())
		}
	}
}
