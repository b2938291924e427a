package secret

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Vault seals data at rest with AES-256-GCM under a key of the key file. A sealed value is
//
//	version (1 byte) | length of key id (1 byte) | key id | nonce (12 bytes) | box
//
// and is bound to the table, column and row that it stands in, so that swapping two cells is detected.
type Vault struct {
	file string
	mu   sync.RWMutex
	keys map[string]cipher.AEAD
	seal string      // id of the key that seals
	read os.FileInfo // the file as it was when it was read
}

const sealedVersion = 1

// ErrNoKey is returned when the key file has not the key that a value was sealed with.
var ErrNoKey = errors.New("the key file does not hold the key that this data was sealed with; check --key-file, or put the right key file back")

// OpenVault reads the key file. When it is missing and create is set, it makes one with a first key, readable by the owner alone.
func OpenVault(file string, create bool) (*Vault, error) {
	v := &Vault{file: file}
	err := v.load()
	if errors.Is(err, os.ErrNotExist) && create {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return nil, fmt.Errorf("key file: %w", err)
		}
		name, line := newKeyLine()
		if err := writeKeyFile(file, []string{line}, name, true); err != nil {
			return nil, err
		}
		err = v.load()
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("key file %s is missing, and the database was sealed with it; put it back, or say with --key-file where it is", file)
	case err != nil:
		return nil, err
	}
	return v, nil
}

func (v *Vault) load() error {
	info, err := os.Stat(v.file) // before reading: a change in between is noticed later
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	lines, seal, err := readKeyFile(v.file)
	if err != nil {
		return err
	}
	keys := map[string]cipher.AEAD{}
	for _, l := range lines {
		name, text, _ := strings.Cut(l, " ")
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil || len(raw) != 32 || len(name) > 60 {
			return fmt.Errorf("key file %s: the line of key %.60q does not hold a 256-bit key", v.file, name)
		}
		block, err := aes.NewCipher(raw)
		if err != nil {
			return err
		}
		if keys[name], err = cipher.NewGCM(block); err != nil {
			return err
		}
	}
	if keys[seal] == nil {
		return fmt.Errorf("key file %s: it has no line for the sealing key %q", v.file, seal)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.keys, v.seal, v.read = keys, seal, info
	return nil
}

// refresh reads the key file again when another process has replaced it. A file that cannot be read leaves the keys as they are: data
// sealed with them can be opened once the file is back.
func (v *Vault) refresh() {
	info, err := os.Stat(v.file)
	if err != nil {
		return
	}
	v.mu.RLock()
	same := os.SameFile(info, v.read) && info.ModTime().Equal(v.read.ModTime())
	v.mu.RUnlock()
	if !same {
		_ = v.load()
	}
}

// Sealing returns the id of the key that seals now.
func (v *Vault) Sealing() string {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.seal
}

// Keys returns the ids of all keys in the file.
func (v *Vault) Keys() ([]string, error) {
	lines, _, err := readKeyFile(v.file)
	if err != nil {
		return nil, err
	}
	for i, l := range lines {
		lines[i], _, _ = strings.Cut(l, " ")
	}
	return lines, nil
}

// Seal returns plain sealed for one cell. It looks first whether the key file was changed: after "key reseal" nothing may be sealed
// with the old key, or "key retire" could take away what opens it.
func (v *Vault) Seal(table, column, row string, plain []byte) []byte {
	v.refresh()
	v.mu.RLock()
	name, aead := v.seal, v.keys[v.seal]
	v.mu.RUnlock()
	out := append([]byte{sealedVersion, byte(len(name))}, name...)
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce)
	return aead.Seal(append(out, nonce...), nonce, plain, binding(table, column, row))
}

// Open returns what Seal sealed for the same cell. An unknown key id makes it read the key file again, once: another process may
// have added a key. The error is ErrNoKey when the key is not there either.
func (v *Vault) Open(table, column, row string, sealed []byte) ([]byte, error) {
	name, rest, err := KeyOf(sealed)
	if err != nil {
		return nil, err
	}
	aead := v.key(name)
	if aead == nil {
		if err := v.load(); err != nil {
			return nil, err
		}
		if aead = v.key(name); aead == nil {
			return nil, ErrNoKey
		}
	}
	if len(rest) < aead.NonceSize() {
		return nil, errors.New("secret: sealed value too short")
	}
	plain, err := aead.Open(nil, rest[:aead.NonceSize()], rest[aead.NonceSize():], binding(table, column, row))
	if err != nil {
		return nil, fmt.Errorf("secret: the sealed value in %s.%s does not open: it was changed, moved, or the key file is not the one it was sealed with", table, column)
	}
	return plain, nil
}

