package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"doorward/internal/config"
)

func write(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSources(t *testing.T) {
	file := write(t, `{"listen": "file:1", "smtp": "smtp://file", "trusted-proxies": ["10.0.0.0/8", "::1/128"], "outbound-allow": []}`)
	mail := write(t, " smtp://secret-file\n")
	environment := map[string]string{}
	s := config.Sources{Environment: func(name string) string { return environment[name] }}
	if err := s.ReadFile(file, []string{"listen", "smtp", "trusted-proxies", "outbound-allow"}); err != nil {
		t.Fatal(err)
	}
	find := func(flag, variable, value, origin string) {
		t.Helper()
		v, from, err := s.Find(flag, variable)
		if err != nil || v != value || from != origin {
			t.Errorf("%s: %q from %q, %v; want %q from %q", flag, v, from, err, value, origin)
		}
	}
	find("listen", "DOORWARD_LISTEN", "file:1", file)
	find("trusted-proxies", "DOORWARD_TRUSTED_PROXIES", "10.0.0.0/8,::1/128", file)
	find("outbound-allow", "DOORWARD_OUTBOUND_ALLOW", "", file)
	find("data", "DOORWARD_DATA", "", "")

	environment["DOORWARD_LISTEN"] = "env:1"
	find("listen", "DOORWARD_LISTEN", "env:1", "DOORWARD_LISTEN")
	environment["DOORWARD_LISTEN"] = ""
	find("listen", "DOORWARD_LISTEN", "file:1", file)

	environment["DOORWARD_SMTP_FILE"] = mail
	find("smtp", "DOORWARD_SMTP", "smtp://secret-file", "DOORWARD_SMTP_FILE")
	environment["DOORWARD_SMTP"] = "smtp://env"
	if _, _, err := s.Find("smtp", "DOORWARD_SMTP"); err == nil || strings.Contains(err.Error(), "smtp://") {
		t.Errorf("both set: %v", err)
	}
	environment["DOORWARD_SMTP_FILE"] = ""
	find("smtp", "DOORWARD_SMTP", "smtp://env", "DOORWARD_SMTP")
	environment["DOORWARD_SMTP"], environment["DOORWARD_SMTP_FILE"] = "", filepath.Join(t.TempDir(), "nowhere")
	if _, _, err := s.Find("smtp", "DOORWARD_SMTP"); err == nil {
		t.Error("a file that is missing is no fault")
	}
	// Only secrets have such files: --key-file's variable ends in _FILE by itself.
	environment["DOORWARD_LISTEN_FILE"] = mail
	find("listen", "DOORWARD_LISTEN", "file:1", file)
}

func TestFileThatIsNotRight(t *testing.T) {
	for content, want := range map[string]string{
		``:                               "not JSON",
		`{`:                              "not JSON",
		`[]`:                             "one JSON object",
		`"x"`:                            "one JSON object",
		`{} {}`:                          "something follows",
		`{"lisden": "geheim"}`:           `no setting "lisden"`,
		`{"Listen": "geheim"}`:           `no setting "Listen"`,
		`{"listen": 8080}`:               "listen: the value must be a text",
		`{"listen": null}`:               "listen: the value must be a text",
		`{"listen": {"geheim": "x"}}`:    "listen: the value must be a text",
		`{"listen": ["geheim", 1]}`:      "listen: a list must hold texts",
		`{"listen": "geheim", "smtp": }`: "not JSON",
	} {
		s := config.Sources{Environment: func(string) string { return "" }}
		err := s.ReadFile(write(t, content), []string{"listen", "smtp"})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q and no value", content, err, want)
		}
		if v, from, err := s.Find("listen", "DOORWARD_LISTEN"); v != "" || from != "" || err != nil {
			t.Errorf("%s: a part of it was taken: %q", content, v)
		}
	}
}
