package main

import (
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kubetape/kubetape/internal/durable"
)

// locked does what a running recorder does to its directory.
func locked(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.OpenFile(filepath.Join(ts.MkAbs(args[0]), ".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	ts.Check(err)
	defer f.Close()
	ts.Check(durable.Lock(f))
	status(ts, false, args[1:])
}
