package account_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"doorward/internal/account"
)

func utf16Bytes(s string, order binary.ByteOrder, mark bool) []byte {
	units := utf16.Encode([]rune(s))
	if mark {
		units = slices.Insert(units, 0, 0xfeff)
	}
	out := make([]byte, 2*len(units))
	for i, u := range units {
		order.PutUint16(out[2*i:], u)
	}
	return out
}

// However a list is written, it reads as the same text; what is none is refused.
func TestDecodeSheet(t *testing.T) {
	const text = "email,name\r\nada@x.example,Zoë Müller\r\n"
	for name, raw := range map[string][]byte{
		"UTF-8": []byte(text), "UTF-8 with a mark": []byte("\ufeff" + text),
		"UTF-16LE with a mark": utf16Bytes(text, binary.LittleEndian, true), "UTF-16BE with a mark": utf16Bytes(text, binary.BigEndian, true),
		"UTF-16LE": utf16Bytes(text, binary.LittleEndian, false), "UTF-16BE": utf16Bytes(text, binary.BigEndian, false),
		"Latin-1": []byte("email,name\r\nada@x.example,Zo\xeb M\xfcller\r\n"),
	} {
		got, guessed, fault := account.DecodeSheet(raw)
		if fault != nil || got != text || guessed != (name == "Latin-1") {
			t.Errorf("%s: %q, guessed %v, %v", name, got, guessed, fault)
		}
	}
	for key, raw := range map[string][]byte{
		"csv.binary": []byte("PK\x03\x04\x00\x00\x08\x00 a spreadsheet that is no CSV \x00\x00\x00"),
	} {
		if _, _, fault := account.DecodeSheet(raw); fault == nil || fault.Key != key {
			t.Errorf("want %s, got %v", key, fault)
		}
	}
}

// Separators, quotes, empty lines and bad ones: each line is told with its number in the file, and none takes another one along.
func TestReadSheet(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"commas", "email,name\na@x.example,Ada", "2 a@x.example|Ada"},
		{"semicolons", "email;roles\r\na@x.example;core,viewer\r\n", "2 a@x.example|core,viewer"},
		{"tabs", "email\tname\na@x.example\tAda, the first\n", "2 a@x.example|Ada, the first"},
		{"old Macintosh", "email,name\ra@x.example,Ada", "2 a@x.example|Ada"},
		{"one column", "email\na@x.example\nb@x.example", "2 a@x.example / 3 b@x.example"},
		{"quotes", "email,name\n\"a@x.example\",\"O\"\"Neil, Ada\"", `2 a@x.example|O"Neil, Ada`},
		{"a separator in a quoted head", "\"a,b,c\";email\nx;a@x.example", "2 x|a@x.example"},
		{"line breaks in quotes", "email,note\na@x.example,\"one\ntwo\"\nb@x.example,", "2 a@x.example|one\ntwo / 4 b@x.example|"},
		{"empty lines", "\n\nemail,name\n\n  \n,\na@x.example,\n", "7 a@x.example|"},
		{"an open quote", "email,name\na@x.example,\"Ada\nb@x.example,Bea", "2 csv.quotes / 3 b@x.example|Bea"},
		{"a stray quote", "email,name\na@x.example,A\"d\"a\nb@x.example,Bea", "2 csv.quotes / 3 b@x.example|Bea"},
		{"cells too many and too few", "email,name\na@x.example,Ada,x\nb@x.example", "2 a@x.example|Ada|x / 3 b@x.example"},
		{"a tab before", "email\n\ta@x.example", "2 \ta@x.example"},
		{"nothing", " \n", "csv.empty"},
		{"a head alone", "email,name\n", "csv.empty"},
		{"no head", "a@x.example,Ada\nb@x.example,Bea", "csv.header"},
		{"a password", "email,Pass-Word\na@x.example,x", "csv.password"},
		{"a password in French", "email,Mot de passe\na@x.example,x", "csv.password"},
		{"columns without end", strings.Repeat("a,", 60) + "\nx", "csv.columns_many"},
		{"too many lines", "email\n" + strings.Repeat("a@x.example\n", account.MostLines+1), "csv.large"},
		{"too much", strings.Repeat("a", account.MostSheet+1), "csv.large"},
	} {
		sheet, fault := account.ReadSheet(c.text)
		got := ""
		if fault != nil {
			got = fault.Key
		} else {
			var lines []string
			for _, l := range sheet.Lines {
				cells := strings.Join(l.Cells, "|")
				if l.Fault != nil {
					cells = l.Fault.Key
				}
				lines = append(lines, string(rune('0'+l.Line))+" "+cells)
			}
			got = strings.Join(lines, " / ")
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if s, fault := account.ReadSheet("email\n" + strings.Repeat("\"a\n", account.MostLines)); fault != nil || len(s.Lines) != account.MostLines {
		t.Errorf("quotes that are never closed: %d lines, %v", len(s.Lines), fault)
	}
}

// The head says what the columns hold, in three languages and in any order; what it leaves open is asked.
func TestGuess(t *testing.T) {
	for _, c := range []struct {
		head string
		want string
		sure bool
	}{
		{"email", "email", true}, {"Name,E-Mail", "name email", true}, {"Rollen;E-Mail-Adresse;Sprache", "roles email language", true},
		{"Rôles;Adresse e-mail;Nom d’utilisateur", "roles email username", true}, {"EXPIRES_AT,user name,Email address", "expires_at username email", true},
		{"email,state,last_sign_in_at", "email - -", true}, {"name", "name", false}, {"email,phone", "email -", false}, {"email,mail", "email -", false},
	} {
		sheet, fault := account.ReadSheet(c.head + "\nx")
		if fault != nil {
			t.Fatal(c.head, fault)
		}
		columns, sure := sheet.Guess()
		var got []string
		for _, col := range columns {
			if col == "" {
				col = "-"
			}
			got = append(got, string(col))
		}
		if strings.Join(got, " ") != c.want || sure != c.sure {
			t.Errorf("%s: %v %v", c.head, got, sure)
		}
	}
}

func TestHarmless(t *testing.T) {
	for cell, want := range map[string]string{"": "", "Ada": "Ada", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx", "a=b": "a=b"} {
		if got := account.Harmless(cell); got != want {
			t.Errorf("%q: %q", cell, got)
		}
	}
}

func FuzzReadSheet(f *testing.F) {
	f.Add([]byte("email,name\n\"a@x.example\",\"Ada\""))
	f.Add([]byte("\xff\xfee\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		text, _, fault := account.DecodeSheet(raw)
		if fault != nil {
			return
		}
		if sheet, fault := account.ReadSheet(text); fault == nil {
			if columns, _ := sheet.Guess(); len(columns) != len(sheet.Head) {
				t.Errorf("%d columns for %d heads", len(columns), len(sheet.Head))
			}
		}
	})
}
