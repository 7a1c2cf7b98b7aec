package durable

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CreateNew makes a new file for reading and writing and makes its name
// durable. It never opens a file that is there already (fs.ErrExist) and never
// follows a symbolic link at name.
func CreateNew(name string, perm fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return nil, err
	}
	if err := SyncDir(filepath.Dir(name)); err != nil {
		f.Close()
		os.Remove(name)
		return nil, err
	}
	return f, nil
}

// OpenAppend opens name for appending, making it when it is not there. Each
// write goes to the end of the file at that time, also when another process
// appends to it.
func OpenAppend(name string, perm fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, perm)
	if err != nil {
		return nil, err
	}
	if err := SyncDir(filepath.Dir(name)); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Append writes b to f in one write and syncs it. A short write (a full disk)
// is taken back, so that f never ends in half a record; f must have no other
// writer for that.
func Append(f *os.File, b []byte) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if n, err := f.Write(b); err != nil {
		if n > 0 {
			if terr := f.Truncate(st.Size()); terr != nil {
				return fmt.Errorf("%w (and %d bytes of it remain: %w)", err, n, terr)
			}
		}
		return err
	}
	return Sync(f)
}

// WriteFile replaces the content of name as a whole: readers and a crash see
// the old content or the new, never a mixture. It writes name+".tmp" first, so
// two writers of the same name must be kept apart by the caller.
func WriteFile(name string, b []byte, perm fs.FileMode) (err error) {
	tmp := name + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp)
		}
	}()
	if _, err := f.Write(b); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return Replace(tmp, name)
}

// Rename gives old the name new, in one step, and makes that durable. A file
// that has the name new already is not replaced: the error is fs.ErrExist. The
// content must have been synced before.
func Rename(oldName, newName string) error {
	if err := renameNew(oldName, newName); err != nil {
		return err
	}
	return syncDirs(oldName, newName)
}

// Replace is Rename for when a file that has the new name may be replaced.
func Replace(oldName, newName string) error {
	if err := os.Rename(oldName, newName); err != nil {
		return err
	}
	return syncDirs(oldName, newName)
}

// Remove removes a file and makes that durable.
func Remove(name string) error {
	if err := os.Remove(name); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(name))
}

// syncDirs syncs the directory of the new name first: should the machine stop
// between the two, the file has both names and not none.
func syncDirs(oldName, newName string) error {
	od, nd := filepath.Dir(oldName), filepath.Dir(newName)
	if err := SyncDir(nd); err != nil || od == nd {
		return err
	}
	return SyncDir(od)
}
