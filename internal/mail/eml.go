package mail

import (
	"bytes"
	"errors"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// eml returns the message in the form of RFC 5322 and 2046: text and HTML as alternatives, both quoted-printable, so that it passes
// servers without 8BITMIME; a logo comes with them (RFC 2387). It names no program that made it. What could end a header line is refused, whoever made the message.
func (m Message) eml(at time.Time) (*gomail.Msg, error) {
	id, host, _ := strings.Cut(m.ID, "@")
	if !headerToken(id) || host == "" || !headerToken(m.Kind) {
		return nil, &failure{text: "the message's id or kind is malformed", permanent: true}
	}
	for _, value := range []string{m.ID, m.From, m.To, m.Subject, m.Language} {
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, &failure{text: "a header of the message has control characters", permanent: true}
		}
	}
	msg := gomail.NewMsg(gomail.WithCharset(gomail.CharsetUTF8), gomail.WithEncoding(gomail.EncodingQP),
		gomail.WithNoDefaultUserAgent())
	if err := errors.Join(msg.From(m.From), msg.To(m.To)); err != nil {
		return nil, &failure{text: "an address of the message is malformed", permanent: true}
	}
	msg.Subject(m.Subject)
	msg.SetMessageIDWithValue(m.ID)
	msg.SetDateWithValue(at)
	msg.SetGenHeader("X-Doorward-Message", m.Kind)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 section 5: no out-of-office replies
	msg.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "All")
	msg.SetGenHeader(gomail.HeaderContentLang, m.Language)
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	if len(m.Logo) > 0 {
		if err := msg.EmbedReader("logo.png", bytes.NewReader(m.Logo), gomail.WithFileContentID("<logo@doorward>"), // RFC 2392
			gomail.WithFileContentType("image/png")); err != nil {
			return nil, err
		}
	}
	return msg, nil
}
