package mail_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"doorward/internal/locale"
	"doorward/internal/mail"
)

const password = "corréct horse/battery%staple"

// letterbox is a mail server that keeps what it accepts.
type letterbox struct {
	addr  string
	roots *x509.CertPool // who certified it

	mechanisms []string        // what it offers for signing in; none: nobody has to
	mailReply  *smtp.SMTPError // its answers, accepted when nil
	rcptReply  *smtp.SMTPError
	dataReply  *smtp.SMTPError
	hold       chan struct{} // when set, it answers a message only once this is closed

	mu       sync.Mutex
	accepted []accepted
	signedIn string // mechanism
}

type accepted struct {
	Hello, From, To string
	Encrypted       bool
	Data            []byte
}

type mode int

const (
	plain mode = iota
	withSTARTTLS
	implicitTLS
)

func (b *letterbox) open(t *testing.T, m mode) {
	t.Helper()
	cert, roots := certificate(t)
	b.roots = roots
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &visit{box: b, conn: c}, nil }))
	s.Domain = "mx.example.org"
	s.AllowInsecureAuth = true // so that it is our side that refuses
	s.ErrorLog = log.New(io.Discard, "", 0)
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	if m == withSTARTTLS {
		s.TLSConfig = config
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addr = l.Addr().String()
	if m == implicitTLS {
		l = tls.NewListener(l, config)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		_ = l.Close() // also when Serve has not begun yet
		<-done
	})
}

// visit is one connection to the letterbox.
type visit struct {
	box      *letterbox
	conn     *smtp.Conn
	from, to string
	signedIn bool
}

func (v *visit) Reset()        {}
func (v *visit) Logout() error { return nil }
func answer(e *smtp.SMTPError) error {
	if e == nil {
		return nil
	}
	return e
}

func (v *visit) AuthMechanisms() []string { return v.box.mechanisms }

