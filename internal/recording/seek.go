package recording

import (
	"bytes"
	"errors"
	"io"
	"sort"
	"time"

	"github.com/kubetape/kubetape/internal/session"
)

func (l *framed) seek(t time.Time) error {
	starts, err := l.starts()
	if err != nil {
		return err
	}
	// Times never go back, so the first event at or after t is in the last frame
	// that begins before t, or is the first line of the one after it. Frame 0
	// begins with the header.
	var bad error
	i := sort.Search(len(starts)-1, func(i int) bool {
		first, err := l.firstTime(starts[i+1])
		if err != nil {
			bad = errors.Join(bad, err)
			return true
		}
		return !first.Before(t)
	})
	if bad != nil {
		return bad
	}
	l.off, l.rest, l.n = 0, nil, 0
	l.jumped, l.seen = i > 0, nil
	if i < len(starts) {
		l.off = starts[i]
	}
	if l.off == 0 {
		_, err := l.next(false) // the header
		return err
	}
	return nil
}

// starts returns where the frames begin, by the seek table or, where there is
// none, by walking the file without decoding it.
func (l *framed) starts() ([]int64, error) {
	st, err := l.file.Stat()
	if err != nil {
		return nil, err
	}
	es, ok, err := readTable(l.file, st.Size())
	if err != nil {
		return nil, err
	}
	var starts []int64
	var off int64
	if ok {
		for _, e := range es {
			starts = append(starts, off)
			off += int64(e.packed)
		}
		return starts, nil
	}
	for {
		f, err := l.unframer.at(off)
		if err == io.EOF || errors.Is(err, errShort) || errors.Is(err, ErrCorrupt) {
			return starts, nil // Next says what is wrong, when it gets there
		}
		if err != nil {
			return nil, err
		}
		if !f.skip {
			starts = append(starts, off)
		}
		off += int64(len(f.raw))
	}
}

// firstTime returns the time of the first line of the frame at off.
func (l *framed) firstTime(off int64) (time.Time, error) {
	f, err := l.unframer.at(off)
	if err == io.EOF || err == errShort {
		err = ErrCorrupt
	}
	if err != nil {
		return time.Time{}, err
	}
	if f.skip {
		return time.Time{}, ErrCorrupt
	}
	text, err := l.decode(f)
	if err != nil {
		return time.Time{}, err
	}
	line, _, _ := bytes.Cut(text, []byte{'\n'})
	var ev session.Event
	if err := DecodeLine(line, &ev); err != nil {
		return time.Time{}, asCorrupt(err)
	}
	return ev.T, nil
}
