package page

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// Bar is one bar of a chart: a day, an organisation.
type Bar struct {
	Label string // below the bar; "" where there is no room for one
	Title string // the full text on hover: "21 November: 1,204"
	Value int
	Href  string // the list behind it, "" for none
}

// Part is one part of a whole.
type Part struct {
	Key   string // catalogue key of its name
	Count int
	Kind  string // good, warn, bad, or "" for the accent, or rest
	Href  string // the list behind it, "" for none
}

// Counted is a Part in the page's language.
type Counted struct {
	Name, Count, Share, Kind, Href string
}

// share draws a bar that is filled to a share between 0 and 1.
func (b *Base) share(share float64, label string) template.HTML {
	share = math.Max(0, math.Min(1, share))
	return template.HTML(fmt.Sprintf( //nolint:gosec // a number, and a label that is escaped
		`<svg class="share" role="img" aria-label="%s"><rect width="100%%" height="100%%" class="rest"/><rect width="%s%%" height="100%%"/></svg>`,
		template.HTMLEscapeString(label+": "+b.P.Percent(share)), figure(share*100)))
}

// Shares draws the parts of a whole as one bar. Parts tells them in words; the partial "legend" shows them beside it.
func (b *Base) Shares(label string, parts []Part, args ...any) template.HTML {
	total := 0
	for _, p := range parts {
		total += p.Count
	}
	var s strings.Builder
	words := []string{}
	at := 0.0
	for _, p := range parts {
		words = append(words, b.P.T(p.Key)+" "+b.P.Number(p.Count))
		if p.Count == 0 || total == 0 {
			continue
		}
		width := 100 * float64(p.Count) / float64(total)
		fmt.Fprintf(&s, `<rect x="%s%%" width="%s%%" height="100%%" class="%s"/>`, figure(at), figure(width), kind(p.Kind))
		at += width
	}
	return template.HTML(`<svg class="share tall" role="img" aria-label="` + //nolint:gosec // numbers, and a label that is escaped
		template.HTMLEscapeString(b.P.T(label, args...)+": "+strings.Join(words, ", ")) +
		`"><rect width="100%" height="100%" class="rest"/>` + s.String() + `</svg>`)
}

// Parts returns the parts with their names, figures and shares: the argument of the partial "legend".
func (b *Base) Parts(parts []Part) []Counted {
	total := 0
	for _, p := range parts {
		total += p.Count
	}
	var list []Counted
	for _, p := range parts {
		c := Counted{Name: b.P.T(p.Key), Count: b.P.Number(p.Count), Kind: kind(p.Kind), Href: p.Href}
		if total > 0 {
			c.Share = b.P.Percent(float64(p.Count) / float64(total))
		}
		list = append(list, c)
	}
	return list
}

// Bars draws upright bars with the greatest value at the left edge as their scale. label says in words what they show.
func (b *Base) Bars(label string, bars []Bar, args ...any) template.HTML {
	if len(bars) == 0 {
		return ""
	}
	top := 1
	linked := false
	for _, x := range bars {
		top = max(top, x.Value)
		linked = linked || x.Href != ""
	}
	top = round(top)
	role := "img"
	if linked {
		role = "group" // an image would hide the links in it
	}
	// Everything is in per cent: the style sheet gives the picture its height, a small one in a stat.
	var plot, names strings.Builder
	for _, part := range []float64{0, 0.5, 1} {
		y := figure(100 * (1 - part))
		fmt.Fprintf(&plot, `<line x1="0" x2="100%%" y1="%s%%" y2="%s%%"/>`, y, y)
		if n := float64(top) * part; n > 0 && n == math.Trunc(n) {
			fmt.Fprintf(&plot, `<text x="0" y="%s%%" dy="-4" class="scale">%s</text>`, y, template.HTMLEscapeString(b.P.Number(int(n))))
		}
	}
	const left = 6.0 // for the scale
	step := (100 - left) / float64(len(bars))
	for i, x := range bars {
		at, h := left+step*float64(i), 100*float64(x.Value)/float64(top)
		if x.Value > 0 {
			h = math.Max(h, 2)
		}
		title := x.Title
		if title == "" {
			title = x.Label + ": " + b.P.Number(x.Value)
		}
		if x.Href != "" {
			fmt.Fprintf(&plot, `<a href="%s">`, template.HTMLEscapeString(x.Href))
		}
		fmt.Fprintf(&plot, `<g class="column"><title>%s</title><rect class="hit" x="%s%%" y="0" width="%s%%" height="100%%"/>`+
			`<rect class="value" x="%s%%" y="%s%%" width="%s%%" height="%s%%" rx="2"/></g>`,
			template.HTMLEscapeString(title), figure(at), figure(step), figure(at+step*0.15), figure(100-h), figure(step*0.7), figure(h))
		if x.Href != "" {
			plot.WriteString(`</a>`)
		}
		if x.Label != "" {
			fmt.Fprintf(&names, `<text x="%s%%" y="14">%s</text>`, figure(at+step/2), template.HTMLEscapeString(x.Label))
		}
	}
	out := fmt.Sprintf(`<div class="chart"><svg class="bars" role="%s" aria-label="%s">%s</svg>`, role,
		template.HTMLEscapeString(b.P.T(label, args...)), plot.String())
	if names.Len() > 0 {
		out += `<svg class="names" aria-hidden="true">` + names.String() + `</svg>`
	}
	return template.HTML(out + `</div>`) //nolint:gosec // numbers, and texts that are escaped
}

// round returns the next of 1, 2, 4, 5, 6, 8 times a power of ten at or above n, so that half of it is a whole number mostly.
func round(n int) int {
	for power := 1; ; power *= 10 {
		for _, m := range []int{1, 2, 4, 5, 6, 8} {
			if m*power >= n {
				return m * power
			}
		}
	}
}

// kind returns the class of a part's colour; an unknown one is the accent.
func kind(s string) string {
	switch s {
	case "good", "warn", "bad", "rest":
		return s
	}
	return "accent"
}

func figure(f float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", f), "0"), ".")
}
