package factor_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"doorward/internal/factor"
	"doorward/internal/secret"
)

func done(int64) error { return nil }

// stolen is a list of stolen passwords, and where its file is.
type stolen struct {
	*factor.Breached
	path string
}

// list makes a list from its text.
func list(t *testing.T, text string) stolen {
	t.Helper()
	path := filepath.Join(t.TempDir(), "passwords.filter")
	b := factor.BreachedAt(path)
	if err := b.Build(t.Context(), strings.NewReader(text), nil, done); err != nil {
		t.Fatal(err)
	}
	return stolen{b, path}
}

type fataler interface {
	Helper()
	Fatal(...any)
}

func contains(t fataler, b *factor.Breached, password string) bool {
	t.Helper()
	found, err := b.Contains(secret.Text(password))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func sha(password string) string {
	sum := sha1.Sum([]byte(password))
	return hex.EncodeToString(sum[:])
}

func TestBreachedLines(t *testing.T) {
	b := list(t, "\ufeffhunter2\r\n"+
		"  with space \n\n"+
		sha("lower hash")+"\n"+
		strings.ToUpper(sha("upper hash"))+":52256179\r\n"+
		sha("counted twice")+":3\n"+"counted twice\n"+"counted twice\n"+
		"Cafe\u0301 noir\n"+ // decomposed
		sha("not counted")+":many\n"+
		sha("not counted either")+":\n"+
		sha("md5?")[:32]+"\n"+
		"the last line")
	for _, p := range []string{"hunter2", "  with space ", "lower hash", "upper hash", "counted twice", "Caf\u00e9 noir", sha("not counted") + ":many",
		sha("not counted either") + ":", sha("md5?")[:32], "the last line"} {
		if !contains(t, b.Breached, p) {
			t.Errorf("%q is not found", p)
		}
	}
	for _, p := range []string{"", "hunter", "hunter2\r", "\ufeffhunter2", "with space", "not counted", "not counted either", "Cafe\u0301 noir", sha("lower hash")} {
		if contains(t, b.Breached, p) {
			t.Errorf("%q is found", p)
		}
	}
	if n, there, err := b.Entries(); n != 10 || !there || err != nil {
		t.Errorf("%d passwords, %v, %v; want 10", n, there, err)
	}
	if err := b.Check(); err != nil {
		t.Error(err)
	}
}

func TestNoBreachedList(t *testing.T) {
	var none *factor.Breached
	if contains(t, none, "hunter2") {
		t.Error("nil has a password")
	}
	missing := factor.BreachedAt(filepath.Join(t.TempDir(), "no folder", "passwords.filter"))
	if contains(t, missing, "hunter2") {
		t.Error("a missing file has a password")
	}
	if n, there, err := missing.Entries(); n != 0 || there || err != nil {
		t.Errorf("a missing file: %d %v %v", n, there, err)
	}
	if err := missing.Check(); err != nil {
		t.Errorf("a missing file: %v", err)
	}
}

// Every password of a list is found, whatever it looks like, as itself and as its hash.
func TestBreachedHasNoFalseNegatives(t *testing.T) {
	dir := t.TempDir()
	line := rapid.StringOfN(rapid.Rune().Filter(func(r rune) bool { return r != '\n' && r != '\r' && r != 0 && r != 0xfeff && r != 0xfffd }), 1, 40, 200)
	rapid.Check(t, func(rt *rapid.T) {
		passwords := rapid.SliceOfN(line, 1, 60).Draw(rt, "passwords")
		hashed := rapid.Bool().Draw(rt, "hashed")
		var text strings.Builder
		for _, p := range passwords {
			if p = string(factor.Normalize(secret.Text(p))); hashed {
				p = sha(p) + ":1"
			}
			text.WriteString(p + "\n")
		}
		b := factor.BreachedAt(filepath.Join(dir, "passwords.filter"))
		if err := b.Build(rt.Context(), strings.NewReader(text.String()), nil, done); err != nil {
			rt.Fatal(err)
		}
		for _, p := range passwords {
			if !contains(rt, b, string(factor.Normalize(secret.Text(p)))) {
				rt.Fatalf("%q is not found", p)
			}
		}
	})
}

// Of other passwords, one in 65,536 is taken for one of the list.
func TestBreachedFalsePositives(t *testing.T) {
	const n, asked = 50_000, 20_000
	var text strings.Builder
	for i := range n {
		fmt.Fprintln(&text, "stolen", i)
	}
	b := list(t, text.String())
	if got, _, err := b.Entries(); got != n || err != nil {
		t.Fatalf("%d passwords, %v; want %d", got, err, n)
	}
	for i := range n {
		if i%50 == 0 && !contains(t, b.Breached, fmt.Sprintln("stolen", i)[:len(fmt.Sprint("stolen ", i))]) {
			t.Fatalf("number %d is not found", i)
		}
	}
	wrong := 0
	for i := range asked {
		if contains(t, b.Breached, fmt.Sprint("other ", i)) {
			wrong++
		}
	}
	if wrong > 5 { // 0.3 are to be expected; more than 5 come once in a million runs
		t.Errorf("%d of %d others are found", wrong, asked)
	}
}

// More keys than memory is given to: they come back from the file, each once.
func TestBreachedSpill(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var hashes []string
	for range 30_000 {
		// The eighth byte decides on the part: all go into one.
		hashes = append(hashes, fmt.Sprintf("%014x2a%024x", r.Uint64()>>8, r.Uint64()))
	}
	b := list(t, strings.Join(hashes, "\n")+"\n"+strings.Join(hashes[:10_000], ":1\n"))
	if n, _, err := b.Entries(); n != 30_000 || err != nil {
		t.Errorf("%d passwords, %v; want 30000", n, err)
	}
	if err := b.Check(); err != nil {
		t.Error(err)
	}
}

func TestBreachedRefusesLists(t *testing.T) {
	b := list(t, "hunter2\n")
	for text, why := range map[string]string{
		"":                      "there is no password in the list",
		"\n\r\n\n":              "there is no password in the list",
		"one\ntwo\nthree\x00\n": "line 3: it is not text",
		"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03":   "line 1: it is not text",
		"\xff\xfeh\x00u\x00n\x00t\x00e\x00r\x00\n":   "line 1: it is not text",
		"one\n" + strings.Repeat("x", 4097) + "\n":   "line 2 has more than 4096 bytes",
		strings.Repeat("x", 3<<20):                   "line 1 has more than 4096 bytes",
		"one\n" + sha("ntlm")[:32] + ":12\nthree\n":  "line 2: it is an NTLM hash",
		"B4B9B02E6F09A9BD760F388B67351E2B:12345\r\n": "line 1: it is an NTLM hash",
	} {
		err := b.Build(t.Context(), strings.NewReader(text), nil, func(int64) error { t.Errorf("%.40q is complete", text); return nil })
		if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40q: %v, want %q", text, err, why)
		}
	}
	kept(t, b)
}

