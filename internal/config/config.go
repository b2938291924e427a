// Package config owns the settings: one struct, read once from flags, environment and file, checked, and passed by value.
package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"doorward/internal/secret"
)

// Settings are all settings of a Doorward process. Their names, environment variables and defaults are part of the contract.
type Settings struct {
	Listen         string   `help:"Address to listen on." default:"127.0.0.1:8080" env:"DOORWARD_LISTEN"`
	PublicURL      string   `name:"public-url" help:"The address that people use. Links, issuer and cookies derive from it, never from a request." default:"http://localhost:8080" env:"DOORWARD_PUBLIC_URL"`
	TLSCert        string   `name:"tls-cert" help:"Certificate file (PEM). Without it a proxy ends TLS." env:"DOORWARD_TLS_CERT"`
	TLSKey         string   `name:"tls-key" help:"Key file of the certificate (PEM)." env:"DOORWARD_TLS_KEY"`
	Data           string   `help:"Data folder: the SQLite file and the key file." default:"./doorward-data" env:"DOORWARD_DATA"`
	Database       string   `help:"\"sqlite\", in the data folder, or postgres://…" default:"sqlite" env:"DOORWARD_DATABASE"`
	KeyFile        string   `name:"key-file" help:"Key file that opens what the database keeps sealed; doorward.key in the data folder by default." env:"DOORWARD_KEY_FILE"`
	SMTP           string   `name:"smtp" help:"Mail server: smtp://user:pass@host:port or smtps://…, ?starttls=required|optional|off" env:"DOORWARD_SMTP"`
	MailDir        string   `name:"mail-dir" help:"Write each mail as a file into this folder instead of sending it." env:"DOORWARD_MAIL_DIR"`
	MailFrom       string   `name:"mail-from" help:"Sender of all mails; noreply-account@ the public URL's host by default." env:"DOORWARD_MAIL_FROM"`
	TrustedProxies []string `name:"trusted-proxies" help:"Networks (CIDR) of proxies whose X-Forwarded-For is believed." env:"DOORWARD_TRUSTED_PROXIES"`
	OutboundAllow  []string `name:"outbound-allow" help:"Private networks (CIDR) that calls to administrators' addresses may reach." env:"DOORWARD_OUTBOUND_ALLOW"`
	MetricsListen  string   `name:"metrics-listen" help:"Address for metrics; off by default." env:"DOORWARD_METRICS_LISTEN"`
	Argon2         string   `name:"argon2" help:"Cost of a password hash." default:"m=19456,t=2,p=1" env:"DOORWARD_ARGON2"`
	LogLevel       string   `name:"log-level" help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"DOORWARD_LOG_LEVEL"`
	LogFormat      string   `name:"log-format" help:"json or text; json when the output is not a terminal." enum:"auto,json,text" default:"auto" env:"DOORWARD_LOG_FORMAT"`
}

// KeyPath returns the key file's path.
func (s Settings) KeyPath() string {
	if s.KeyFile != "" {
		return s.KeyFile
	}
	return filepath.Join(s.Data, "doorward.key")
}

// PasswordsPath returns the path of the list of stolen passwords, which need not be there.
func (s Settings) PasswordsPath() string { return filepath.Join(s.Data, "passwords.filter") }

// DatabaseFile returns the SQLite file's path, empty with PostgreSQL.
func (s Settings) DatabaseFile() string {
	if s.Database == "" || s.Database == "sqlite" {
		return filepath.Join(s.Data, "doorward.db")
	}
	return ""
}

// Check tells everything that is wrong with the settings themselves, or nil. It opens no file and no connection.
func (s Settings) Check() error {
	_, publicFault := s.Public()
	_, proxiesFault := s.Proxies()
	_, outboundFault := s.Outbound()
	_, costFault := s.Cost()
	faults := []error{publicFault, proxiesFault, outboundFault, costFault, checkAddress("listen", s.Listen), checkDatabase(s.Database), checkSMTP(s.SMTP)}
	if s.MetricsListen != "" {
		faults = append(faults, checkAddress("metrics-listen", s.MetricsListen))
	}
	if publicFault == nil {
		_, fault := s.From()
		faults = append(faults, fault)
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		faults = append(faults, errors.New("tls-cert and tls-key go together"))
	}
	return errors.Join(faults...)
}

