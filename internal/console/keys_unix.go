//go:build unix

package console

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// waiter waits for input in a way that can be interrupted.
type waiter struct {
	in       *os.File
	end, cut *os.File // a pipe: closing cut ends the wait
}

func newWaiter(in *os.File) (waiter, error) {
	end, cut, err := os.Pipe()
	return waiter{in, end, cut}, err
}

// readable waits for input and reports false when it was interrupted.
func (w waiter) readable() bool {
	fds := []unix.PollFd{{Fd: int32(w.in.Fd()), Events: unix.POLLIN}, {Fd: int32(w.end.Fd()), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return err == nil && fds[1].Revents == 0 && fds[0].Revents&unix.POLLIN != 0
	}
}

// interrupt ends the wait, and reports whether it can.
func (w waiter) interrupt() bool { return w.cut.Close() == nil }

func (w waiter) close() {
	_ = w.end.Close()
	_ = w.cut.Close()
}
