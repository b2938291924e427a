package page

import (
	"html/template"
	"net/url"
	"strconv"
	"strings"

	"doorward/internal/locale"
)

// frame writes a whole page. part writes what the page itself says: "main", and "below" or "bar" where it has them.
func (b *Base) frame(m *markup, part func(name string) error) error {
	class, rest := literal(`<body class="door"`), b.card
	if b.Layout == LayoutConsole {
		class, rest = `<body class="console"`, b.console
	}
	m.html("<!doctype html>\n<html").attr("lang", string(b.Lang)).some("data-theme", b.Theme).html(">\n<head>\n")
	b.head(m)
	m.html("</head>\n").html(class).attr("data-page", b.Page).some("data-reason", b.Reason).
		attr("data-now", strconv.FormatInt(b.Now.UnixMilli(), 10)).html(">\n")
	m.html(`<a class="skip" href="#main">`).text(b.P.T("page.skip")).html("</a>\n")
	if err := rest(m, part); err != nil {
		return err
	}
	m.html("</body>\n</html>\n")
	return nil
}

func (b *Base) head(m *markup) {
	scheme := literal("light dark")
	switch b.Theme {
	case light:
		scheme = light
	case dark:
		scheme = dark
	}
	m.html("<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
	m.html(`<meta name="color-scheme" content="`).html(scheme).html("\">\n<meta name=\"robots\" content=\"noindex\">\n")
	b.refreshTag(m)
	name := b.Brand.Name
	if name == "" && b.Title == "" {
		name = "Doorward"
	}
	m.html("<title>").text(b.Heading()).flag(" · ", b.Title != "" && name != "").text(name).html("</title>\n")
	m.html(`<link rel="icon"`).attr("href", b.kit.Asset("door.svg")).html(" type=\"image/svg+xml\">\n")
	b.sheet(m, b.kit.Asset("door.css"))
	m.html("\n")
	if b.Layout == LayoutConsole || b.Account != "" { // in the console's frame, or one of its pages on a card
		b.sheet(m, b.kit.Asset("console.css"))
		m.html("\n")
	}
	if b.Brand.Stylesheet != "" {
		b.sheet(m, b.Brand.Stylesheet)
	}
	m.html("\n")
	b.script(m, "door.js")
	if b.Search != "" {
		b.script(m, "search.js")
	}
	for _, name := range b.Scripts {
		b.script(m, name)
	}
}

func (b *Base) sheet(m *markup, href string) {
	m.html(`<link rel="stylesheet"`).attr("href", href).html(">")
}

func (b *Base) script(m *markup, name string) {
	m.html("<script").attr("src", b.kit.Asset(name)).html(" defer></script>\n")
}

// card is the frame of a page on a card.
func (b *Base) card(m *markup, part func(name string) error) error {
	b.strip(m)
	m.html("<div class=\"stage\">\n<main class=\"card").flag(" wide", b.Wide).html("\" id=\"main\">\n")
	if b.Brand.Name != "" {
		m.html(`<header class="brand">`).brand(b.Brand).html("</header>\n")
	}
	b.flash(m)
	if err := part("main"); err != nil {
		return err
	}
	m.html("\n</main>\n")
	if err := part("below"); err != nil {
		return err
	}
	if b.Me != nil {
		m.html(`<aside class="signed">`).text(b.P.T("page.signed_in", "Name", b.Me.Email, "Organisation", b.Me.OrgName)).html("</aside>\n")
	}
	m.html(`<footer class="foot">`)
	b.switches(m)
	m.html("<span class=\"maker\">Doorward</span></footer>\n</div>\n")
	return nil
}

// console is the frame of a page with navigation and top bar.
func (b *Base) console(m *markup, part func(name string) error) error {
	m.html(`<nav class="side"`).attr("aria-label", b.P.T("page.navigation")).html(`><div class="side-top">`)
	b.orgs(m)
	m.html(`<input class="unseen" type="checkbox" id="nav-open"`).attr("aria-label", b.P.T("page.menu")).
		html(`><label class="fold" for="nav-open" aria-hidden="true">`).icon(b.drawing("menu")).html("</label></div>\n<div class=\"nav\">")
	b.nav(m)
	m.html("</div></nav>\n<div class=\"pane\">\n<header class=\"top\">")
	if b.Search != "" {
		name := b.P.T("page.search")
		m.html(`<form class="search" method="get"`).attr("action", b.Search).html(` role="search"`).
			attr("aria-label", b.P.T("search.for")).html(">").
			icon(b.drawing("search")).html(`<input type="search" name="q"`).attr("aria-label", name).attr("placeholder", name).
			html(` data-search><kbd hidden>Ctrl K</kbd></form>`)
	}
	if err := part("bar"); err != nil {
		return err
	}
	b.me(m)
	m.html("</header>\n")
	b.strip(m)
	m.html("<main class=\"work\" id=\"main\">\n")
	for _, n := range b.Notices {
		b.message(m, n, "")
	}
	b.flash(m)
	if err := part("main"); err != nil {
		return err
	}
	m.html("\n</main>\n</div>\n")
	return nil
}

// strip writes the line that tells somebody that they work in another organisation.
func (b *Base) strip(m *markup) {
	if b.Strip == nil {
		return
	}
	m.html(`<div class="strip" role="status"><p>`).text(b.stripText()).html("</p>")
	switch leave := b.P.T("page.leave"); {
	case b.Strip.Post:
		m.html(`<form method="post"`).attr("action", b.Strip.Leave).html(">").identity(b).
			html(`<button class="button quiet small" type="submit">`).text(leave).html("</button></form>")
	case b.Strip.Leave != "":
		m.html("<a").attr("href", b.Strip.Leave).html(">").text(leave).html("</a>")
	}
	m.html("</div>\n")
}

// flash writes the message that is shown once, and the errors that the page has no place for.
func (b *Base) flash(m *markup) {
	if b.Flash != nil {
		b.message(m, *b.Flash, ` role="status"`)
	}
	if list := b.overlooked(); len(list) > 0 {
		m.alert(list).html("\n")
	}
}

func (b *Base) message(m *markup, f Flash, role literal) {
	link := ""
	if f.Href != "" {
		link = b.P.T(f.Link)
	}
	m.notice(f.Kind, role, b.P.T(f.Key, f.Args...), f.Href, link)
	m.html("\n")
}

// nav writes the navigation under its headings.
func (b *Base) nav(m *markup) {
	for i, item := range b.Nav {
		if i == 0 || item.Group != b.Nav[i-1].Group {
			m.html(`<div class="nav-group">`)
			if item.Group != "" {
				m.html("<h2>").text(b.P.T(item.Group)).html("</h2>")
			}
			m.html("<ul>")
		}
		m.html("<li><a").attr("href", item.Href).flag(` aria-current="page"`, item.Current).html(">").
			icon(b.drawing(item.Icon)).flag(`<span class="dot" aria-hidden="true"></span>`, item.Icon == "").
			html("<span>").text(b.Name(item)).html("</span>")
		if item.Count != 0 {
			m.html(`<span class="count">`).text(b.P.Number(item.Count)).html("</span>")
		}
		m.html("</a></li>")
		if i == len(b.Nav)-1 || item.Group != b.Nav[i+1].Group {
			m.html("</ul></div>\n")
		}
	}
}

// orgs writes the organisation, as a menu where there are others to go to.
func (b *Base) orgs(m *markup) {
	if b.Orgs == nil {
		if b.Brand.Href != "" {
			m.html(`<a class="brand"`).attr("href", b.Brand.Href).html(">").brand(b.Brand).html("</a>")
		} else {
			m.html(`<div class="brand">`).brand(b.Brand).html("</div>")
		}
		return
	}
	m.html(`<details class="menu org" data-menu><summary>`).brand(b.Brand).icon(b.drawing("updown")).
		html(`<span class="unseen">`).text(b.P.T("page.switch_org")).html("</span></summary>\n<div class=\"sheet\">")
	if len(b.Orgs.Recent) > 0 {
		m.html(`<p class="sheet-title">`).text(b.P.T("page.recent")).html("</p><ul>")
		for _, item := range b.Orgs.Recent {
			m.html("<li>")
			if item.Post != "" {
				m.html(`<form method="post"`).attr("action", item.Post).html(">")
				m.hidden("_account", b.Account).hidden("slug", item.Slug)
				m.html(`<button class="item" type="submit"><span>`).text(b.Name(item)).html("</span></button></form>")
			} else {
				m.html("<a").attr("href", item.Href).flag(` aria-current="true"`, item.Current).html("><span>").text(b.Name(item)).html("</span>")
				if item.Current {
					m.icon(b.drawing("check"))
				}
				m.html("</a>")
			}
			m.html("</li>")
		}
		m.html("</ul>")
	}
	m.html("\n")
	if b.Orgs.All != "" {
		find := b.P.T("page.find_org")
		m.html(`<form class="who" method="get"`).attr("action", b.Orgs.All).html(` role="search"`).attr("aria-label", find).
			html(`><input type="search" name="q"`).attr("aria-label", find).attr("placeholder", find).html("></form>\n")
		m.html(`<ul class="ruled"><li><a`).attr("href", b.Orgs.All).html(">").icon(b.drawing("building")).
			html("<span>").text(b.P.T("page.all_orgs")).html("</span></a></li></ul>")
	}
	m.html("</div></details>\n")
}

// me writes the menu of who is signed in.
func (b *Base) me(m *markup) {
	me := b.Me
	if me == nil {
		return
	}
	shown := me.Name
	if shown == "" {
		shown = me.Email
	}
	m.html(`<details class="menu me" data-menu><summary><span class="face" aria-hidden="true">`).text(me.Initial()).
		html(`</span><span class="me-name">`).text(shown).html("</span>").icon(b.drawing("down")).html("</summary>\n")
	m.html(`<div class="sheet"><p class="who"><strong>`).text(me.Name).html("</strong><span>").text(me.Email).html("</span><span>").
		text(me.OrgName).html("</span></p>\n")
	if me.Href != "" {
		m.html(`<ul class="ruled"><li><a`).attr("href", me.Href).html(">").icon(b.drawing("person")).
			html("<span>").text(b.P.T("page.account")).html("</span></a></li></ul>")
	}
	m.html("\n<div class=\"ruled choice\"><span>").text(b.P.T("page.theme")).html(`</span><span class="themes">`)
	b.themes(m)
	m.html("</span></div>\n<form class=\"ruled\" method=\"post\" action=\"/logout\">").identity(b).
		html(`<button class="item" type="submit">`).icon(b.drawing("leave")).html("<span>").text(b.P.T("page.sign_out")).
		html("</span></button></form></div></details>")
}

// HTML returns logo, or tile, and name: the partial "brand".
func (b Brand) HTML() template.HTML { return newMarkup().brand(b).whole() }

func (m *markup) brand(b Brand) *markup {
	if b.LogoURL != "" {
		m.html(`<img class="logo"`).attr("src", b.LogoURL).html(` alt="">`)
	} else {
		m.html(`<span class="tile" aria-hidden="true">`).text(b.Initial()).html("</span>")
	}
	return m.html(`<span class="brand-name">`).text(b.Name).html("</span>")
}

// switches writes the languages and the themes as links that choose them.
func (b *Base) switches(m *markup) {
	m.html(`<nav class="languages"`).attr("aria-label", b.P.T("page.language")).html(">")
	for _, l := range locale.Languages {
		b.choice(m, "lang", string(l)).attr("lang", string(l)).attr("hreflang", string(l)).flag(` aria-current="true"`, l == b.Lang).
			html(">").text(l.Name()).html("</a>")
	}
	m.html("</nav>\n<nav class=\"themes\"").attr("aria-label", b.P.T("page.theme")).html(">")
	b.themes(m)
	m.html("</nav>")
}

func (b *Base) themes(m *markup) {
	for _, t := range []struct{ name, icon string }{{auto, "contrast"}, {light, "sun"}, {dark, "moon"}} {
		name := b.P.T("theme." + t.name)
		b.choice(m, "theme", t.name).attr("title", name).flag(` aria-current="true"`, t.name == b.Theme || t.name == auto && b.Theme == "").
			html(">").icon(b.drawing(t.icon)).html(`<span class="unseen">`).text(name).html("</span></a>")
	}
}

// choice begins a link of a switch.
func (b *Base) choice(m *markup, key, value string) *markup {
	return m.html("<a").attr("href", switchLink(b.query, key, value))
}

// refreshTag writes the tag with which a page goes on by itself to Refresh, when that is an address of http or https or a path of
// our own. It serves where a form's POST ends at another origin, which "form-action 'self'" would stop.
func (b *Base) refreshTag(m *markup) {
	if b.Refresh == "" {
		return
	}
	u, err := url.Parse(b.Refresh)
	if err != nil || strings.ContainsAny(b.Refresh, "'\"; ") ||
		LocalPath(b.Refresh) == "" && (u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		return
	}
	m.html(`<meta http-equiv="refresh"`).attr("content", "0; url=", b.Refresh).html(">")
}
