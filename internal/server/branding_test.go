package server_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/org"
)

const brandingPath = "/o/fabrikam/settings/branding"

// brand sends the form of logo and accent colour with a file of that name and type.
func brand(w *doortest.World, path string, header http.Header, name, kind string, file []byte, fields ...string) reply {
	w.T.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for i := 0; i+1 < len(fields); i += 2 {
		if err := form.WriteField(fields[i], fields[i+1]); err != nil {
			w.T.Fatal(err)
		}
	}
	part, err := form.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="logo"; filename=` + strconv.Quote(name)}, "Content-Type": {kind}})
	if err == nil {
		_, err = part.Write(file)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		w.T.Fatal(err)
	}
	h := header.Clone()
	h.Set("Content-Type", form.FormDataContentType())
	r, err := transmit(w, http.MethodPost, path, body.String(), h)
	if err != nil {
		w.T.Fatal(err)
	}
	return r
}

// asked returns how many bytes were asked for meanwhile.
func asked(f func()) uint64 {
	var was, is runtime.MemStats
	runtime.ReadMemStats(&was)
	f()
	runtime.ReadMemStats(&is)
	return is.TotalAlloc - was.TotalAlloc
}

// drawn is a picture with a gradient, a part of it transparent.
func drawn(width, height int) *image.NRGBA {
	p := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			p.SetNRGBA(x, y, color.NRGBA{uint8(255 * x / width), uint8(255 * y / height), 0x80, uint8(255 - 200*x/width)})
		}
	}
	return p
}

func asPNG(p image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// chunk is a part of a PNG file.
func chunk(kind string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, kind...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// claimed is a PNG file whose header claims a size, with rows of nothing in it.
func claimed(width, height uint32) []byte {
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	var rows bytes.Buffer
	z := zlib.NewWriter(&rows)
	for range 200 {
		_, _ = z.Write(make([]byte, 50_001))
	}
	_ = z.Close()
	file := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(head, 8, 0, 0, 0, 0))...)
	return append(append(file, chunk("IDAT", rows.Bytes())...), chunk("IEND", nil)...)
}

// manyFrames is a small file of many large pictures.
func manyFrames(width, height, n int) []byte {
	g := gif.GIF{Config: image.Config{Width: width, Height: height}}
	p := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{color.Black, color.White})
	for range n {
		g.Image, g.Delay = append(g.Image, p), append(g.Delay, 1)
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, &g); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// aWebP is 1 by 1 pixel, lossless.
const aWebP = "RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"

var (
	logoAt  = regexp.MustCompile(`/brand/[0-9a-f]{32}\.png`)
	sheetAt = regexp.MustCompile(`/brand/1-[0-9a-f]{6}-[0-9a-f]{6}\.css`)
)

// manyScans makes a progressive JPEG of side by side grey pixels that is passed over so often: each pass is a few bytes long.
func manyScans(side, n int) []byte {
	var b bytes.Buffer
	table := func(class byte, value byte) { // one code, a single 0
		b.Write(append([]byte{0xff, 0xc4, 0, 20, class, 1}, append(make([]byte, 15), value)...))
	}
	b.Write([]byte{0xff, 0xd8, 0xff, 0xdb, 0, 67, 0})
	b.Write(bytes.Repeat([]byte{1}, 64))
	b.Write([]byte{0xff, 0xc2, 0, 11, 8, byte(side >> 8), byte(side), byte(side >> 8), byte(side), 1, 1, 0x11, 0})
	table(0x00, 0x00)
	table(0x10, 0xe0) // a run of 2¹⁴ blocks without coefficients, and as many more as 14 bits say
	blocks := side / 8 * side / 8
	b.Write([]byte{0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0})
	b.Write(make([]byte, blocks/8))
	for i := range n - 1 {
		fine := byte(0x10)
		if i == 0 {
			fine = 0x01
		}
		b.Write([]byte{0xff, 0xda, 0, 8, 1, 1, 0, 1, 63, fine})
		var bits, count uint
		for range blocks >> 14 {
			for bits, count = bits<<15, count+15; count >= 8; count -= 8 {
				b.WriteByte(byte(bits >> (count - 8)))
			}
		}
		b.WriteByte(byte(bits<<(8-count)) | byte(1<<(8-count)-1))
	}
	b.Write([]byte{0xff, 0xd9})
	return b.Bytes()
}

// What is uploaded is drawn anew or refused with a sentence at its field; what is served is a picture and nothing else (AT-147).
func TestLogos(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		b.Get(brandingPath).Want("org.branding")
		admin := held(b)
		rev := func() string {
			return strconv.Itoa(w.Count(`select rev from orgs where id = $1`, w.Fabrikam.ID))
		}
		settle(w.World)
		before := dump(w.World)
		const script = `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>`
		whole := asPNG(drawn(40, 40))
		for name, c := range map[string]struct {
			file []byte
			says string
		}{
			"an SVG with a script":            {[]byte(script), "This is no PNG"},
			"an SVG in XML":                   {[]byte("<?xml version=\"1.0\"?>\n" + script), "This is no PNG"},
			"HTML":                            {[]byte("<!doctype html><script>alert(1)</script>"), "This is no PNG"},
			"text":                            {[]byte("hello"), "This is no PNG"},
			"a bitmap of Windows":             {append([]byte("BM"), make([]byte, 200)...), "This is no PNG"},
			"a PDF":                           {[]byte("%PDF-1.7\n"), "This is no PNG"},
			"something before the picture":    {append([]byte("GIF"), whole...), "This is no PNG"},
			"a header of 50,000 pixels":       {claimed(50_000, 50_000), "50,000 by 50,000"},
			"a header of 4,097 by 1 pixels":   {claimed(4097, 1), "4,097 by 1"},
			"a header of 2³¹ pixels":          {claimed(1<<31-1, 1<<31-1), "cannot be read"},
			"a picture of nothing":            {claimed(0, 0), "cannot be read"},
			"a truncated picture":             {whole[:len(whole)/2], "cannot be read"},
			"the head of a PNG alone":         {whole[:8], "cannot be read"},
			"the head of a JPEG alone":        {[]byte("\xff\xd8\xff"), "cannot be read"},
			"the head of a WebP alone":        {[]byte(aWebP[:12]), "cannot be read"},
			"an animation larger than it may": {manyFrames(5000, 4, 3), "5,000 by 4"},
			"a JPEG of 65 passes":             {manyScans(1024, 65), "cannot be read"},
			"a JPEG of 20,000 passes":         {manyScans(4096, 20_000), "cannot be read"},
			"more than 2 MB":                  {append(bytes.Clone(whole), make([]byte, 3<<20)...), "too large"},
		} {
			var r reply
			took := asked(func() {
				r = brand(w.World, brandingPath, admin, "logo.png", "image/png", c.file, "accent", "#1d7a46", "rev", rev())
			})
			if r.Status != http.StatusUnprocessableEntity || r.Page() != "org.branding" || !strings.Contains(strings.Join(r.Faults(), " "), "logo") || !strings.Contains(r.Body, c.says) {
				t.Errorf("%s: %d %q, errors at %v", name, r.Status, r.Page(), r.Faults())
			}
			if !strings.Contains(r.Body, `value="#1d7a46"`) {
				t.Errorf("%s: the colour that was typed is lost", name)
			}
			if took > 60<<20 {
				t.Errorf("%s took %d MB", name, took>>20)
			}
		}
		if r := brand(w.World, brandingPath, admin, "x", "image/png", make([]byte, 9<<20), "rev", rev()); r.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("9 MB: %d", r.Status)
		}
		if d := differing(before, dump(w.World)); d != nil {
			t.Fatalf("refused pictures changed %v", d)
		}

		var photo bytes.Buffer
		if err := jpeg.Encode(&photo, drawn(900, 300), nil); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			file, as, kind string
			width, height  int
		}{
			"a PNG":                         {string(asPNG(drawn(1024, 512))), "logo.png", "image/png", 512, 256},
			"a small PNG":                   {string(whole), "logo.png", "image/png", 40, 40},
			"a JPEG":                        {photo.String(), "../../etc/logo.jpg", "image/jpeg", 512, 170},
			"a JPEG of 64 passes":           {string(manyScans(1024, 64)), "logo.jpg", "image/jpeg", 512, 512},
			"a GIF of many frames":          {string(manyFrames(4096, 4000, 4)), "logo.gif", "image/gif", 512, 500},
			"a WebP":                        {aWebP, "logo.webp", "image/webp", 1, 1},
			"a PNG called a page":           {string(whole), "evil.html", "text/html", 40, 40},
			"a PNG with HTML behind it":     {string(whole) + script, "logo.png", "image/png", 40, 40},
			"a PNG with a comment":          {string(whole[:33]) + string(chunk("tEXt", []byte("Comment\x00"+script))) + string(whole[33:]), "logo.png", "image/png", 40, 40},
			"a GIF with a script behind it": {string(manyFrames(3, 2, 1)) + "/*" + script, "x.js", "text/javascript", 3, 2},
			"a column":                      {string(asPNG(drawn(1, 4096))), "logo.png", "image/png", 1, 512},
		} {
			r := brand(w.World, brandingPath, admin, c.as, c.kind, []byte(c.file), "accent", "", "rev", rev())
			if r.Status != http.StatusSeeOther {
				t.Errorf("%s: %d, errors at %v", name, r.Status, r.Faults())
				continue
			}
			page := send(w.World, http.MethodGet, "/o/fabrikam/login", nil, http.Header{})
			at := logoAt.FindString(page.Body)
			r = send(w.World, http.MethodGet, at, nil, http.Header{})
			p, err := png.Decode(strings.NewReader(r.Body))
			if at == "" || r.Status != http.StatusOK || err != nil {
				t.Errorf("%s is served as %d at %q, %v", name, r.Status, at, err)
				continue
			}
			if size := p.Bounds().Size(); size != image.Pt(c.width, c.height) {
				t.Errorf("%s is %v", name, size)
			}
			if strings.Contains(r.Body, "script") || strings.Contains(r.Body, "tEXt") {
				t.Errorf("%s carries more than pixels", name)
			}
			for header, want := range map[string]string{"Content-Type": "image/png", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox",
				"Cache-Control": "public, max-age=31536000, immutable", "Set-Cookie": ""} {
				if got := r.Head.Get(header); got != want {
					t.Errorf("%s: %s %q", name, header, got)
				}
			}
		}
		if n := w.Count(`select count(*) from org_logos`); n != 1 {
			t.Errorf("%d pictures are kept", n)
		}
	})
}

// An organisation's colours and logo are on its pages and in its mails, and on those below that have none of their own; nobody else learns of them.
func TestBranding(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		if n := len(send(w.World, http.MethodGet, "/o/fabrikam/login", nil, http.Header{}).Body); n > 12_000 {
			t.Errorf("the sign-in page without a logo is %d bytes", n)
		}
		set := func(o org.Org, accent string) {
			t.Helper()
			b.Get("/o/"+o.Slug+"/settings/branding").Want("org.branding").Submit(":action", "/branding", "accent", accent)
		}
		b.Get("/o/fabrikam/settings").Want("org.settings").Follow("/settings/branding").Want("org.branding")
		if r := brand(w.World, brandingPath, held(b), "logo.png", "image/png", asPNG(drawn(800, 200)), "accent", "#B3261E", "rev", "0"); r.Status != http.StatusSeeOther {
			t.Fatalf("%d %v", r.Status, r.Faults())
		}
		var logo, sheet string
		for _, path := range []string{"/o/fabrikam/", "/o/fabrikam/login", "/o/fabrikam/forgot", "/o/fabrikam/activated"} {
			body := send(w.World, http.MethodGet, path, nil, http.Header{}).Body
			logo, sheet = logoAt.FindString(body), sheetAt.FindString(body)
			if logo == "" || !strings.HasPrefix(sheet, "/brand/1-b3261e-") || strings.Contains(body, "style=") {
				t.Errorf("%s shows %q and %q", path, logo, sheet)
			}
		}
		for _, path := range []string{"/o/fabrikam/", "/me"} {
			if b.Get(path); logoAt.FindString(b.Body) != logo || sheetAt.FindString(b.Body) != sheet {
				t.Errorf("the console's %s does not show them", path)
			}
		}
		css := send(w.World, http.MethodGet, sheet, nil, http.Header{})
		if css.Head.Get("Content-Type") != "text/css; charset=utf-8" || css.Head.Get("Cache-Control") != "public, max-age=31536000, immutable" || !strings.Contains(css.Body, "--accent:#b3261e;--accent-text:#ffffff") {
			t.Errorf("the style sheet: %v %s", css.Head, css.Body)
		}

		// Mails carry them along.
		carl, link := w.Invite(w.Fabrikam, "carl@fabrikam.example", access.Core)
		mail := w.Mailbox.Wait(carl.Email, "invite", 1)
		p, err := png.DecodeConfig(bytes.NewReader(mail.Logo))
		if err != nil || p.Width != 288 || p.Height != 72 || mail.LogoID != "<logo@doorward>" {
			t.Errorf("the mail's picture: %d by %d, %q, %v", p.Width, p.Height, mail.LogoID, err)
		}
		for _, want := range []string{`src="cid:logo@doorward"`, `width="144" height="36"`, "background-color:#b3261e;color:#ffffff", ".fill{background-color:#"} {
			if !strings.Contains(mail.HTML, want) {
				t.Errorf("the mail lacks %s", want)
			}
		}
		if strings.Contains(mail.HTML, "ZgotmplZ") || strings.Contains(mail.HTML, "#2e5bd9") || regexp.MustCompile(`src="http|url\(`).MatchString(mail.HTML) || !strings.Contains(mail.Text, "Fabrikam") {
			t.Error("the mail loads something, keeps our colour, or lacks the name in its text")
		}
		if body := send(w.World, http.MethodGet, link, nil, http.Header{}).Body; logoAt.FindString(body) != logo || sheetAt.FindString(body) != sheet {
			t.Error("the activation page does not show them")
		}

		// The others: a sibling has none; what the MSP sets holds below it, as far as nobody there has their own.
		if body := send(w.World, http.MethodGet, "/o/tailspin/login", nil, http.Header{}).Body; strings.Contains(body, "/brand/") {
			t.Error("a sibling has a brand")
		}
		w.Exec(`update orgs set accent = '#1d7a46', accent_dark = '#3f9464' where id = $1`, w.Contoso.ID)
		for slug, want := range map[string]string{"contoso": "1-1d7a46-3f9464", "tailspin": "1-1d7a46-3f9464", "fabrikam": "1-b3261e-", "wingtip": ""} {
			if got := sheetAt.FindString(send(w.World, http.MethodGet, "/o/"+slug+"/login", nil, http.Header{}).Body); !strings.Contains(got, want) || want == "" && got != "" {
				t.Errorf("%s has %q", slug, got)
			}
		}
		set(w.Fabrikam, "")
		if got := sheetAt.FindString(send(w.World, http.MethodGet, "/o/fabrikam/login", nil, http.Header{}).Body); !strings.Contains(got, "1-1d7a46-3f9464") {
			t.Errorf("without its own colour it has %q", got)
		}
		missing := send(w.World, http.MethodGet, "/brand/"+strings.Repeat("0", 32)+".png", nil, http.Header{})
		for _, path := range []string{"/brand/x", "/brand/" + strings.Repeat("0", 31) + "'.png", "/brand/1-ffff00-ffff00.css", "/brand/fabrikam.png", "/brand/" + strings.ToUpper(strings.TrimPrefix(logo, "/brand/"))} {
			if r := send(w.World, http.MethodGet, path, nil, http.Header{}); r.Status != http.StatusNotFound || missing.Status != http.StatusNotFound || r.Head.Get("Cache-Control") != "no-store" || r.Head.Get("Set-Cookie") != "" {
				t.Errorf("%s: %d, %v", path, r.Status, r.Head)
			}
		}

		// Taking away, and what the log says.
		b.Get(brandingPath).Want("org.branding").Submit(":action", "/branding", "change", "no-logo").Want("org.branding")
		if r := send(w.World, http.MethodGet, logo, nil, http.Header{}); r.Status != http.StatusNotFound || strings.Contains(b.Body, logo) {
			t.Errorf("the logo that was taken away: %d", r.Status)
		}
		if n := w.Events(w.Fabrikam.ID, "org.branded"); n != 3 {
			t.Errorf("%d events", n)
		}
		facts := w.text(`select data from events where org_id = $1 and action = 'org.branded' and data like '%"before":{"accent":"","logo":""}%'`, w.Fabrikam.ID)
		if !strings.Contains(facts, `"after":{"accent":"#b3261e","logo":"`+strings.TrimSuffix(strings.TrimPrefix(logo, "/brand/"), ".png")) {
			t.Errorf("the event says %s", facts)
		}
		set(w.Fabrikam, "#ffff00")
		if b.Status != http.StatusUnprocessableEntity || !strings.Contains(b.FieldError("accent"), "by 1 to 1. At least 3 to 1") {
			t.Errorf("yellow: %d %q", b.Status, b.FieldError("accent"))
		}

		// The preview's questions.
		b.Get(brandingPath + "/try?accent=%23b3261e")
		if got := b.Body; b.Head.Get("Content-Type") != "application/json" || !strings.Contains(got, `"light":{"accent":"#b3261e","text":"#ffffff"`) {
			t.Errorf("%s", got)
		}
		if got := b.Get(brandingPath + "/try?accent=%23ffff00").Body; !strings.Contains(got, `"error":"This colour stands out`) {
			t.Errorf("%s", got)
		}
	})
}

