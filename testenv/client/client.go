// Package client holds the near end of a session as a user's program would: a
// real terminal or three pipes. It keeps count and digest of every byte that it
// sent and received, so that a recording can be compared with what the user
// really typed and saw.
package client

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"
)

// Sum is the count and digest of the bytes of one direction.
type Sum struct {
	Bytes  int64
	SHA256 string // lower-case hex
}

// Result is what a client saw of one session.
type Result struct {
	Sent     Sum // stdin
	Received Sum // stdout; for a terminal everything it showed
	Errors   Sum // stderr; empty for a terminal
	ExitCode int // of the client program, -1 when a signal ended it
}

// SumOf returns the Sum of b.
func SumOf(b []byte) Sum {
	var m meter
	m.count(b)
	return m.sum()
}

// meter counts and digests; safe for concurrent use.
type meter struct {
	mu sync.Mutex
	n  int64
	h  hash.Hash
}

func (m *meter) count(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.h == nil {
		m.h = sha256.New()
	}
	m.n += int64(len(b))
	m.h.Write(b)
}

// Write lets a meter stand where an io.Writer is wanted. It never fails.
func (m *meter) Write(b []byte) (int, error) {
	m.count(b)
	return len(b), nil
}

func (m *meter) sum() Sum {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.h == nil {
		m.h = sha256.New()
	}
	return Sum{Bytes: m.n, SHA256: hex.EncodeToString(m.h.Sum(nil))}
}
