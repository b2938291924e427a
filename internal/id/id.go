// Package id names every identifier of Doorward. An id is text: a prefix that says of what, an underscore, and a UUIDv7
// (RFC 9562) in lower-case base32, so ids of one kind sort by the time they were made and never repeat.
package id

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"
)

// The kinds of ids. Each type's prefix is in Prefix below, and nowhere else.
type (
	Org         string
	Account     string
	Assignment  string
	Role        string
	Group       string
	Link        string
	Factor      string
	Attempt     string
	Session     string
	Event       string
	Message     string
	Device      string
	Move        string
	Job         string
	SeatRequest string
)

// Kind is any of the id types.
type Kind interface {
	~string
	Prefix() string
}

func (Org) Prefix() string         { return "org" }
func (Account) Prefix() string     { return "acc" }
func (Assignment) Prefix() string  { return "asg" }
func (Role) Prefix() string        { return "rol" }
func (Group) Prefix() string       { return "grp" }
func (Link) Prefix() string        { return "lnk" }
func (Factor) Prefix() string      { return "fac" }
func (Attempt) Prefix() string     { return "att" }
func (Session) Prefix() string     { return "ses" }
func (Event) Prefix() string       { return "evt" }
func (Message) Prefix() string     { return "msg" }
func (Device) Prefix() string      { return "dev" }
func (Move) Prefix() string        { return "mov" }
func (Job) Prefix() string         { return "job" }
func (SeatRequest) Prefix() string { return "req" }

// Crockford's alphabet in lower case: it keeps the order of the bytes and has no letters that are read as digits.
var encoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

const bodyLength = 26

// New returns a fresh id that sorts after those made in earlier milliseconds.
func New[K Kind](now time.Time) K {
	var b [16]byte
	_, _ = rand.Read(b[6:]) // never fails (crypto/rand.Read documents so since Go 1.24)
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(b[:6], ms[2:])
	b[6] = b[6]&0x0f | 0x70 // version 7, RFC 9562 section 5.7
	b[8] = b[8]&0x3f | 0x80 // variant, section 4.1
	var zero K
	return K(zero.Prefix() + "_" + encoding.EncodeToString(b[:]))
}

// Parse returns s as an id of kind K when it has that kind's form; it says nothing about existence.
func Parse[K Kind](s string) (K, bool) {
	var zero K
	body, ok := strings.CutPrefix(s, zero.Prefix()+"_")
	if !ok || len(body) != bodyLength {
		return zero, false
	}
	if raw, err := encoding.DecodeString(body); err != nil || len(raw) != 16 { // the decoder passes over line breaks
		return zero, false
	}
	return K(s), true
}
