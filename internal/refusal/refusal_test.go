package refusal_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"doorward/internal/refusal"
)

func TestRefusal(t *testing.T) {
	e := refusal.New(refusal.Conflict, "seats.full", "Limit", 5)
	if e.Code != refusal.Conflict || e.Key != "seats.full" || e.Args["Limit"] != 5 || e.Error() != "conflict: seats.full" {
		t.Errorf("%#v: %v", e, e)
	}
	f := refusal.Field("slug", "slug.long")
	if f.Code != refusal.Invalid || f.Field != "slug" || f.Args != nil || f.Error() != "invalid: slug.long (slug)" {
		t.Errorf("%#v: %v", f, f)
	}
	w := refusal.Wait(3 * time.Second)
	if w.Code != refusal.Limited || w.Wait != 3*time.Second || w.Args["Wait"] != 3*time.Second {
		t.Errorf("%#v", w)
	}
}

// A refusal is found inside what it is wrapped or joined in; nothing else is one.
func TestAs(t *testing.T) {
	e := refusal.New(refusal.NotFound, "error.not_found")
	for name, err := range map[string]error{"itself": e, "wrapped": fmt.Errorf("look: %w", e), "joined": errors.Join(errors.New("disk"), e), "twice": fmt.Errorf("a: %w", fmt.Errorf("b: %w", e))} {
		if refusal.As(err) != e || !refusal.Is(err, refusal.NotFound) || refusal.Is(err, refusal.Forbidden) {
			t.Errorf("%s: %v", name, refusal.As(err))
		}
	}
	for _, err := range []error{nil, errors.New("not_found"), (*refusal.Error)(nil)} {
		if refusal.Is(err, refusal.NotFound) {
			t.Errorf("%v is a refusal", err)
		}
	}
	if refusal.As(errors.New("disk")) != nil || refusal.As(nil) != nil {
		t.Error("an internal error is a refusal")
	}
}

// All carries every fault of a form, and leaves the ones that it was given as they are.
func TestAll(t *testing.T) {
	if err := refusal.All(); err != nil {
		t.Error(err)
	}
	if err := refusal.All(nil, nil); err != nil {
		t.Error(err)
	}
	a, b, c := refusal.Field("a", "x"), refusal.Field("b", "x"), refusal.Field("c", "x")
	got := refusal.As(refusal.All(nil, a, nil, b, c))
	if got.Field != "a" || len(got.More) != 2 || got.More[0] != b || got.More[1] != c || len(a.More) != 0 {
		t.Errorf("%+v; the first one has %d more", got, len(a.More))
	}
	if got := refusal.As(refusal.All(nil, b)); got.Field != "b" || got.More != nil {
		t.Errorf("%+v", got)
	}
}
