// Package watch waits for something to be true of the files in a directory. It
// is told of each change by inotify(7) and never polls.
package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Until returns once cond is true. cond is asked at the start and after each
// file of dir that was made, renamed, written and closed, or removed. Its error
// and the end of ctx end the wait.
func Until(ctx context.Context, dir string, cond func() (bool, error)) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch %s: %w", dir, err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	defer f.Close()
	const changes = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_CLOSE_WRITE | unix.IN_DELETE
	if _, err := unix.InotifyAddWatch(fd, dir, changes|unix.IN_ONLYDIR); err != nil {
		return fmt.Errorf("watch %s: %w", dir, err)
	}
	// A closed file ends the read below.
	stop := context.AfterFunc(ctx, func() { f.Close() })
	defer stop()
	// What the events say does not matter, only that there was one: the first look
	// comes after the watch began, so nothing is missed.
	buf := make([]byte, 64<<10)
	for {
		if ok, err := cond(); ok || err != nil {
			return err
		}
		if _, err := f.Read(buf); err != nil {
			if ctx.Err() != nil && errors.Is(err, os.ErrClosed) {
				return context.Cause(ctx)
			}
			return fmt.Errorf("watch %s: %w", dir, err)
		}
	}
}

// File waits until there is a file of that path; its directory must exist.
func File(ctx context.Context, path string) error {
	return Until(ctx, filepath.Dir(path), func() (bool, error) {
		_, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	})
}
