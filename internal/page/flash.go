package page

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"doorward/internal/locale"
)

// Flash is a message that is shown once: that something was done, or a warning that goes with it.
type Flash struct {
	Kind string // good, warn or bad
	Key  string // catalogue key of the sentence
	Args []any  // name, value pairs
	Href string // where a link beside it leads; "" for none
	Link string // catalogue key of that link's text
}

const (
	flashLives = 2 * time.Minute
	flashMost  = 2000 // bytes of the cookie's value
)

// SetFlash keeps a message for the next page that this browser shows. Of the args, texts, numbers and durations keep their type;
// everything else becomes text. A message too long for a cookie is dropped: the page that follows shows the new state anyway.
func (k *Kit) SetFlash(w http.ResponseWriter, _ *http.Request, kind, key string, args ...any) {
	line := []string{kind, key}
	for i := 0; i+1 < len(args); i += 2 {
		line = append(line, fmt.Sprint(args[i]))
		switch v := args[i+1].(type) {
		case int:
			line = append(line, fmt.Sprintf("i%d", v))
		case time.Duration:
			line = append(line, fmt.Sprintf("d%d", int64(v)))
		default:
			line = append(line, "s"+fmt.Sprint(v))
		}
	}
	b, err := json.Marshal(line)
	if err != nil || base64.RawURLEncoding.EncodedLen(len(b)) > flashMost {
		return
	}
	k.SetCookie(w, "flash", base64.RawURLEncoding.EncodeToString(b), flashLives)
}

// takeFlash returns the message that an earlier answer kept and forgets it. The cookie is the browser's to change, so everything in
// it is checked: the kind and the key must exist, and what it says is escaped like any text.
func (k *Kit) takeFlash(w http.ResponseWriter, r *http.Request) *Flash {
	value, ok := k.ReadCookie(r, "flash")
	if !ok || r.Method == http.MethodHead {
		return nil
	}
	k.SetCookie(w, "flash", "", -1)
	b, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(value) > flashMost {
		return nil
	}
	var line []string
	if json.Unmarshal(b, &line) != nil || len(line) < 2 || len(line)%2 != 0 {
		return nil
	}
	f := &Flash{Kind: line[0], Key: line[1]}
	if f.Kind != "good" && f.Kind != "warn" && f.Kind != "bad" {
		return nil
	}
	for i := 2; i < len(line); i += 2 {
		v, ok := flashValue(line[i+1])
		if !ok {
			return nil
		}
		f.Args = append(f.Args, line[i], v)
	}
	if k.catalogue.In(locale.English).T(f.Key, f.Args...) == f.Key {
		return nil // no such text
	}
	return f
}

func flashValue(s string) (any, bool) {
	if s == "" {
		return nil, false
	}
	switch s[0] {
	case 's':
		return s[1:], true
	case 'i':
		var n int
		_, err := fmt.Sscanf(s[1:], "%d", &n)
		return n, err == nil
	case 'd':
		var n int64
		_, err := fmt.Sscanf(s[1:], "%d", &n)
		return time.Duration(n), err == nil
	}
	return nil, false
}
