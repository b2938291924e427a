package account

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"doorward/internal/refusal"
)

// What a sheet may have at most: lines with people, bytes of text. So much fits into one form in any alphabet, and is worked off in one request. What has
// more is an import that is a job, up to MostJobLines.
const (
	MostLines    = 2000
	MostSheet    = 300 << 10
	MostJobLines = 200_000

	mostColumns = 50
	mostFolded  = 20 // lines of the file that one quoted line of the sheet may take
)

// Column is what a column of a sheet holds. The empty one is left out.
type Column string

// The columns of a sheet. The first seven can be read, all of them are written.
const (
	EmailColumn    Column = "email"
	NameColumn     Column = "name"
	UsernameColumn Column = "username"
	LanguageColumn Column = "language"
	RolesColumn    Column = "roles"
	GroupsColumn   Column = "groups"
	ExpiresColumn  Column = "expires_at"
	StateColumn    Column = "state"
	SecondColumn   Column = "second_factor"
	SourceColumn   Column = "source"
	CreatedColumn  Column = "created_at"
	SeenColumn     Column = "last_sign_in_at"
)

// Columns lists every column in the order in which they are written.
var Columns = []Column{EmailColumn, NameColumn, UsernameColumn, LanguageColumn, RolesColumn, GroupsColumn, ExpiresColumn, StateColumn, SecondColumn,
	SourceColumn, CreatedColumn, SeenColumn}

// ReadColumns lists those that can be read.
var ReadColumns = []Column{EmailColumn, NameColumn, UsernameColumn, LanguageColumn, RolesColumn, GroupsColumn, ExpiresColumn}

// headings are the heads by which columns are known, in all languages, without anything but letters.
var headings = map[Column][]string{
	EmailColumn:    {"email", "mail", "emailaddress", "mailaddress", "emailadresse", "mailadresse", "adresseemail", "adressemail", "courriel"},
	NameColumn:     {"name", "fullname", "displayname", "anzeigename", "vollständigername", "nom", "nomcomplet", "nomaffiché"},
	UsernameColumn: {"username", "login", "benutzername", "nomdutilisateur"},
	LanguageColumn: {"language", "lang", "sprache", "langue"},
	RolesColumn:    {"roles", "role", "rollen", "rolle", "rôles", "rôle"},
	GroupsColumn:   {"groups", "group", "gruppen", "gruppe", "groupes", "groupe"},
	ExpiresColumn:  {"expiresat", "expires", "until", "accessends", "ende", "zugangendet", "fin", "expiration"},
}

// secretHeadings are heads of columns that no import takes: nobody is ever given a password.
var secretHeadings = []string{"password", "passwordhash", "passwort", "kennwort", "motdepasse", "secret", "totpsecret"}

// Sheet is a CSV file: its head, and the lines below it that are not empty.
type Sheet struct {
	Head  []string
	Lines []SheetLine
}

// SheetLine is a line of a sheet. Line is where it begins in the file, counted from 1. Fault is set when it cannot be read.
type SheetLine struct {
	Line  int
	Cells []string
	Fault *refusal.Error
}

func sheetFault(key string, args ...any) *refusal.Error { return refusal.Field("text", key, args...) }

func tooLarge() *refusal.Error {
	return sheetFault("csv.large", "Lines", MostLines, "Size", MostSheet>>10)
}

// DecodeSheet returns the text of a file: UTF-8 and UTF-16 with or without a byte order mark; what is neither is read as Windows-1252, the superset
// of Latin-1 that spreadsheets write, and guessed says so. The refusal, at the field "text", is of a file that is no text.
func DecodeSheet(raw []byte) (text string, guessed bool, fault *refusal.Error) {
	wide := func(order unicode.Endianness) {
		if b, err := unicode.UTF16(order, unicode.UseBOM).NewDecoder().Bytes(raw); err == nil {
			raw = b
		}
	}
	switch low, high := nulls(raw); {
	case bytes.HasPrefix(raw, []byte{0xff, 0xfe}), bytes.HasPrefix(raw, []byte{0xfe, 0xff}):
		wide(unicode.LittleEndian)
	case high > len(raw)/8 && low == 0:
		wide(unicode.LittleEndian)
	case low > len(raw)/8 && high == 0:
		wide(unicode.BigEndian)
	case !utf8.Valid(raw):
		b, err := charmap.Windows1252.NewDecoder().Bytes(raw)
		if err != nil {
			return "", false, sheetFault("csv.binary")
		}
		raw, guessed = b, true
	}
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	if !utf8.Valid(raw) || bytes.IndexByte(raw, 0) >= 0 {
		return "", false, sheetFault("csv.binary")
	}
	return string(raw), guessed, nil
}

// nulls counts zero bytes at even and at odd places: text of Latin letters in UTF-16 has them at one of the two.
func nulls(raw []byte) (even, odd int) {
	for i, b := range raw {
		switch {
		case b != 0:
		case i%2 == 0:
			even++
		default:
			odd++
		}
	}
	return even, odd
}

// Long tells whether a text has more than fits into one form and one request.
func Long(text string) bool {
	return len(text) > MostSheet || max(strings.Count(text, "\n"), strings.Count(text, "\r")) > MostLines+1
}

