package secret_test

import (
	"errors"
	"strings"
	"testing"

	"doorward/internal/secret"
)

// Vectors of other programs: where each is from stands beside it.
var foreign = []struct{ kind, password, hash string }{
	// The argon2 reference implementation's own tests (src/test.c).
	{"argon2id", "password", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"},
	{"argon2id", "password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"},
	{"argon2i", "password", "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8"},
	{"argon2i", "password", "$argon2i$v=19$m=256,t=2,p=2$c29tZXNhbHQ$T/XOJ2mh1/TIpJHfCdQan76Q5esCFVoT5MAeIM1Oq2E"},
	// crypt_blowfish's own tests.
	{"bcrypt", "U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
	{"bcrypt", "\xff\xff\xa3", "$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e"},
	// libxcrypt.
	{"bcrypt", "pässword mit Leerzeichen", "$2b$06$abcdefghijklmnopqrstuuaEDNIE40RZhYpalojGGTyHc9yRf8R26"},
	{"bcrypt", "correct horse battery 7", "$2y$05$abcdefghijklmnopqrstuuiVf/RhxUFwkJUbjgVX/sq2bSS9d7fBa"},
	{"bcrypt", "correct horse battery 7", "$2a$05$abcdefghijklmnopqrstuuiVf/RhxUFwkJUbjgVX/sq2bSS9d7fBa"},
	{"bcrypt", strings.Repeat("x", 100), "$2b$05$abcdefghijklmnopqrstuujf8SX2ahXLwp9w/B.Y5XdysS6yR576q"}, // bcrypt looks at 72 bytes
	// The documentation of passlib.
	{"pbkdf2-sha256", "toomanysecrets", "$pbkdf2-sha256$29000$N2YMIWQsBWBMae09x1jrPQ$1t8iyB2A.WF/Z5JZv.lfCIhXXN33N23OSgQYThBYRfk"},
	{"pbkdf2-sha256", "password", "$pbkdf2-sha256$8000$XAuBMIYQQogxRg$tRRlz8hYn63B9LYiCd6PRo6FMiunY9ozmMMI3srxeRE"},
	{"scrypt", "password", "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"},
	// RFC 7914 sections 11 and 12.
	{"pbkdf2-sha256", "Password", "$pbkdf2-sha256$i=80000$TmFDbA$TdzY9guYviGDDO5e8icB+WQaRBjQTAQUrv8Ih2s0q1ah1CWhIlgzVJrbhBtRybMXaicr3ruh0HhHj2Kzl/M8jQ"},
	{"scrypt", "pleaseletmein", "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw"},
	// Python's hashlib; salt and key have plus signs, which passlib writes as dots.
	{"pbkdf2-sha256", "correct horse battery 7", "$pbkdf2-sha256$1000$8PHy8/T19vf4.fr7/P3./w$xMobaslgfpDQt8SOgvWMJfMLSVJgQsjJl3GOFNHJFx4"},
	{"pbkdf2-sha256", "correct horse battery 7", "$pbkdf2-sha256$i=1000,l=32$8PHy8/T19vf4+fr7/P3+/w$xMobaslgfpDQt8SOgvWMJfMLSVJgQsjJl3GOFNHJFx4"},
	{"pbkdf2-sha512", "correct horse battery 7", "$pbkdf2-sha512$1000$8PHy8/T19vf4.fr7/P3./w$U930FdTp6rQ11GrPmjzS2Y5hD6q1rJ1WnSCVhIDbd48L79EgP1wdbw4FP3bI9MdCyYrQ53JTN0CuSfAMl2tleA"},
	{"pbkdf2-sha512", "correct horse battery 7", "$pbkdf2-sha512$i=1000,l=64$8PHy8/T19vf4+fr7/P3+/w$U930FdTp6rQ11GrPmjzS2Y5hD6q1rJ1WnSCVhIDbd48L79EgP1wdbw4FP3bI9MdCyYrQ53JTN0CuSfAMl2tleA"},
	{"scrypt", "correct horse battery 7", "$scrypt$ln=10,r=8,p=1$8PHy8/T19vf4+fr7/P3+/w$BDJ7WanEywjdGf8pUnEFtPDFlVL0Y410xq9/5v74ubk"},
}

// Each kind is compared with one computation, through the same pool, and is to be replaced by ours.
func TestVerifyForeign(t *testing.T) {
	h := secret.NewHasher(cheap, 1)
	for _, row := range foreign {
		if kind, err := secret.CheckHash(row.hash); kind != row.kind || err != nil {
			t.Errorf("%s is taken for %q, %v", row.hash, kind, err)
		}
		before := h.Count()
		if ok, rehash, err := h.Verify(t.Context(), secret.Text(row.password), row.hash, nil); !ok || !rehash || err != nil {
			t.Errorf("%s: %v %v %v, want true true", row.hash, ok, rehash, err)
		}
		if ok, _, err := h.Verify(t.Context(), secret.Text(row.password[1:]), row.hash, nil); ok || err != nil {
			if !strings.HasPrefix(row.password, "xxx") {
				t.Errorf("%s with another password: %v %v", row.hash, ok, err)
			}
		}
		if n := h.Count() - before; n != 2 {
			t.Errorf("%s: %d computations for two comparisons", row.hash, n)
		}
		no := errors.New("no")
		if _, _, err := h.Verify(t.Context(), "x", row.hash, func() error { return no }); !errors.Is(err, no) || h.Count() != before+2 {
			t.Errorf("%s: computed without asking: %v", row.hash, err)
		}
	}
}

// An argon2id hash with today's cost but less salt is not as good as ours.
func TestShortSaltIsReplaced(t *testing.T) {
	h := secret.NewHasher(secret.Cost{Memory: 256, Time: 2, Threads: 1}, 1)
	if ok, rehash, err := h.Verify(t.Context(), "password", foreign[0].hash, nil); !ok || !rehash || err != nil {
		t.Errorf("%v %v %v, want true true", ok, rehash, err)
	}
}

const (
	salt16 = "$8PHy8/T19vf4+fr7/P3+/w"
	key32  = "$xMobaslgfpDQt8SOgvWMJfMLSVJgQsjJl3GOFNHJFx4"
	rest53 = "abcdefghijklmnopqrstuuiVf/RhxUFwkJUbjgVX/sq2bSS9d7fBa"
)

// What would cost too much, and what is no hash, is refused in one line that says why and does not repeat it.
func TestCheckHashRefuses(t *testing.T) {
	h := secret.NewHasher(cheap, 1)
	for hash, why := range map[string]string{
		"":                         "does not begin with $",
		"hunter2":                  "does not begin with $",
		"$":                        "does not begin with $",
		"$$$":                      "not known",
		"$1$abcdefgh$abc":          "not known",
		"$5$rounds=5000$salt$abc":  "not known",
		"$2x$05$" + rest53:         "not known",
		"$2$05$" + rest53:          "not known",
		"$pbkdf2$1000$c2FsdA$abcd": "not known",
		"$argon2d$v=19$m=64,t=1,p=1" + salt16 + key32: "not known",
		strings.Repeat("$", 600):                      "longer than 512",

		"$argon2id$v=19$m=1048577,t=1,p=1" + salt16 + key32:       "costs too much",
		"$argon2id$v=19$m=1048576,t=5,p=1" + salt16 + key32:       "costs too much",
		"$argon2i$v=19$m=1048576,t=64,p=1" + salt16 + key32:       "costs too much",
		"$argon2id$v=19$m=4294967295,t=1,p=1" + salt16 + key32:    "out of range",
		"$argon2id$v=19$m=64,t=4294967295,p=1" + salt16 + key32:   "out of range",
		"$argon2id$v=19$m=65536,t=1,p=255" + salt16 + key32:       "out of range",
		"$argon2id$v=19$m=9999999999,t=1,p=1" + salt16 + key32:    "is not like",
		"$argon2id$v=16$m=64,t=1,p=1" + salt16 + key32:            "version 19",
		"$argon2id$v=19" + key32 + salt16 + key32:                 "want m=",
		"$argon2id$m=64,t=1,p=1" + salt16 + key32:                 "want $v=19",
		"$argon2id$v=19$m=64,t=1,p=1,data=YQ" + salt16 + key32:    "want m=",
		"$argon2id$v=19$m=64,t=1,p=1$YWJjZA" + key32:              "less than 8 bytes",
		"$argon2id$v=19$m=64,t=1,p=1$" + key32:                    "no salt",
		"$argon2id$v=19$m=64,t=1,p=1" + salt16 + "$YWJjZA":        "16 to 64 bytes",
		"$argon2id$v=19$m=64,t=1,p=1" + salt16 + key32 + "=":      "not base64",
		"$argon2id$v=19$m=64,t=1,p=1$!!" + key32:                  "not base64",
		"$argon2id$v=19$m=64,t=1,p=1" + salt16 + key32 + "$extra": "want $v=19",

		"$2b$16$" + rest53:       "out of range (4 to 15)",
		"$2b$31$" + rest53:       "out of range (4 to 15)",
		"$2b$99$" + rest53:       "out of range (4 to 15)",
		"$2b$03$" + rest53:       "out of range (4 to 15)",
		"$2b$5$" + rest53:        "two digits",
		"$2b$05$" + rest53[1:]:   "two digits",
		"$2b$05$" + rest53 + "a": "two digits",
		"$2b$05$+" + rest53[1:]:  "two digits",
		"$2b$05$" + rest53[:52]:  "two digits",

		"$pbkdf2-sha256$5000001" + salt16 + key32:                 "5000001 is more than 5000000",
		"$pbkdf2-sha512$i=5000001" + salt16 + key32:               "5000001 is more than 5000000",
		"$pbkdf2-sha256$99999999999999999999" + salt16 + key32:    "whole number",
		"$pbkdf2-sha256$0" + salt16 + key32:                       "whole number",
		"$pbkdf2-sha256$-1" + salt16 + key32:                      "whole number",
		"$pbkdf2-sha256$+1000" + salt16 + key32:                   "whole number",
		"$pbkdf2-sha256$" + salt16 + key32:                        "whole number",
		"$pbkdf2-sha256$i=1000,l=64" + salt16 + key32:             "length that l= tells",
		"$pbkdf2-sha256$i=1000,x=32" + salt16 + key32:             "length that l= tells",
		"$pbkdf2-sha256$1000" + salt16:                            "want $i=",
		"$pbkdf2-sha256$1000" + salt16 + key32 + key32[1:] + "xx": "16 to 64 bytes",

		"$scrypt$ln=21,r=8,p=1" + salt16 + key32:  "21 is more than 20",
		"$scrypt$ln=20,r=9,p=1" + salt16 + key32:  "costs too much",
		"$scrypt$ln=20,r=8,p=3" + salt16 + key32:  "costs too much",
		"$scrypt$ln=14,r=8,p=64" + salt16 + key32: "",
		"$scrypt$ln=18,r=8,p=64" + salt16 + key32: "costs too much",
		"$scrypt$ln=10,r=65,p=1" + salt16 + key32: "65 is more than 64",
		"$scrypt$ln=1,r=1,p=65" + salt16 + key32:  "65 is more than 64",
		"$scrypt$ln=0,r=8,p=1" + salt16 + key32:   "whole number",
		"$scrypt$r=8,ln=10,p=1" + salt16 + key32:  "want ln=",
		"$scrypt$ln=10,r=8" + salt16 + key32:      "want ln=",
		"$scrypt$ln=10,r=8,p=1" + salt16:          "want $ln=",
	} {
		kind, err := secret.CheckHash(hash)
		if why == "" {
			if err != nil {
				t.Errorf("%q: %v", hash, err)
			}
			continue
		}
		if err == nil || kind != "" || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %q, %v; want an error with %q", hash, kind, err, why)
			continue
		}
		if text := err.Error(); strings.Contains(text, "\n") || strings.Contains(text, key32[1:]) || strings.Contains(text, rest53[:20]) {
			t.Errorf("%q: the error repeats it: %s", hash, text)
		}
	}
	if h.Count() != 0 {
		t.Error("something was computed")
	}
}

// A hash that got into the database all the same is not computed either.
func TestAbsurdCostIsNeverComputed(t *testing.T) {
	h := secret.NewHasher(cheap, 1)
	for _, hash := range []string{"$argon2id$v=19$m=4294967295,t=1,p=1" + salt16 + key32, "$argon2i$v=19$m=64,t=1000,p=1" + salt16 + key32, "$2b$31$" + rest53,
		"$pbkdf2-sha256$i=2000000000" + salt16 + key32, "$scrypt$ln=30,r=8,p=1" + salt16 + key32, "$scrypt$ln=20,r=64,p=64" + salt16 + key32} {
		if ok, _, err := h.Verify(t.Context(), "x", hash, nil); ok || err == nil {
			t.Errorf("%s: %v %v", hash, ok, err)
		}
	}
	if h.Count() != 0 {
		t.Error("something was computed")
	}
}

// Whatever the text is, reading it neither panics nor computes, and what is taken can be compared.
func FuzzCheckHash(f *testing.F) {
	for _, row := range foreign {
		f.Add(row.hash)
	}
	f.Add("$argon2id$v=19$m=64,t=1,p=1" + salt16 + key32)
	f.Add("$scrypt$ln=10,r=8,p=1,x=2" + salt16 + key32)
	no := errors.New("no")
	f.Fuzz(func(t *testing.T, hash string) {
		kind, err := secret.CheckHash(hash)
		if (kind == "") == (err == nil) {
			t.Fatalf("%q gives %q and %v", hash, kind, err)
		}
		if err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 700 {
				t.Fatalf("%q: not one line: %v", hash, err)
			}
			return
		}
		h := secret.NewHasher(cheap, 1)
		if _, _, err := h.Verify(t.Context(), "x", hash, func() error { return no }); !errors.Is(err, no) {
			t.Fatalf("%q is taken, but cannot be compared: %v", hash, err)
		}
	})
}
