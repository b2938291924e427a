package factor_test

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"doorward/internal/doortest"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// The vectors of RFC 6238, appendix B, for SHA-1, of whose eight digits an app with six shows the last ones.
func TestCodeAt(t *testing.T) {
	const key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" // "12345678901234567890" in base32
	for at, want := range map[int64]string{59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037",
		20000000000: "65353130"} {
		for _, within := range []int64{0, 29 - at%30, -(at % 30)} {
			if got, err := factor.CodeAt(key, time.Unix(at+within, 0)); err != nil || got != want[2:] {
				t.Errorf("at %d: %s, want %s (%v)", at+within, got, want[2:], err)
			}
		}
	}
	if _, err := factor.CodeAt("not base32!", time.Unix(59, 0)); err == nil {
		t.Error("a key that is none gives a code")
	}
}

func TestCleanCode(t *testing.T) {
	for in, want := range map[string]secret.Text{
		"271828": "271828", "000000": "000000", " 271 828 ": "271828", "271-828": "271828", "27.18.28": "271828", "271\u00a0828": "271828", "271\u202f828": "271828",
		"2\u20097\u20091828": "271828", "２７１８２８": "271828", "２７１\u3000８２８\u3000": "271828", "2７1８2８": "271828", "\t271828": "271828", "2 7 1 8 2 8": "271828",
	} {
		if got, fault := factor.CleanCode(in); got != want || fault != nil {
			t.Errorf("%q gives %q, %v", in, got, fault)
		}
	}
	for key, list := range map[string][]string{
		"code.missing": {"", "   ", "- -", "\u00a0"},
		"code.form": {"27182", "2718281", "27182a", "O00000", "271828\n", "271828\x00", "+71828", "0x1F4A", "1e5000", "２７１８２", "٢٧١٨٢٨", "²⁷¹⁸²⁸", "①②③④⑤⑥", "271,828",
			"271828\u200b", "\xff71828", strings.Repeat("1", 1<<20), "abcde-fghij"},
	} {
		for _, in := range list {
			if got, fault := factor.CleanCode(in); fault == nil || fault.Key != key || fault.Field != "code" || got != "" {
				t.Errorf("%.40q gives %q, %v; want %s", in, got, fault, key)
			}
		}
	}
}

func FuzzCleanCode(f *testing.F) {
	for _, s := range []string{"271828", "271 828", "２７１８２８", "٢", "-", "1234567"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, fault := factor.CleanCode(s)
		if fault == nil && (len(got) != 6 || strings.Trim(string(got), "0123456789") != "") {
			t.Errorf("%q gives %q", s, string(got))
		}
	})
}

// app is somebody's authenticator app.
type app struct {
	someone
	clock *doortest.Clock
	key   string
}

// begin makes a pending app in place of an older pending one.
func (a *app) begin() factor.TOTPSetup {
	a.t.Helper()
	var setup factor.TOTPSetup
	a.write(func(tx sqldb.Tx) (err error) {
		setup, err = factor.BeginTOTP(tx, a.Vault, a.Now(), a.o, a.id, "Acme & Söhne: Tür", "ann+door@x.example")
		return err
	})
	a.key = string(setup.Key)
	return setup
}

func (a *app) write(fn func(tx sqldb.Tx) error) {
	a.t.Helper()
	if err := a.DB.Write(a.t.Context(), fn); err != nil {
		a.t.Fatal(err)
	}
}

// code is what the app shows so many steps from now.
func (a *app) code(steps int) secret.Text {
	a.t.Helper()
	c, err := factor.CodeAt(a.key, a.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		a.t.Fatal(err)
	}
	return secret.Text(c)
}

func (a *app) prove(state factor.State, code secret.Text, name string) (f id.Factor, err error) {
	err = a.DB.Write(a.t.Context(), func(tx sqldb.Tx) error {
		f, err = factor.ProveTOTP(tx, a.Vault, a.Now(), a.id, state, code, name)
		return err
	})
	return f, err
}

func (a *app) list() []factor.Factor {
	a.t.Helper()
	list, err := factor.List(a.DB.Read(a.t.Context()), a.id)
	if err != nil {
		a.t.Fatal(err)
	}
	return list
}

func newApp(t *testing.T, d sqldb.Dialect) *app {
	t.Helper()
	s, clock := newSomeone(t, d)
	return &app{someone: s, clock: clock}
}

