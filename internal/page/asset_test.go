package page_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"doorward/internal/locale"
	"doorward/internal/page"
)

func TestAssets(t *testing.T) {
	b := newBench(t, "https://door.example")
	for name, kind := range map[string]string{
		"door.css": "text/css; charset=utf-8", "door.js": "text/javascript; charset=utf-8", "door.svg": "image/svg+xml", "extra.js": "text/javascript; charset=utf-8",
	} {
		address := b.Asset(name)
		base, ext, _ := strings.Cut(name, ".")
		if !regexp.MustCompile(`^/assets/` + base + `\.[0-9a-f]{12}\.` + ext + `$`).MatchString(address) {
			t.Errorf("%s is at %q", name, address)
		}
		r := get(address)
		plain := b.serve(r, b.Assets())
		text := body(t, plain)
		for header, want := range map[string]string{
			"Content-Type": kind, "Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding",
			"Content-Length": strconv.Itoa(len(text)), "Content-Encoding": "", "X-Content-Type-Options": "nosniff",
		} {
			if got := plain.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q", name, header, got)
			}
		}
		r.Header.Set("Accept-Encoding", "br, gzip;q=0.8")
		if small := b.serve(r, b.Assets()); small.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(small.Body)
			if err != nil {
				t.Fatal(err)
			}
			if all, err := io.ReadAll(z); err != nil || string(all) != text {
				t.Errorf("%s: compressed it is another: %v", name, err)
			}
		} else if len(text) > 300 {
			t.Errorf("%s: not compressed", name)
		}
		for _, accept := range []string{"identity", "gzip;q=0", "gzip; q=0.0", "br", "gzipped"} {
			r.Header.Set("Accept-Encoding", accept)
			if got := b.serve(r, b.Assets()).Header.Get("Content-Encoding"); got != "" {
				t.Errorf("%s: %q got %q", name, accept, got)
			}
		}
		head := httptest.NewRequest(http.MethodHead, address, nil)
		if res := b.serve(head, b.Assets()); res.StatusCode != http.StatusOK || body(t, res) != "" {
			t.Errorf("%s: HEAD answered %d", name, res.StatusCode)
		}
		if res := b.serve(httptest.NewRequest(http.MethodPost, address, nil), b.Assets()); res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: POST answered %d", name, res.StatusCode)
		}
	}
	css := b.Asset("door.css")
	for _, path := range []string{
		"/assets/", "/assets/door.css", "/assets/door.000000000000.css", css + "/", css + ".map", strings.Replace(css, "door.", "Door.", 1),
		"/assets/../page.go", "/assets/static/door.css", "/assets/%2e%2e/page.go", "/me/x.css",
	} {
		res := b.serve(get(path), b.Assets())
		if res.StatusCode != http.StatusNotFound || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s answered %d, Cache-Control %q", path, res.StatusCode, res.Header.Get("Cache-Control"))
		}
	}
	if b.log.Len() > 0 {
		t.Errorf("logged: %s", b.log)
	}
	if got := b.Asset("none.css"); got != "" || !strings.Contains(b.log.String(), "none.css") {
		t.Errorf("an unknown name is at %q and not in the log", got)
	}
	if got := body(t, b.serve(get(b.Asset("extra.js")), b.Assets())); got != "// kept as it is\n  1;\n" {
		t.Errorf("a surface's file was changed: %q", got)
	}
}

func TestStaticFilesOfSurfacesAreChecked(t *testing.T) {
	catalogue, err := locale.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, static := range []fstest.MapFS{{"door.css": {}}, {"a.exe": {}}} {
		if _, err := page.New(page.Options{PublicURL: &url.URL{Scheme: "http", Host: "localhost"}, Catalogue: catalogue, Static: []fs.FS{static}}); err == nil {
			t.Errorf("%v was taken", static)
		}
	}
	if _, err := page.New(page.Options{Catalogue: catalogue}); err == nil {
		t.Error("a kit without a public URL was made")
	}
}

// A sign-in page with all it loads has to be light: it is opened on phones, in trains.
func TestWeightOfASignInPage(t *testing.T) {
	b := newBench(t, "http://localhost")
	sum := len(body(t, b.show(t, get("/"), "card", newSample())))
	for _, name := range []string{"door.css", "door.js", "door.svg"} {
		n := len(body(t, b.serve(get(b.Asset(name)), b.Assets())))
		if name == "door.js" && n > 6<<10 {
			t.Errorf("%s has %d bytes", name, n)
		}
		sum += n
	}
	if sum > 40<<10 {
		t.Errorf("a sign-in page weighs %d bytes", sum)
	}
}

// The colours keep WCAG 2.2's contrast: 4.5 for text (1.4.3), 3 for the borders of controls and for what is drawn (1.4.11).
func TestContrast(t *testing.T) {
	css, err := os.ReadFile("static/door.css")
	if err != nil {
		t.Fatal(err)
	}
	text, shade, drawn := 4.5, 4.5, 3.0
	for name, start := range map[string]string{"light": ":root {", "dark, chosen": ":root[data-theme=dark] {", "dark, of the system": ":root:not([data-theme]) {"} {
		_, rest, found := strings.Cut(string(css), start)
		if !found {
			t.Fatalf("no colours for %s", name)
		}
		block, _, _ := strings.Cut(rest, "}")
		colour := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6}|[0-9a-f]{3});`).FindAllStringSubmatch(block, -1) {
			colour[m[1]] = luminance(t, m[2])
		}
		for _, c := range []struct {
			front, back string
			least       float64
		}{
			{"text", "page", text}, {"text", "surface", text}, {"text", "sunken", text}, {"text", "line", text}, {"text", "raised", text},
			{"muted", "page", text}, {"muted", "surface", text}, {"muted", "sunken", text}, {"muted", "line", shade},
			{"accent", "page", text}, {"accent", "surface", text}, {"accent", "sunken", text}, {"accent-text", "accent", text}, {"accent", "line", drawn},
			{"good", "good-tint", text}, {"warn", "warn-tint", text}, {"bad", "bad-tint", text},
			{"text", "good-tint", text}, {"text", "warn-tint", text}, {"text", "bad-tint", text},
			{"good", "surface", text}, {"warn", "surface", text}, {"bad", "surface", text}, {"surface", "bad", text},
			{"control", "page", drawn}, {"control", "surface", drawn}, {"control", "sunken", drawn},
		} {
			a, b := colour[c.front], colour[c.back]
			if a == 0 || b == 0 {
				t.Fatalf("%s: no colour %s or %s", name, c.front, c.back)
			}
			if got := (math.Max(a, b) + 0.05) / (math.Min(a, b) + 0.05); got < c.least {
				t.Errorf("%s: %s on %s has %.2f", name, c.front, c.back, got)
			}
		}
	}
}

// luminance returns the relative luminance of a colour as WCAG defines it.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	if len(hex) == 3 {
		hex = fmt.Sprintf("%c%c%c%c%c%c", hex[0], hex[0], hex[1], hex[1], hex[2], hex[2])
	}
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	part := func(v uint64) float64 {
		f := float64(v&255) / 255
		if f <= 0.04045 {
			return f / 12.92
		}
		return math.Pow((f+0.055)/1.055, 2.4)
	}
	return 0.2126*part(n>>16) + 0.7152*part(n>>8) + 0.0722*part(n)
}