func (v *visit) Auth(mechanism string) (sasl.Server, error) {
	check := func(user, pass string) error {
		if user != "doorward" || pass != password {
			return smtp.ErrAuthFailed
		}
		v.signedIn = true
		v.box.mu.Lock()
		defer v.box.mu.Unlock()
		v.box.signedIn = mechanism
		return nil
	}
	switch mechanism {
	case "PLAIN":
		return sasl.NewPlainServer(func(_, user, pass string) error { return check(user, pass) }), nil
	case "LOGIN":
		return &loginServer{check: check}, nil
	case "CRAM-MD5":
		return &cramServer{check: check}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

func (v *visit) Mail(from string, _ *smtp.MailOptions) error {
	if len(v.box.mechanisms) > 0 && !v.signedIn {
		return smtp.ErrAuthRequired
	}
	v.from = from
	return answer(v.box.mailReply)
}

func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error {
	v.to = to
	return answer(v.box.rcptReply)
}

func (v *visit) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if v.box.hold != nil {
		<-v.box.hold
	}
	if v.box.dataReply != nil {
		return v.box.dataReply
	}
	_, encrypted := v.conn.TLSConnectionState()
	v.box.mu.Lock()
	defer v.box.mu.Unlock()
	v.box.accepted = append(v.box.accepted, accepted{v.conn.Hostname(), v.from, v.to, encrypted, data})
	return nil
}

// loginServer is the server's side of draft-murchison-sasl-login.
type loginServer struct {
	check func(user, pass string) error
	step  int
	user  string
}

func (s *loginServer) Next(response []byte) ([]byte, bool, error) {
	s.step++
	switch s.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		s.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, s.check(s.user, string(response))
}

// cramServer is the server's side of RFC 2195.
type cramServer struct {
	check func(user, pass string) error
	asked bool
}

func (s *cramServer) Next(response []byte) ([]byte, bool, error) {
	const challenge = "<1896.697170952@mx.example.org>"
	if !s.asked {
		s.asked = true
		return []byte(challenge), false, nil
	}
	h := hmac.New(md5.New, []byte(password))
	h.Write([]byte(challenge))
	user, digest, _ := strings.Cut(string(response), " ")
	if digest != hex.EncodeToString(h.Sum(nil)) {
		return nil, true, smtp.ErrAuthFailed
	}
	return nil, true, s.check(user, password)
}

// certificate returns a fresh certificate for the loopback host and the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.example.org"}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

func newSMTP(t *testing.T, setting string, roots *x509.CertPool) *mail.SMTP {
	t.Helper()
	s, err := mail.NewSMTP(setting)
	if err != nil {
		t.Fatal(err)
	}
	s.RootCAs = roots
	s.Name = "door.example.org"
	return s
}

const credentials = "doorward:corr%C3%A9ct%20horse%2Fbattery%25staple@"

func TestSMTPRoundTrip(t *testing.T) {
	for name, c := range map[string]struct {
		mode       mode
		mechanisms []string
		setting    string // {addr} is the address
		encrypted  bool
		signedIn   string
	}{
		"STARTTLS required":       {withSTARTTLS, nil, "smtp://{addr}?starttls=required", true, ""},
		"STARTTLS by itself":      {withSTARTTLS, nil, "smtp://{addr}", true, ""},
		"STARTTLS off":            {withSTARTTLS, nil, "smtp://{addr}?starttls=off", false, ""},
		"no STARTTLS on loopback": {plain, nil, "smtp://{addr}", false, ""},
		"implicit TLS":            {implicitTLS, nil, "smtps://{addr}", true, ""},
		"PLAIN over STARTTLS":     {withSTARTTLS, []string{"CRAM-MD5", "LOGIN", "PLAIN"}, "smtp://" + credentials + "{addr}", true, "PLAIN"},
		"PLAIN over implicit TLS": {implicitTLS, []string{"PLAIN"}, "smtps://" + credentials + "{addr}", true, "PLAIN"},
		"PLAIN on loopback":       {plain, []string{"PLAIN"}, "smtp://" + credentials + "{addr}", false, "PLAIN"},
		"LOGIN over STARTTLS":     {withSTARTTLS, []string{"LOGIN"}, "smtp://" + credentials + "{addr}", true, "LOGIN"},
		"CRAM-MD5 over TLS":       {implicitTLS, []string{"CRAM-MD5"}, "smtps://" + credentials + "{addr}", true, "CRAM-MD5"},
	} {
		t.Run(name, func(t *testing.T) {
			box := &letterbox{mechanisms: c.mechanisms}
			box.open(t, c.mode)
			s := newSMTP(t, strings.Replace(c.setting, "{addr}", box.addr, 1), box.roots)
			if err := s.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			if len(box.accepted) != 0 {
				t.Error("the check sent something")
			}
			m := render(t, letter(locale.German, letters()["invite"]))
			for range 2 { // a retry is the same message
				if err := s.Send(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
			if len(box.accepted) != 2 || box.signedIn != c.signedIn {
				t.Fatalf("%d messages, signed in by %q", len(box.accepted), box.signedIn)
			}
			for _, a := range box.accepted {
				if a.Hello != "door.example.org" || a.From != "noreply-account@door.example.org" || a.To != "ada@fabrikam.example" ||
					a.Encrypted != c.encrypted {
					t.Errorf("EHLO %s, from %s to %s, encrypted %t", a.Hello, a.From, a.To, a.Encrypted)
				}
				parsed := parse(t, a.Data)
				for header, want := range map[string]string{
					"Message-Id":               "<out_01hzy8@door.example.org>",
					"X-Doorward-Message":       "invite",
					"Auto-Submitted":           "auto-generated",
					"X-Auto-Response-Suppress": "All",
					"Content-Language":         "de",
					"Subject":                  "Willkommen bei Fabrikam",
					"From":                     `"Doorward" <noreply-account@door.example.org>`,
					"To":                       `"Ada Lovelace" <ada@fabrikam.example>`,
					"X-Mailer":                 "",
					"User-Agent":               "",
				} {
					if got := parsed.Header.Get(header); got != want {
						t.Errorf("%s: %q, want %q", header, got, want)
					}
				}
				if at, err := parsed.Header.Date(); err != nil || time.Since(at).Abs() > time.Minute {
					t.Errorf("Date %v, %v", at, err)
				}
				text, html := parts(t, parsed)
				want := []string{strings.TrimSpace(m.Text), strings.TrimSpace(m.HTML)}
				if diff := cmp.Diff(want, []string{strings.TrimSpace(text), strings.TrimSpace(html)}); diff != "" {
					t.Errorf("parts (-want +got)\n%s", diff)
				}
			}
		})
	}
}

func reply(code int, text string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: text}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		box       *letterbox
		permanent bool
	}{
		"receiver unknown":           {&letterbox{rcptReply: reply(550, "no such user")}, true},
		"receiver moved":             {&letterbox{rcptReply: reply(551, "user not local")}, true},
		"receiver greylisted":        {&letterbox{rcptReply: reply(450, "try again later")}, false},
		"receiver's box busy":        {&letterbox{rcptReply: reply(452, "no space")}, false},
		"sign in first":              {&letterbox{rcptReply: reply(530, "authentication required")}, false},
		"message refused":            {&letterbox{dataReply: reply(554, "looks like spam")}, true},
		"message deferred":           {&letterbox{dataReply: reply(451, "scanner is down")}, false},
		"sender refused":             {&letterbox{mailReply: reply(550, "who are you")}, false},
		"sign-in needed, no setting": {&letterbox{mechanisms: []string{"PLAIN"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c.box.open(t, plain)
			s := newSMTP(t, "smtp://"+c.box.addr, nil)
			err := s.Send(t.Context(), render(t, letter(locale.English, letters()["reset"])))
			if err == nil || mail.Permanent(err) != c.permanent {
				t.Errorf("%v is permanent: %t", err, mail.Permanent(err))
			}
			for _, r := range []*smtp.SMTPError{c.box.rcptReply, c.box.dataReply, c.box.mailReply} {
				if r != nil && !strings.Contains(err.Error(), fmt.Sprintf("%d %s", r.Code, r.Message)) {
					t.Errorf("%v does not say what the server said", err)
				}
			}
			if strings.Contains(err.Error(), "ada@") {
				t.Errorf("%v names the receiver", err)
			}
		})
	}
}

func TestConnectionsThatFail(t *testing.T) {
	message := render(t, letter(locale.English, letters()["reset"]))
	encrypted, bare, implicit := &letterbox{}, &letterbox{}, &letterbox{}
	encrypted.open(t, withSTARTTLS)
	bare.open(t, plain)
	implicit.open(t, implicitTLS)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	for name, c := range map[string]struct {
		setting string
		roots   *x509.CertPool
		want    string
	}{
		"unreachable":              {"smtp://" + gone.Addr().String(), nil, "could not connect"},
		"no such host":             {"smtp://nowhere.invalid", nil, "could not connect"},
		"certificate unknown":      {"smtp://" + encrypted.addr, x509.NewCertPool(), "STARTTLS"},
		"certificate unknown, 465": {"smtps://" + implicit.addr, x509.NewCertPool(), "no encrypted connection"},
		"encryption required":      {"smtp://" + bare.addr + "?starttls=required", nil, "does not offer STARTTLS"},
		"not encrypted from start": {"smtps://" + bare.addr, nil, "no encrypted connection"},
		"nowhere to sign in":       {"smtp://doorward:pass@" + bare.addr, nil, "not signed in"},
	} {
		s := newSMTP(t, c.setting, c.roots)
		for what, err := range map[string]error{"Send": s.Send(t.Context(), message), "Check": s.Check(t.Context())} {
			if err == nil || mail.Permanent(err) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), s.String()) {
				t.Errorf("%s, %s: %v, permanent: %t; want %q", name, what, err, mail.Permanent(err), c.want)
			}
		}
	}
	if len(encrypted.accepted)+len(bare.accepted)+len(implicit.accepted) > 0 {
		t.Error("something was sent")
	}
}

