package locale_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/internal/locale"
)

// text is one entry of a catalogue: its forms by name. One without plural has the form "other" alone.
type text map[string]string

func catalogue(t *testing.T, l locale.Language) map[string]text {
	t.Helper()
	b, err := os.ReadFile("catalogues/" + string(l) + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		t.Fatal(err)
	}
	texts := map[string]text{}
	for key, value := range raw {
		var plain string
		if json.Unmarshal(value, &plain) == nil {
			texts[key] = text{"other": plain}
			continue
		}
		var forms text
		if err := json.Unmarshal(value, &forms); err != nil {
			t.Fatalf("%s: %s is neither a text nor the forms of one: %v", l, key, err)
		}
		texts[key] = forms
	}
	return texts
}

var argument = regexp.MustCompile(`\{\{\.([A-Za-z]+)\}\}`)

func arguments(s string) []string {
	var names []string
	for _, m := range argument.FindAllStringSubmatch(s, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Every catalogue says the same things: the same keys, the same arguments in each, the same plural forms.
func TestCataloguesAgree(t *testing.T) {
	english := catalogue(t, locale.English)
	for _, l := range locale.Languages {
		texts := catalogue(t, l)
		for key, want := range english {
			got, ok := texts[key]
			if !ok {
				t.Errorf("%s: %s is missing", l, key)
				continue
			}
			if len(got) != len(want) {
				t.Errorf("%s: %s has other plural forms than in English", l, key)
			}
			if g, w := arguments(got["other"]), arguments(want["other"]); !slices.Equal(g, w) {
				t.Errorf("%s: %s takes %v, in English %v", l, key, g, w)
			}
		}
		for key := range texts {
			if _, ok := english[key]; !ok {
				t.Errorf("%s: %s is not in English", l, key)
			}
		}
	}
}

// words matches any of the words, which may have accents: \b knows ASCII letters only.
func words(list string) *regexp.Regexp {
	return regexp.MustCompile(`(?:^|\PL)(?:` + list + `)(?:\PL|$)`)
}

// The language of the catalogues is that of the design: calm, complete sentences, nothing that begs or shouts.
func TestCataloguesAreWellSpoken(t *testing.T) {
	rules := []struct {
		only locale.Language // empty for all
		what string
		bad  *regexp.Regexp
	}{
		{"", "an exclamation mark", regexp.MustCompile(`!`)},
		{"", "a plea", words(`(?i:please|bitte|veuillez|s’il vous plaît)`)},
		{"", "an oops", words(`(?i:oops|ups|hoppla|oups)`)},
		{"", "a straight apostrophe or quotation mark", regexp.MustCompile(`['"]`)},
		{"", "a doubled or dangling space", regexp.MustCompile(`  |^\s|\s$`)},
		{"", "an argument that is not {{.Name}}", regexp.MustCompile(`\{\{([^.]|\.[^A-Z])|\{\{\.[A-Za-z]*[^A-Za-z}]`)},
		{locale.German, "a familiar you", words(`du|dich|dir|dein|deine|deinen|deinem|deiner|deines`)},
		{locale.French, "a familiar you", words(`(?i:tu|toi|ton|ta|tes)`)},
		{locale.French, "a breaking space before a mark", regexp.MustCompile(`[ ][:;?»]|«[ ]`)},
	}
	for _, l := range locale.Languages {
		for key, forms := range catalogue(t, l) {
			for form, s := range forms {
				if strings.TrimSpace(s) == "" {
					t.Errorf("%s: %s (%s) is empty", l, key, form)
				}
				for _, r := range rules {
					if (r.only == "" || r.only == l) && r.bad.MatchString(s) {
						t.Errorf("%s: %s has %s: %q", l, key, r.what, s)
					}
				}
			}
		}
	}
}

// A text that takes a Count has the forms that its language needs, and no other text has any.
func TestPluralFormsAreComplete(t *testing.T) {
	for _, l := range locale.Languages {
		for key, forms := range catalogue(t, l) {
			counts := slices.Contains(arguments(forms["other"]), "Count")
			switch {
			case !counts && len(forms) > 1:
				// Some sentences count without saying the number: "Your role", "Your roles".
				if forms["one"] == forms["other"] {
					t.Errorf("%s: %s has forms that do not differ", l, key)
				}
			case counts && (len(forms) != 2 || forms["one"] == "" || forms["other"] == ""):
				t.Errorf("%s: %s takes a Count, so it needs the forms one and other", l, key)
			}
		}
	}
}

// load returns the catalogue; a text that is missing fails the test.
func load(t *testing.T) *locale.Catalogue {
	t.Helper()
	c, err := locale.Load(func(l locale.Language, key string, err error) { t.Errorf("%s: %s is missing: %v", l, key, err) })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNumbers(t *testing.T) {
	c := load(t)
	for _, want := range []struct {
		l               locale.Language
		number, percent string
	}{
		{locale.English, "1,234,567", "87%"},
		{locale.German, "1.234.567", "87\u00a0%"},
		{locale.French, "1\u00a0234\u00a0567", "87\u00a0%"},
	} {
		p := c.In(want.l)
		if got := p.Number(1234567); got != want.number {
			t.Errorf("%s: number %q, want %q", want.l, got, want.number)
		}
		if got := p.Percent(0.872); got != want.percent {
			t.Errorf("%s: percentage %q, want %q", want.l, got, want.percent)
		}
	}
}

func TestDates(t *testing.T) {
	c := load(t)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, time.March, 1, 7, 5, 0, 0, berlin)
	for _, want := range []struct {
		l               locale.Language
		date, dateTime  string
		minutes, before string
	}{
		{locale.English, "1 March 2026", "1 March 2026, 07:05 CET", "1 minute ago", "just now"},
		{locale.German, "1. März 2026", "1. März 2026, 07:05 CET", "vor 1 Minute", "gerade eben"},
		{locale.French, "1er mars 2026", "1er mars 2026, 07:05 CET", "il y a 1 minute", "à l’instant"},
	} {
		p := c.In(want.l)
		if got := p.Date(day); got != want.date {
			t.Errorf("%s: date %q, want %q", want.l, got, want.date)
		}
		if got := p.DateTime(day); got != want.dateTime {
			t.Errorf("%s: date and time %q, want %q", want.l, got, want.dateTime)
		}
		if got := p.Ago(day, day.Add(119*time.Second)); got != want.minutes {
			t.Errorf("%s: two minutes less a second ago is %q, want %q", want.l, got, want.minutes)
		}
		if got := p.Ago(day, day.Add(time.Second)); got != want.before {
			t.Errorf("%s: a second ago is %q, want %q", want.l, got, want.before)
		}
		if got := p.Ago(day, day.AddDate(0, 0, 7)); got != want.date {
			t.Errorf("%s: a week ago is %q, want the date %q", want.l, got, want.date)
		}
	}
}

// A wait is told in full units, rounded up: who waits that long is let in.
func TestDurations(t *testing.T) {
	c := load(t)
	for _, want := range []struct {
		d       time.Duration
		en, de  string
		fr      string
		comment string
	}{
		{0, "1 second", "1 Sekunde", "1 seconde", "never nothing"},
		{1500 * time.Millisecond, "2 seconds", "2 Sekunden", "2 secondes", "rounded up"},
		{time.Minute, "1 minute", "1 Minute", "1 minute", ""},
		{4*time.Minute - time.Second, "4 minutes", "4 Minuten", "4 minutes", "rounded up"},
		{time.Hour, "1 hour", "1 Stunde", "1 heure", ""},
		{47 * time.Hour, "47 hours", "47 Stunden", "47 heures", "hours up to two days"},
		{48 * time.Hour, "2 days", "2 Tage", "2 jours", ""},
		{49 * time.Hour, "3 days", "3 Tage", "3 jours", "rounded up"},
	} {
		for l, text := range map[locale.Language]string{locale.English: want.en, locale.German: want.de, locale.French: want.fr} {
			if got := c.In(l).Duration(want.d); got != text {
				t.Errorf("%s: %v is %q, want %q (%s)", l, want.d, got, text, want.comment)
			}
		}
	}
	// As an argument, a duration is written out too.
	if got := c.In(locale.German).T("error.limited", "Wait", 4*time.Minute); !strings.Contains(got, "4 Minuten") {
		t.Errorf("a wait in a sentence: %q", got)
	}
}

// What somebody typed is an argument and nothing more: it is put in as it is, and never filled itself.
func TestArguments(t *testing.T) {
	p := load(t).In(locale.English)
	for _, name := range []string{"{{.Organisation}}", "{{.Name}}{{", "{{", "}}", "%s", `{{template "x"}}`, ""} {
		want := "Signed in as " + name + ", Fabrikam"
		if got := p.T("page.signed_in", "Name", name, "Organisation", "Fabrikam"); got != want {
			t.Errorf("%q is filled in as %q, want %q", name, got, want)
		}
		if got := p.T("login.remember", "Count", 30, "Name", name); strings.ContainsAny(got, "{}") || !strings.Contains(got, "30") {
			t.Errorf("a text with plural forms: %q", got)
		}
	}
	if got := p.T("page.signed_in", "Organisation", "Fabrikam"); !strings.Contains(got, "<no value>") {
		t.Errorf("an argument that is missing does not show: %q", got)
	}
}

func TestLists(t *testing.T) {
	c := load(t)
	names := []string{"Ada", "Grace", "Edsger"}
	for l, want := range map[locale.Language][]string{
		locale.English: {"", "Ada", "Ada and Grace", "Ada, Grace and Edsger"},
		locale.German:  {"", "Ada", "Ada und Grace", "Ada, Grace und Edsger"},
		locale.French:  {"", "Ada", "Ada et Grace", "Ada, Grace et Edsger"},
	} {
		for n, text := range want {
			if got := c.In(l).List(names[:n]); got != text {
				t.Errorf("%s: %d names are %q, want %q", l, n, got, text)
			}
		}
	}
}

// The number chooses the form as each language counts: French has one for nothing as well.
func TestPlurals(t *testing.T) {
	c := load(t)
	for l, want := range map[locale.Language][]string{
		locale.English: {"0 days", "1 day", "2 days"},
		locale.German:  {"0 Tage", "1 Tag", "2 Tage"},
		locale.French:  {"0 jour", "1 jour", "2 jours"},
	} {
		for n, text := range want {
			if got := c.In(l).T("unit.days", "Count", n); got != text {
				t.Errorf("%s: %d: %q, want %q", l, n, got, text)
			}
		}
		if got, want := c.In(l).T("unit.days", "Count", 1234), c.In(l).Number(1234); !strings.HasPrefix(got, want) {
			t.Errorf("%s: the number in %q is not written as %q", l, got, want)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, want := range []struct {
		header string
		l      locale.Language
		ok     bool
	}{
		{"de-AT,de;q=0.9,en;q=0.8", locale.German, true},
		{"fr-CA", locale.French, true},
		{"ja,fr;q=0.4,de;q=0.7", locale.German, true},
		{"en;q=0.1,fr", locale.French, true},
		{"ja", locale.English, false},
		{"", locale.English, false},
		{"*", locale.English, false},
		{";;;q=x", locale.English, false},
		{strings.Repeat("x-", 100000) + "de", locale.English, false},
	} {
		if l, ok := locale.Match(want.header); ok != want.ok || ok && l != want.l {
			t.Errorf("%.40q gives %s, %v; want %s, %v", want.header, l, ok, want.l, want.ok)
		}
	}
}

func TestParse(t *testing.T) {
	for _, l := range locale.Languages {
		if got, ok := locale.Parse(string(l)); !ok || got != l {
			t.Errorf("%s is read as %q, %v", l, got, ok)
		}
		if l.Name() == "" {
			t.Errorf("%s has no name", l)
		}
	}
	for _, s := range []string{"", "EN", "en-GB", "it", "de\x00"} {
		if l, ok := locale.Parse(s); ok {
			t.Errorf("%q is read as %s", s, l)
		}
	}
}

// A key that no language has is reported for each that was asked and shown as itself; a language that is not spoken falls back to English.
func TestMissing(t *testing.T) {
	var reported []string
	c, err := locale.Load(func(l locale.Language, key string, _ error) { reported = append(reported, string(l)+" "+key) })
	if err != nil {
		t.Fatal(err)
	}
	if got := c.In(locale.German).T("there.is.no.such.key"); got != "there.is.no.such.key" {
		t.Errorf("an unknown key shows %q", got)
	}
	if !slices.Equal(reported, []string{"de there.is.no.such.key", "en there.is.no.such.key"}) {
		t.Errorf("reported: %v", reported)
	}
	if got := c.In("it").Language; got != locale.English {
		t.Errorf("Italian falls back to %s", got)
	}
	if got := c.In(locale.French).TMap("login.identifier.lead", map[string]any{"Organisation": "Fabrikam"}); !strings.Contains(got, "Fabrikam") {
		t.Errorf("%q does not name the organisation", got)
	}
}
