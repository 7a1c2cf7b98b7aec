package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestRenameNeverReplaces(t *testing.T) {
	for name, rename := range map[string]func(o, n string) error{
		"with the flag of the kernel": Rename,
		"where the flag is not known": renameChecked,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a, b, c := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")
			write(t, a, "first")
			write(t, b, "second")
			if err := rename(a, b); !errors.Is(err, fs.ErrExist) {
				t.Fatalf("rename onto a file: %v, want fs.ErrExist", err)
			}
			if read(t, a) != "first" || read(t, b) != "second" {
				t.Fatal("a refused rename changed a file")
			}
			if err := rename(a, c); err != nil || read(t, c) != "first" {
				t.Fatalf("rename to a new name: %v", err)
			}
		})
	}
}

func TestCreateNewNeverOpensWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	write(t, target, "kept")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{target, link} {
		if _, err := CreateNew(name, 0o600); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v, want fs.ErrExist", filepath.Base(name), err)
		}
	}
	if read(t, target) != "kept" {
		t.Error("the file that was there has changed")
	}
}

func TestWriteFileReplacesTheWholeAndLeavesNothingBeside(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	for _, want := range []string{"a long first content", "short", ""} {
		if err := WriteFile(name, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := read(t, name); got != want {
			t.Fatalf("read %q, want %q", got, want)
		}
	}
	if err := WriteFile(filepath.Join(dir, "no", "f"), nil, 0o600); err == nil {
		t.Error("writing in a directory that is not there succeeded")
	}
	if es, _ := os.ReadDir(dir); len(es) != 1 {
		t.Errorf("%d files in the directory, want 1", len(es))
	}
}

func TestAppendAddsToTheEnd(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	for range 2 {
		f, err := OpenAppend(name, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"one\n", "two\n"} {
			if err := Append(f, []byte(s)); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, name); got != "one\ntwo\none\ntwo\n" {
		t.Errorf("read %q", got)
	}
}

func TestALockKeepsASecondWriterOut(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	a, err := CreateNew(name, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := Lock(a); err != nil {
		t.Fatal(err)
	}
	if err := Lock(b); !errors.Is(err, ErrLocked) {
		t.Fatalf("second lock: %v, want ErrLocked", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Lock(b); err != nil {
		t.Fatalf("lock after the first writer went: %v", err)
	}
}

func TestRemove(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	write(t, name, "x")
	if err := Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := Remove(name); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("removing twice: %v, want fs.ErrNotExist", err)
	}
}

func write(t *testing.T, name, s string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(s), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