// A password is in no error and no print-out, also when the server repeats what it was sent.
func TestPasswordStaysSecret(t *testing.T) {
	box := &letterbox{mechanisms: []string{"PLAIN", "LOGIN"}}
	box.open(t, withSTARTTLS)
	parrot := script(t, func(line string) string {
		switch {
		case strings.HasPrefix(line, "EHLO"):
			return "250-parrot\r\n250 AUTH LOGIN PLAIN"
		case strings.HasPrefix(line, "AUTH "):
			raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(line, "AUTH PLAIN "))
			return "535 go away: " + line + " that is " + strings.ReplaceAll(string(raw), "\x00", ":")
		}
		return "500 what is " + line
	})
	const secret = `hün"ter\2`
	secrets := []string{
		secret, `hün\"ter\\2`, base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.StdEncoding.EncodeToString([]byte("\x00doorward\x00" + secret)), url.PathEscape(secret),
	}
	for _, addr := range []string{box.addr, parrot} {
		s := newSMTP(t, "smtp://doorward:"+url.PathEscape(secret)+"@"+addr, box.roots)
		errs := []error{s.Check(t.Context()), s.Send(t.Context(), render(t, letter(locale.English, letters()["reset"])))}
		var logged bytes.Buffer
		logger := slog.New(slog.NewJSONHandler(&logged, nil))
		for _, err := range errs {
			if err == nil || mail.Permanent(err) || !strings.Contains(err.Error(), "535") {
				t.Fatalf("a wrong password gives %v", err)
			}
			logger.Error("mail", "err", err, "sender", s)
			slog.New(slog.NewTextHandler(&logged, nil)).Error("mail", "err", err, "sender", s, "value", *s)
			fmt.Fprintf(&logged, "%v %+v %#v %s %v %+v %#v", err, err, err, s, *s, *s, *s)
		}
		for _, secret := range secrets {
			if strings.Contains(logged.String(), secret) {
				t.Errorf("%q is in %s", secret, logged.String())
			}
		}
	}
	for _, setting := range []string{
		"smtp://doorward:hunter2@host:99999", "smtp://doorward:hunter2@host:port", "http://doorward:hunter2@host", "smtp://doorward:hunter2@",
		"smtp://doorward:hunter2@host/x", "smtp://doorward:hunter2@host?starttls=maybe", "smtp://doorward:hunter2@host?starttls=off",
		"smtp://doorward:hunter2@host?password=hunter2", "smtp://doorward:hunter2@host#hunter2", "smtp://doorward:hun/hunter2@host",
		"smtp://doorward:hunter2%zz@host", "smtp://doorward:#hunter2@host", "doorward:hunter2@host", "smtp://:hunter2@host",
		"smtps://doorward:hunter2@host?starttls=required", "smtp://doorward:hunter2@host?starttls=off&starttls=required",
	} {
		if s, err := mail.NewSMTP(setting); err == nil || strings.Contains(err.Error(), "hun") {
			t.Errorf("%s: %v, %v", setting, s, err)
		}
	}
}

