package page

import (
	"strconv"
	"strings"

	"rsc.io/qr"
)

// QR is a QR code as one SVG path; each dark module is a unit square, four units of quiet zone around (ISO/IEC 18004).
type QR struct {
	Size int // width and height in units
	Path string
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
	return QR{Size: c.Size + 2*quiet, Path: b.String()}, nil
}

// Spaced sets a key in groups of four, to be read and typed.
func Spaced(key string) string {
	var b strings.Builder
	for i, c := range key {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}
