package page

import (
	"html/template"
	"log/slog"
)

// icons are drawn on a grid of 20 with a line of 1.5 in the colour of the text.
var icons = map[string]literal{
	"home":     `<path d="M3.5 9 10 3.5 16.5 9v7a.5.5 0 0 1-.5.5h-4v-5H8v5H4a.5.5 0 0 1-.5-.5z"/>`,
	"chart":    `<path d="M3.5 16.5h13M6 13.5V10M10 13.5V5M14 13.5V8"/>`,
	"people":   `<circle cx="7.5" cy="7" r="2.75"/><path d="M2.5 16c.3-2.7 2.3-4.25 5-4.25s4.7 1.55 5 4.25M12.75 4.5a2.75 2.75 0 0 1 0 5M14.5 12.2c1.7.5 2.8 1.8 3 3.8"/>`,
	"person":   `<circle cx="10" cy="6.75" r="3"/><path d="M4 16.5c.4-3 2.7-4.75 6-4.75s5.6 1.75 6 4.75"/>`,
	"building": `<path d="M4.5 16.5v-12a1 1 0 0 1 1-1h5a1 1 0 0 1 1 1v12M11.5 8h3a1 1 0 0 1 1 1v7.5M2.5 16.5h15M7 7h2M7 10h2M7 13h2"/>`,
	"shield":   `<path d="M10 2.75 16 5v4.5c0 3.7-2.4 6.5-6 7.75-3.6-1.25-6-4.05-6-7.75V5zM7.5 10l1.75 1.75 3.25-3.5"/>`,
	"key":      `<circle cx="6.75" cy="13.25" r="3.25"/><path d="m9 11 7-7M13.5 6.5l2 2M11.5 8.5l1.25 1.25"/>`,
	"plug":     `<path d="M7 3v4M13 3v4M5 7h10v2.5a5 5 0 0 1-10 0zM10 14.5V17.5"/>`,
	"licence":  `<path d="M3.5 5.5a1 1 0 0 1 1-1h11a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1h-11a1 1 0 0 1-1-1zM6.5 8h7M6.5 11h4"/>`,
	"list":     `<path d="M7.5 5.5h9M7.5 10h9M7.5 14.5h9M3.75 5.5h.01M3.75 10h.01M3.75 14.5h.01"/>`,
	"gear":     `<circle cx="10" cy="10" r="2.5"/><path d="M10 2.75v2M10 15.25v2M2.75 10h2M15.25 10h2M4.87 4.87l1.42 1.42M13.71 13.71l1.42 1.42M15.13 4.87l-1.42 1.42M6.29 13.71l-1.42 1.42"/>`,
	"bell":     `<path d="M5 13.5c1-1 1-2.5 1-4.75a4 4 0 0 1 8 0c0 2.25 0 3.75 1 4.75zM8.5 16.25a1.7 1.7 0 0 0 3 0"/>`,
	"mail":     `<path d="M3 5.5a1 1 0 0 1 1-1h12a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1zM3.25 5.5 10 10.75l6.75-5.25"/>`,
	"search":   `<circle cx="9" cy="9" r="5.25"/><path d="m13 13 4 4"/>`,
	"menu":     `<path d="M3.5 6h13M3.5 10h13M3.5 14h13"/>`,
	"down":     `<path d="m6 8 4 4 4-4"/>`,
	"updown":   `<path d="m7 8 3-3 3 3M7 12l3 3 3-3"/>`,
	"left":     `<path d="m12 5-5 5 5 5"/>`,
	"right":    `<path d="m8 5 5 5-5 5"/>`,
	"check":    `<path d="m4.5 10.5 3.5 3.5 7.5-8"/>`,
	"close":    `<path d="m5.5 5.5 9 9M14.5 5.5l-9 9"/>`,
	"plus":     `<path d="M10 4.5v11M4.5 10h11"/>`,
	"copy":     `<path d="M7.5 7.5v-3a1 1 0 0 1 1-1h7a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1h-3M3.5 8.5a1 1 0 0 1 1-1h7a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1h-7a1 1 0 0 1-1-1z"/>`,
	"download": `<path d="M10 3.5v9M6.5 9.5 10 13l3.5-3.5M3.5 16.5h13"/>`,
	"upload":   `<path d="M10 13V4M6.5 7 10 3.5 13.5 7M3.5 16.5h13"/>`,
	"trash":    `<path d="M3.5 5.5h13M8 5.5V4a.5.5 0 0 1 .5-.5h3a.5.5 0 0 1 .5.5v1.5M5 5.5l.75 10.5a.5.5 0 0 0 .5.5h7.5a.5.5 0 0 0 .5-.5L15 5.5M8.5 9v4.5M11.5 9v4.5"/>`,
	"dots":     `<path d="M5 10h.01M10 10h.01M15 10h.01" stroke-width="2.5"/>`,
	"info":     `<circle cx="10" cy="10" r="7"/><path d="M10 9.25v4M10 6.5h.01"/>`,
	"warning":  `<path d="M10 3.5 17.5 16.5h-15zM10 8.5v3.5M10 14.25h.01"/>`,
	"clock":    `<circle cx="10" cy="10" r="7"/><path d="M10 6v4l2.75 2"/>`,
	"globe":    `<circle cx="10" cy="10" r="7"/><path d="M3 10h14M10 3c2 2 2.75 4.3 2.75 7S12 15 10 17c-2-2-2.75-4.3-2.75-7S8 5 10 3z"/>`,
	"phone":    `<path d="M6 3.5a1 1 0 0 1 1-1h6a1 1 0 0 1 1 1v13a1 1 0 0 1-1 1H7a1 1 0 0 1-1-1zM9.25 15h1.5"/>`,
	"device":   `<path d="M4 5a1 1 0 0 1 1-1h10a1 1 0 0 1 1 1v7.5H4zM2.5 15.5h15"/>`,
	"passkey":  `<circle cx="7.5" cy="6.75" r="2.75"/><path d="M2.5 16c.3-2.8 2.2-4.25 5-4.25 1 0 1.9.2 2.6.5"/><circle cx="14.25" cy="9.5" r="2.25"/><path d="M14.25 11.75V17l1.5-1.25M14.25 14.25h1.5"/>`,
	"leave":    `<path d="M8.5 16.5h-4a1 1 0 0 1-1-1v-11a1 1 0 0 1 1-1h4M12.5 13.5 16 10l-3.5-3.5M16 10H8"/>`,
	"edit":     `<path d="m4 16 .75-3.25L13.5 4l2.5 2.5-8.75 8.75zM11.75 5.75l2.5 2.5"/>`,
	"flag":     `<path d="M5 17V3.5M5 4h9.5l-2 3.25 2 3.25H5"/>`,
	"external": `<path d="M8 4.5H4.5a1 1 0 0 0-1 1v10a1 1 0 0 0 1 1h10a1 1 0 0 0 1-1V12M11.5 3.5h5v5M16 4l-7 7"/>`,
	"sun":      `<circle cx="10" cy="10" r="3.25"/><path d="M10 2.5v1.75M10 15.75v1.75M2.5 10h1.75M15.75 10h1.75M4.7 4.7l1.23 1.23M14.07 14.07l1.23 1.23M15.3 4.7l-1.23 1.23M5.93 14.07 4.7 15.3"/>`,
	"moon":     `<path d="M16 11.5A6.5 6.5 0 0 1 8.5 4a6.5 6.5 0 1 0 7.5 7.5z"/>`,
	"contrast": `<circle cx="10" cy="10" r="6.5"/><path d="M10 3.5v13a6.5 6.5 0 0 0 0-13z" fill="currentColor"/>`,
	"grid":     `<path d="M4 4h4.5v4.5H4zM11.5 4H16v4.5h-4.5zM4 11.5h4.5V16H4zM11.5 11.5H16V16h-4.5z"/>`,
	"star":     `<path d="m10 3.25 2.1 4.3 4.7.7-3.4 3.3.8 4.7-4.2-2.2-4.2 2.2.8-4.7-3.4-3.3 4.7-.7z"/>`,
	"print":    `<path d="M6 7V3.5h8V7M6 13.5H4a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1h12a1 1 0 0 1 1 1v4.5a1 1 0 0 1-1 1h-2M6 11.5h8v5H6z"/>`,
	"terminal": `<path d="M3 5a1 1 0 0 1 1-1h12a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1zM6 8l2.25 2L6 12M10 12.5h4"/>`,
}

// Icon returns a small drawing, hidden from screen readers: a word always stands beside it. An unknown name (a line in the log)
// draws nothing; "" is no icon.
func (b *Base) Icon(name string) template.HTML {
	path := b.drawing(name)
	if path == "" {
		return ""
	}
	return newMarkup().icon(path).whole()
}

// drawing returns what an icon consists of.
func (b *Base) drawing(name string) literal {
	path, ok := icons[name]
	if !ok && name != "" {
		b.kit.log.Error("no such icon", slog.String("name", name))
	}
	return path
}

func (m *markup) icon(path literal) *markup {
	if path == "" {
		return m
	}
	return m.html(`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true">`).html(path).html(`</svg>`)
}
