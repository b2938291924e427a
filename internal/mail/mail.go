// Package mail owns what a mail says and how it leaves the house: it renders the kinds of the outbox into messages, and sends them
// by SMTP or writes them into a folder. When to send, to whom, and how often to try again is the outbox's business; it asks
// Permanent whether another try makes sense.
//
//	outbox row -> Letter -> Renderer.Render -> Message -> Sender.Send (SMTP, Folder)
//
// A new kind is a case in Renderer.write with its function beside the others in kinds.go, and its texts mail.{kind}.… in the
// catalogues. All kinds share the two templates, so text and HTML always have the same content and the same links.
package mail

import (
	"context"
	"errors"
	"time"

	"doorward/internal/locale"
	"doorward/internal/outbox"
)

// Letter is what is to be said to whom.
type Letter struct {
	ID       string          // id of the outbox row: letters, digits, "_", "-" and "."; the same row is the same message at each try
	To       string          // bare address of the receiver, without a name
	Name     string          // the receiver's name, may be empty
	Language locale.Language // the receiver's; English when it is not spoken here
	OrgName  string          // the organisation that the mail is about
	OrgURL   string          // the organisation's own sign-in page, absolute
	Location *time.Location  // the organisation's time zone for dates; UTC when nil
	Data     outbox.Data     // one of the outbox's kinds, by value
	Look     Look            // the organisation's
}

// Look is what an organisation's mails look like; what is zero is ours.
type Look struct {
	Light, Dark Paint  // where mail is read on light and on dark grounds
	Logo        []byte // a PNG, shown at half its size; it travels with the message, so that reading it asks nobody
}

// Paint are colours, "#rrggbb".
type Paint struct{ Fill, Text, Link string } // of buttons, on them, of links

// Message is a mail ready to be sent. Its addresses are ASCII: domains in their IDNA form, names encoded by RFC 2047.
type Message struct {
	ID       string // Message-ID without its angle brackets
	From     string // RFC 5322 address
	To       string // RFC 5322 address, with the receiver's name if there is one
	Subject  string // plain text of one line
	Kind     string // value of the header X-Doorward-Message
	Language string // BCP 47 tag
	Text     string // text part, each link alone on its line
	HTML     string // HTML part with the same links
	Logo     []byte // PNG that the HTML part shows, nil for none
}

// Sender delivers messages, each in one call that may be repeated: a message that was delivered twice has the same Message-ID.
// An error is worth another try unless Permanent says otherwise.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// Permanent tells whether err, from Render or Send, will still be there at the next try: the receiving side refused the address or
// the message for good (RFC 5321 section 4.2.1, 5yz), or the address can't be written to. All others are temporary: also the
// operator's mistakes, such as a wrong password, which shall not lose the mails of the meantime.
func Permanent(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.permanent
}

// failure is an error whose text may be shown to operators and stored: it holds no secret.
type failure struct {
	text      string
	permanent bool
	cause     error // for errors.Is, never printed
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }
