package session

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"time"
)

// ID names a session: its kind, an underscore and 26 characters of a
// lower-case ULID (https://github.com/ulid/spec), so that IDs of one kind sort
// by time. Recordings of the seed's plain form have shorter IDs; Valid accepts
// them too.
type ID string

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// NewID returns a fresh ID for a session of kind k that began at t.
func NewID(k Kind, t time.Time) ID {
	id, err := newID(k, t, rand.Reader)
	if err != nil { // crypto/rand does not fail (Go 1.24)
		panic(err)
	}
	return id
}

func newID(k Kind, t time.Time, random io.Reader) (ID, error) {
	var b [16]byte
	ms := uint64(t.UnixMilli())
	binary.BigEndian.PutUint64(b[:8], ms<<16)
	if _, err := io.ReadFull(random, b[6:]); err != nil {
		return "", err
	}
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	var out [26]byte
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return ID(string(k) + "_" + string(out[:])), nil
}

// ErrBadID is returned for a text that cannot be the ID of a session.
var ErrBadID = errors.New("not a session id")

// Kind returns the kind that the ID names, or "" when it names none.
func (id ID) Kind() Kind {
	k, _, ok := strings.Cut(string(id), "_")
	if !ok || !Kind(k).Valid() {
		return ""
	}
	return Kind(k)
}

// Valid reports whether id can be used as the name of a file: a known kind, an
// underscore, and 1 to 64 lower-case letters and digits.
func (id ID) Valid() bool {
	_, rest, ok := strings.Cut(string(id), "_")
	if !ok || id.Kind() == "" || len(rest) == 0 || len(rest) > 64 {
		return false
	}
	for _, c := range []byte(rest) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
