//go:build !unix

package durable

import (
	"errors"
	"os"
)

// SyncDir does nothing: directories cannot be synced here.
func SyncDir(string) error { return nil }

// ErrLocked is returned by Lock for a file that somebody else holds.
var ErrLocked = errors.New("locked by another writer")

// Lock does nothing here.
func Lock(*os.File) error { return nil }
