// Package locale owns the languages: one catalogue file each, plural rules, dates and numbers. Texts live nowhere else. A key
// that a catalogue lacks shows the English text and is reported to who loaded it; a test holds that none is missing.
package locale

import (
	"embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"github.com/nicksnyder/go-i18n/v2/i18n/template"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

//go:embed catalogues/*.json
var catalogues embed.FS

// Language is one of the languages that Doorward speaks, as a BCP 47 tag.
type Language string

// The languages, English first: it is the one that the others fall back to.
const (
	English Language = "en"
	German  Language = "de"
	French  Language = "fr"
)

// Languages lists all languages in the order in which a switch shows them.
var Languages = []Language{English, German, French}

var matcher = language.NewMatcher([]language.Tag{language.English, language.German, language.French})

// Name returns the language's name in that language.
func (l Language) Name() string {
	switch l {
	case German:
		return "Deutsch"
	case French:
		return "Français"
	}
	return "English"
}

// Parse returns the language of that tag, and whether Doorward speaks it.
func Parse(s string) (Language, bool) {
	for _, l := range Languages {
		if string(l) == s {
			return l, true
		}
	}
	return "", false
}

// Match returns the best language for an Accept-Language header (RFC 9110 section 12.5.4), and false when none fits.
func Match(header string) (Language, bool) {
	if len(header) > 1000 {
		header = header[:1000]
	}
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil || len(tags) == 0 {
		return English, false
	}
	_, i, confidence := matcher.Match(tags...)
	return Languages[i], confidence != language.No
}

// Catalogue holds the texts of all languages. Each is read when it is first spoken: a command that says one sentence reads one file.
type Catalogue struct {
	printers map[Language]func() *Printer
}

// Load opens the embedded catalogues. missing is called with each key that a language lacks when it is asked for, and with the file's name
// when it does not parse, which a test holds that none does; nil ignores it. The error names a file that is not there.
func Load(missing func(l Language, key string, err error)) (*Catalogue, error) {
	if missing == nil {
		missing = func(Language, string, error) {}
	}
	c := &Catalogue{printers: map[Language]func() *Printer{}}
	for _, l := range Languages {
		if _, err := catalogues.Open(file(l)); err != nil {
			return nil, err
		}
		english := c.printers[English] // none behind English itself, which is the first
		c.printers[l] = sync.OnceValue(func() *Printer { return newPrinter(l, english, missing) })
	}
	return c, nil
}

func file(l Language) string { return "catalogues/" + string(l) + ".json" }

// newPrinter reads a language. Most texts have no plural forms: they are kept as they are, and only the others as what go-i18n makes of them, which
// is many times as much for each collection of garbage to look at.
func newPrinter(l Language, english func() *Printer, missing func(l Language, key string, err error)) *Printer {
	tag := language.Make(string(l))
	bundle := i18n.NewBundle(tag)
	p := &Printer{Language: l, texts: map[string]string{}, localizer: i18n.NewLocalizer(bundle, string(l)), english: english,
		numbers: message.NewPrinter(tag), missing: missing}
	var texts map[string]any
	b, err := catalogues.ReadFile(file(l))
	if err == nil {
		err = json.Unmarshal(b, &texts)
	}
	if err != nil {
		missing(l, file(l), err)
	}
	for key, v := range texts {
		if s, ok := v.(string); ok {
			p.texts[key] = s
			continue
		}
		m, err := i18n.NewMessage(v)
		if err == nil {
			m.ID = key
			err = bundle.AddMessages(tag, m)
		}
		if err != nil {
			missing(l, key, err)
		}
	}
	return p
}

// In returns the printer of a language; of English when it is not spoken here.
func (c *Catalogue) In(l Language) *Printer {
	if p, ok := c.printers[l]; ok {
		return p()
	}
	return c.printers[English]()
}

// Printer speaks one language. It is safe for concurrent use.
type Printer struct {
	Language  Language
	texts     map[string]string // those without plural forms
	localizer *i18n.Localizer   // of those with them
	english   func() *Printer   // for what this language lacks; nil for English itself
	numbers   *message.Printer
	missing   func(l Language, key string, err error)
}

// T returns the text of key. args are name, value pairs that fill {{.Name}} in the text; the value of "Count" also chooses the
// plural form. Numbers, durations and times (in the zone they are in) are written the way the language writes them.
func (p *Printer) T(key string, args ...any) string {
	text := p.texts[key]
	if text == "" {
		chosen := &i18n.LocalizeConfig{MessageID: key, TemplateParser: template.IdentityParser{}}
		for i := 0; i+1 < len(args); i += 2 {
			if n, ok := args[i+1].(int); ok && args[i] == "Count" {
				chosen.PluralCount = n
			}
		}
		var err error
		if text, err = p.localizer.Localize(chosen); err != nil || text == "" {
			p.missing(p.Language, key, err)
		}
		switch {
		case text == "" && p.english != nil:
			return p.english().T(key, args...)
		case text == "":
			return key
		}
	}
	return p.fill(text, args)
}

// fill returns a text with its arguments in their places. go-i18n would run a template for it: its part is the choice of the plural form.
func (p *Printer) fill(text string, args []any) string {
	before, rest, found := strings.Cut(text, "{{.")
	if !found {
		return text
	}
	var out strings.Builder
	for found {
		name, after, _ := strings.Cut(rest, "}}")
		value := "<no value>" // as a template says it: tests look for it
		for i := 0; i+1 < len(args); i += 2 {
			if args[i] == name {
				value = p.written(args[i+1])
			}
		}
		out.WriteString(before)
		out.WriteString(value)
		before, rest, found = strings.Cut(after, "{{.")
	}
	out.WriteString(before)
	return out.String()
}

// written returns an argument the way the language writes it.
func (p *Printer) written(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int:
		return p.Number(v)
	case float64:
		return p.numbers.Sprint(number.Decimal(v, number.MaxFractionDigits(1)))
	case time.Duration:
		return p.Duration(v)
	case time.Time:
		return p.DateTime(v)
	case []string:
		return p.List(v)
	}
	return fmt.Sprint(v)
}