// An app is pending until its first code is proved; what it needs for that is shown again to who asks again, and to nobody later.
func TestEnrolTOTP(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		a := newApp(t, d)
		first := a.begin()
		second := a.begin()
		if first.Key == second.Key || len(second.Key) != 32 || len(a.list()) != 1 {
			t.Errorf("begun twice: %d factors", len(a.list()))
		}
		u, err := url.Parse(string(second.URL))
		if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Acme & Söhne: Tür:ann+door@x.example" || u.Query().Get("secret") != a.key ||
			u.Query().Get("issuer") != "Acme & Söhne: Tür" || strings.Contains(string(second.URL), "+") {
			t.Errorf("the address is %s (%v)", string(second.URL), err)
		}
		again, ok, err := factor.PendingTOTP(a.DB.Read(t.Context()), a.Vault, a.id, "Acme & Söhne: Tür", "ann+door@x.example")
		if err != nil || !ok || again != second {
			t.Errorf("shown again: %v, %v", ok, err)
		}
		if text := fmt.Sprintf("%v %+v %s", second, second, second.Key); strings.Contains(text, a.key) {
			t.Error("a printed set-up shows its key")
		}
		if _, err := a.prove(factor.Active, a.code(0), ""); !errors.Is(err, factor.ErrWrongCode) {
			t.Errorf("a pending app signs in: %v", err)
		}
		wrong := secret.Text("000000")
		if wrong == a.code(0) {
			wrong = "000001"
		}
		if _, err := a.prove(factor.Pending, wrong, ""); !errors.Is(err, factor.ErrWrongCode) || a.list()[0].State != factor.Pending {
			t.Errorf("a wrong code: %v", err)
		}
		f, err := a.prove(factor.Pending, a.code(0), "phone")
		if err != nil || f != second.Factor {
			t.Errorf("proved %s, %v", f, err)
		}
		if l := a.list(); len(l) != 1 || l[0].State != factor.Active || l[0].Name != "phone" || !l[0].LastUsed.Equal(a.Now()) || len(factor.Seconds(l, factor.Active)) != 1 {
			t.Errorf("afterwards %+v", l)
		}
		if _, ok, err := factor.PendingTOTP(a.DB.Read(t.Context()), a.Vault, a.id, "x", "x"); ok || err != nil {
			t.Errorf("the key is shown after it was proved: %v", err)
		}
		var box []byte
		if _, err := sqldb.One(a.DB.Read(t.Context()), func(row sqldb.Row) (int, error) { return 0, row(&box) }, `select box from factors where id = $1`, f); err != nil ||
			len(box) == 0 || strings.Contains(string(box), a.key) {
			t.Errorf("the key stands in the row as it is (%v)", err)
		}
	})
}

// A code is good one step before and after its time, once; and none before one that was used.
func TestProveTOTP(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		a := newApp(t, d)
		a.begin()
		if _, err := a.prove(factor.Pending, a.code(0), "phone"); err != nil {
			t.Fatal(err)
		}
		proves := func(steps int, want error) {
			t.Helper()
			before := a.list()[0].Counter
			_, err := a.prove(factor.Active, a.code(steps), "renamed")
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("the code of step %+d: %v, want %v", steps, err, want)
			}
			if after := a.list()[0]; (after.Counter > before) != (want == nil) || after.Name != "phone" {
				t.Errorf("the code of step %+d: counter %d, before %d; name %q", steps, after.Counter, before, after.Name)
			}
		}
		proves(0, factor.ErrUsedCode)  // it enrolled
		proves(-1, factor.ErrUsedCode) // older than that
		proves(2, factor.ErrWrongCode)
		proves(-2, factor.ErrWrongCode)
		proves(1, nil)
		proves(1, factor.ErrUsedCode)
		proves(0, factor.ErrUsedCode)
		a.clock.Move(30 * time.Second)
		proves(0, factor.ErrUsedCode) // the one that was used ahead of its time
		proves(1, nil)
		a.clock.Move(90 * time.Second)
		proves(-1, nil) // a slow hand
		proves(-1, factor.ErrUsedCode)
		proves(0, nil)
		a.clock.Move(time.Hour)
		proves(-2, factor.ErrWrongCode)
		proves(0, nil)
		for _, typed := range []secret.Text{"", "0", "0000000", a.code(1) + "0", secret.Text(a.key)} {
			if _, err := a.prove(factor.Active, typed, ""); !errors.Is(err, factor.ErrWrongCode) {
				t.Errorf("%q proves: %v", string(typed), err)
			}
		}
		if err := a.DB.Write(t.Context(), func(tx sqldb.Tx) error { _, err := factor.Disable(tx, a.list()[0].ID); return err }); err != nil {
			t.Fatal(err)
		}
		a.clock.Move(time.Hour)
		if _, err := a.prove(factor.Active, a.code(0), ""); !errors.Is(err, factor.ErrWrongCode) {
			t.Errorf("a disabled app proves: %v", err)
		}
	})
}

