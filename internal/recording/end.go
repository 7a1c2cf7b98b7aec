package recording

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/kubetape/kubetape/internal/durable"
	"github.com/kubetape/kubetape/internal/session"
)

// Summary describes a recording that has its end.
type Summary struct {
	Path    string // of the finished file
	SHA256  string // of the file, lower-case hex
	Size    int64  // of the file, in bytes
	Status  session.Status
	EndedAt time.Time
	Streams map[session.Stream]session.Totals
}

// End writes the end of the recording, with the totals and digests filled in,
// makes the file durable and gives it its final name. A status of complete
// becomes lossy when a loss was written. Frames that frequent flushes made
// small are joined on the way, in a copy of the file: until that is in place,
// the .part is whole.
//
// An error while writing leaves the Writer open and everything it accepted in
// it: End may be called again, or Abandon. After any other error, and after
// success, the Writer is closed; what a failed sync or rename left behind is
// finished by Recover.
func (w *Writer) End(ev session.Event) (Summary, error) {
	if w.closed {
		return Summary{}, ErrClosed
	}
	if err := w.appendEnd(&ev); err != nil {
		return Summary{}, err
	}
	w.closed = true
	defer func() {
		if w.closed {
			w.file.Close()
		}
	}()
	if err := durable.Sync(w.file); err != nil {
		return Summary{}, fmt.Errorf("sync recording: %w", err)
	}
	return w.settle(&ev)
}

// settle gives the file, which is whole and synced, its final name.
func (w *Writer) settle(end *session.Event) (Summary, error) {
	final := strings.TrimSuffix(w.path, PartSuffix) + Suffix
	if err := durable.Rename(w.path, final); err != nil {
		return Summary{}, fmt.Errorf("finish recording: %w", err)
	}
	return Summary{
		Path: final, SHA256: hex.EncodeToString(w.sum.Sum(nil)), Size: w.size,
		Status: end.Status, EndedAt: end.T, Streams: end.Streams,
	}, nil
}

// appendEnd completes ev and brings everything that is left into the file: the
// text, the end line and the seek table. Where the text is long the end gets a
// frame of its own, so that ReadInfo has little to read.
func (w *Writer) appendEnd(ev *session.Event) error {
	ev.Type = session.TypeEnd
	if ev.T.IsZero() {
		ev.T = w.meta.StartedAt
	}
	if ev.T.Before(w.last) {
		ev.T = w.last
	}
	if ev.Status == session.Complete && w.losses > 0 {
		ev.Status = session.Lossy
	}
	ev.Streams = w.streams(w.meta.TTY)
	line, err := w.enc.line(nil, ev)
	if err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	if len(w.text) > endAlone {
		if err := w.cut(); err != nil {
			return err
		}
	}
	n := len(w.text)
	if n+len(line) > cap(w.text) { // a borrowed buffer must not be grown
		text := append(make([]byte, 0, n+len(line)), w.text...)
		w.text = w.text[:0]
		w.release()
		w.text = text
	}
	w.text = append(w.text, line...)
	if !w.worthJoining() || w.join() != nil {
		// Also where joining failed, for one on a disk too full for a copy.
		if err := w.finish(); err != nil {
			w.text = w.text[:n]
			return err
		}
	}
	w.add(ev)
	w.text = w.text[:0]
	w.release()
	return nil
}

// finish appends the last text and the seek table.
func (w *Writer) finish() error {
	return w.pool.compress(w.text, func(packed []byte) error {
		frames := append(w.frames, entry{uint32(len(packed)), uint32(len(w.text))})
		// In one write, so that the end is not there without the table unless
		// the crash comes in the middle of it.
		return w.put(appendTable(append([]byte(nil), packed...), frames))
	})
}

// worthJoining says whether a copy of the file pays: it is short, or small
// frames are a fair share of it. A large recording that only ends in a few of
// them is not copied for their sake.
func (w *Writer) worthJoining() bool {
	var small int64
	for _, e := range w.frames {
		if int(e.text) < w.pool.frame/8 {
			small += int64(e.packed)
		}
	}
	return w.textLen() <= repackText || small*8 >= w.size
}

