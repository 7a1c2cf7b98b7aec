//go:build !linux

package durable

import "os"

// Sync makes the content of f durable.
func Sync(f *os.File) error { return f.Sync() }

func renameNew(oldName, newName string) error { return renameChecked(oldName, newName) }
