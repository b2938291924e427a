package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// How long a server may take. RFC 5321 section 4.5.3.2 allows minutes; a worker that holds a lease can't wait that long.
const (
	connectTime = 10 * time.Second // until it greets, TLS included
	messageTime = 60 * time.Second // from connecting to the receipt
	quitTime    = time.Second      // for its goodbye, when the message is through already
)

const replyMax = 300 // characters of a server's reply that an error quotes

// SMTP is a Sender that hands messages to a mail server, one connection per message. It is safe for concurrent use.
type SMTP struct {
	Name    string         // host name that it introduces itself with (EHLO); "localhost" when empty
	RootCAs *x509.CertPool // who may certify the server; the system's when nil

	host, port string
	implicit   bool     // TLS from the first byte (RFC 8314)
	startTLS   startTLS // otherwise
	user       string
	password   func() string // a function, so that no way of printing an SMTP shows it; nil when there is none
}

type startTLS string

const (
	startTLSRequired startTLS = "required"
	startTLSOptional startTLS = "optional"
	startTLSOff      startTLS = "off"
)

// NewSMTP returns a sender for a setting like
//
//	smtp://user:password@mail.example.org:587?starttls=required
//	smtps://user:password@mail.example.org:465
//
// User and password are percent-encoded, and both may be left out. The ports shown are the defaults. With smtp the connection is
// encrypted by STARTTLS, which is required unless the host is a loopback one; there it is used when the server offers it. Over
// anything but TLS or the loopback interface a password is never sent, whatever the setting says. An error never shows the setting.
func NewSMTP(setting string) (*SMTP, error) {
	u, err := url.Parse(setting)
	if err != nil {
		return nil, errors.New("SMTP setting: not a URL; characters of user and password such as @ : / ? # % must be percent-encoded")
	}
	s := &SMTP{host: u.Hostname(), port: u.Port(), implicit: u.Scheme == "smtps"}
	query, err := url.ParseQuery(u.RawQuery)
	switch {
	case u.Scheme != "smtp" && u.Scheme != "smtps":
		return nil, errors.New("SMTP setting: must start with smtp:// or smtps://")
	case s.host == "":
		return nil, errors.New("SMTP setting: the host is missing")
	case err != nil, u.Path != "" && u.Path != "/", u.Fragment != "", len(query) > 1, len(query) == 1 && len(query["starttls"]) != 1:
		return nil, errors.New("SMTP setting: after the port only ?starttls=required, optional or off may follow")
	}
	loopback := s.host == "localhost" || net.ParseIP(s.host).IsLoopback()
	switch s.startTLS = startTLS(query.Get("starttls")); {
	case s.implicit && s.startTLS != "":
		return nil, errors.New("SMTP setting: smtps:// is encrypted from the start, starttls does not go with it")
	case s.startTLS == "" && loopback:
		s.startTLS = startTLSOptional
	case s.startTLS == "":
		s.startTLS = startTLSRequired
	case s.startTLS != startTLSRequired && s.startTLS != startTLSOptional && s.startTLS != startTLSOff:
		return nil, errors.New("SMTP setting: starttls must be required, optional or off")
	}
	switch {
	case s.port == "" && s.implicit:
		s.port = "465"
	case s.port == "":
		s.port = "587"
	}
	if n, err := strconv.Atoi(s.port); err != nil || n < 1 || n > 65535 {
		return nil, errors.New("SMTP setting: the port must be between 1 and 65535")
	}
	if u.User != nil {
		password, ok := u.User.Password()
		s.user, s.password = u.User.Username(), func() string { return password }
		if s.user == "" || !ok || password == "" {
			return nil, errors.New("SMTP setting: user and password go together")
		}
		if s.startTLS == startTLSOff && !s.implicit && !loopback {
			return nil, errors.New("SMTP setting: with starttls=off a password could be read on its way; only a loopback host may do so")
		}
	}
	return s, nil
}

// String returns where mails go, without user and password.
func (s *SMTP) String() string {
	scheme := "smtp://"
	if s.implicit {
		scheme = "smtps://"
	}
	return scheme + s.address()
}

func (s *SMTP) address() string { return net.JoinHostPort(s.host, s.port) }

// Check connects, encrypts and signs in the way Send does, and says goodbye. The error tells at which of these steps it failed.
func (s *SMTP) Check(ctx context.Context) error {
	return s.session(ctx, func(*smtp.Client) error { return nil })
}

// Send hands the message to the server. nil means that the server has taken responsibility for it (RFC 5321 section 4.2.5); what
// happens to the connection after that does not count.
func (s *SMTP) Send(ctx context.Context, m Message) error {
	msg, err := m.eml(time.Now().UTC())
	if err != nil {
		return err
	}
	from, err := msg.GetSender(false)
	if err != nil {
		return err
	}
	to, err := msg.GetRecipients()
	if err != nil {
		return err
	}
	return s.session(ctx, func(c *smtp.Client) error {
		c.SkipSMTPUTF8(true) // our addresses are ASCII; asking for it would make servers further on refuse the message
		if err := c.Mail(from); err != nil {
			return s.failed("the sender was not accepted", err)
		}
		if err := c.Rcpt(to[0]); err != nil {
			return s.refused("the receiver was not accepted", err)
		}
		w, err := c.Data()
		if err != nil {
			return s.refused("the message was not accepted", err)
		}
		if _, err := msg.WriteTo(w); err != nil {
			return s.failed("the message could not be written", err)
		}
		if err := w.Close(); err != nil {
			return s.refused("the message was not accepted", err)
		}
		return nil
	})
}

