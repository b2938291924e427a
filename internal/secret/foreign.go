package secret

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// Most that a hash made elsewhere may cost. A dearer one is refused when it is read, so it is never computed.
const (
	mostForeignMemory = 1 << 20 // KiB of argon2; the same of scrypt
	mostForeignWork   = 1 << 22 // KiB times passes of argon2: some seconds
	mostBcryptCost    = 15
	mostScryptLn      = 20
	mostScryptBlocks  = 64      // r, and p
	mostScryptWork    = 1 << 24 // 2^ln times r times p
	mostIterations    = 5_000_000
)

// mostHashText is longer than any of the forms below, in bytes.
const mostHashText = 512

// stored is a password's hash as it was read from its text.
type stored struct {
	kind string
	fits func(password []byte) (bool, error) // the computation, and the comparison
	cost Cost                                // of an argon2id hash in the form of ours, zero for all others
}

// CheckHash returns the kind of a password hash that was made elsewhere, or why it is not taken, as one line for the operator that does
// not repeat the hash. It computes nothing. Taken are
//
//	$argon2id$v=19$m=…,t=…,p=…$salt$key   $argon2i$…   RFC 9106 in PHC form
//	$2a$ $2b$ $2y$                                     bcrypt
//	$pbkdf2-sha256$i=…$salt$key   $pbkdf2-sha512$…     RFC 8018 in PHC form, or in passlib's, which has the number of iterations bare
//	$scrypt$ln=…,r=…,p=…$salt$key                      RFC 7914 in PHC form
func CheckHash(text string) (kind string, err error) {
	s, err := readHash(text)
	if err != nil {
		return "", err
	}
	if s.kind == "argon2id" || s.kind == "argon2i" {
		// readHash allows what --argon2 allows; what others chose is held to less.
		c, err := ParseCost(strings.Split(text, "$")[3])
		if err != nil {
			return "", err
		}
		if c.Memory > mostForeignMemory || uint64(c.Memory)*uint64(c.Time) > mostForeignWork {
			return "", fmt.Errorf("%s: %s costs too much; m may be %d, and m times t %d", s.kind, c, mostForeignMemory, mostForeignWork)
		}
	}
	return s.kind, nil
}

// readHash reads a hash in any of the forms and refuses one that would cost too much.
func readHash(text string) (stored, error) {
	if len(text) > mostHashText {
		return stored{}, fmt.Errorf("the password hash is longer than %d bytes", mostHashText)
	}
	part := strings.Split(text, "$")
	if len(part) < 3 || part[0] != "" {
		return stored{}, errors.New("the password hash does not begin with $ and the name of its kind")
	}
	var s stored
	var err error
	switch part[1] {
	case "argon2id":
		s, err = readArgon2(part, argon2.IDKey)
	case "argon2i":
		s, err = readArgon2(part, argon2.Key)
		s.cost = Cost{}
	case "2a", "2b", "2y":
		part[1] = "bcrypt"
		s, err = readBcrypt(text)
	case "pbkdf2-sha256":
		s, err = readPBKDF2(part, sha256.New)
	case "pbkdf2-sha512":
		s, err = readPBKDF2(part, sha512.New)
	case "scrypt":
		s, err = readScrypt(part)
	default:
		return s, errors.New("the password hash is of a kind that is not known; known are argon2id, argon2i, bcrypt ($2a$, $2b$, $2y$), " +
			"pbkdf2-sha256, pbkdf2-sha512 and scrypt")
	}
	if err != nil {
		return stored{}, fmt.Errorf("%s: %w", part[1], err)
	}
	s.kind = part[1]
	return s, nil
}

var costForm = regexp.MustCompile(`^[mtp]=[0-9]{1,10}(,[mtp]=[0-9]{1,10}){2}$`)

func readArgon2(part []string, derive func(password, salt []byte, time, memory uint32, threads uint8, length uint32) []byte) (stored, error) {
	if len(part) != 6 {
		return stored{}, errors.New("want $v=19$m=…,t=…,p=…$salt$key")
	}
	if part[2] != "v=19" {
		return stored{}, errors.New("only version 19 (v=19) is known")
	}
	if !costForm.MatchString(part[3]) { // ParseCost would repeat what may be the key
		return stored{}, errors.New("want m=…,t=…,p=…")
	}
	c, err := ParseCost(part[3])
	if err != nil {
		return stored{}, err
	}
	salt, key, err := decodeKey(part[4], part[5])
	if err != nil {
		return stored{}, err
	}
	if len(salt) < 8 { // RFC 9106 section 3.1
		return stored{}, errors.New("the salt has less than 8 bytes")
	}
	s := stored{fits: compares(key, func(password []byte) ([]byte, error) {
		return derive(password, salt, c.Time, c.Memory, c.Threads, uint32(len(key))), nil
	})}
	if len(salt) >= saltSize && len(key) == keySize {
		s.cost = c
	}
	return s, nil
}