// kept fails the test unless the list is still the one with hunter2, and nothing else is left in its folder.
func kept(t *testing.T, b stolen) {
	t.Helper()
	if n, _, err := b.Entries(); n != 1 || err != nil || !contains(t, b.Breached, "hunter2") {
		t.Errorf("the old list did not stay: %d passwords, %v", n, err)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(b.path), "*"))
	hidden, hiddenErr := filepath.Glob(filepath.Join(filepath.Dir(b.path), ".*"))
	if len(files) != 1 || len(hidden) != 0 || err != nil || hiddenErr != nil {
		t.Errorf("left behind: %v %v", files, hidden)
	}
}

type failing struct{ io.Reader }

func (f failing) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	if errors.Is(err, io.EOF) {
		err = errors.New("the disk is gone")
	}
	return n, err
}

// The old list stays until the new one is complete, and counts from then on.
func TestBreachedIsReplacedAtOnce(t *testing.T) {
	b := list(t, "hunter2\n")
	if err := b.Build(t.Context(), failing{strings.NewReader(strings.Repeat("new\n", 1000))}, nil, done); err == nil || err.Error() != "the disk is gone" {
		t.Errorf("a list that cannot be read: %v", err)
	}
	kept(t, b)
	no := errors.New("no event")
	if err := b.Build(t.Context(), strings.NewReader("new\n"), nil, func(n int64) error { unchanged(t, b, n); return no }); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	kept(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Build(ctx, strings.NewReader("new\n"), nil, done); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	kept(t, b)
	ctx, cancel = context.WithCancel(t.Context())
	if err := b.Build(ctx, strings.NewReader("new\n"), func(read int64, _ float64) {
		if read > 0 {
			cancel()
		}
	}, done); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	kept(t, b)

	if err := b.Build(t.Context(), strings.NewReader("new\n"), nil, done); err != nil {
		t.Fatal(err)
	}
	if contains(t, b.Breached, "hunter2") || !contains(t, b.Breached, "new") {
		t.Error("the new list does not count")
	}
	if info, err := os.Stat(b.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func unchanged(t *testing.T, b stolen, n int64) {
	t.Helper()
	if n != 1 || !contains(t, b.Breached, "hunter2") {
		t.Error("the new list counts before it is complete")
	}
}

// A file that is damaged, cut or something else is noticed, before a password is looked for in it.
func TestBreachedDamage(t *testing.T) {
	b := list(t, "hunter2\ncorrect horse\n")
	good, err := os.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	put := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(b.path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		name    string
		content []byte
		why     string
		head    bool // the head alone shows it
	}{
		{"empty", nil, "is not a list", true},
		{"something else", []byte(strings.Repeat("hunter2\n", 1000)), "is not a list", true},
		{"cut in the magic", good[:10], "is not a list", true},
		{"cut in the head", good[:1000], "is damaged", true},
		{"cut behind the head", good[:4128], "is damaged", false},
		{"cut at the end", good[:len(good)-1], "is damaged", false},
		{"another version", flip(good, 16), "another version", true},
		{"checksum", flip(good, 20), "is damaged", true},
		{"number", flip(good, 24), "is damaged", true},
		{"place of a part", flip(good, 2000), "is damaged", true},
		{"first part", flip(good, 4128), "is damaged", false},
		{"last part", flip(good, len(good)-1), "is damaged", false},
	} {
		put(row.content)
		if err := b.Check(); err == nil || !strings.Contains(err.Error(), row.why) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: Check gives %v, want %q", row.name, err, row.why)
		}
		if _, there, err := b.Entries(); !there || (err != nil) != row.head {
			t.Errorf("%s: Entries gives %v", row.name, err)
		}
		_, one := b.Contains("hunter2")
		_, other := b.Contains("correct horse")
		if one == nil && other == nil {
			t.Errorf("%s: no password meets it", row.name)
		}
	}
	put(good)
	if err := b.Check(); err != nil || !contains(t, b.Breached, "hunter2") {
		t.Errorf("as it was: %v", err)
	}
}

func flip(good []byte, at int) []byte {
	bad := append([]byte(nil), good...)
	bad[at] ^= 4
	return bad
}

func TestBreachedInParallel(t *testing.T) {
	b := list(t, "hunter2\ncorrect horse\n")
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for range 50 {
				if found, err := b.Contains("hunter2"); !found || err != nil {
					t.Errorf("%v %v", found, err)
				}
				if i == 0 {
					if err := b.Build(t.Context(), strings.NewReader("hunter2\n"), nil, done); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wait.Wait()
}

// What is told grows from nothing read to all made.
func TestBreachedProgress(t *testing.T) {
	text := strings.Repeat("a stolen password\n", 200_000)
	b := factor.BreachedAt(filepath.Join(t.TempDir(), "passwords.filter"))
	var lastRead, times int64
	var lastMade float64
	if err := b.Build(t.Context(), strings.NewReader(text), func(read int64, made float64) {
		if read < lastRead || made < lastMade || made > 1 {
			t.Errorf("%d %f after %d %f", read, made, lastRead, lastMade)
		}
		lastRead, lastMade = read, made
		times++
	}, done); err != nil {
		t.Fatal(err)
	}
	if lastRead != int64(len(text)) || lastMade == 0 || times < 4 || times > 100 {
		t.Errorf("in the end %d bytes, %f made, told %d times", lastRead, lastMade, times)
	}
}
