package locale

import (
	"slices"
	"testing"
)

// What a language lacks is said in English and reported, with or without arguments. No catalogue lacks anything, so the test takes it away.
func TestFallback(t *testing.T) {
	var reported []string
	c, err := Load(func(l Language, key string, _ error) { reported = append(reported, string(l)+" "+key) })
	if err != nil {
		t.Fatal(err)
	}
	german := c.In(German)
	clear(german.texts)
	german.localizer = newPrinter("it", nil, func(Language, string, error) {}).localizer
	if got := german.T("list.and"); got != "and" {
		t.Errorf("without arguments: %q", got)
	}
	if got := german.T("unit.days", "Count", 1200); got != "1,200 days" {
		t.Errorf("with arguments: %q", got)
	}
	if !slices.Equal(reported, []string{"de list.and", "de unit.days"}) {
		t.Errorf("reported: %v", reported)
	}
}