// TMap is T with its arguments as a map, as refusals carry them.
func (p *Printer) TMap(key string, args map[string]any) string {
	list := make([]any, 0, 2*len(args))
	for k, v := range args {
		list = append(list, k, v)
	}
	return p.T(key, list...)
}

// Number writes an integer with the language's separators.
func (p *Printer) Number(n int) string {
	if 0 <= n && n < 1000 {
		return strconv.Itoa(n) // nothing to separate, in any of the languages
	}
	return p.numbers.Sprint(number.Decimal(n))
}

// Percent writes a share between 0 and 1 as a whole percentage.
func (p *Printer) Percent(share float64) string {
	return p.numbers.Sprint(number.Percent(share, number.MaxFractionDigits(0)))
}

// Duration writes how long something takes in its one or two largest units, rounded up to the second: "4 minutes".
func (p *Printer) Duration(d time.Duration) string {
	seconds := int((d + time.Second - 1) / time.Second)
	switch {
	case seconds < 60:
		return p.T("unit.seconds", "Count", max(seconds, 1))
	case seconds < 3600:
		return p.T("unit.minutes", "Count", (seconds+59)/60)
	case seconds < 48*3600:
		return p.T("unit.hours", "Count", (seconds+3599)/3600)
	}
	return p.T("unit.days", "Count", (seconds+86399)/86400)
}

// Date writes the day: "21 November 2026".
func (p *Printer) Date(t time.Time) string {
	month := p.T(fmt.Sprintf("month.%d", int(t.Month())))
	switch p.Language {
	case German:
		return fmt.Sprintf("%d. %s %d", t.Day(), month, t.Year())
	case French:
		day := fmt.Sprint(t.Day())
		if t.Day() == 1 {
			day = "1er"
		}
		return fmt.Sprintf("%s %s %d", day, month, t.Year())
	}
	return fmt.Sprintf("%d %s %d", t.Day(), month, t.Year())
}

// Clock writes the time of day in 24 hours: "17:05".
func (p *Printer) Clock(t time.Time) string { return t.Format("15:04") }

// DateTime writes day, time and the zone's abbreviation: "21 November 2026, 17:05 CET".
func (p *Printer) DateTime(t time.Time) string {
	return p.Date(t) + ", " + p.Clock(t) + " " + t.Format("MST")
}

// Ago writes how long before now t was, from "just now" to a date.
func (p *Printer) Ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d < time.Minute:
		return p.T("ago.now")
	case d < time.Hour:
		return p.T("ago.minutes", "Count", int(d.Minutes()))
	case d < 24*time.Hour:
		return p.T("ago.hours", "Count", int(d.Hours()))
	case d < 7*24*time.Hour:
		return p.T("ago.days", "Count", int(d.Hours()/24))
	}
	return p.Date(t)
}

// List joins names the way the language does: "a, b and c".
func (p *Printer) List(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:len(items)-1], ", ") + " " + p.T("list.and") + " " + items[len(items)-1]
}
