package recording

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/kubetape/kubetape/internal/durable"
	"github.com/kubetape/kubetape/internal/session"
)

// maxEvent is the most bytes of a stream that one event may carry. Its lines
// then fit in one frame.
const maxEvent = 4 << 20

// Options steer a Writer. The zero value is what the recorder uses.
type Options struct {
	// Pool is shared with other writers. nil: one for the whole process.
	Pool *Pool
}

func (o Options) pool() *Pool {
	if o.Pool == nil {
		return sharedPool()
	}
	return o.Pool
}

// Writer writes one recording. It is not safe for concurrent use.
//
// An error from Write, Flush or Sync is not the end: what was accepted before
// stays accepted and is tried again by the next call, so a full disk loses no
// more than the events for which Write returned the error.
type Writer struct {
	pool *Pool
	path string // of the .part
	file *os.File
	meta session.Meta
	enc  encoder
	tally
	text     []byte  // lines that are in no frame yet
	borrowed bool    // text belongs to the pool
	frames   []entry // in the file
	size     int64   // of the good part of the file
	sum      hash.Hash
	closed   bool
}

// Create makes the file of a new recording, <dir>/<id>.jsonl.zst.part, which
// only its owner can read, and writes the header. It fails when there is a
// recording of that name, in whatever state. V may be 0.
func Create(dir string, m session.Meta, o Options) (*Writer, error) {
	if m.V == 0 {
		m.V = session.FormatVersion
	}
	m.StartedAt = m.StartedAt.UTC()
	m.Argv, m.ArgvCut = cutArgv(m.Argv, m.ArgvCut)
	if err := checkMeta(&m); err != nil {
		return nil, err
	}
	head, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode header: %w", err)
	}
	if len(head) > MaxLine {
		return nil, fmt.Errorf("header of %d bytes is too long", len(head))
	}
	final := filepath.Join(dir, string(m.ID)+Suffix)
	if _, err := os.Lstat(final); err == nil {
		return nil, fmt.Errorf("create recording: %w", &fs.PathError{Op: "open", Path: final, Err: fs.ErrExist})
	}
	path := filepath.Join(dir, string(m.ID)+PartSuffix)
	f, err := durable.CreateNew(path, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create recording: %w", err)
	}
	w := &Writer{pool: o.pool(), path: path, file: f, meta: m, tally: newTally(), sum: sha256.New()}
	err = durable.Lock(f)
	if err == nil {
		w.text = append(head, '\n')
		err = w.Flush()
	}
	if err != nil {
		f.Close()
		os.Remove(path)
		return nil, err
	}
	return w, nil
}

// Meta returns the header.
func (w *Writer) Meta() session.Meta { return w.meta }

// Path returns the name of the file while it is being written.
func (w *Writer) Path() string { return w.path }

// Size returns how many bytes of file are written. What Flush would add is not
// in it.
func (w *Writer) Size() int64 { return w.size }

// Totals returns what was recorded of a stream so far. SHA256 covers the bytes
// kept so far.
func (w *Writer) Totals(s session.Stream) session.Totals { return w.of(s) }

// Write adds an event of any type but end. It keeps nothing of ev. Order is
// that of the calls; an event that is older than the one before it is given
// that one's time, so that times in a recording never go back. Data longer than
// 192 KiB, or cut inside a character, becomes several lines; over 4 MiB is
// refused. When Write returns
// an error, nothing of ev is in the recording.
func (w *Writer) Write(ev session.Event) error {
	switch {
	case w.closed:
		return ErrClosed
	case ev.Type == session.TypeEnd:
		return errors.New("write recording: the end is written by End")
	case len(ev.Data) > maxEvent:
		return fmt.Errorf("write recording: event of %d bytes is too long", len(ev.Data))
	}
	if ev.T.Before(w.last) {
		ev.T = w.last
	}
	if ev.Type.Stream() == "" || ev.Masked > 0 {
		return w.writeLine(&ev)
	}
	if err := check(&ev); err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	if err := w.room(w.streamSize(ev.Data)); err != nil {
		return err
	}
	// From here on nothing fails: an event is in the recording as a whole or not at all.
	for rest := ev.Data; ; {
		n := piece(rest)
		ev.Data, rest = rest[:n], rest[n:]
		w.text, _ = w.enc.line(w.text, &ev)
		w.add(&ev)
		if len(rest) == 0 {
			return nil
		}
	}
}