// bcryptForm is the modular crypt form: cost, 22 signs of salt and 31 of key.
var bcryptForm = regexp.MustCompile(`^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}$`)

func readBcrypt(text string) (stored, error) {
	m := bcryptForm.FindStringSubmatch(text)
	if m == nil {
		return stored{}, errors.New("want $2b$, two digits of cost, $ and 53 letters, digits, dots and slashes")
	}
	cost, err := strconv.Atoi(m[1])
	if err != nil || cost < bcrypt.MinCost || cost > mostBcryptCost {
		return stored{}, fmt.Errorf("cost %s is out of range (%d to %d)", m[1], bcrypt.MinCost, mostBcryptCost)
	}
	return stored{fits: func(password []byte) (bool, error) {
		err := bcrypt.CompareHashAndPassword([]byte(text), password)
		if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
			return false, nil
		}
		return err == nil, err
	}}, nil
}

func readPBKDF2(part []string, digest func() hash.Hash) (stored, error) {
	if len(part) != 5 {
		return stored{}, errors.New("want $i=…$salt$key, or $…$salt$key")
	}
	rounds, length := part[2], ""
	if strings.HasPrefix(rounds, "i=") {
		rounds, length, _ = strings.Cut(strings.TrimPrefix(rounds, "i="), ",")
	}
	n, err := number(rounds, mostIterations)
	if err != nil {
		return stored{}, fmt.Errorf("iterations: %w", err)
	}
	salt, key, err := decodeKey(part[3], part[4])
	if err != nil {
		return stored{}, err
	}
	if length != "" && length != "l="+strconv.Itoa(len(key)) {
		return stored{}, errors.New("the key has not the length that l= tells")
	}
	return stored{fits: compares(key, func(password []byte) ([]byte, error) {
		return pbkdf2.Key(digest, string(password), salt, n, len(key))
	})}, nil
}

func readScrypt(part []string) (stored, error) {
	if len(part) != 5 {
		return stored{}, errors.New("want $ln=…,r=…,p=…$salt$key")
	}
	var param [3]int
	params := strings.Split(part[2], ",")
	for i, one := range []struct {
		name string
		most int
	}{{"ln", mostScryptLn}, {"r", mostScryptBlocks}, {"p", mostScryptBlocks}} {
		name, value, _ := strings.Cut(params[min(i, len(params)-1)], "=")
		if len(params) != 3 || name != one.name {
			return stored{}, errors.New("want ln=…,r=…,p=…")
		}
		var err error
		if param[i], err = number(value, one.most); err != nil {
			return stored{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	n, r, p := 1<<param[0], param[1], param[2]
	if 128*n*r > mostForeignMemory<<10 || n*r*p > mostScryptWork {
		return stored{}, fmt.Errorf("%s costs too much; it may take 1 GiB, and 2^ln times r times p may be %d", part[2], mostScryptWork)
	}
	salt, key, err := decodeKey(part[3], part[4])
	if err != nil {
		return stored{}, err
	}
	return stored{fits: compares(key, func(password []byte) ([]byte, error) {
		return scrypt.Key(password, salt, n, r, p, len(key))
	})}, nil
}

// number reads a whole number from 1 to most, without sign or leading zeros.
func number(s string, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || strconv.Itoa(n) != s {
		return 0, errors.New("want a whole number above 0")
	}
	if n > most {
		return 0, fmt.Errorf("%d is more than %d", n, most)
	}
	return n, nil
}

// compares returns a computation whose key has to come out as want.
func compares(want []byte, derive func(password []byte) ([]byte, error)) func([]byte) (bool, error) {
	return func(password []byte) (bool, error) {
		got, err := derive(password)
		return subtle.ConstantTimeCompare(got, want) == 1, err
	}
}

// decodeKey reads salt and key: base64 without padding, as PHC has it, or with the dot for the plus sign, as passlib has it.
func decodeKey(saltText, keyText string) (salt, key []byte, err error) {
	decode := func(s string) ([]byte, error) {
		return base64.RawStdEncoding.DecodeString(strings.ReplaceAll(s, ".", "+"))
	}
	if salt, err = decode(saltText); err != nil {
		return nil, nil, errors.New("the salt is not base64 without padding")
	}
	if key, err = decode(keyText); err != nil {
		return nil, nil, errors.New("the key is not base64 without padding")
	}
	switch {
	case len(salt) == 0:
		return nil, nil, errors.New("there is no salt")
	case len(key) < 16, len(key) > 64:
		return nil, nil, errors.New("the key has not 16 to 64 bytes")
	}
	return salt, key, nil
}
