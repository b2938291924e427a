// Package refusal owns the one error type of the domain: a code that the surfaces turn into an HTTP status, a catalogue key with
// arguments that they turn into a sentence, and the form field it belongs to. Every other error is internal and never shown.
package refusal

import (
	"errors"
	"fmt"
	"time"
)

// Code says what kind of refusal it is. The surfaces alone know HTTP status codes.
type Code string

// The codes of the domain. Nothing else is ever shown to a person.
const (
	Invalid         Code = "invalid"         // the input is wrong; Field says where
	Unauthenticated Code = "unauthenticated" // nobody is signed in, or no longer
	Forbidden       Code = "forbidden"       // signed in, but without the right
	NotFound        Code = "not_found"       // not there, or not for this person to know
	Conflict        Code = "conflict"        // somebody or something else was first
	Expired         Code = "expired"         // was good once
	Limited         Code = "limited"         // too often; Wait says how long
	StepUp          Code = "step_up"         // the right is there, the proof of identity is too old
)

// Args are the named values of a catalogue message.
type Args map[string]any

// Error is a refusal.
type Error struct {
	Code  Code
	Key   string        // catalogue key of the sentence to show
	Args  Args          // its arguments
	Field string        // form field, empty when it concerns the whole
	Wait  time.Duration // with Limited: when to try again
	More  []*Error      // with Invalid: further fields that are wrong

	Denied bool // a right was refused, or a foreign id asked for: worth an event of its own
}

// Error returns the code and key, for logs.
func (e *Error) Error() string {
	if e.Field != "" {
		return fmt.Sprintf("%s: %s (%s)", e.Code, e.Key, e.Field)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Key)
}

// New returns a refusal with a code and the key of its sentence.
func New(code Code, key string, args ...any) *Error {
	return &Error{Code: code, Key: key, Args: pairs(args)}
}

// Field returns an Invalid refusal of one form field.
func Field(field, key string, args ...any) *Error {
	return &Error{Code: Invalid, Key: key, Field: field, Args: pairs(args)}
}

// Wait returns a Limited refusal that ends after d.
func Wait(d time.Duration) *Error {
	return &Error{Code: Limited, Key: "error.limited", Args: Args{"Wait": d}, Wait: d}
}

// All returns one Invalid refusal that carries all the given ones, or nil when there is none.
func All(errs ...*Error) error {
	var first *Error
	for _, e := range errs {
		switch {
		case e == nil:
		case first == nil:
			c := *e
			first = &c
		default:
			first.More = append(first.More, e)
		}
	}
	if first == nil {
		return nil
	}
	return first
}

// Each returns the single refusals that err carries, to be put together anew by All; none when it is none.
func Each(err error) []*Error {
	e := As(err)
	if e == nil {
		return nil
	}
	first := *e
	first.More = nil
	return append([]*Error{&first}, e.More...)
}

// As returns the refusal inside err, or nil when err is none or internal.
func As(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// Is tells whether err is a refusal with that code.
func Is(err error, code Code) bool {
	e := As(err)
	return e != nil && e.Code == code
}

func pairs(args []any) Args {
	if len(args) == 0 {
		return nil
	}
	m := make(Args, len(args)/2)
	for i := 0; i+1 < len(args); i += 2 {
		m[args[i].(string)] = args[i+1]
	}
	return m
}
