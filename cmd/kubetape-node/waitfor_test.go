package main

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// waitFor waits until a file has been written.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	ts.Check(err)
	events := os.NewFile(uintptr(fd), "inotify")
	defer events.Close()
	_, err = unix.InotifyAddWatch(fd, filepath.Dir(file), unix.IN_CLOSE_WRITE)
	ts.Check(err)
	ts.Check(events.SetReadDeadline(time.Now().Add(time.Minute)))
	buf := make([]byte, 4096)
	for {
		b, err := os.ReadFile(file)
		if err == nil && len(b) > 0 {
			return
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			ts.Fatalf("%v", err)
		}
		if _, err := events.Read(buf); err != nil {
			ts.Fatalf("waiting for %s: %v", args[0], err)
		}
	}
}
