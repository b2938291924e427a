package page

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"doorward/internal/refusal"
)

// formMost is the size of a form's body in bytes unless a handler says otherwise, formPairs how many values one may have.
const (
	formMost  = 1 << 20
	formPairs = 5000
)

// errMediaType: the body is not the one that a form sends. Fail answers 415.
var errMediaType = errors.New("page: not a form")

// Decode reads the body of a form POST (application/x-www-form-urlencoded); max is its greatest size in bytes, 0 stands for 1 MB.
// Values come from the body alone, never from the query. Text that is not UTF-8 or holds a NUL is refused at its field: the
// values come back all the same, without those, for the page to show again. A body that is too large, of another type or broken
// gives no values and an error that Fail answers with 413, 415 or 400.
func Decode(w http.ResponseWriter, r *http.Request, max int64) (url.Values, error) {
	if max <= 0 {
		max = formMost
	}
	if r.ContentLength == 0 && r.Header.Get("Content-Type") == "" { // no body at all: a form without a field
		return url.Values{}, nil
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, errMediaType
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, max))
	if err != nil {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			return nil, err
		}
		return nil, refusal.New(refusal.Invalid, "error.form") // the connection broke in the middle
	}
	if bytes.Count(body, []byte("&")) >= formPairs {
		return nil, refusal.New(refusal.Invalid, "error.form")
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, refusal.New(refusal.Invalid, "error.form")
	}
	var bad []*refusal.Error
	for _, field := range slices.Sorted(maps.Keys(values)) {
		list := values[field]
		if !clean(field) {
			delete(values, field)
			bad = append(bad, refusal.Field("", "error.text.invalid"))
			continue
		}
		for _, v := range list {
			if !clean(v) {
				delete(values, field)
				bad = append(bad, refusal.Field(field, "error.text.invalid"))
				break
			}
		}
	}
	return values, refusal.All(bad...)
}

func clean(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// One returns the value of a field that may stand in a form once; "" when it is not there. A field given twice is refused, since
// two readers could each believe another one.
func One(values url.Values, field string) (string, *refusal.Error) {
	list := values[field]
	switch len(list) {
	case 0:
		return "", nil
	case 1:
		return list[0], nil
	}
	return "", refusal.Field(field, "error.text.twice")
}

// Text is One for a text of at most max characters (not bytes). It comes back as it was typed, untrimmed.
func Text(values url.Values, field string, max int) (string, *refusal.Error) {
	s, err := One(values, field)
	if err != nil {
		return "", err
	}
	if utf8.RuneCountInString(s) > max {
		return "", refusal.Field(field, "error.text.long", "Count", max)
	}
	return s, nil
}