func TestSettings(t *testing.T) {
	for setting, want := range map[string]string{
		"smtp://mail.example.org":                       "smtp://mail.example.org:587",
		"smtps://mail.example.org":                      "smtps://mail.example.org:465",
		"smtp://mail.example.org:25/?starttls=optional": "smtp://mail.example.org:25",
		"smtp://u:p@[2001:db8::1]":                      "smtp://[2001:db8::1]:587",
		"smtp://u:p@localhost?starttls=off":             "smtp://localhost:587",
		"smtp://u%40example.org:p%3A@mail.example.org":  "smtp://mail.example.org:587",
		"smtp://mail.example.org:0":                     "",
		"smtp://u@mail.example.org":                     "",
		"smtp://u:@mail.example.org":                    "",
		"smtp://":                                       "",
		"":                                              "",
	} {
		s, err := mail.NewSMTP(setting)
		if want == "" && err == nil || want != "" && (err != nil || s.String() != want) {
			t.Errorf("%q: %v, %v; want %q", setting, s, err, want)
		}
	}
}

// A server that stops answering, at whatever point, holds nobody longer than the context.
func TestServerThatStalls(t *testing.T) {
	message := render(t, letter(locale.English, letters()["reset"]))
	silent := script(t, nil)
	afterHello := script(t, func(line string) string {
		if strings.HasPrefix(line, "EHLO") {
			return "250 stall"
		}
		return ""
	})
	box := &letterbox{hold: make(chan struct{})}
	box.open(t, plain)
	t.Cleanup(func() { close(box.hold) })
	for name, setting := range map[string]string{
		"before the greeting":  "smtp://" + silent,
		"before the handshake": "smtps://" + silent,
		"at the sender":        "smtp://" + afterHello,
		"after the message":    "smtp://" + box.addr,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		start := time.Now()
		err := newSMTP(t, setting, nil).Send(ctx, message)
		cancel()
		if took := time.Since(start); took > 20*time.Second || !errors.Is(err, context.DeadlineExceeded) || mail.Permanent(err) {
			t.Errorf("%s: after %s %v", name, took, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if err := newSMTP(t, "smtp://"+afterHello, nil).Send(ctx, message); !errors.Is(err, context.Canceled) || mail.Permanent(err) {
		t.Errorf("cancelled: %v", err)
	}
	if err := newSMTP(t, "smtp://"+box.addr, nil).Send(ctx, message); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
}

// Once the server has taken the message, nothing that follows may lead to a second copy.
func TestNothingAfterTheReceiptCounts(t *testing.T) {
	for name, goodbye := range map[string]string{"silent": "", "rude": "421 no"} {
		inMessage := false
		addr := script(t, func(line string) string {
			switch {
			case line == ".":
				inMessage = false
				return "250 taken"
			case inMessage, line == "QUIT" && goodbye == "":
				return ""
			case line == "DATA":
				inMessage = true
				return "354 go on"
			case line == "QUIT":
				return goodbye
			}
			return "250 fine"
		})
		if err := newSMTP(t, "smtp://"+addr, nil).Send(t.Context(), render(t, letter(locale.English, letters()["reset"]))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// script is a server for what no honest one does: answer says what to reply to a line, nothing when it is empty. A nil answer
// accepts connections and stays silent.
func script(t *testing.T, answer func(line string) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	serve := func(conn net.Conn) {
		defer func() { _ = conn.Close() }()
		if answer != nil {
			_, _ = io.WriteString(conn, "220 script\r\n")
		}
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			if answer == nil {
				continue
			}
			if reply := answer(lines.Text()); reply != "" {
				_, _ = io.WriteString(conn, reply+"\r\n")
			}
		}
	}
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
	return l.Addr().String()
}
