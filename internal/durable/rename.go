package durable

import (
	"io/fs"
	"os"
)

// renameChecked looks before it renames. Between the two another process may
// make the file: on such file systems Rename is only as safe as its callers'
// names are unique.
func renameChecked(oldName, newName string) error {
	if _, err := os.Lstat(newName); err == nil {
		return &os.LinkError{Op: "rename", Old: oldName, New: newName, Err: fs.ErrExist}
	}
	return os.Rename(oldName, newName)
}
