//go:build !linux

package require

import "testing"

// BPF needs Linux: elsewhere it always skips.
func BPF(t testing.TB) {
	t.Helper()
	Skip(t, "needs Linux for BPF")
}