func checkAddress(name, s string) error {
	_, port, err := net.SplitHostPort(s)
	if n, numErr := strconv.Atoi(port); err != nil || numErr != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%s: %q is not an address like 127.0.0.1:8080", name, s)
	}
	return nil
}

// checkDatabase and checkSMTP never quote the setting: it may hold a password.
func checkDatabase(s string) error {
	if s == "" || s == "sqlite" || strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://") {
		return nil
	}
	return errors.New(`database: it must be "sqlite" or begin with postgres://`)
}

func checkSMTP(s string) error {
	if s == "" || strings.HasPrefix(s, "smtp://") || strings.HasPrefix(s, "smtps://") {
		return nil
	}
	return errors.New("smtp: it must begin with smtp:// or smtps://")
}

// Public returns the public URL without a slash at its end, in the form that browsers use for an origin. The error is one line for
// the operator.
func (s Settings) Public() (*url.URL, error) {
	u, err := url.Parse(s.PublicURL)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("public-url: %q is not an address like https://login.example.com", s.PublicURL)
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, errors.New("public-url: scheme and host alone; Doorward has a host to itself")
	}
	if u.Scheme == "http" && !Loopback(u.Hostname()) {
		return nil, fmt.Errorf("public-url: %q: http is for this machine alone; use https://", s.PublicURL)
	}
	host := strings.ToLower(u.Host)
	// An origin leaves out the port that its scheme implies (RFC 6454 section 6.2).
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
	return &url.URL{Scheme: u.Scheme, Host: strings.TrimSuffix(host, ":")}, nil
}

// Loopback tells whether a host name is this machine.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// From returns the sender of all mails: an address, with a name when the setting has one.
func (s Settings) From() (string, error) {
	from := s.MailFrom
	if from == "" {
		u, err := s.Public()
		if err != nil {
			return "", err
		}
		from = "noreply-account@" + u.Hostname()
	}
	if _, err := mail.ParseAddress(from); err != nil {
		return "", fmt.Errorf("mail-from: %q is not an address like noreply@example.com", from)
	}
	return from, nil
}

// Proxies returns the trusted networks.
func (s Settings) Proxies() ([]netip.Prefix, error) {
	return prefixes("trusted-proxies", s.TrustedProxies)
}

// Outbound returns the private networks that may be called.
func (s Settings) Outbound() ([]netip.Prefix, error) {
	return prefixes("outbound-allow", s.OutboundAllow)
}

func prefixes(name string, texts []string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, t := range texts {
		if t = strings.TrimSpace(t); t == "" {
			continue
		}
		p, err := netip.ParsePrefix(t)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is not a network like 10.0.0.0/8", name, t)
		}
		list = append(list, p)
	}
	return list, nil
}

// Cost returns the cost of a password hash.
func (s Settings) Cost() (secret.Cost, error) { return secret.ParseCost(s.Argon2) }

// Logger returns the log that the settings ask for. terminal tells whether w is one: there, people read.
func (s Settings) Logger(w io.Writer, terminal bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelInfo}
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err == nil {
		options.Level = level
	}
	if s.LogFormat == "text" || s.LogFormat != "json" && terminal {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// Hide returns a setting's value without the passwords in it, by the name of its flag.
func Hide(flag, value string) string {
	if !isSecret(flag) || value == "" || value == "sqlite" {
		return value
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme == "" || u.Opaque != "" {
		return "(hidden: not a URL)"
	}
	q := u.Query()
	for name := range q { // PostgreSQL takes passwords as parameters too
		if strings.Contains(strings.ToLower(name), "password") {
			q.Set(name, "xxxxx")
			u.RawQuery = q.Encode()
		}
	}
	return u.Redacted()
}

// hidden returns a copy without passwords.
func (s Settings) hidden() Settings {
	s.Database, s.SMTP = Hide("database", s.Database), Hide("smtp", s.SMTP)
	return s
}

// String shows the settings without passwords.
func (s Settings) String() string {
	type plain Settings // without this method
	return fmt.Sprintf("%+v", plain(s.hidden()))
}

// GoString is String, for %#v.
func (s Settings) GoString() string { return s.String() }

// LogValue is String, for slog.
func (s Settings) LogValue() slog.Value { return slog.StringValue(s.String()) }
