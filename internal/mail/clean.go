package mail

import (
	"strings"
	"unicode"
)

// The longest values in characters. What people type in a form is shorter; what an identity provider or an import sends may not be.
const (
	nameMax   = 100  // names of people, organisations, roles, factors
	reasonMax = 500  // what an administrator typed
	listMax   = 1000 // role names together
)

const (
	zeroWidthNonJoiner = '\u200c' // Persian needs it inside words
	zeroWidthJoiner    = '\u200d' // emoji of several people and Indic scripts need it
)

// clean returns what a person typed as one line that is safe in a header and honest in a sentence. Control characters and line ends
// become spaces; direction marks, invisible characters and bytes that are not UTF-8 go; longer than limit characters is cut with an
// ellipsis. "://" is taken apart, so that nobody's name becomes a link in a mail that we sign.
func clean(s string, limit int) string {
	var b strings.Builder
	count, space := 0, false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Z, r):
			space = true
			continue
		case r == unicode.ReplacementChar:
			continue
		case !unicode.IsGraphic(r) && r != zeroWidthNonJoiner && r != zeroWidthJoiner:
			continue
		}
		if space && count > 0 {
			b.WriteByte(' ')
			count++
		}
		space = false
		if count >= limit {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
		count++
	}
	return strings.ReplaceAll(b.String(), "://", ": //")
}

// initial returns the first letter or digit of a name in upper case, for the square beside it; empty when there is none.
func initial(name string) string {
	for _, r := range name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
	}
	return ""
}