// KeyOf returns the id of the key that sealed a value, and what follows it.
func KeyOf(sealed []byte) (name string, rest []byte, err error) {
	if len(sealed) < 2 || sealed[0] != sealedVersion || len(sealed) < 2+int(sealed[1]) {
		return "", nil, errors.New("secret: not a sealed value")
	}
	n := int(sealed[1])
	return string(sealed[2 : 2+n]), sealed[2+n:], nil
}

func (v *Vault) key(name string) cipher.AEAD {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.keys[name]
}

func binding(table, column, row string) []byte {
	return []byte(table + "\x00" + column + "\x00" + row)
}

// Add appends a fresh key to the key file and returns its id. It does not seal until SealWith names it: every node must be able to
// read the file with the new key first.
func (v *Vault) Add() (string, error) {
	lines, seal, err := readKeyFile(v.file)
	if err != nil {
		return "", err
	}
	name, line := newKeyLine()
	if err := writeKeyFile(v.file, append(lines, line), seal, false); err != nil {
		return "", err
	}
	return name, v.load()
}

// SealWith makes a key of the file the sealing key.
func (v *Vault) SealWith(name string) error {
	lines, _, err := readKeyFile(v.file)
	if err != nil {
		return err
	}
	if !hasKey(lines, name) {
		return fmt.Errorf("key file %s has no key %q; `doorward key list` shows those it has", v.file, name)
	}
	if err := writeKeyFile(v.file, lines, name, false); err != nil {
		return err
	}
	return v.load()
}

// Remove takes a key out of the file. The caller has made sure that nothing needs it. The sealing key is refused.
func (v *Vault) Remove(name string) error {
	lines, seal, err := readKeyFile(v.file)
	if err != nil {
		return err
	}
	if name == seal {
		return fmt.Errorf("key %q seals new data; run `doorward key reseal` with another key first", name)
	}
	if !hasKey(lines, name) {
		return fmt.Errorf("key file %s has no key %q", v.file, name)
	}
	kept := lines[:0]
	for _, l := range lines {
		if !strings.HasPrefix(l, name+" ") {
			kept = append(kept, l)
		}
	}
	if err := writeKeyFile(v.file, kept, seal, false); err != nil {
		return err
	}
	return v.load()
}

func hasKey(lines []string, name string) bool {
	for _, l := range lines {
		if strings.HasPrefix(l, name+" ") {
			return true
		}
	}
	return false
}

func newKeyLine() (name, line string) {
	var raw [32]byte
	var n [5]byte
	_, _ = rand.Read(raw[:])
	_, _ = rand.Read(n[:])
	name = fmt.Sprintf("k%x", n)
	return name, name + " " + base64.StdEncoding.EncodeToString(raw[:])
}

const keyFileHead = `# Doorward key file: it opens what the database keeps sealed. Keep a copy apart from the back-ups of the database.
# Written by "doorward key"; each line after "seal" is one key.
`

func readKeyFile(file string) (lines []string, seal string, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, "", fmt.Errorf("key file: %w", err)
	}
	sc := bufio.NewScanner(bytes.NewReader(b))
	for sc.Scan() {
		l := strings.TrimSpace(sc.Text())
		switch {
		case l == "" || l[0] == '#':
		case strings.HasPrefix(l, "seal "):
			seal = strings.TrimSpace(l[5:])
		default:
			lines = append(lines, l)
		}
	}
	if seal == "" || len(lines) == 0 {
		return nil, "", fmt.Errorf("key file %s: it is empty or not a Doorward key file", file)
	}
	return lines, seal, sc.Err()
}

// writeKeyFile replaces the file in one step, so that a crash leaves the old or the new one.
func writeKeyFile(file string, lines []string, seal string, fresh bool) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".doorward-key-*") // made with mode 0600
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("key file: %w", err), os.Remove(tmp.Name()))
		}
	}()
	if _, err = tmp.WriteString(keyFileHead + "seal " + seal + "\n" + strings.Join(lines, "\n") + "\n"); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err = tmp.Sync(); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err = tmp.Close(); err != nil {
		return err
	}
	if fresh { // two processes starting at once: the first one's file stays
		if err = os.Link(tmp.Name(), file); err == nil || errors.Is(err, os.ErrExist) {
			return os.Remove(tmp.Name())
		}
		return err
	}
	return os.Rename(tmp.Name(), file)
}
