package org

import (
	"encoding/hex"
	"math"
	"slices"
	"strings"

	"doorward/internal/refusal"
)

// Colour is an sRGB colour.
type Colour struct{ R, G, B uint8 }

func black() Colour { return Colour{} }
func white() Colour { return Colour{255, 255, 255} }

// What an accent colour stands on, as door.css has it: page, surface, sunken, and in the dark what is raised.
var (
	lightGrounds = []Colour{{0xf6, 0xf6, 0xf4}, {0xff, 0xff, 0xff}, {0xef, 0xef, 0xec}}
	darkGrounds  = []Colour{{0x12, 0x13, 0x16}, {0x1b, 0x1d, 0x21}, {0x16, 0x18, 0x1b}, {0x26, 0x29, 0x30}}
)

// What text in the accent stands on besides: notices.
var (
	lightTints = []Colour{{0xe4, 0xf4, 0xea}, {0xfb, 0xf0, 0xdc}, {0xfb, 0xe6, 0xe4}}
	darkTints  = []Colour{{0x15, 0x30, 0x1f}, {0x33, 0x26, 0x0f}, {0x3a, 0x18, 0x16}}
)

// WCAG 2.2: what shapes need beside what is around them (1.4.11), and text on what it stands (1.4.3).
const (
	shapeContrast = 3.0
	textContrast  = 4.5
)

// ParseColour reads "#rrggbb"; the # may be missing. False: it is something else.
func ParseColour(s string) (Colour, bool) {
	s = strings.TrimPrefix(strings.TrimSpace(s), "#")
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 3 {
		return Colour{}, false
	}
	return Colour{b[0], b[1], b[2]}, true
}

// String returns "#rrggbb" in small letters.
func (c Colour) String() string { return "#" + c.digits() }

func (c Colour) digits() string { return hex.EncodeToString([]byte{c.R, c.G, c.B}) }

// luminance is the relative luminance (WCAG 2.2, definitions).
func (c Colour) luminance() float64 {
	linear := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

// Contrast returns the contrast ratio of two colours, 1 to 21 (WCAG 2.2, definitions).
func (c Colour) Contrast(d Colour) float64 {
	a, b := c.luminance(), d.luminance()
	return (max(a, b) + 0.05) / (min(a, b) + 0.05)
}

// least is the contrast to that ground from which it stands out least.
func (c Colour) least(grounds []Colour) float64 {
	least := math.Inf(1)
	for _, g := range grounds {
		least = min(least, c.Contrast(g))
	}
	return least
}

// toward mixes a colour with another one: step of 64 parts.
func (c Colour) toward(d Colour, step int) Colour {
	mix := func(a, b uint8) uint8 { return uint8((int(a)*(64-step) + int(b)*step + 32) / 64) } //nolint:gosec // between a and b
	return Colour{mix(c.R, d.R), mix(c.G, d.G), mix(c.B, d.B)}
}

// until goes from a colour toward another one as far as needed to stand out from all grounds. Black and white do from theirs.
func (c Colour) until(d Colour, grounds []Colour, ratio float64) Colour {
	for step := range 65 {
		if m := c.toward(d, step); m.least(grounds) >= ratio {
			return m
		}
	}
	return d
}

// textOn is the colour of text on c: white where that can be read, else black. One of them always can.
func (c Colour) textOn() Colour {
	if c.Contrast(white()) >= textContrast {
		return white()
	}
	return black()
}

// Tones are an accent colour and what follows from it, for a light or a dark page.
type Tones struct {
	Accent Colour // of buttons and marks
	Text   Colour // on it
	Link   Colour // of text in it: the accent, or what can be read
	Away   Colour // toward which a button goes under the pointer: away from its text
}

func tones(accent, far Colour, grounds, tints []Colour) Tones {
	t := Tones{Accent: accent, Text: accent.textOn(), Link: accent.until(far, slices.Concat(grounds, tints), textContrast), Away: black()}
	if t.Text == black() {
		t.Away = white()
	}
	return t
}

func light(accent Colour) Tones { return tones(accent, black(), lightGrounds, lightTints) }
func dark(accent Colour) Tones  { return tones(accent, white(), darkGrounds, darkTints) }

// CheckAccent returns an accent colour for light pages and the one for dark pages that follows from it, as they are kept: "#rrggbb", or empty for an
// empty text. The refusal at the field "accent" names the contrast and a colour that passes.
func CheckAccent(typed string) (accent, inDark string, fault *refusal.Error) {
	if strings.TrimSpace(typed) == "" {
		return "", "", nil
	}
	c, ok := ParseColour(typed)
	if !ok {
		return "", "", refusal.Field("accent", "accent.form")
	}
	if ratio := c.least(lightGrounds); ratio < shapeContrast {
		return "", "", refusal.Field("accent", "accent.pale", "Ratio", math.Floor(ratio*10)/10, "Least", shapeContrast,
			"Colour", c.until(black(), lightGrounds, shapeContrast).String())
	}
	return c.String(), c.until(white(), darkGrounds, shapeContrast).String(), nil
}

// sheetForm is the version of the style sheet below, a part of its address: change it with the sheet.
const sheetForm = "1"

// sheetName is the name of an accent's style sheet. It says all that is in it, so it is its own hash.
func sheetName(accent, inDark Colour) string {
	return sheetForm + "-" + accent.digits() + "-" + inDark.digits() + ".css"
}

// Sheet returns the style sheet of that name, false when it is none. It is made from the name alone, whether an organisation has these colours or not;
// colours that would not pass make none.
func Sheet(name string) (css string, ok bool) {
	parts := strings.Split(strings.TrimSuffix(name, ".css"), "-")
	if len(parts) != 3 {
		return "", false
	}
	a, fine := ParseColour(parts[1])
	d, too := ParseColour(parts[2])
	if !fine || !too || name != sheetName(a, d) || a.least(lightGrounds) < shapeContrast || d.least(darkGrounds) < shapeContrast {
		return "", false
	}
	set := func(where string, t Tones) string {
		return where + "{--accent:" + t.Accent.String() + ";--accent-text:" + t.Text.String() + ";--link:" + t.Link.String() + ";--away:" + t.Away.String() + "}"
	}
	return set(":root,.in-light", light(a)) + "\n" + set(":root[data-theme=dark],.in-dark", dark(d)) +
		"\n@media (prefers-color-scheme:dark){" + set(":root:not([data-theme])", dark(d)) + "}\n", true
}
