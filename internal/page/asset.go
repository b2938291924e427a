package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed templates static
var files embed.FS

// asset is one static file in memory, as it is and compressed.
type asset struct {
	kind  string // Content-Type
	plain []byte
	small func() []byte // compressed; nothing where that is no gain
}

// assets are the static files by their address and the addresses by their names.
type assets struct {
	byPath map[string]asset
	byName map[string]string
}

// kinds are the static files that there may be.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png",
	".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8",
}

func loadAssets(more []fs.FS) (*assets, error) {
	own, err := fs.Sub(files, "static")
	if err != nil {
		return nil, err
	}
	a := &assets{byPath: map[string]asset{}, byName: map[string]string{}}
	for i, fsys := range append([]fs.FS{own}, more...) {
		entries, err := fs.ReadDir(fsys, ".")
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.IsDir() {
				continue
			}
			b, err := fs.ReadFile(fsys, e.Name())
			if err != nil {
				return nil, err
			}
			if i == 0 {
				b = squeeze(path.Ext(e.Name()), b)
			}
			if err := a.add(e.Name(), b); err != nil {
				return nil, err
			}
		}
	}
	return a, nil
}

func (a *assets) add(name string, b []byte) error {
	ext := path.Ext(name)
	kind, ok := kinds[ext]
	if !ok {
		return fmt.Errorf("page: static file %s: no such kind", name)
	}
	if _, twice := a.byName[name]; twice {
		return fmt.Errorf("page: static file %s: there is one of that name already", name)
	}
	f := asset{kind: kind, plain: b, small: sync.OnceValue(func() []byte { return compress(b) })}
	sum := sha256.Sum256(b)
	address := "/assets/" + strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
	a.byPath[address], a.byName[name] = f, address
	return nil
}

// compress returns b compressed, or nothing where that is no gain. It is done when somebody first asks for it.
func compress(b []byte) []byte {
	var small bytes.Buffer
	z, err := gzip.NewWriterLevel(&small, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := z.Write(b); err != nil {
		return nil
	}
	if err := z.Close(); err != nil || small.Len() >= len(b) {
		return nil
	}
	return small.Bytes()
}

// squeeze takes out of our own files what browsers need not be sent: comments and the white space around marks in style sheets, whole
// comment lines and indentation in scripts. It does not know strings, so no file of ours keeps such a thing in one. Each start waits for it.
func squeeze(ext string, b []byte) []byte {
	out := make([]byte, 0, len(b))
	switch ext {
	case ".css":
		last := func() byte { return out[len(out)-1] }
		for space := false; len(b) > 0; {
			c := b[0]
			switch {
			case bytes.HasPrefix(b, []byte("/*")):
				_, b, _ = bytes.Cut(b, []byte("*/"))
				continue
			case strings.IndexByte(" \t\r\n\f", c) >= 0:
				space = true
			case c == '}' && len(out) > 0 && last() == ';':
				out[len(out)-1], space = c, false
			default:
				if space && len(out) > 0 && strings.IndexByte("{};,:", last()) < 0 && strings.IndexByte("{};,", c) < 0 {
					out = append(out, ' ')
				}
				out, space = append(out, c), false
			}
			b = b[1:]
		}
	case ".js":
		for line := range bytes.Lines(b) {
			if line = bytes.TrimLeft(line, "\t \n"); !bytes.HasPrefix(line, []byte("//")) {
				out = append(out, line...)
			}
		}
		out = bytes.TrimSpace(out)
	default:
		out = bytes.TrimSpace(b)
	}
	return out
}

// Asset returns the address of a static file, "" (and a line in the log) when there is none of that name.
func (k *Kit) Asset(name string) string {
	address, ok := k.assets.byName[name]
	if !ok {
		k.log.Error("no such static file", slog.String("name", name))
	}
	return address
}

// Assets serves the static files at /assets/{name}.{hash}.{ext}. The hash is the content's, so browsers keep them for good; every
// other path is not found.
func (k *Kit) Assets() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := k.assets.byPath[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", f.kind)
		h.Set("Cache-Control", "public, max-age=31536000, immutable") // RFC 8246
		h.Set("Vary", "Accept-Encoding")
		body := f.plain
		if small := f.small(); small != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			body = small
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(body)
		}
	})
}

// acceptsGzip reads Accept-Encoding (RFC 9110 section 12.5.3) as far as the choice between gzip and nothing needs.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(strings.ToLower(strings.TrimSpace(part)), ";")
		if strings.TrimSpace(coding) != "gzip" {
			continue
		}
		q, found := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		weight, err := strconv.ParseFloat(q, 64)
		return !found || err == nil && weight > 0
	}
	return false
}
