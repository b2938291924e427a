package mail_test

import (
	"bytes"
	"flag"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"doorward/internal/locale"
	"doorward/internal/mail"
	"doorward/internal/outbox"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	activeMarkup = regexp.MustCompile(`(?i)<(img|link|script|iframe|object|form)|url\(|@import|\bsrc=`)
	// controls are characters that hide, break lines or turn the reading direction, but for the line end.
	controls = regexp.MustCompile(`[\x00-\x09\x0b-\x1f\x7f\x{80}-\x{9f}\x{200b}\x{200e}\x{200f}\x{2028}-\x{202e}` +
		`\x{2060}-\x{2069}\x{61c}\x{feff}\x{fffd}\x{e0000}-\x{e007f}]`)
)

const token = "Zk3nQ0v9m2cY7wXh1TgB5uRr8sLdE4pKjN6aFoVqIyM"

// letters are all kinds, and the forms of a kind that read differently.
func letters() map[string]outbox.Data {
	at := time.Date(2026, time.November, 21, 16, 5, 0, 0, time.UTC)
	until := at.Add(48 * time.Hour)
	const by = "Grace Hopper"
	return map[string]outbox.Data{
		"invite":                outbox.Invite{Inviter: by, Roles: []string{"administrator", "auditor"}, Token: token, Until: until},
		"invite-by-nobody":      outbox.Invite{Roles: []string{"Night shift"}, Token: token, Until: until},
		"reset":                 outbox.Reset{Token: token, Until: at.Add(time.Hour)},
		"mail-code":             outbox.MailCode{Code: "407192", Until: at.Add(10 * time.Minute)},
		"setup":                 outbox.Setup{Token: token, Until: until, By: by},
		"setup-by-nobody":       outbox.Setup{Token: token, Until: until},
		"password-changed":      outbox.PasswordChanged{At: at, NotMe: token},
		"factor-added":          outbox.FactorAdded{Factor: "passkey", Name: "Blue key", At: at, NotMe: token},
		"factor-added-codes":    outbox.FactorAdded{Factor: "recovery", At: at, NotMe: token},
		"factor-removed":        outbox.FactorRemoved{Factors: []string{"totp"}, At: at, NotMe: token},
		"factor-removed-by":     outbox.FactorRemoved{Factors: []string{"totp", "passkey", "recovery"}, By: by, Reason: "Phone lost", At: at, NotMe: token},
		"factor-disabled":       outbox.FactorDisabled{Factor: "totp", At: at, NotMe: token},
		"factor-disabled-word":  outbox.FactorDisabled{Factor: "password", At: at, NotMe: token},
		"factor-disabled-codes": outbox.FactorDisabled{Factor: "recovery", At: at, NotMe: token},
		"recovery-used":         outbox.RecoveryUsed{Left: 9, At: at, NotMe: token},
		"recovery-used-but-one": outbox.RecoveryUsed{Left: 1, At: at, NotMe: token},
		"recovery-used-up":      outbox.RecoveryUsed{At: at, NotMe: token},
		"new-device":            outbox.NewDevice{Device: "Firefox, Android", Address: "2001:db8::7", At: at, NotMe: token},
		"access-code":           outbox.AccessCode{By: by, Until: until, NotMe: token},
		"access-code-by-nobody": outbox.AccessCode{Until: until, NotMe: token},
		"not-me-alert":          outbox.NotMeAlert{Person: by, Address: "grace@fabrikam.example", Slug: "fabrikam", Account: "acc_01hzy8", At: at},
		"not-me-alert-removed":  outbox.NotMeAlert{Person: by, Address: "grace@fabrikam.example", Slug: "fabrikam", Account: "acc_01hzy8", Removed: "passkey", At: at},
		"my-organisations":      outbox.MyOrganisations{Pages: []outbox.SignInPage{{Name: "Fabrikam", Slug: "fabrikam"}}},
		"my-organisations-many": outbox.MyOrganisations{Pages: []outbox.SignInPage{{Name: "Fabrikam", Slug: "fabrikam"}, {Name: "Tailspin <Toys>", Slug: "tailspin"}, {Name: "Wingtip", Slug: "wing.tip"}}},
		"linked": outbox.Linked{Organisation: "Northwind", Address: "grace@northwind.example", Home: "Fabrikam", HomeAddress: "grace@fabrikam.example",
			At: at, NotMe: token},
		"linked-own": outbox.Linked{Organisation: "Fabrikam", Address: "grace@fabrikam.example", Home: "Contoso IT", HomeAddress: "grace@contoso.example",
			Own: true, At: at, NotMe: token},
		"unlinked":               outbox.Unlinked{Organisation: "Northwind", Address: "grace@northwind.example", Invited: true, At: at},
		"unlinked-by":            outbox.Unlinked{Organisation: "Northwind", Address: "grace@northwind.example", By: by, At: at},
		"linked-reset":           outbox.LinkedReset{Person: by, Address: "grace@fabrikam.example", Home: "Contoso IT", Slug: "fabrikam", Account: "acc_01hzy8", At: at},
		"linked-reset-disabled":  outbox.LinkedReset{Person: by, Address: "grace@fabrikam.example", Home: "Contoso IT", Disabled: true, Slug: "fabrikam", Account: "acc_01hzy8", At: at},
		"reset-elsewhere":        outbox.ResetElsewhere{Home: "Contoso IT", Slug: "contoso"},
		"mfa-deadline":           outbox.Deadline{From: at.Add(7 * 24 * time.Hour)},
		"mfa-deadline-by":        outbox.Deadline{From: at.Add(7 * 24 * time.Hour), By: by, Keys: true},
		"mfa-deadline-now":       outbox.Deadline{By: by},
		"expiry-below":           outbox.Expiry{Organisation: "Tailspin Toys", Person: by, Until: until},
		"expiry":                 outbox.Expiry{Organisation: "Fabrikam", Person: by, Until: until},
		"org-state-suspended":    outbox.OrgState{State: "suspended", Organisation: "Fabrikam", By: by, Reason: "invoice 4711", At: at},
		"org-state-active":       outbox.OrgState{State: "active", Organisation: "Fabrikam", At: at},
		"org-state-deleting":     outbox.OrgState{State: "deleting", Organisation: "Fabrikam", By: by, Until: until, At: at},
		"org-state-kept":         outbox.OrgState{State: "kept", Organisation: "Fabrikam", By: by, At: at},
		"org-state-deleting-2":   outbox.OrgState{State: "deleting", Organisation: "Fabrikam", By: by, Until: until, Suspended: true, At: at},
		"org-state-kept-2":       outbox.OrgState{State: "kept", Organisation: "Fabrikam", By: by, Suspended: true, At: at},
		"org-state-gone":         outbox.OrgState{State: "gone", Organisation: "Fabrikam", At: at},
		"account-state-deleting": outbox.AccountState{State: "deleting", By: by, Until: until, At: at},
		"account-state-kept":     outbox.AccountState{State: "kept", By: by, At: at},
		"email-confirm":          outbox.EmailConfirm{Old: "ada@fabrikam.example", New: "ada.l@fabrikam.example", Token: token, Until: until},
		"email-confirm-by":       outbox.EmailConfirm{Old: "ada@fabrikam.example", New: "ada.l@fabrikam.example", By: by, Token: token, Until: until},
		"email-changing":         outbox.EmailChanging{Old: "ada@fabrikam.example", New: "ada.l@fabrikam.example", At: at, NotMe: token},
		"email-changing-by":      outbox.EmailChanging{Old: "ada@fabrikam.example", New: "ada.l@fabrikam.example", By: by, At: at, NotMe: token},
		"email-changed":          outbox.EmailChanged{Old: "ada@fabrikam.example", New: "ada.l@fabrikam.example", At: at, NotMe: token},
		"seats-request": outbox.SeatsRequest{Organisation: "Fabrikam", Slug: "fabrikam", Used: 5, Limit: 5, Wanted: 1200, Reason: "New office in <Lyon>",
			By: by, At: at},
		"seats-answer":           outbox.SeatsAnswer{Organisation: "Fabrikam", Slug: "fabrikam", Granted: true, Limit: 12, By: "Contoso IT", At: at},
		"seats-answer-unlimited": outbox.SeatsAnswer{Organisation: "Fabrikam", Slug: "fabrikam", Granted: true, Limit: -1, By: "Contoso IT", At: at},
		"seats-answer-declined":  outbox.SeatsAnswer{Organisation: "Fabrikam", Slug: "fabrikam", Limit: 5, Reason: "See the offer first", By: "Contoso IT", At: at},
		"move-asked": outbox.MoveAsked{Customer: "Fabrikam", From: "Contoso IT", To: "Tailspin Managed Services", Reason: "new contract", Until: until,
			Slug: "fabrikam", Move: "mov_01hzy8"},
		"move-asked-of-an-msp": outbox.MoveAsked{Customer: "Northwind", From: "Fabrikam", To: "Tailspin Managed Services", Reason: "new contract", Until: until,
			Slug: "fabrikam", Move: "mov_01hzy8"},
		"move-done":             outbox.MoveDone{Customer: "Northwind", From: "Fabrikam", To: "Tailspin Managed Services", At: at},
		"move-declined":         outbox.MoveDeclined{Customer: "Fabrikam", From: "Contoso IT", To: "Tailspin Managed Services", By: "Contoso IT", Reason: "unpaid invoices", At: at},
		"move-cancelled":        outbox.MoveCancelled{Customer: "Fabrikam", From: "Contoso IT", To: "Tailspin Managed Services", At: at},
		"role-changed":          outbox.RoleChanged{Roles: []string{"core", "co_manager"}, By: by, At: at},
		"role-changed-to-none":  outbox.RoleChanged{At: at},
		"role-changed-to-a-few": outbox.RoleChanged{Roles: []string{"support", "editor", "viewer"}, By: by, At: at},
	}
}