// session runs do inside a signed-in connection. Whatever happens, it ends with ctx or after messageTime.
func (s *SMTP) session(ctx context.Context, do func(*smtp.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, messageTime)
	defer cancel()
	err := s.talk(ctx, do)
	if cause := context.Cause(ctx); err != nil && cause != nil && !Permanent(err) {
		return &failure{text: err.Error() + ": " + cause.Error(), cause: cause}
	}
	return err
}

// talk connects, runs do and says goodbye. All reading and writing honours ctx through the connection's deadline, which lies in the
// past once ctx has ended.
func (s *SMTP) talk(ctx context.Context, do func(*smtp.Client) error) error {
	greeting := time.Now().Add(connectTime)
	conn, err := (&net.Dialer{Deadline: greeting}).DialContext(ctx, "tcp", s.address())
	if err != nil {
		return s.failed("could not connect", err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(greeting)
	stop := context.AfterFunc(ctx, func() { interrupt(conn) })
	defer stop()
	c, err := s.open(ctx, conn)
	if err != nil {
		return err
	}
	if err := do(c); err != nil {
		return err
	}
	// The message is delivered: a server that says no goodbye must neither hold us up nor cause a second copy.
	if stop() {
		_ = conn.SetDeadline(time.Now().Add(quitTime))
	}
	_ = c.Quit()
	return nil
}

// interrupt makes every read and write of conn return at once.
func interrupt(conn net.Conn) { _ = conn.SetDeadline(time.Unix(1, 0)) }

// open greets, encrypts and signs in.
func (s *SMTP) open(ctx context.Context, conn net.Conn) (*smtp.Client, error) {
	config := &tls.Config{ServerName: s.host, RootCAs: s.RootCAs, MinVersion: tls.VersionTLS12}
	wire := conn
	if s.implicit {
		encrypted := tls.Client(conn, config)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return nil, s.failed("no encrypted connection", err)
		}
		wire = encrypted
	}
	c, err := smtp.NewClient(wire, s.host)
	if err != nil {
		return nil, s.failed("no greeting", err)
	}
	// The greeting came in time; from now on only ctx counts. It is asked after the change, so its end can't be overwritten.
	_ = conn.SetDeadline(time.Time{})
	if ctx.Err() != nil {
		interrupt(conn)
	}
	name, err := mailHost(cmp.Or(s.Name, "localhost"))
	if err != nil {
		return nil, s.failed("EHLO", err)
	}
	if err := c.Hello(name); err != nil {
		return nil, s.failed("EHLO", err)
	}
	encrypted := s.implicit
	if !encrypted && s.startTLS != startTLSOff {
		offered, _ := c.Extension("STARTTLS")
		if !offered && s.startTLS == startTLSRequired {
			return nil, s.failed("encryption is required", errors.New("the server does not offer STARTTLS"))
		}
		if offered {
			if err := c.StartTLS(config); err != nil {
				return nil, s.failed("STARTTLS", err)
			}
			encrypted = true
		}
	}
	if s.password == nil {
		return c, nil
	}
	if remote, ok := conn.RemoteAddr().(*net.TCPAddr); !encrypted && !(ok && remote.IP.IsLoopback()) {
		return nil, s.failed("not signed in", errors.New("the connection is not encrypted, so the password was not sent"))
	}
	if err := s.signIn(c); err != nil {
		return nil, err
	}
	return c, nil
}

// signIn proves who we are (RFC 4954). PLAIN and LOGIN come first: inside TLS they are safe, and unlike CRAM-MD5 they work with
// servers that store only hashes.
func (s *SMTP) signIn(c *smtp.Client) error {
	_, offered := c.Extension("AUTH")
	mechanisms := strings.Fields(strings.ToUpper(offered))
	var auth smtp.Auth
	switch {
	case slices.Contains(mechanisms, "PLAIN"):
		auth = smtp.PlainAuth("", s.user, s.password(), s.host, true) // open has made sure that nobody listens
	case slices.Contains(mechanisms, "LOGIN"):
		auth = smtp.LoginAuth(s.user, s.password(), s.host, true)
	case slices.Contains(mechanisms, "CRAM-MD5"):
		auth = smtp.CRAMMD5Auth(s.user, s.password())
	default:
		return s.failed("not signed in", errors.New("the server offers none of PLAIN, LOGIN and CRAM-MD5"))
	}
	if err := c.Auth(auth); err != nil {
		return s.failed("not signed in", err)
	}
	return nil
}

// refused is failed for replies about this receiver or this message: there a 5yz reply is final (RFC 5321 section 4.2.1), but for
// 530, which is about our sign-in (RFC 4954 section 6).
func (s *SMTP) refused(step string, err error) error {
	f := s.failed(step, err)
	var reply *textproto.Error
	f.permanent = errors.As(err, &reply) && reply.Code >= 500 && reply.Code < 600 && reply.Code != 530
	return f
}

// failed returns a temporary failure that says where and why. Servers may quote what they were sent, so the password is taken out
// in all the forms in which it travels.
func (s *SMTP) failed(step string, err error) *failure {
	text := err.Error()
	if reply := (*textproto.Error)(nil); errors.As(err, &reply) {
		text = fmt.Sprintf("%d %s", reply.Code, reply.Msg) // its own form escapes what is to be found below
	}
	if s.password != nil {
		password := s.password()
		for _, secret := range []string{
			base64.StdEncoding.EncodeToString([]byte("\x00" + s.user + "\x00" + password)),
			base64.StdEncoding.EncodeToString([]byte(password)),
			password,
		} {
			text = strings.ReplaceAll(text, secret, "(password)")
		}
	}
	return &failure{text: fmt.Sprintf("%s: %s: %s", s, step, clean(text, replyMax)), cause: err}
}
