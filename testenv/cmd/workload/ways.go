package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// partSize is how much each of these ways moves at a time.
const partSize = 16 << 10

// parts calls write with the pattern's bytes, a part at a time. write may take
// less than it was given, as the system call may.
func parts(args []string, write func(b []byte) (int, error)) error {
	src, _, err := source(args, false)
	if err != nil {
		return err
	}
	buf := make([]byte, partSize)
	for {
		n, err := io.ReadFull(src, buf)
		for b := buf[:n]; len(b) > 0; {
			w, err := write(b)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return err
			}
			b = b[w:]
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// writev writes in seven pieces of unlike length, one of them empty.
func writev(args []string) error {
	return parts(args, func(b []byte) (int, error) {
		var iov [][]byte
		for i := range 6 {
			cut := min(len(b), 1+i*i*97)
			if i == 3 {
				cut = 0
			}
			iov = append(iov, b[:cut])
			b = b[cut:]
		}
		return unix.Writev(1, append(iov, b))
	})
}

// sendfile sends the bytes out of a file in memory. A pty takes no sendfile of
// its own: the kernel copies through its splice path.
func sendfile(args []string) error {
	fd, err := unix.MemfdCreate("workload", 0)
	if err != nil {
		return fmt.Errorf("make file: %w", err)
	}
	f := os.NewFile(uintptr(fd), "memfd")
	defer f.Close()
	var off int64
	return parts(args, func(b []byte) (int, error) {
		// Each part on pages of its own: a pipe may still hold the last one's.
		if _, err := unix.Pwrite(fd, b, off); err != nil {
			return 0, err
		}
		from := off
		off += partSize
		return unix.Sendfile(1, fd, &from, len(b))
	})
}

func splice(args []string) error {
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		return fmt.Errorf("make pipe: %w", err)
	}
	return parts(args, func(b []byte) (int, error) {
		n, err := unix.Write(p[1], b) // no more than an empty pipe holds: partSize is below 64 KiB
		if err != nil {
			return 0, err
		}
		for left := n; left > 0; {
			w, err := unix.Splice(p[0], nil, 1, nil, left, 0)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return 0, err
			}
			left -= int(w)
		}
		return n, nil
	})
}