// ReadSheet reads a text: comma, semicolon or tab between cells, whichever the first line has most of; cells in quotes as RFC 4180 has them. A line that
// cannot be read is a line with a fault, and the next one is read. The refusal, at the field "text", concerns the whole.
func ReadSheet(text string) (Sheet, *refusal.Error) {
	if len(text) > MostSheet {
		return Sheet{}, tooLarge()
	}
	var s Sheet
	fault := s.cut(text, func(l SheetLine) *refusal.Error {
		if len(s.Lines) == MostLines {
			return tooLarge()
		}
		s.Lines = append(s.Lines, l)
		return nil
	})
	if fault != nil {
		return Sheet{Head: s.Head}, fault
	}
	return s, nil
}

// cut reads the head of a text and hands on each line below it, of which there is one at least. It ends with the first refusal.
func (s *Sheet) cut(text string, take func(SheetLine) *refusal.Error) *refusal.Error {
	text = strings.TrimPrefix(text, "\ufeff")
	if strings.Contains(text, "\r") {
		text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	}
	if strings.Count(text, "\n") > 2*MostJobLines { // also what is empty takes memory
		return sheetFault("csv.too_long", "Lines", MostJobLines)
	}
	lines := strings.Split(text, "\n")
	comma, taken := rune(0), 0
	for i := 0; i < len(lines); {
		if strings.TrimSpace(lines[i]) == "" {
			i++
			continue
		}
		if comma == 0 {
			comma = separator(lines[i])
		}
		line, took := readLine(lines[i:], comma)
		line.Line = i + 1
		i += took
		var fault *refusal.Error
		switch {
		case line.Fault == nil && !slices.ContainsFunc(line.Cells, func(c string) bool { return c != "" }):
		case s.Head == nil && line.Fault != nil:
			fault = sheetFault("csv.header")
		case s.Head == nil:
			s.Head = line.Cells
			fault = s.checkHead()
		default:
			taken++
			fault = take(line)
		}
		if fault != nil {
			return fault
		}
	}
	if taken == 0 {
		return sheetFault("csv.empty")
	}
	return nil
}

// checkHead refuses what does not name the columns of a list of people.
func (s *Sheet) checkHead() *refusal.Error {
	if len(s.Head) > mostColumns {
		return sheetFault("csv.columns_many", "Most", mostColumns)
	}
	for _, h := range s.Head {
		if _, fault := ParseEmail("text", h); fault == nil {
			return sheetFault("csv.header")
		}
		if slices.Contains(secretHeadings, letters(h)) {
			return sheetFault("csv.password", "Column", strings.TrimSpace(h))
		}
	}
	return nil
}

// separator returns what stands between the cells of the first line.
func separator(line string) rune {
	counts, quoted := map[rune]int{}, false
	for _, r := range line {
		if r == '"' {
			quoted = !quoted
		} else if !quoted {
			counts[r]++
		}
	}
	best := ','
	for _, r := range ";\t" {
		if counts[r] > counts[best] {
			best = r
		}
	}
	return best
}

// readLine reads one line of the sheet and returns how many lines of the file it took: more than one when a quoted cell has line breaks. A quote that is
// never closed takes its own line alone.
func readLine(lines []string, comma rune) (SheetLine, int) {
	text := ""
	for n := 1; n <= min(mostFolded, len(lines)); n++ {
		if n > 1 {
			text += "\n"
		}
		text += lines[n-1]
		if strings.Count(text, `"`)%2 != 0 {
			continue
		}
		r := csv.NewReader(strings.NewReader(text))
		r.Comma, r.FieldsPerRecord = comma, -1
		cells, err := r.Read()
		if err != nil {
			break
		}
		return SheetLine{Cells: trimmed(cells)}, n
	}
	return SheetLine{Fault: refusal.Field("text", "csv.quotes")}, 1
}

// trimmed takes the spaces around cells, but no tab: behind one a formula hides.
func trimmed(cells []string) []string {
	for i, c := range cells {
		cells[i] = strings.Trim(c, " \u00a0\n")
	}
	return cells
}

// letters is a head as it is compared.
func letters(head string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t-_.’'\u00a0", r) {
			return -1
		}
		return r
	}, strings.ToLower(head))
}

// Guess returns what the columns hold, going by the head, and whether that is beyond doubt: there are addresses, no column is unknown, and nothing is
// there twice. What an export has and no import reads is left out.
func (s Sheet) Guess() (columns []Column, sure bool) {
	columns, sure = make([]Column, len(s.Head)), true
	for i, h := range s.Head {
		word := letters(h)
		at := slices.IndexFunc(ReadColumns, func(c Column) bool { return slices.Contains(headings[c], word) })
		switch {
		case at >= 0 && !slices.Contains(columns, ReadColumns[at]):
			columns[i] = ReadColumns[at]
		case at >= 0, !slices.ContainsFunc(Columns[len(ReadColumns):], func(c Column) bool { return letters(string(c)) == word }):
			sure = false
		}
	}
	return columns, sure && slices.Contains(columns, EmailColumn)
}

// formula tells whether a spreadsheet would compute a cell.
func formula(cell string) bool {
	return cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0]))
}

// Harmless returns a cell as a spreadsheet shows it without computing it: with an apostrophe before what it takes for a formula.
func Harmless(cell string) string {
	if formula(cell) {
		return "'" + cell
	}
	return cell
}