// textLen is how much text is in the file.
func (w *Writer) textLen() (n int64) {
	for _, e := range w.frames {
		n += int64(e.text)
	}
	return n
}

// join writes the recording, with its end, to a new file in which runs of small
// frames have become large ones, and puts it in the place of the .part.
func (w *Writer) join() (err error) {
	tmp := w.path + mergeName
	if err := os.Remove(tmp); err != nil && !os.IsNotExist(err) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(tmp)
		}
	}()
	w.pool.merging.Lock()
	defer w.pool.merging.Unlock()
	j := joiner{w: w, m: &w.pool.merge, out: f, sum: sha256.New(), small: w.pool.frame / 8}
	j.slot, j.level = &j.m.tight, joinLevel
	switch n := w.textLen() + int64(len(w.text)); {
	case n > endAlone && n <= shortText:
		best, ok := w.pool.short.Get().(*slot)
		if !ok {
			best = &slot{}
		}
		defer w.pool.short.Put(best)
		j.small, j.slot, j.level = maxPacked, best, shortLevel
	case n <= repackText:
		j.small = maxPacked
	case n > joinText:
		j.slot, j.level = &j.m.fast, liveLevel
	}
	if err := j.run(); err != nil {
		return err
	}
	if err := durable.Sync(f); err != nil {
		return err
	}
	if err := durable.Lock(f); err != nil {
		return err
	}
	// First over the .part and only then to the final name: there are never two
	// files of one recording.
	if err := os.Rename(tmp, w.path); err != nil {
		return err
	}
	w.file.Close() // the joined file has everything that this one has
	w.file, w.frames, w.size, w.sum = f, j.frames, j.size, j.sum
	return nil
}

// joiner is one run of join.
type joiner struct {
	w      *Writer
	m      *merger
	slot   *slot
	level  zstd.EncoderLevel
	small  int // frames with less text are joined, others copied
	out    *os.File
	frames []entry
	size   int64
	sum    hash.Hash
}

func (j *joiner) run() error {
	u := unframer{r: j.w.file}
	j.m.text = j.m.text[:0]
	var off int64
	total := j.w.textLen()
	for i, e := range j.w.frames {
		if i == 1 && total > endAlone { // the header alone: ReadInfo again
			if err := j.pack(); err != nil {
				return err
			}
		}
		f, err := u.at(off)
		if err != nil {
			return err
		}
		off += int64(e.packed)
		if int(e.text) >= j.small {
			if err := j.pack(); err != nil {
				return err
			}
			if err := j.put(f.raw, e.text); err != nil {
				return err
			}
			continue
		}
		text, err := u.decode(f)
		if err != nil {
			return err
		}
		if err := j.add(text); err != nil {
			return err
		}
	}
	if len(j.m.text) > endAlone {
		if err := j.pack(); err != nil {
			return err
		}
	}
	if err := j.add(j.w.text); err != nil {
		return err
	}
	if err := j.pack(); err != nil {
		return err
	}
	return j.write(appendTable(nil, j.frames))
}

func (j *joiner) add(text []byte) error {
	if len(j.m.text)+len(text) > j.w.pool.frame {
		if err := j.pack(); err != nil {
			return err
		}
	}
	j.m.text = append(j.m.text, text...)
	return nil
}

func (j *joiner) pack() error {
	if len(j.m.text) == 0 {
		return nil
	}
	n := len(j.m.text)
	packed := j.slot.pack(j.m.text, j.level)
	j.m.text = j.m.text[:0]
	return j.put(packed, uint32(n))
}

func (j *joiner) put(packed []byte, text uint32) error {
	j.frames = append(j.frames, entry{uint32(len(packed)), text})
	return j.write(packed)
}

func (j *joiner) write(b []byte) error {
	if _, err := j.out.WriteAt(b, j.size); err != nil {
		return err
	}
	j.size += int64(len(b))
	j.sum.Write(b)
	return nil
}
