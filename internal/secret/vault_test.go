package secret_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"doorward/internal/secret"
)

func newVault(t *testing.T) (*secret.Vault, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "keys", "doorward.key")
	v, err := secret.OpenVault(file, true)
	if err != nil {
		t.Fatal(err)
	}
	return v, file
}

func reopen(t *testing.T, file string) *secret.Vault {
	t.Helper()
	v, err := secret.OpenVault(file, false)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSealedValueOpensInItsCellAlone(t *testing.T) {
	v, _ := newVault(t)
	plain := []byte("a secret")
	box := v.Seal("factors", "box", "fac_1", plain)
	if bytes.Contains(box, plain) {
		t.Fatal("the secret stands in the sealed value")
	}
	if got, err := v.Open("factors", "box", "fac_1", box); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("opened %q, %v", got, err)
	}
	if again := v.Seal("factors", "box", "fac_1", plain); bytes.Equal(box, again) {
		t.Error("sealing twice gives the same value: the nonce repeats")
	}
	for _, cell := range [][3]string{{"outbox", "box", "fac_1"}, {"factors", "data", "fac_1"}, {"factors", "box", "fac_2"}, {"factors", "box\x00fac", "_1"}} {
		if _, err := v.Open(cell[0], cell[1], cell[2], box); err == nil {
			t.Errorf("opens in %q", cell)
		}
	}
}

func TestChangedValueDoesNotOpen(t *testing.T) {
	v, _ := newVault(t)
	box := v.Seal("t", "c", "r", []byte("a secret"))
	for i := range box {
		changed := bytes.Clone(box)
		changed[i] ^= 1
		if _, err := v.Open("t", "c", "r", changed); err == nil {
			t.Errorf("opens with byte %d changed", i)
		}
	}
	for n := range box {
		if _, err := v.Open("t", "c", "r", box[:n]); err == nil {
			t.Errorf("opens when cut to %d bytes", n)
		}
	}
}

func TestWrongKeyFile(t *testing.T) {
	v, _ := newVault(t)
	other, _ := newVault(t)
	box := v.Seal("t", "c", "r", []byte("a secret"))
	if _, err := other.Open("t", "c", "r", box); !errors.Is(err, secret.ErrNoKey) {
		t.Errorf("got %v, want ErrNoKey", err)
	}
}

// The file has the right key id, but another key.
func TestKeyReplacedUnderItsID(t *testing.T) {
	v, file := newVault(t)
	box := v.Seal("t", "c", "r", []byte("a secret"))
	id := v.Sealing()
	if err := os.WriteFile(file, []byte("seal "+id+"\n"+id+" AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := reopen(t, file).Open("t", "c", "r", box); err == nil || errors.Is(err, secret.ErrNoKey) {
		t.Errorf("got %v, want an error that says the value does not open", err)
	}
}

func TestKeyFileIsTheOwnersAlone(t *testing.T) {
	v, file := newVault(t)
	check := func() {
		t.Helper()
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("mode %o, want 600", mode)
		}
		if dir, err := os.Stat(filepath.Dir(file)); err != nil || dir.Mode().Perm() != 0o700 {
			t.Errorf("folder: mode %o, want 700, %v", dir.Mode().Perm(), err)
		}
	}
	check()
	if _, err := v.Add(); err != nil {
		t.Fatal(err)
	}
	check()
	left, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("in the folder: %v, %v; want the key file alone", left, err)
	}
}

