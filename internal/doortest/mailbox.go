package doortest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"doorward/internal/secret"
)

func secretText(s string) secret.Text { return secret.Text(s) }

// Mail is a message that arrived.
type Mail struct {
	To, From, Subject, Kind, Language string
	Text, HTML                        string
	Raw                               string
	Logo                              []byte
	LogoID                            string // its Content-ID
}

var linkForm = regexp.MustCompile(`(?m)^https?://\S+$`)

// Links returns the links of the text part, each of which stands alone on its line.
func (m Mail) Links() []string {
	return linkForm.FindAllString(strings.ReplaceAll(m.Text, "\r", ""), -1)
}

// Link returns the first link that contains part.
func (m Mail) Link(part string) string {
	for _, l := range m.Links() {
		if strings.Contains(l, part) {
			return l
		}
	}
	return ""
}

var codeForm = regexp.MustCompile(`(?m)^\s*(\d{6})\s*$`)

// Code returns the six-digit code of the text part.
func (m Mail) Code() string {
	found := codeForm.FindStringSubmatch(strings.ReplaceAll(m.Text, "\r", ""))
	if found == nil {
		return ""
	}
	return found[1]
}

// Mailbox is a real SMTP server on loopback that keeps what arrives.
type Mailbox struct {
	t    testing.TB
	addr string

	mu     sync.Mutex
	mails  []Mail
	Refuse func(to string) error // answers RCPT; nil takes everything
}

// NewMailbox starts a mailbox that stops with the test.
func NewMailbox(t testing.TB) *Mailbox {
	t.Helper()
	return MailboxAt(t, "127.0.0.1:0")
}

// MailboxAt starts a mailbox at an address: one that was out of reach until now.
func MailboxAt(t testing.TB, addr string) *Mailbox {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	m := &Mailbox{t: t, addr: l.Addr().String()}
	s := smtp.NewServer(m)
	s.Domain = "localhost"
	s.ReadTimeout, s.WriteTimeout = 20*time.Second, 20*time.Second
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Serve(l); err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return m
}

// URL returns the setting that sends mail here.
func (m *Mailbox) URL() string { return "smtp://" + m.addr }

// NewSession lets smtp.Server talk to the mailbox.
func (m *Mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &delivery{box: m}, nil }

type delivery struct {
	box  *Mailbox
	to   string
	from string
}

func (d *delivery) Mail(from string, _ *smtp.MailOptions) error { d.from = from; return nil }

func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error {
	d.box.mu.Lock()
	refuse := d.box.Refuse
	d.box.mu.Unlock()
	if refuse != nil {
		if err := refuse(to); err != nil {
			return err
		}
	}
	d.to = to
	return nil
}

func (d *delivery) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m, err := ReadMail(raw)
	if err != nil {
		return err
	}
	m.To, m.From = d.to, d.from
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	d.box.mails = append(d.box.mails, m)
	return nil
}

func (d *delivery) Reset()        {}
func (d *delivery) Logout() error { return nil }

// SetRefuse changes how the mailbox answers RCPT.
func (m *Mailbox) SetRefuse(f func(to string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Refuse = f
}

// All returns what arrived for an address, oldest first; everything when it is empty.
func (m *Mailbox) All(to string) []Mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Mail
	for _, one := range m.mails {
		if to == "" || strings.EqualFold(one.To, to) {
			list = append(list, one)
		}
	}
	return list
}

// Wait waits for the nth mail of a kind to an address, counting from 1.
func (m *Mailbox) Wait(to, kind string, nth int) Mail {
	m.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		n := 0
		for _, one := range m.All(to) {
			if one.Kind == kind {
				if n++; n == nth {
					return one
				}
			}
		}
	}
	m.t.Fatalf("no mail %q number %d for %s; there are %d mails", kind, nth, to, len(m.All("")))
	return Mail{}
}

// ReadMail takes a message apart.
func ReadMail(raw []byte) (Mail, error) {
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Mail{}, err
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil {
		return Mail{}, err
	}
	m := Mail{To: msg.Header.Get("To"), Subject: subject, Kind: msg.Header.Get("X-Doorward-Message"), Language: msg.Header.Get("Content-Language"), Raw: string(raw)}
	return m, m.take(msg.Header.Get("Content-Type"), msg.Body)
}

// take reads the parts of a message; those of a message with a picture lie one deeper.
func (m *Mail) take(kind string, body io.Reader) error {
	_, params, err := mime.ParseMediaType(kind)
	if err != nil {
		return err
	}
	parts := multipart.NewReader(body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		kind := p.Header.Get("Content-Type")
		if strings.HasPrefix(kind, "multipart/") {
			if err := m.take(kind, p); err != nil {
				return err
			}
			continue
		}
		var body io.Reader = p
		switch strings.ToLower(p.Header.Get("Content-Transfer-Encoding")) {
		case "quoted-printable":
			body = quotedprintable.NewReader(p)
		case "base64":
			body = base64.NewDecoder(base64.StdEncoding, p)
		}
		text, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(kind, "text/html"):
			m.HTML = string(text)
		case strings.HasPrefix(kind, "image/png"):
			m.Logo, m.LogoID = text, p.Header.Get("Content-ID")
		default:
			m.Text = string(text)
		}
	}
}
