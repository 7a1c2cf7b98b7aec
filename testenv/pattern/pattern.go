// Package pattern makes bytes that anyone can make again from a seed: the
// workload in a container writes them, the test outside knows what they were.
// The generator is ChaCha8 (https://c2sp.org/chacha8rand), fixed for all time.
package pattern

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
)

// Bytes returns n random bytes of seed. They hold every value, so a terminal
// must be raw to pass them unchanged.
func Bytes(seed uint64, n int64) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return io.LimitReader(rand.NewChaCha8(key), n)
}

// Text returns n bytes of numbered lines of 80 columns, each ending in "\r\n",
// so that no terminal in its usual mode changes anything but nothing looks alike.
func Text(seed uint64, n int64) io.Reader {
	return io.LimitReader(&lines{seed: seed}, n)
}

type lines struct {
	seed, next uint64
	rest       []byte
	line       [82]byte
}

const filler = "the quick brown fox jumps over the lazy dog 0123456789 "

func (l *lines) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(l.rest) == 0 {
			head := fmt.Appendf(l.line[:0], "%08x %012d ", uint32(l.seed), l.next)
			for len(head) < 80 {
				head = append(head, filler[(int(l.next)+len(head))%len(filler)])
			}
			l.rest = append(head, '\r', '\n')
			l.next++
		}
		c := copy(p[n:], l.rest)
		l.rest = l.rest[c:]
		n += c
	}
	return n, nil
}