func TestLifeOfAKey(t *testing.T) {
	v, file := newVault(t)
	old := v.Sealing()
	box := v.Seal("t", "c", "r", []byte("a secret"))

	fresh, err := v.Add()
	if err != nil {
		t.Fatal(err)
	}
	if v.Sealing() != old {
		t.Error("a key that was only added seals")
	}
	keys, err := v.Keys()
	if err != nil || len(keys) != 2 || keys[0] != old || keys[1] != fresh {
		t.Errorf("keys %v, %v; want %s, %s", keys, err, old, fresh)
	}
	if err := v.SealWith("k0"); err == nil {
		t.Error("a key that is not there seals")
	}
	if err := v.Remove(old); err == nil {
		t.Error("the sealing key was removed")
	}
	if err := v.SealWith(fresh); err != nil {
		t.Fatal(err)
	}
	for _, other := range []*secret.Vault{v, reopen(t, file)} {
		if other.Sealing() != fresh {
			t.Errorf("%s seals, want %s", other.Sealing(), fresh)
		}
		if got, err := other.Open("t", "c", "r", box); err != nil || string(got) != "a secret" {
			t.Errorf("what the old key sealed: %q, %v", got, err)
		}
	}
	if err := v.Remove("k0"); err == nil {
		t.Error("a key that is not there was removed")
	}
	if err := v.Remove(old); err != nil {
		t.Fatal(err)
	}
	if _, err := reopen(t, file).Open("t", "c", "r", box); !errors.Is(err, secret.ErrNoKey) {
		t.Errorf("got %v, want ErrNoKey", err)
	}
}

// What one process does to the key file, another that has it open notices: at an unknown key, and before it seals.
func TestOtherProcess(t *testing.T) {
	v, file := newVault(t)
	server := reopen(t, file)
	fresh, err := v.Add()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.SealWith(fresh); err != nil {
		t.Fatal(err)
	}
	box := v.Seal("t", "c", "r", []byte("a secret"))
	if got, err := server.Open("t", "c", "r", box); err != nil || string(got) != "a secret" {
		t.Errorf("a new key's value: %q, %v", got, err)
	}
	newest, err := v.Add()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.SealWith(newest); err != nil {
		t.Fatal(err)
	}
	if key, _, err := secret.KeyOf(server.Seal("t", "c", "r", nil)); err != nil || key != newest {
		t.Errorf("sealed with %s, %v; want %s", key, err, newest)
	}
	// A file that is gone for the moment stops nobody who has read it.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got, err := server.Open("t", "c", "r", server.Seal("t", "c", "r", []byte("another"))); err != nil || string(got) != "another" {
		t.Errorf("without the file: %q, %v", got, err)
	}
}

func TestKeyFileThatIsNone(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"empty":       "",
		"no keys":     "seal k1\n",
		"no seal":     "k1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"other seal":  "seal k2\nk1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"short key":   "seal k1\nk1 AAAA\n",
		"not base64":  "seal k1\nk1 !!!\n",
		"another use": "hello world\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := secret.OpenVault(file, true)
		if err == nil {
			t.Errorf("%s: opened", name)
			continue
		}
		if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %q is not one line that names the file", name, err)
		}
		if after, readErr := os.ReadFile(file); readErr != nil || string(after) != content {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if _, err := secret.OpenVault(filepath.Join(dir, "missing"), false); err == nil || !strings.Contains(err.Error(), "--key-file") {
		t.Errorf("missing file: %v", err)
	}
}

// Several nodes that start at once on an empty folder end with one key file.
func TestFirstKeyIsMadeOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "doorward.key")
	vaults := make([]*secret.Vault, 8)
	var wait sync.WaitGroup
	for i := range vaults {
		wait.Go(func() {
			v, err := secret.OpenVault(file, true)
			if err != nil {
				t.Error(err)
			}
			vaults[i] = v
		})
	}
	wait.Wait()
	for _, v := range vaults {
		if v != nil && v.Sealing() != vaults[0].Sealing() {
			t.Fatal("two keys were made")
		}
	}
}

func FuzzOpen(f *testing.F) {
	file := filepath.Join(f.TempDir(), "doorward.key")
	v, err := secret.OpenVault(file, true)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(v.Seal("t", "c", "other", []byte("a secret")))
	f.Add([]byte{1, 200, 'k'})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if plain, err := v.Open("t", "c", "r", sealed); err == nil {
			t.Errorf("%q opened as %q", sealed, plain)
		}
	})
}
