//go:build !unix

package console

import "os"

// waiter cannot be interrupted here: the read of a console ends with the next key,
// or with the process, which ends right after a replay.
type waiter struct{}

func newWaiter(*os.File) (waiter, error) { return waiter{}, nil }

func (waiter) readable() bool  { return true }
func (waiter) interrupt() bool { return false }
func (waiter) close()          {}
