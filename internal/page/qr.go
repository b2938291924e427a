package page

import (
	"html/template"
	"strconv"
	"strings"

	"rsc.io/qr"
)

// QR is a QR code as one SVG path; each dark module is a unit square, four units of quiet zone around (ISO/IEC 18004).
type QR struct {
	Size int // width and height in units
	Path string
	Link template.URL // the text itself, for who reads the page on the device that has the app
}

const quiet = 4

// DrawQR returns the QR code of a text.
func DrawQR(text string) (QR, error) {
	c, err := qr.Encode(text, qr.M)
	if err != nil {
		return QR{}, err
	}
	var b strings.Builder
	for y := range c.Size {
		for x := 0; x < c.Size; x++ {
			run := 0
			for x+run < c.Size && c.Black(x+run, y) {
				run++
			}
			if run > 0 {
				b.WriteString("M" + strconv.Itoa(x+quiet) + " " + strconv.Itoa(y+quiet) + "h" + strconv.Itoa(run) + "v1h-" + strconv.Itoa(run) + "z")
				x += run
			}
		}
	}
	return QR{Size: c.Size + 2*quiet, Path: b.String(), Link: template.URL(text)}, nil //nolint:gosec // made by factor, never typed
}

// Groups cuts a key into groups of four, to be read and typed.
func Groups(key string) []string {
	var out []string
	for ; len(key) > 4; key = key[4:] {
		out = append(out, key[:4])
	}
	return append(out, key)
}
