package mail

import (
	"strings"
	"testing"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"  Ada \t Lovelace \r\n":   "Ada Lovelace",
		"Ada\r\nBcc: x":            "Ada Bcc: x",
		"Zoë Łuk 李 🙂":              "Zoë Łuk 李 🙂",
		"👩\u200d💻":                 "👩\u200d💻",
		"می\u200cخواهم":            "می\u200cخواهم",
		"a\u202eb\u2066c\ufeffd":   "abcd",
		"a\xffb":                   "ab",
		"a\u00a0b\u2028c\u0085d":   "a b c d",
		"see https://evil.example": "see https: //evil.example",
		"0123456789":               "0123456789",
		"0123456789a":              "0123456789…",
		"012345678 a":              "012345678 …",
	} {
		limit := 10
		if strings.HasPrefix(in, "see") || strings.Contains(in, "A") || strings.Contains(in, "Z") {
			limit = nameMax
		}
		if got := clean(in, limit); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestInitial(t *testing.T) {
	for in, want := range map[string]string{"fabrikam": "F", "„Öl“ GmbH": "Ö", "3M": "3", "李记": "李", "+++": "", "": ""} {
		if got := initial(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
