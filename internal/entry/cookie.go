package entry

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/signin"
)

// A browser may have four sign-ins under way, each in a cookie of its own: two tabs never overwrite each other's.
const (
	attemptCookie = "attempt"
	passkeyCookie = "passkey"
	mostAttempts  = 4
	attemptLives  = 30 * time.Minute
)

// keys returns the attempts that this browser holds, newest first.
func (e *Entry) keys(r *http.Request) []signin.Key {
	var list []signin.Key
	for i := range mostAttempts {
		if k, ok := e.slot(r, i); ok {
			list = append(list, k)
		}
	}
	slices.SortFunc(list, func(a, b signin.Key) int { return strings.Compare(string(b.ID), string(a.ID)) }) // ids sort by time
	return list
}

func (e *Entry) slot(r *http.Request, i int) (signin.Key, bool) {
	v, _ := e.Kit.ReadCookie(r, attemptCookie+strconv.Itoa(i))
	return signin.ParseKey(v)
}

// passkeyKey returns the attempt that waits for a passkey alone, in a cookie of its own: every look at a sign-in page with a script makes one,
// and must not push out what other tabs are at.
func (e *Entry) passkeyKey(r *http.Request) signin.Key {
	v, _ := e.Kit.ReadCookie(r, passkeyCookie)
	k, _ := signin.ParseKey(v)
	return k
}

// key returns the key of the attempt with that id, or of the newest one when no id is given.
func (e *Entry) key(r *http.Request, attempt string) (signin.Key, error) {
	for _, k := range e.keys(r) {
		if attempt == "" || string(k.ID) == attempt {
			return k, nil
		}
	}
	return signin.Key{}, signin.ErrStartAgain
}

// keep stores a key: in the place of the same attempt, a free one, or the oldest one's.
func (e *Entry) keep(w http.ResponseWriter, r *http.Request, k signin.Key) {
	place, oldest := -1, id.Attempt("")
	for i := range mostAttempts {
		held, ok := e.slot(r, i)
		switch {
		case !ok:
			if oldest != "" || place < 0 {
				place, oldest = i, ""
			}
		case held.ID == k.ID:
			e.Kit.SetCookie(w, attemptCookie+strconv.Itoa(i), k.String(), attemptLives)
			return
		case place < 0 || oldest != "" && held.ID < oldest:
			place, oldest = i, held.ID
		}
	}
	e.Kit.SetCookie(w, attemptCookie+strconv.Itoa(place), k.String(), attemptLives)
}

// drop forgets an attempt that is over.
func (e *Entry) drop(w http.ResponseWriter, r *http.Request, a id.Attempt) {
	for i := range mostAttempts {
		if held, ok := e.slot(r, i); ok && held.ID == a {
			e.Kit.SetCookie(w, attemptCookie+strconv.Itoa(i), "", -1)
		}
	}
}

func retryAfter(e *refusal.Error) string {
	return strconv.Itoa(int((e.Wait + time.Second - 1) / time.Second)) // RFC 9110 section 10.2.3
}
