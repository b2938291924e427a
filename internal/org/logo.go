package org

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/draw"
	"golang.org/x/image/webp"

	"doorward/internal/id"
	"doorward/internal/refusal"
)

// What a logo's file may be.
const (
	MostLogo   = 2 << 20 // bytes
	mostSide   = 4096    // pixels
	mostPixels = 16 << 20
	mostScans  = 64 // passes over a JPEG: each costs time for all its pixels, and needs next to no bytes
)

// What a logo is kept as, in pixels: what pages show, and what a mail carries, which shows it half as large.
const (
	pageSide    = 512
	smallWidth  = 400
	smallHeight = 72
)

// logoHash is how many hexadecimal digits name a picture.
const logoHash = 32

// Logo is a picture drawn anew: pixels, and nothing else of the file that came.
type Logo struct {
	PNG   []byte // for pages
	Small []byte // for mails, a PNG too
}

// Press makes logos from files. Pictures are unpacked one after the other, so that many at once need no more memory than one.
type Press struct{ slot chan struct{} }

// NewPress returns a press.
func NewPress() *Press { return &Press{make(chan struct{}, 1)} }

// format is a kind of picture file.
type format struct {
	magic   string // its first bytes; "?" stands for any
	measure func(io.Reader) (image.Config, error)
	unpack  func(io.Reader) (image.Image, error)
}

var formats = []format{
	{"\x89PNG\r\n\x1a\n", png.DecodeConfig, png.Decode},
	{"\xff\xd8\xff", jpeg.DecodeConfig, jpeg.Decode},
	{"GIF8?a", gif.DecodeConfig, gif.Decode}, // the first of its pictures
	{"RIFF????WEBP", webp.DecodeConfig, webp.Decode},
}

func (f format) is(file []byte) bool {
	if len(file) < len(f.magic) {
		return false
	}
	for i := range len(f.magic) {
		if f.magic[i] != '?' && f.magic[i] != file[i] {
			return false
		}
	}
	return true
}

// Logo makes a logo from a file. What it is, its first bytes say: neither its name nor the type that a browser claims. Its size is read before
// anything is unpacked. Refusals are at the field "logo".
func (p *Press) Logo(ctx context.Context, file []byte) (Logo, error) {
	if len(file) == 0 {
		return Logo{}, refusal.Field("logo", "logo.missing")
	}
	if len(file) > MostLogo {
		return Logo{}, refusal.Field("logo", "logo.large", "Most", MostLogo>>20)
	}
	for _, f := range formats {
		if !f.is(file) {
			continue
		}
		size, err := f.measure(bytes.NewReader(file))
		if err != nil || size.Width < 1 || size.Height < 1 {
			return Logo{}, refusal.Field("logo", "logo.broken")
		}
		if size.Width > mostSide || size.Height > mostSide || size.Width*size.Height > mostPixels {
			return Logo{}, refusal.Field("logo", "logo.dimensions", "Width", size.Width, "Height", size.Height, "Most", mostSide)
		}
		if bytes.HasPrefix(file, []byte("\xff\xd8")) && bytes.Count(file, []byte("\xff\xda")) > mostScans { // ITU-T T.81, B.1.1.3: SOS
			return Logo{}, refusal.Field("logo", "logo.broken")
		}
		select {
		case p.slot <- struct{}{}:
			defer func() { <-p.slot }()
		case <-ctx.Done():
			return Logo{}, ctx.Err()
		}
		return press(f, file)
	}
	return Logo{}, refusal.Field("logo", "logo.kind")
}

func press(f format, file []byte) (l Logo, err error) {
	picture, err := f.unpack(bytes.NewReader(file))
	if err != nil || picture.Bounds().Empty() {
		return l, refusal.Field("logo", "logo.broken")
	}
	all := image.NewRGBA(image.Rectangle{Max: picture.Bounds().Size()}) // one pass over it, whatever it was; the scaler is fast on these
	draw.Draw(all, all.Bounds(), picture, picture.Bounds().Min, draw.Src)
	if l.PNG, err = fitted(all, pageSide, pageSide); err == nil {
		l.Small, err = fitted(all, smallWidth, smallHeight)
	}
	return l, err
}

// fitted returns a picture as a PNG of at most that width and height; a smaller one keeps its size.
func fitted(p *image.RGBA, width, height int) ([]byte, error) {
	w, h := p.Rect.Dx(), p.Rect.Dy()
	if w > width {
		w, h = width, max(h*width/w, 1)
	}
	if h > height {
		w, h = max(w*height/h, 1), height
	}
	if w != p.Rect.Dx() || h != p.Rect.Dy() {
		less := image.NewRGBA(image.Rect(0, 0, w, h))
		draw.CatmullRom.Scale(less, less.Rect, p, p.Rect, draw.Src, nil)
		p = less
	}
	var b bytes.Buffer
	err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, p)
	return b.Bytes(), err
}

// hash names a logo of an organisation. The organisation's id is in it, which nobody outside knows: else who has the picture could ask whether
// anybody here uses it.
func (l Logo) hash(o id.Org) string {
	h := sha256.New()
	h.Write([]byte(o))
	h.Write([]byte{0})
	h.Write(l.PNG)
	return hex.EncodeToString(h.Sum(nil))[:logoHash]
}
