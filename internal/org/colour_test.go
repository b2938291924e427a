package org_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"doorward/internal/org"
)

// What passes, what does not, and what follows from it.
func TestAccent(t *testing.T) {
	for _, c := range []struct{ typed, accent, dark, fault, suggested string }{
		{"", "", "", "", ""},
		{" #2E5BD9 ", "#2e5bd9", "#", "", ""},
		{"2e5bd9", "#2e5bd9", "#", "", ""},
		{"#000000", "#000000", "#", "", ""},
		{"#767676", "#767676", "#", "", ""},
		{"#ff0000", "#ff0000", "#ff0000", "", ""}, // 3.4 to the ground that it is closest to, and bright enough for dark pages
		{"#ffffff", "", "", "accent.pale", "#"},
		{"#ffff00", "", "", "accent.pale", "#"},
		{"#efefec", "", "", "accent.pale", "#"},
		{"#fff", "", "", "accent.form", ""},
		{"red", "", "", "accent.form", ""},
		{"#12345g", "", "", "accent.form", ""},
		{"#1234567", "", "", "accent.form", ""},
		{"#2e5bd9;}body{", "", "", "accent.form", ""},
		{"#２e5bd9", "", "", "accent.form", ""},
	} {
		accent, dark, fault := org.CheckAccent(c.typed)
		key := ""
		if fault != nil {
			key = fault.Key
		}
		if accent != c.accent || key != c.fault || !strings.HasPrefix(dark, c.dark) || c.dark == "" && dark != "" {
			t.Errorf("%q: %s, %s, %v", c.typed, accent, dark, fault)
			continue
		}
		if key != "accent.pale" {
			continue
		}
		if ratio := fault.Args["Ratio"].(float64); ratio >= 3 || ratio < 1 {
			t.Errorf("%q: refused for a ratio of %g", c.typed, ratio)
		}
		if again, _, fault := org.CheckAccent(fault.Args["Colour"].(string)); fault != nil || again == "" {
			t.Errorf("%q: the colour that is suggested is refused: %v", c.typed, fault)
		}
	}
}

// The ratios are those of the standard.
func TestContrast(t *testing.T) {
	colour := func(s string) org.Colour {
		c, ok := org.ParseColour(s)
		if !ok {
			t.Fatal(s)
		}
		return c
	}
	for _, c := range []struct {
		a, b string
		want string
	}{{"#000000", "#ffffff", "21.00"}, {"#777777", "#ffffff", "4.48"}, {"#767676", "#ffffff", "4.54"}, {"#ff0000", "#ffffff", "4.00"}, {"#123456", "#123456", "1.00"}} {
		for _, pair := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			if got := fmt.Sprintf("%.2f", colour(pair[0]).Contrast(colour(pair[1]))); got != c.want {
				t.Errorf("%v: %s, want %s", pair, got, c.want)
			}
		}
	}
}

// Of every colour in steps, light or dark: text on it and in it can be read, and it stands out.
func TestTones(t *testing.T) {
	grounds := map[bool][]string{
		false: {"#f6f6f4", "#ffffff", "#efefec"},
		true:  {"#121316", "#1b1d21", "#16181b", "#262930"},
	}
	css, err := os.ReadFile("../page/static/door.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range grounds { // what they are checked against is what pages have
		for _, g := range list {
			if short := strings.Replace(g, "#ffffff", "#fff", 1); !strings.Contains(string(css), ": "+short+";") {
				t.Errorf("door.css has no ground %s", g)
			}
		}
	}
	passed := 0
	for r := 0; r < 256; r += 15 {
		for g := 0; g < 256; g += 15 {
			for b := 0; b < 256; b += 15 {
				typed := fmt.Sprintf("#%02x%02x%02x", r, g, b)
				accent, inDark, fault := org.CheckAccent(typed)
				if fault != nil {
					continue
				}
				passed++
				brand := org.Brand{Accent: accent, Dark: inDark}
				onLight, onDark, ok := brand.Tones()
				if sheet, known := org.Sheet(strings.TrimPrefix(brand.SheetPath(), "/brand/")); !ok || !known || !strings.Contains(sheet, "--accent:"+accent+";") {
					t.Fatalf("%s has no style sheet", typed)
				}
				for isDark, tones := range map[bool]org.Tones{false: onLight, true: onDark} {
					if ratio := tones.Accent.Contrast(tones.Text); ratio < 4.5 {
						t.Errorf("%s, dark %t: text on it has %.2f", typed, isDark, ratio)
					}
					for _, g := range grounds[isDark] {
						ground, _ := org.ParseColour(g)
						if a, l := tones.Accent.Contrast(ground), tones.Link.Contrast(ground); a < 3 || l < 4.5 {
							t.Errorf("%s, dark %t, on %s: %.2f, text in it %.2f", typed, isDark, g, a, l)
						}
					}
				}
			}
		}
	}
	if passed < 1000 {
		t.Errorf("%d colours pass", passed)
	}
}

// A style sheet has one name, and only colours that pass have one.
func TestSheet(t *testing.T) {
	const good = "1-2e5bd9-5a7de0.css"
	if css, ok := org.Sheet(good); !ok || strings.Count(css, "{") != strings.Count(css, "}") {
		t.Fatalf("%t %s", ok, css)
	}
	for _, name := range []string{"", ".css", "1-2e5bd9.css", "1-2e5bd9-5a7de0", "1-2E5BD9-5a7de0.css", "2-2e5bd9-5a7de0.css", "1-ffff00-ffff00.css", "1-2e5bd9-2e5bd.css",
		"1-2e5bd9-000000.css", "1-#2e5bd9-5a7de0.css", "1-2e5bd9-5a7de0.css.css", "1-2e5bd9-5a7de0-1.css", "1-2e5bd9- 5a7de0.css"} {
		if css, ok := org.Sheet(name); ok {
			t.Errorf("%q is a style sheet: %s", name, css)
		}
	}
}
