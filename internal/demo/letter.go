package demo

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// letter is a message that arrived.
type letter struct {
	Number                    int // from 1, in the order of arrival
	At                        time.Time
	To                        string // address alone
	Subject, Kind, Text, HTML string
	Headers                   []header
}

// header is a line of a message's head, as it was sent.
type header struct{ Name, Value string }

// box is all mail: the server's mail folder, read as it fills.
type box struct {
	dir     string
	mu      sync.Mutex
	seen    map[string]bool
	letters []letter
}

// collect reads the files that have come since. They arrived at that time; the zero time means when their Date header says.
func (b *box) collect(at time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	files, err := filepath.Glob(filepath.Join(b.dir, "*.eml")) // sorted by name, which begins with the time
	if err != nil {
		return err
	}
	for _, name := range files {
		if b.seen[name] {
			continue
		}
		l, err := readLetter(name)
		if err != nil {
			return err
		}
		if !at.IsZero() {
			l.At = at
		}
		if b.seen == nil {
			b.seen = map[string]bool{}
		}
		b.seen[name] = true
		l.Number = len(b.letters) + 1
		b.letters = append(b.letters, l)
	}
	return nil
}

// all returns everything that arrived, newest first.
func (b *box) all() []letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := slices.Clone(b.letters)
	slices.Reverse(list)
	return list
}

// newest returns the last message of a kind to an address, false when there is none.
func (b *box) newest(to, kind string) (letter, bool) {
	for _, l := range b.all() {
		if l.Kind == kind && strings.EqualFold(l.To, to) {
			return l, true
		}
	}
	return letter{}, false
}

// readLetter takes a message file apart (RFC 5322, RFC 2046).
func readLetter(name string) (l letter, err error) {
	f, err := os.Open(name)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	m, err := mail.ReadMessage(f)
	if err != nil {
		return l, err
	}
	if l.At, err = m.Header.Date(); err != nil {
		return l, err
	}
	if l.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return l, err
	}
	to, err := mail.ParseAddress(m.Header.Get("To"))
	if err != nil {
		return l, err
	}
	l.To, l.Kind = to.Address, m.Header.Get("X-Doorward-Message")
	for name, values := range m.Header {
		for _, v := range values {
			l.Headers = append(l.Headers, header{name, v})
		}
	}
	slices.SortFunc(l.Headers, func(a, b header) int { return strings.Compare(a.Name+a.Value, b.Name+b.Value) })
	return l, l.take(m.Header.Get("Content-Type"), m.Body)
}

// take reads the parts of a message; those of a message with a picture lie one deeper. The picture goes into the HTML part, which it follows.
func (l *letter) take(kind string, body io.Reader) error {
	_, params, err := mime.ParseMediaType(kind)
	if err != nil {
		return err
	}
	parts := multipart.NewReader(body, params["boundary"])
	for {
		p, err := parts.NextPart() // decodes quoted-printable
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		kind, id := p.Header.Get("Content-Type"), strings.Trim(p.Header.Get("Content-ID"), "<>")
		if strings.HasPrefix(kind, "multipart/") {
			if err := l.take(kind, p); err != nil {
				return err
			}
			continue
		}
		body, err := io.ReadAll(p)
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(kind, "text/html"):
			l.HTML = string(body)
		case id != "": // in base64
			l.HTML = strings.ReplaceAll(l.HTML, "cid:"+id, "data:image/png;base64,"+strings.Join(strings.Fields(string(body)), ""))
		default:
			l.Text = strings.ReplaceAll(string(body), "\r\n", "\n")
		}
	}
}
