package org

import (
	"context"
	"errors"
	"strings"

	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Brand is what an organisation looks like. What is empty, it has not.
type Brand struct {
	Logo   string // names its picture
	Accent string // "#rrggbb", on light pages
	Dark   string // on dark ones
}

// or fills what b lacks from the organisation above.
func (b Brand) or(above Brand) Brand {
	if b.Logo == "" {
		b.Logo = above.Logo
	}
	if b.Accent == "" {
		b.Accent, b.Dark = above.Accent, above.Dark
	}
	return b
}

// brandPath is where pictures and style sheets are found. Their names say what is in them, so browsers keep them for good, and nothing there tells
// whose they are.
const brandPath = "/brand/"

// LogoPath is the path of the picture; empty without one.
func (b Brand) LogoPath() string {
	if b.Logo == "" {
		return ""
	}
	return brandPath + b.Logo + ".png"
}

// SheetPath is the path of the style sheet with the accent; empty without one.
func (b Brand) SheetPath() string {
	accent, ok := ParseColour(b.Accent)
	inDark, too := ParseColour(b.Dark)
	if !ok || !too {
		return ""
	}
	return brandPath + sheetName(accent, inDark)
}

// Tones returns the accent and what follows from it on light and on dark pages; false without one.
func (b Brand) Tones() (onLight, onDark Tones, ok bool) {
	accent, ok := ParseColour(b.Accent)
	inDark, too := ParseColour(b.Dark)
	if !ok || !too {
		return Tones{}, Tones{}, false
	}
	return light(accent), dark(inDark), true
}

// Picture returns the picture of that file name for pages, or a NotFound refusal.
func Picture(ctx context.Context, db *sqldb.DB, name string) ([]byte, error) {
	hash, ok := strings.CutSuffix(name, ".png")
	if !ok || len(hash) != logoHash {
		return nil, refusal.New(refusal.NotFound, "error.not_found")
	}
	return picture(sqldb.One(db.Read(ctx), sqldb.Value[[]byte], `select png from org_logos where hash = $1`, hash))
}

// MailPicture returns the picture that the mails of an organisation with that brand carry; nothing without one.
func MailPicture(tx sqldb.Tx, b Brand) ([]byte, error) {
	if b.Logo == "" {
		return nil, nil
	}
	p, err := picture(sqldb.One(tx, sqldb.Value[[]byte], `select small from org_logos where hash = $1`, b.Logo))
	if refusal.Is(err, refusal.NotFound) { // replaced a moment ago
		return nil, nil
	}
	return p, err
}

func picture(p []byte, err error) ([]byte, error) {
	if errors.Is(err, sqldb.ErrNone) {
		return nil, refusal.New(refusal.NotFound, "error.not_found")
	}
	return p, err
}

// SaveBrand stores an organisation's own accent, "#rrggbb" for light and for dark pages, and its logo unless that is nil; an empty logo takes away the
// one that it has. It returns what is there then; false means that somebody else has changed the organisation since revision rev.
func SaveBrand(tx sqldb.Tx, o Org, rev int64, accent, inDark string, logo *Logo) (Brand, bool, error) {
	b := Brand{Logo: o.OwnBrand.Logo, Accent: accent, Dark: inDark}
	if logo != nil {
		if b.Logo = ""; len(logo.PNG) > 0 {
			b.Logo = logo.hash(o.ID)
		}
	}
	n, err := tx.Exec(`update orgs set logo = $1, accent = $2, accent_dark = $3, rev = rev + 1 where id = $4 and rev = $5`, b.Logo, b.Accent, b.Dark, o.ID, rev)
	if err != nil || n == 0 || b.Logo == o.OwnBrand.Logo {
		return b, n == 1, err
	}
	if _, err := tx.Exec(`delete from org_logos where org_id = $1`, o.ID); err != nil || b.Logo == "" {
		return b, true, err
	}
	_, err = tx.Exec(`insert into org_logos (org_id, hash, png, small) values ($1, $2, $3, $4)`, o.ID, b.Logo, logo.PNG, logo.Small)
	return b, true, err
}
