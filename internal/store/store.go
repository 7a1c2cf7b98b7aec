package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/session"
)

// Store is a set of directories with recordings in them.
type Store struct {
	dirs []string
}

// Open returns the store of these directories. It touches nothing: a directory
// that cannot be read is an error of the calls below.
func Open(dirs ...string) *Store { return &Store{dirs: dirs} }

// file is a recording by its name alone.
type file struct {
	id   session.ID
	path string
}

// suffixes are the names of recordings, longest first: a finished one, one being
// written, and the seed's plain form.
var suffixes = []string{recording.PartSuffix, recording.Suffix, ".jsonl"}

// nameID returns the ID in the name of a recording, and false for other files.
func nameID(name string) (session.ID, bool) {
	for _, s := range suffixes {
		if base, ok := strings.CutSuffix(name, s); ok {
			id := session.ID(base)
			return id, id.Valid()
		}
	}
	return "", false
}

// files returns all recordings by name, sorted by ID and path. While a recorder
// puts a finished file into its place both names may be seen; the finished wins.
func (s *Store) files() ([]file, error) {
	var all []file
	for _, dir := range s.dirs {
		d, err := os.Open(dir)
		if err != nil {
			return nil, fmt.Errorf("open directory of recordings: %w", err)
		}
		names, err := d.Readdirnames(-1)
		d.Close()
		if err != nil {
			return nil, fmt.Errorf("read directory of recordings %s: %w", dir, err)
		}
		for _, name := range names {
			if id, ok := nameID(name); ok {
				all = append(all, file{id, filepath.Join(dir, name)})
			}
		}
	}
	slices.SortFunc(all, func(a, b file) int {
		if c := strings.Compare(string(a.id), string(b.id)); c != 0 {
			return c
		}
		return strings.Compare(a.path, b.path)
	})
	return slices.CompactFunc(all, func(part, finished file) bool { // the later one first
		base, ok := strings.CutSuffix(part.path, recording.PartSuffix)
		return ok && base+recording.Suffix == finished.path
	}), nil
}

// Find returns the path of the one recording that arg names: a path (it exists as
// a file, or holds a separator), an ID, or a prefix of an ID that fits only one.
// The errors are ErrNotFound and *AmbiguousError, wrapped, or of the disk.
func (s *Store) Find(arg string) (string, error) {
	if strings.ContainsRune(arg, '/') || strings.ContainsRune(arg, filepath.Separator) {
		if _, err := os.Stat(arg); err != nil {
			if os.IsNotExist(err) {
				return "", fmt.Errorf("%w: %s", ErrNotFound, arg)
			}
			return "", fmt.Errorf("find recording: %w", err)
		}
		return arg, nil
	}
	if _, ok := nameID(filepath.Base(arg)); ok || strings.HasSuffix(arg, ".jsonl") || strings.HasSuffix(arg, recording.Suffix) {
		if st, err := os.Stat(arg); err == nil && st.Mode().IsRegular() {
			return arg, nil
		}
	}
	if arg == "" {
		return "", fmt.Errorf("%w: the ID is empty", ErrNotFound)
	}
	files, err := s.files()
	if err != nil {
		return "", err
	}
	var fit, exact []file
	for _, f := range files {
		if strings.HasPrefix(string(f.id), arg) {
			fit = append(fit, f)
		}
		if string(f.id) == arg {
			exact = append(exact, f)
		}
	}
	if len(exact) > 0 {
		fit = exact
	}
	switch len(fit) {
	case 0:
		return "", fmt.Errorf("%w: %q in %s", ErrNotFound, arg, strings.Join(s.dirs, ", "))
	case 1:
		return fit[0].path, nil
	}
	amb := &AmbiguousError{Prefix: arg}
	for _, f := range fit {
		amb.IDs = append(amb.IDs, f.id)
	}
	return "", amb
}

// IDs returns the IDs that begin with prefix, sorted, without opening a file.
func (s *Store) IDs(prefix string) ([]session.ID, error) {
	files, err := s.files()
	var ids []session.ID
	for _, f := range files {
		if strings.HasPrefix(string(f.id), prefix) {
			ids = append(ids, f.id)
		}
	}
	return slices.Compact(ids), err
}

// Paths returns the paths of all recordings, sorted by ID.
func (s *Store) Paths() ([]string, error) {
	files, err := s.files()
	var paths []string
	for _, f := range files {
		paths = append(paths, f.path)
	}
	return paths, err
}

// List returns the recordings that filter keeps, sorted by ID, and the files that
// could not be read. progress, where not nil, is called from several goroutines
// with the number of files read so far.
func (s *Store) List(ctx context.Context, filter Filter, progress func(done, total int)) ([]Entry, []Fault, error) {
	files, err := s.files()
	if err != nil {
		return nil, nil, err
	}
	type result struct {
		entry Entry
		keep  bool
		err   error
	}
	results := make([]result, len(files))
	var next, done atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 8) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(files) {
					return
				}
				r := &results[i]
				r.entry, r.keep, r.err = read(files[i], filter)
				if n := done.Add(1); progress != nil {
					progress(int(n), len(files))
				}
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	var entries []Entry
	var faults []Fault
	for i, r := range results {
		switch {
		case os.IsNotExist(r.err): // finished, or removed, since its name was read
			entries, faults = s.again(files[i], filter, entries, faults)
		case r.err != nil:
			faults = append(faults, Fault{files[i].path, r.err})
		case r.keep:
			entries = append(entries, r.entry)
		}
	}
	return entries, faults, nil
}

// again looks for a recording that got its final name while the list was made.
func (s *Store) again(f file, filter Filter, entries []Entry, faults []Fault) ([]Entry, []Fault) {
	base, ok := strings.CutSuffix(f.path, recording.PartSuffix)
	if !ok {
		return entries, faults
	}
	f.path = base + recording.Suffix
	e, keep, err := read(f, filter)
	if err == nil && keep {
		entries = append(entries, e)
	}
	if err != nil && !os.IsNotExist(err) {
		faults = append(faults, Fault{f.path, err})
	}
	return entries, faults
}
