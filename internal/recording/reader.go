package recording

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/kubetape/kubetape/internal/session"
)

// Reader reads a recording from its beginning, or from any time in it. It is
// not safe for concurrent use.
type Reader struct {
	file  *os.File
	path  string
	meta  session.Meta
	lines lines
	ev    session.Event // its Data is used again by each call of Next
	from  time.Time     // what is earlier is passed over
	ended bool
	skips int64
	err   error // final: the recording is damaged
}

// lines gives the lines of a file, one by one.
type lines interface {
	// next returns a line, good until the next call. The error is io.EOF at the
	// end of the file where there is nothing more to expect behind the end line,
	// ErrTorn where there is.
	next(ended bool) ([]byte, error)
	// seek goes to a place before the first event at or after t.
	seek(t time.Time) error
	// place describes where the line last returned stands.
	place() string
}

// Open opens a recording: a finished one, a .part (of which it reads what is
// good), the same text not compressed, or the seed's plain form, which has no
// header and no end.
func Open(path string) (*Reader, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, fmt.Errorf("open recording: %w", err)
	}
	r := &Reader{file: f, path: path}
	if err := r.start(size); err != nil {
		f.Close()
		return nil, fmt.Errorf("open recording %s: %w", path, err)
	}
	return r, nil
}

// openRegular refuses what opening or reading could block on.
func openRegular(path string) (*os.File, int64, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !st.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	return f, st.Size(), nil
}

func (r *Reader) start(size int64) error {
	if size == 0 {
		return fmt.Errorf("%w: the file is empty", ErrTorn)
	}
	var first [1]byte
	if _, err := r.file.ReadAt(first[:], 0); err != nil {
		return err
	}
	if first[0] == '{' {
		return r.startPlain()
	}
	r.lines = newFramed(r.file)
	line, err := r.lines.next(false)
	if err == nil {
		r.meta, err = decodeMeta(line)
	}
	return asCorrupt(err)
}

// asCorrupt makes ErrCorrupt of a parser's complaint.
func asCorrupt(err error) error {
	var path *os.PathError
	if err == nil || errors.Is(err, ErrTorn) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrVersion) ||
		errors.As(err, &path) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// Meta returns the header. For the seed's plain form, which has none, V is 0
// and the rest is what the name of the file and the first event tell.
func (r *Reader) Meta() session.Meta { return r.meta }

// Skipped returns how many lines of unknown type were passed over so far; a
// later version of the format may have such.
func (r *Reader) Skipped() int64 { return r.skips }

// Next returns the next event. Its Data is good until the next call. The last
// event of a recording is its end; after it comes io.EOF. Where the file stops
// without one the error is ErrTorn, and Next may be called again when the file
// may have grown. Damage is ErrCorrupt, with the place, for good.
//
// The seed's plain form has no end: there io.EOF follows the last whole line.
func (r *Reader) Next() (session.Event, error) {
	if r.err != nil {
		return session.Event{}, r.err
	}
	for {
		line, err := r.lines.next(r.ended)
		if err == io.EOF {
			return session.Event{}, io.EOF
		}
		if err != nil {
			return session.Event{}, r.fail(err)
		}
		if r.ended {
			return session.Event{}, r.fail(fmt.Errorf("%w: %s: line after the end", ErrCorrupt, r.lines.place()))
		}
		if err := DecodeLine(line, &r.ev); err != nil {
			return session.Event{}, r.fail(fmt.Errorf("%w: %s: %w", ErrCorrupt, r.lines.place(), err))
		}
		switch {
		case !Known(r.ev.Type):
			r.skips++
			continue
		case r.ev.Type == session.TypeEnd:
			r.ended = true
		}
		if r.ev.T.Before(r.from) {
			continue
		}
		return r.ev, nil
	}
}

func (r *Reader) fail(err error) error {
	err = fmt.Errorf("%s: %w", r.path, err)
	if !errors.Is(err, ErrTorn) {
		r.err = err
	}
	return err
}

// SeekTime makes the first event at or after t the next one. It finds the frame
// by the seek table, decoding about log2(number of frames) others, and does not
// read what lies before. In a file without a table (a .part) the headers of the
// frames take its place.
func (r *Reader) SeekTime(t time.Time) error {
	r.err, r.ended, r.from = nil, false, t
	if err := r.lines.seek(t); err != nil {
		return fmt.Errorf("seek in %s: %w", r.path, err)
	}
	return nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.file.Close() }

// framed gives the lines of a compressed recording.
type framed struct {
	unframer
	file *os.File
	off  int64 // of the next frame
	at   int64 // of the frame that text is of
	n    int   // number of the line in that frame, from 1
	rest []byte
	// seen is what the seek table must say, where reading began at the start.
	seen   []entry
	jumped bool
}

func newFramed(f *os.File) *framed { return &framed{unframer: unframer{r: f}, file: f} }

func (l *framed) next(ended bool) ([]byte, error) {
	for len(l.rest) == 0 {
		if err := l.more(ended); err != nil {
			return nil, err
		}
	}
	line, rest, _ := bytes.Cut(l.rest, []byte{'\n'})
	l.rest = rest
	l.n++
	if len(line) > MaxLine {
		return nil, fmt.Errorf("%w: %s: line of %d bytes is too long", ErrCorrupt, l.place(), len(line))
	}
	return line, nil
}

// more gets the next frame.
func (l *framed) more(ended bool) error {
	f, err := l.unframer.at(l.off)
	switch {
	case err == io.EOF || err == errShort:
		l.raw = l.raw[:0] // what is there now may be replaced by the writer
		return fmt.Errorf("%w: it stops at byte %d", ErrTorn, l.off)
	case err != nil:
		return fmt.Errorf("byte %d: %w", l.off, err)
	}
	if f.skip {
		return l.skipped(f, ended)
	}
	text, err := l.decode(f)
	if err != nil {
		return fmt.Errorf("byte %d: %w", l.off, err)
	}
	l.at, l.n, l.rest = l.off, 0, text
	l.off += int64(len(f.raw))
	l.seen = append(l.seen, entry{uint32(len(f.raw)), uint32(len(text))})
	return nil
}

// skipped returns io.EOF at the proper end of a file: behind the end line, a
// seek table that fits, and nothing more. Other skippable frames may hold
// anything; they are passed over.
func (l *framed) skipped(f frame, ended bool) error {
	es, err := parseTable(f.raw)
	if err != nil && !bytes.HasPrefix(f.raw, []byte{0x5E, 0x2A, 0x4D, 0x18}) {
		l.off += int64(len(f.raw))
		return nil
	}
	if err != nil {
		return fmt.Errorf("byte %d: %w", f.off, err)
	}
	var sum int64
	for _, e := range es {
		sum += int64(e.packed)
	}
	st, serr := l.file.Stat()
	switch {
	case serr != nil:
		return serr
	case sum != f.off || !l.jumped && !slices.Equal(es, l.seen):
		return fmt.Errorf("byte %d: %w: seek table does not fit the file", f.off, ErrCorrupt)
	case !ended:
		return fmt.Errorf("byte %d: %w: seek table without an end line", f.off, ErrCorrupt)
	case st.Size() != f.off+int64(len(f.raw)):
		return fmt.Errorf("byte %d: %w: something follows the seek table", f.off, ErrCorrupt)
	}
	return io.EOF
}

func (l *framed) place() string { return fmt.Sprintf("frame at byte %d, line %d", l.at, l.n) }