func newRenderer(t *testing.T, public, from string) *mail.Renderer {
	t.Helper()
	catalogue, err := locale.Load(func(l locale.Language, key string, err error) { t.Errorf("%s: text %q: %v", l, key, err) })
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(public)
	if err != nil {
		t.Fatal(err)
	}
	r, err := mail.NewRenderer(catalogue, u, from)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func letter(l locale.Language, data outbox.Data) mail.Letter {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	return mail.Letter{
		ID: "out_01hzy8", To: "ada@fabrikam.example", Name: "Ada Lovelace", Language: l, OrgName: "Fabrikam",
		OrgURL: "https://door.example.org/o/fabrikam/login", Location: berlin, Data: data,
	}
}

func render(t *testing.T, l mail.Letter) mail.Message {
	t.Helper()
	m, err := newRenderer(t, "https://door.example.org", "Doorward <noreply-account@door.example.org>").Render(l)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEveryKindInEveryLanguage(t *testing.T) {
	for name, data := range letters() {
		for _, l := range locale.Languages {
			t.Run(name+"."+string(l), func(t *testing.T) {
				m := render(t, letter(l, data))
				got := "Subject: " + m.Subject + "\nX-Doorward-Message: " + m.Kind + "\n\n" + m.Text + "\n----\n" + m.HTML
				file := filepath.Join("testdata", name+"."+string(l)+".golden")
				if *update {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("differs from %s (-want +got); with -update it is written anew\n%s", file, diff)
				}
				if m.Kind != string(data.Kind()) || m.Language != string(l) || m.ID != "out_01hzy8@door.example.org" {
					t.Errorf("kind %q, language %q, id %q", m.Kind, m.Language, m.ID)
				}
				if len(m.HTML) > 15<<10 {
					t.Errorf("HTML has %d bytes", len(m.HTML))
				}
				if !strings.Contains(m.Text, "Fabrikam") || !strings.Contains(m.HTML, "Fabrikam") || !strings.Contains(m.Subject, "Fabrikam") {
					t.Error("the organisation is not named everywhere")
				}
				if strings.Contains(got, "ZgotmplZ") || strings.Contains(got, "<no value>") {
					t.Error("a template could not write a value")
				}
				if active := activeMarkup.FindString(m.HTML); active != "" {
					t.Errorf("HTML loads or runs something: %s", active)
				}
			})
		}
	}
}

func TestTextAndHTMLHaveTheSameLinks(t *testing.T) {
	action := map[string]string{
		"invite": "https://door.example.org/activate/" + token,
		"reset":  "https://door.example.org/reset/" + token,
		"setup":  "https://door.example.org/setup/" + token,

		"email-confirm":   "https://door.example.org/confirm-email/" + token,
		"not-me-alert":    "https://door.example.org/o/fabrikam/users/acc_01hzy8",
		"move-asked":      "https://door.example.org/o/fabrikam/move/mov_01hzy8",
		"linked-reset":    "https://door.example.org/o/fabrikam/users/acc_01hzy8",
		"seats-request":   "https://door.example.org/o/fabrikam/seats",
		"seats-answer":    "https://door.example.org/o/fabrikam/seats",
		"reset-elsewhere": "https://door.example.org/o/contoso/forgot",
	}
	for name, data := range letters() {
		m := render(t, letter(locale.English, data))
		inText, inHTML := textLinks(t, m.Text), htmlLinks(m.HTML)
		if diff := cmp.Diff(inText, inHTML); diff != "" {
			t.Errorf("%s: links of text and HTML differ (-text +html)\n%s", name, diff)
		}
		want := []string{"https://door.example.org/o/fabrikam/login"}
		if _, elsewhere := data.(outbox.ResetElsewhere); elsewhere { // the page that signs this person in
			want = []string{"https://door.example.org/o/contoso/login"}
		}
		if a, ok := action[m.Kind]; ok {
			want = append(want, a)
		}
		if _, ok := data.(outbox.Warning); ok {
			want = append(want, "https://door.example.org/not-me/"+token)
		}
		if list, ok := data.(outbox.MyOrganisations); ok {
			for _, p := range list.Pages[1:] {
				want = append(want, "https://door.example.org/o/"+p.Slug+"/login")
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, inText); diff != "" {
			t.Errorf("%s: links (-want +got)\n%s", name, diff)
		}
	}
}

// textLinks returns the sorted links of a text part, and fails when one shares its line.
func textLinks(t *testing.T, text string) []string {
	t.Helper()
	var links []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.Contains(line, "://") {
			if u, err := url.Parse(line); err != nil || u.Host == "" || strings.Contains(line, " ") {
				t.Errorf("a link is not alone on its line: %q", line)
			}
			links = append(links, line)
		}
	}
	slices.Sort(links)
	return slices.Compact(links)
}

func htmlLinks(s string) []string {
	var links []string
	for _, m := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(s, -1) {
		links = append(links, html.UnescapeString(m[1]))
	}
	slices.Sort(links)
	return slices.Compact(links)
}

// A tenant domain with dots, a public URL with a folder and a port, and a domain beyond ASCII all stay the same in both parts.
func TestLinksOfUnusualAddresses(t *testing.T) {
	r := newRenderer(t, "http://localhost:8080/door", "noreply-account@localhost")
	l := letter(locale.German, letters()["invite"])
	l.OrgURL = "http://localhost:8080/door/o/123456.sms/login"
	m, err := r.Render(l)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"http://localhost:8080/door/activate/" + token, "http://localhost:8080/door/o/123456.sms/login"}
	if diff := cmp.Diff([][]string{want, want}, [][]string{textLinks(t, m.Text), htmlLinks(m.HTML)}); diff != "" {
		t.Error(diff)
	}
	if m.From != "<noreply-account@localhost>" || m.ID != "out_01hzy8@localhost" {
		t.Errorf("from %q, id %q", m.From, m.ID)
	}
	for public, host := range map[string]string{
		"https://tür.example":      "xn--tr-xka.example",
		"http://127.0.0.1:8080":    "[127.0.0.1]",
		"http://[::1]:8080":        "[IPv6:::1]",
		"https://DOOR.example.org": "DOOR.example.org",
	} {
		m, err := newRenderer(t, public, "noreply@tür.example").Render(letter(locale.English, letters()["reset"]))
		if err != nil || m.ID != "out_01hzy8@"+host || m.From != "<noreply@xn--tr-xka.example>" {
			t.Errorf("%s: id %q, from %q, %v", public, m.ID, m.From, err)
		}
	}
}

// What people type can neither become a header, nor markup, nor a link, nor turn the reading direction of what follows.
func TestHostileValues(t *testing.T) {
	for name, evil := range map[string]string{
		"header":    "Ada\r\nBcc: victim@example.org\r\n\r\n<p>Hello",
		"folded":    "Ada\r\n Bcc: victim@example.org",
		"separator": "Ada\u2028Bcc: x@example.org\u2029\u0085\x00\x1b[31m",
		"bidi":      "Ada \u202egro.elpmaxe\u202c \u2066x\u2069\u200f\u061c",
		"invisible": "A\u200bd\u2060a\ufeff\U000e0041",
		"markup":    `Ada"><img src=https://evil.example/x.png onerror=alert(1)><a href='https://evil.example'>`,
		"template":  `Ada {{.Org}} {{template "x"}}`,
		"link":      "Ada https://evil.example/activate/x javascript:alert(1)",
		"quotes":    `Ada" <victim@example.org>, "B\`,
		"encoded":   "=?utf-8?q?Ada=0D=0ABcc:_victim@example.org?=",
		"bytes":     "Ada \xff\xfe\xc3",
		"long":      strings.Repeat("Añ 🙂", 2500),
	} {
		t.Run(name, func(t *testing.T) {
			until := time.Date(2026, time.November, 21, 16, 5, 0, 0, time.UTC)
			for _, data := range []outbox.Data{
				outbox.Invite{Inviter: evil, Roles: slices.Repeat([]string{evil}, 50), Token: token, Until: until},
				outbox.FactorAdded{Factor: evil, Name: evil, At: until},
				outbox.FactorRemoved{Factors: slices.Repeat([]string{evil}, 50), By: evil, Reason: evil, At: until},
				outbox.AccountState{State: evil, By: evil, Until: until, At: until},
				outbox.EmailConfirm{Old: evil, New: evil, By: evil, Token: token, Until: until},
				outbox.EmailChanging{Old: evil, New: evil, By: evil, At: until, NotMe: token},
				outbox.EmailChanged{Old: evil, New: evil, At: until, NotMe: token},
				outbox.OrgState{State: evil, Organisation: evil, By: evil, Reason: evil, Until: until, At: until},
				outbox.SeatsRequest{Organisation: evil, Slug: "fabrikam", Used: 5, Limit: 5, Wanted: 6, Reason: evil, By: evil, At: until},
				outbox.SeatsAnswer{Organisation: evil, Slug: "fabrikam", Reason: evil, By: evil, At: until},
				outbox.MoveAsked{Customer: evil, From: evil, To: evil, Reason: evil, Until: until, Slug: "fabrikam", Move: "mov_1"},
				outbox.MoveDone{Customer: evil, From: evil, To: evil, At: until},
				outbox.MoveDeclined{Customer: evil, From: evil, To: evil, By: evil, Reason: evil, At: until},
				outbox.MoveCancelled{Customer: evil, From: evil, To: evil, At: until},
				outbox.Expiry{Organisation: evil, Person: evil, Until: until},
				outbox.RoleChanged{Roles: slices.Repeat([]string{evil}, 50), By: evil, At: until},
				outbox.FactorDisabled{Factor: evil, At: until, NotMe: token},
				outbox.NewDevice{Device: evil, Address: evil, At: until, NotMe: token},
				outbox.AccessCode{By: evil, Until: until, NotMe: token},
				outbox.Setup{By: evil, Until: until, Token: token},
				outbox.Linked{Organisation: evil, Address: evil, Home: evil, HomeAddress: evil, Own: true, At: until, NotMe: token},
				outbox.Unlinked{Organisation: evil, Address: evil, By: evil, At: until},
				outbox.LinkedReset{Person: evil, Address: evil, Home: evil, Slug: "fabrikam", Account: "acc_01hzy8", At: until},
				outbox.ResetElsewhere{Home: evil, Slug: "contoso"},
				outbox.NotMeAlert{Person: evil, Address: evil, Slug: "fabrikam", Account: "acc_01hzy8", Removed: evil, At: until},
			} {
				l := letter(locale.French, data)
				l.Name, l.OrgName = evil, evil
				m := render(t, l)
				if bad := controls.FindString(m.Text + m.HTML + m.Subject + m.To); bad != "" {
					t.Errorf("%s: %q is left", m.Kind, bad)
				}
				if strings.Contains(m.HTML, "<img") || strings.Contains(m.HTML, "<p>Hello") {
					t.Errorf("%s: markup came through", m.Kind)
				}
				if diff := cmp.Diff(textLinks(t, m.Text), htmlLinks(m.HTML)); diff != "" {
					t.Errorf("%s: %s", m.Kind, diff)
				}
				for _, link := range textLinks(t, m.Text) {
					if !strings.HasPrefix(link, "https://door.example.org/") {
						t.Errorf("%s: a link leads to %s", m.Kind, link)
					}
				}
				if len(m.HTML) > 15<<10 || len(m.Text) > 8<<10 || len(m.To) > 2000 {
					t.Errorf("%s: HTML %d, text %d, To %d bytes", m.Kind, len(m.HTML), len(m.Text), len(m.To))
				}
				parsed := delivered(t, m)
				want := []string{"Auto-Submitted", "Content-Language", "Content-Type", "Date", "From", "Message-Id", "Mime-Version",
					"Subject", "To", "X-Auto-Response-Suppress", "X-Doorward-Message"}
				var got []string
				for header, values := range parsed.Header {
					if len(values) != 1 {
						t.Errorf("%s: %s stands there %d times", m.Kind, header, len(values))
					}
					got = append(got, header)
				}
				slices.Sort(got)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: headers (-want +got)\n%s", m.Kind, diff)
				}
				to, err := parsed.Header.AddressList("To")
				if err != nil || len(to) != 1 || to[0].Address != "ada@fabrikam.example" {
					t.Errorf("%s: To is %v, %v", m.Kind, to, err)
				}
			}
		})
	}
}

// delivered writes the message into a folder and reads it back.
func delivered(t *testing.T, m mail.Message) *netmail.Message {
	t.Helper()
	dir := t.TempDir()
	f, err := mail.NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, b)
}

func parse(t *testing.T, b []byte) *netmail.Message {
	t.Helper()
	for line := range bytes.SplitSeq(b, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n") { // RFC 5322 section 2.1.1, 2.3
			t.Errorf("line of %d bytes or with a bare line end: %.80q", len(line), line)
		}
		for _, c := range line {
			if c >= 0x80 {
				t.Errorf("line is not ASCII: %q", line)
				break
			}
		}
	}
	parsed, err := netmail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// parts returns the decoded text and HTML of a message.
func parts(t *testing.T, m *netmail.Message) (text, html string) {
	t.Helper()
	media, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || media != "multipart/alternative" {
		t.Fatal(media, err)
	}
	var got []string
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if enc := part.Header.Get("Content-Transfer-Encoding"); enc != "quoted-printable" {
			t.Errorf("encoding %q", enc)
		}
		b, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, part.Header.Get("Content-Type"), strings.ReplaceAll(string(b), "\r\n", "\n"))
	}
	if len(got) != 4 || got[0] != "text/plain; charset=UTF-8" || got[2] != "text/html; charset=UTF-8" {
		t.Fatalf("parts %q", got)
	}
	return got[1], got[3]
}

func TestReceivers(t *testing.T) {
	r := newRenderer(t, "https://door.example.org", "noreply@door.example.org")
	for address, want := range map[string]string{
		"ada@fabrikam.example":                        "<ada@fabrikam.example>",
		"ada+x@fabrikam.example":                      "<ada+x@fabrikam.example>",
		`"ada lovelace"@fabrikam.example`:             `<"ada lovelace"@fabrikam.example>`,
		"ada@bücher.example":                          "<ada@xn--bcher-kva.example>",
		"ada@BÜCHER.example":                          "<ada@xn--bcher-kva.example>",
		"ädä@fabrikam.example":                        "",
		"ada":                                         "",
		"":                                            "",
		"@fabrikam.example":                           "",
		"ada@":                                        "",
		"ada@fabrikam.example ":                       "",
		"Ada <ada@fabrikam.example>":                  "",
		"<ada@fabrikam.example>":                      "",
		"ada@fabrikam.example (evil)":                 "",
		"ada@a.example, eve@b.example":                "",
		"ada@a.example<eve@b.example>":                "",
		"a@b@c.example":                               "",
		"ada@fabrikam.example\r\nBcc: x@y":            "",
		"ada\r\n@fabrikam.example":                    "",
		"\"ada\r\n x\"@fabrikam.example":              "",
		"ada\x00@fabrikam.example":                    "",
		"ada@fabrikam\u202e.example":                  "",
		strings.Repeat("a", 65) + "@fabrikam.example": "",
		"ada@" + strings.Repeat("fabrikam.", 30) + "example": "",
		"=?utf-8?q?eve=40b.example=3E?=@a.example":           "<=?utf-8?q?eve=40b.example=3E?=@a.example>",
		"=?utf-8?q?eve=40b.example?= <ada@fabrikam.example>": "",
		"ada@xn--bcher-kva.example":                          "<ada@xn--bcher-kva.example>",
		strings.Repeat("a", 64) + "@fabrikam.example":        "<" + strings.Repeat("a", 64) + "@fabrikam.example>",
	} {
		l := letter(locale.English, letters()["reset"])
		l.To, l.Name = address, ""
		m, err := r.Render(l)
		switch {
		case want == "" && (err == nil || !mail.Permanent(err)):
			t.Errorf("%q: %q, %v; want a permanent error", address, m.To, err)
		case want == "" && strings.ContainsAny(err.Error(), "\r\n\x00"):
			t.Errorf("%q: the error %q may break a log line", address, err)
		case want != "" && (err != nil || m.To != want):
			t.Errorf("%q: %q, %v; want %q", address, m.To, err, want)
		}
	}
	l := letter(locale.English, letters()["reset"])
	l.Name = "Zoë \"Z\" Łuk"
	if m := render(t, l); !strings.Contains(m.Text, "Hello "+l.Name+",") || !strings.HasSuffix(m.To, "<ada@fabrikam.example>") {
		t.Errorf("%q\n%s", m.To, m.Text)
	}
}

type unknown struct{}

func (unknown) Kind() outbox.Kind { return "from-the-future" }

// Mistakes of ours are errors, never half a mail, and never final: the fixed version sends it.
func TestLettersThatCanNotBeWritten(t *testing.T) {
	r, err := locale.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	renderer, err := mail.NewRenderer(r, &url.URL{Scheme: "https", Host: "door.example.org"}, "noreply@door.example.org")
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*mail.Letter){
		"no id":               func(l *mail.Letter) { l.ID = "" },
		"id with a line end":  func(l *mail.Letter) { l.ID = "out_1\r\nBcc" },
		"id with a folder":    func(l *mail.Letter) { l.ID = "../out" },
		"no organisation":     func(l *mail.Letter) { l.OrgName = "\u200b " },
		"relative sign-in":    func(l *mail.Letter) { l.OrgURL = "/o/fabrikam/login" },
		"script as sign-in":   func(l *mail.Letter) { l.OrgURL = "javascript://x/%0aalert(1)" },
		"no data":             func(l *mail.Letter) { l.Data = nil },
		"unknown kind":        func(l *mail.Letter) { l.Data = unknown{} },
		"invite without link": func(l *mail.Letter) { l.Data = outbox.Invite{} },
		"reset to elsewhere":  func(l *mail.Letter) { l.Data = outbox.Reset{Token: "../x"} },
		"no code":             func(l *mail.Letter) { l.Data = outbox.MailCode{} },
	} {
		l := letter(locale.English, letters()["reset"])
		spoil(&l)
		if m, err := renderer.Render(l); err == nil || mail.Permanent(err) || m.ID != "" || m.HTML != "" {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	for _, from := range []string{"", "nobody", "a@b, c@d", "ä@b.example"} {
		if _, err := mail.NewRenderer(r, &url.URL{Scheme: "https", Host: "door.example.org"}, from); err == nil {
			t.Errorf("sender %q was accepted", from)
		}
	}
}

// A language that is not spoken becomes English, a missing time zone UTC.
func TestDefaults(t *testing.T) {
	l := letter("tlh", letters()["password-changed"])
	l.Location = nil
	m := render(t, l)
	if m.Language != "en" || !strings.Contains(m.Text, "21 November 2026, 16:05 UTC") {
		t.Errorf("%s\n%s", m.Language, m.Text)
	}
}
