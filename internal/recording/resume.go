package recording

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/kubetape/kubetape/internal/durable"
	"github.com/kubetape/kubetape/internal/session"
)

// Resume goes on with the .part that a crashed recorder left: it cuts the file
// back to its last good frame, works out totals and digests again, and returns
// a Writer for more events. The caller should first write a resume event, and a
// loss event for what passed in between.
//
// A frame that was half written is dropped. If anything else stands behind the
// good part, it is first kept in <path>.cut: recovery deletes no evidence.
//
// The error is ErrEnded for a recording that has its end (Recover finishes it),
// durable.ErrLocked while somebody else writes it, and ErrTorn when not even
// the header is there.
func Resume(path string, o Options) (*Writer, error) {
	w, _, err := load(path, o, false)
	if err != nil {
		return nil, fmt.Errorf("resume recording: %w", err)
	}
	return w, nil
}

// Recover closes a .part that nobody writes any more: as torn with why in its
// end line, or, where the crash came between the end and the last rename, as
// what it says itself. Errors are those of Resume, without ErrEnded.
func Recover(path string, why string) (Summary, error) {
	w, end, err := load(path, Options{}, true)
	if err != nil {
		return Summary{}, fmt.Errorf("recover recording: %w", err)
	}
	defer func() { _ = w.Abandon() }() // no-op after End; before, there is an error already
	if end == nil {
		return w.End(session.Event{T: w.last, Status: session.Torn, Why: why})
	}
	if err := w.put(appendTable(nil, w.frames)); err != nil {
		return Summary{}, err
	}
	if err := durable.Sync(w.file); err != nil {
		return Summary{}, fmt.Errorf("sync recording: %w", err)
	}
	return w.settle(end)
}

// load opens a .part and cuts it back to its good frames. Where the last of
// them has the end, that is returned too, if the caller wants such a file.
func load(path string, o Options, wantEnded bool) (_ *Writer, _ *session.Event, err error) {
	if !strings.HasSuffix(path, PartSuffix) {
		return nil, nil, fmt.Errorf("%s: not the name of an open recording", path)
	}
	f, err := openLocked(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	w := &Writer{pool: o.pool(), path: path, file: f, tally: newTally(), sum: sha256.New()}
	end, bad := w.replay()
	switch {
	case bad != nil && !errors.Is(bad, ErrCorrupt) && !errors.Is(bad, errShort):
		return nil, nil, fmt.Errorf("%s: %w", path, bad) // cannot be read: no reason to cut
	case len(w.frames) == 0 && bad != nil && errors.Is(bad, ErrCorrupt):
		return nil, nil, fmt.Errorf("%s: %w", path, bad)
	case len(w.frames) == 0:
		return nil, nil, fmt.Errorf("%s: %w: no header", path, ErrTorn)
	case end != nil && !wantEnded:
		return nil, nil, fmt.Errorf("%s: %w", path, ErrEnded)
	}
	if err := w.cutBack(errors.Is(bad, ErrCorrupt)); err != nil {
		return nil, nil, err
	}
	if err := os.Remove(path + mergeName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	return w, end, nil
}

// openLocked opens path for one writer. The file may get its final name, or a
// joined file may take its place, between opening and locking.
func openLocked(path string) (*os.File, error) {
	if st, err := os.Stat(path); err != nil {
		return nil, err
	} else if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := durable.Lock(f); err != nil {
		f.Close()
		return nil, err
	}
	mine, err := f.Stat()
	now, nerr := os.Stat(path)
	if err = errors.Join(err, nerr); err == nil && !os.SameFile(mine, now) {
		err = fmt.Errorf("%s: %w", path, durable.ErrLocked)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// replay takes in every good frame from the start of the file. It stops at the
// first that is not good, with the reason, or after the end line.
func (w *Writer) replay() (end *session.Event, err error) {
	u := unframer{r: w.file}
	var ev session.Event
	for {
		f, err := u.at(w.size)
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if f.skip {
			return nil, fmt.Errorf("%w: skippable frame before the end", ErrCorrupt)
		}
		text, err := u.decode(f)
		if err != nil {
			return nil, err
		}
		if err := w.checkFrame(text, &ev); err != nil {
			return nil, err
		}
		w.frames = append(w.frames, entry{uint32(len(f.raw)), uint32(len(text))})
		w.size += int64(len(f.raw))
		w.sum.Write(f.raw)
		if ev.Type == session.TypeEnd {
			return &ev, nil
		}
	}
}

// checkFrame parses all lines of a frame before it counts any, so that a bad
// frame leaves the totals alone. ev is the last event afterwards.
func (w *Writer) checkFrame(text []byte, ev *session.Event) error {
	rest := text
	meta := w.meta
	if len(w.frames) == 0 {
		line, after, _ := bytes.Cut(text, []byte{'\n'})
		m, err := decodeMeta(line)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		meta, text = m, after
		rest = after
	}
	for len(rest) > 0 {
		line, after, _ := bytes.Cut(rest, []byte{'\n'})
		if err := DecodeLine(line, ev); err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		if ev.Type == session.TypeEnd && len(after) > 0 {
			return fmt.Errorf("%w: line after the end", ErrCorrupt)
		}
		rest = after
	}
	w.meta = meta
	for len(text) > 0 {
		line, after, _ := bytes.Cut(text, []byte{'\n'})
		if err := DecodeLine(line, ev); err != nil { // as above
			return err
		}
		w.add(ev)
		text = after
	}
	return nil
}

// cutBack makes the file end where its good part ends. keep says that what
// follows is more than the unfinished tail of one write.
func (w *Writer) cutBack(keep bool) error {
	st, err := w.file.Stat()
	if err != nil {
		return err
	}
	tail := st.Size() - w.size
	if tail == 0 {
		return nil
	}
	if keep || tail > maxPacked {
		if err := w.keepTail(tail); err != nil {
			return fmt.Errorf("keep %d unreadable bytes: %w", tail, err)
		}
	}
	if err := w.file.Truncate(w.size); err != nil {
		return err
	}
	return durable.Sync(w.file)
}

func (w *Writer) keepTail(n int64) error {
	f, err := os.OpenFile(w.path+cutSuffix, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.NewSectionReader(w.file, w.size, n))
	if err == nil {
		err = durable.Sync(f)
	}
	return errors.Join(err, f.Close())
}