// Of two who change it at once one is told, with what they typed; who only looks, or has nothing to do with it, changes nothing.
func TestBrandingOfOthers(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		_, c := w.enrolled(w.Fabrikam, "cleo@fabrikam.example", access.Administrator)
		b.Get(brandingPath).Want("org.branding")
		c.Get(brandingPath).Want("org.branding")
		b.Submit(":action", "/branding", "accent", "#b3261e").Want("org.branding").WantStatus(http.StatusOK)
		c.Submit(":action", "/branding", "accent", "#1d7a46").WantStatus(http.StatusUnprocessableEntity).Want("org.branding")
		if got := w.text(`select accent from orgs where id = $1`, w.Fabrikam.ID); got != "#b3261e" || !strings.Contains(c.Body, `value="#1d7a46"`) {
			t.Errorf("the accent is %s", got)
		}
		c.Submit(":action", "/branding").WantStatus(http.StatusOK) // now at the revision that is there
		if got := w.text(`select accent from orgs where id = $1`, w.Fabrikam.ID); got != "#1d7a46" {
			t.Errorf("the accent is %s", got)
		}

		_, viewer := w.enrolled(w.Fabrikam, "vic@fabrikam.example", access.Viewer)
		_, sibling := w.enrolled(w.Tailspin, "tess@tailspin.example", access.Administrator)
		settle(w.World)
		before := dump(w.World)
		if r := brand(w.World, brandingPath, held(viewer), "x.png", "image/png", asPNG(drawn(9, 9)), "rev", "2"); r.Status != http.StatusForbidden {
			t.Errorf("a viewer: %d", r.Status)
		}
		there := brand(w.World, brandingPath, held(sibling), "x.png", "image/png", asPNG(drawn(9, 9)), "rev", "2")
		nowhere := brand(w.World, "/o/nowhere/settings/branding", held(sibling), "x.png", "image/png", asPNG(drawn(9, 9)), "rev", "2")
		if there.Status != nowhere.Status || strings.ReplaceAll(there.Location(), "fabrikam", "nowhere") != nowhere.Location() {
			t.Errorf("foreign: %d %q, missing: %d %q", there.Status, there.Location(), nowhere.Status, nowhere.Location())
		}
		if r := send(w.World, http.MethodPost, brandingPath, url.Values{"accent": {"#b3261e"}, "rev": {"2"}}, http.Header{}); r.Status != http.StatusSeeOther {
			t.Errorf("a stranger: %d", r.Status)
		}
		if d := differing(before, dump(w.World), "events", "event_persons", "sessions"); d != nil {
			t.Errorf("changed %v", d)
		}
	})
}

// Many pictures at once are unpacked one after the other, and a picture goes with its organisation.
func TestLogosAtOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		b.Get(brandingPath).Want("org.branding")
		admin := held(b)
		large := asPNG(image.NewGray(image.Rect(0, 0, 4096, 4096)))
		done := 0
		var lock sync.Mutex
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if r := brand(w.World, brandingPath, admin, "x.png", "image/png", large, "rev", "0"); r.Status == http.StatusSeeOther {
					lock.Lock()
					defer lock.Unlock()
					done++
				} else if r.Status != http.StatusUnprocessableEntity {
					t.Errorf("%d", r.Status)
				}
			})
		}
		all.Wait()
		if done != 1 {
			t.Errorf("%d of them were first", done)
		}
		if err := w.Directory.Suspend(t.Context(), doortest.Operator(), w.Fabrikam.ID, "fabrikam", "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Directory.RequestDeletion(t.Context(), doortest.Operator(), w.Fabrikam.ID, "fabrikam"); err != nil {
			t.Fatal(err)
		}
		w.Clock.Move(49 * time.Hour)
		if err := w.Directory.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := w.Count(`select (select count(*) from org_logos) + (select count(*) from orgs where slug = 'fabrikam')`); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}