// Of two apps either may answer, each with its own steps; another account's app never does.
func TestTwoApps(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		a := newApp(t, d)
		a.begin()
		first, err := a.prove(factor.Pending, a.code(0), "phone")
		if err != nil {
			t.Fatal(err)
		}
		phone := a.key
		a.clock.Move(time.Minute)
		a.begin()
		second, err := a.prove(factor.Pending, a.code(0), "tablet")
		if err != nil {
			t.Fatal(err)
		}
		tablet := a.key
		a.clock.Move(time.Minute)
		for key, want := range map[string]id.Factor{phone: first, tablet: second} {
			a.key = key
			if f, err := a.prove(factor.Active, a.code(0), ""); f != want || err != nil {
				t.Errorf("proved %s, %v; want %s", f, err, want)
			}
			if _, err := a.prove(factor.Active, a.code(0), ""); !errors.Is(err, factor.ErrUsedCode) {
				t.Errorf("used again: %v", err)
			}
		}
		stranger := a.id
		a.id = id.New[id.Account](a.Now())
		a.clock.Move(time.Minute)
		if _, err := a.prove(factor.Active, a.code(0), ""); !errors.Is(err, factor.ErrWrongCode) {
			t.Errorf("somebody else's app proves: %v", err)
		}
		a.id = stranger
		a.write(func(tx sqldb.Tx) error {
			if ok, err := factor.Remove(tx, id.New[id.Account](a.Now()), first); ok || err != nil {
				t.Errorf("somebody else removes it: %v, %v", ok, err)
			}
			if ok, err := factor.Remove(tx, a.id, first); !ok || err != nil {
				t.Errorf("removed: %v, %v", ok, err)
			}
			return nil
		})
		a.begin()
		a.write(func(tx sqldb.Tx) error {
			kinds, err := factor.RemoveSeconds(tx, a.id)
			if err != nil || !slices.Equal(kinds, []string{"totp"}) {
				t.Errorf("removed %v (%v)", kinds, err)
			}
			return nil
		})
		if len(a.list()) != 0 {
			t.Errorf("left are %+v", a.list())
		}
	})
}

// A code that comes fifty times at once is taken once.
func TestProveAtOnce(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		a := newApp(t, d)
		a.begin()
		if _, err := a.prove(factor.Pending, a.code(0), ""); err != nil {
			t.Fatal(err)
		}
		a.clock.Move(time.Minute)
		code := a.code(0)
		other := doortest.Node(t, a.Settings, a.clock)
		var taken, used atomic.Int64
		var wg sync.WaitGroup
		for i := range 50 {
			db := []*sqldb.DB{a.DB, other.DB}[i%2]
			wg.Go(func() {
				err := db.Write(t.Context(), func(tx sqldb.Tx) error {
					_, err := factor.ProveTOTP(tx, a.Vault, a.Now(), a.id, factor.Active, code, "")
					return err
				})
				switch {
				case err == nil:
					taken.Add(1)
				case errors.Is(err, factor.ErrUsedCode):
					used.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if taken.Load() != 1 || used.Load() != 49 {
			t.Errorf("taken %d times, refused as used %d times", taken.Load(), used.Load())
		}
	})
}

// Covered counts people who are active and have a second factor that works.
func TestCovered(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		a := newApp(t, d)
		covered := func(want int, when string) {
			t.Helper()
			if n, err := factor.Covered(a.DB.Read(t.Context()), a.o); err != nil || n != want {
				t.Errorf("%s: %d covered (%v)", when, n, err)
			}
		}
		covered(0, "at first")
		a.write(func(tx sqldb.Tx) error {
			_, err := tx.Exec(`update accounts set state = 'active' where id = $1`, a.id)
			return err
		})
		a.begin()
		covered(0, "with a pending app")
		if _, err := a.prove(factor.Pending, a.code(0), ""); err != nil {
			t.Fatal(err)
		}
		covered(1, "with an app")
		a.clock.Move(time.Minute)
		a.begin()
		if _, err := a.prove(factor.Pending, a.code(0), ""); err != nil {
			t.Fatal(err)
		}
		covered(1, "with two apps")
		a.write(func(tx sqldb.Tx) error {
			_, err := tx.Exec(`update accounts set state = 'disabled' where id = $1`, a.id)
			return err
		})
		covered(0, "while disabled")
		if n, err := factor.Covered(a.DB.Read(t.Context()), id.New[id.Org](a.Now())); err != nil || n != 0 {
			t.Errorf("elsewhere: %d covered (%v)", n, err)
		}
	})
}