// streamSize returns how many bytes of text to make room for. Only where it
// matters does it count them.
func (w *Writer) streamSize(data []byte) (n int) {
	const overhead = len(`{"t":"","d":"stdout",}`) + len(timeLayout) + 1
	lines := 3 + len(data)/(maxData-utf8.UTFMax)
	if n = lines*(overhead+dataMax(0)) + dataMax(len(data)); len(w.text)+n <= cap(w.text) {
		return n
	}
	n = 0
	for rest := data; ; {
		k := piece(rest)
		n += overhead + dataSize(rest[:k])
		if rest = rest[k:]; len(rest) == 0 {
			return n
		}
	}
}

func (w *Writer) writeLine(ev *session.Event) error {
	line, err := w.enc.line(nil, ev)
	if err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	if err := w.room(len(line)); err != nil {
		return err
	}
	w.text = append(w.text, line...)
	w.add(ev)
	return nil
}

// room makes room for n bytes of text, if need be by cutting a frame.
func (w *Writer) room(n int) error {
	want := len(w.text) + n
	if want <= cap(w.text) {
		return nil
	}
	if want <= smallText {
		w.grow(max(want, min(2*cap(w.text), smallText), firstText))
		return nil
	}
	if !w.borrowed && want <= w.pool.frame {
		if b := w.pool.borrow(); b != nil {
			w.text, w.borrowed = append(b, w.text...), true
			return nil
		}
	}
	if len(w.text) > 0 {
		if err := w.cut(); err != nil {
			return err
		}
		return w.room(n)
	}
	w.release()
	w.grow(n) // an event larger than any buffer
	return nil
}

func (w *Writer) grow(n int) {
	b := make([]byte, len(w.text), n)
	copy(b, w.text)
	w.text = b
}

// release lets go of the buffer, which must be empty.
func (w *Writer) release() {
	if w.borrowed {
		w.pool.giveBack(w.text[:0])
	}
	w.text, w.borrowed = nil, false
}

// Flush hands everything written so far to the kernel: it survives a crash of
// the process, and a Reader of the .part sees it. Each call with something to
// write makes a frame, so once a second is often enough. A writer that was
// flushed holds no buffer.
func (w *Writer) Flush() error {
	if w.closed {
		return ErrClosed
	}
	if len(w.text) > 0 {
		if err := w.cut(); err != nil {
			return err
		}
	}
	w.release()
	return nil
}

// Sync is Flush, and what was flushed survives a crash of the machine.
func (w *Writer) Sync() error {
	if err := w.Flush(); err != nil {
		return err
	}
	if err := durable.Sync(w.file); err != nil {
		return fmt.Errorf("sync recording: %w", err)
	}
	return nil
}

// cut makes a frame of the text and writes it.
func (w *Writer) cut() error {
	return w.pool.compress(w.text, func(packed []byte) error {
		if err := w.put(packed); err != nil {
			return err
		}
		w.frames = append(w.frames, entry{uint32(len(packed)), uint32(len(w.text))})
		w.text = w.text[:0]
		return nil
	})
}

// put writes b behind the good part of the file. A write that stops half way,
// on a full disk for one, is taken back.
func (w *Writer) put(b []byte) error {
	if n, err := w.file.WriteAt(b, w.size); err != nil {
		if n > 0 {
			err = errors.Join(err, w.file.Truncate(w.size))
		}
		return fmt.Errorf("write recording: %w", err)
	}
	w.size += int64(len(b))
	w.sum.Write(b)
	return nil
}

// Abandon closes the file and leaves it as it is, for Resume or Recover. What
// was not flushed is lost. It may be called at any time, also twice.
func (w *Writer) Abandon() error {
	if w.closed {
		return nil
	}
	w.closed = true
	w.text = w.text[:0]
	w.release()
	return w.file.Close()
}
