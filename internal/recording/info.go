package recording

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/kubetape/kubetape/internal/session"
)

// Info is what a list shows of a recording.
type Info struct {
	Path string
	Size int64 // of the file, in bytes
	Meta session.Meta
	// Status is that of the end line. Open: a .part, which is being written or
	// was left by a crash. Torn: a file without a readable end. Empty: the
	// seed's plain form, which says nothing of how it ended.
	Status   session.Status
	EndedAt  time.Time // zero when not known
	ExitCode *int      // nil when not known
	Signal   int
	Why      string
	Streams  map[session.Stream]session.Totals
	Damage   string // why the end could not be read; empty when it could
	Plain    bool   // the seed's plain form
}

// ReadInfo reads the header and the end line of a recording: two small frames,
// whatever the size of the file. It checks their checksums and nothing else;
// for the rest there is Verify. Path and Size are set also with an error, which
// is returned when the file has no readable header.
func ReadInfo(path string) (Info, error) {
	info := Info{Path: path}
	r, err := Open(path)
	if err != nil {
		if st, serr := os.Stat(path); serr == nil {
			info.Size = st.Size()
		}
		return info, err
	}
	defer r.Close()
	st, err := r.file.Stat()
	if err != nil {
		return info, err
	}
	info.Size, info.Meta = st.Size(), r.meta
	var end session.Event
	switch l := r.lines.(type) {
	case *plain:
		if info.Plain = l.seed; l.seed {
			return info, nil
		}
		end, err = l.end(info.Size)
	case *framed:
		if strings.HasSuffix(path, PartSuffix) {
			info.Status = session.Open
			return info, nil
		}
		end, err = l.end(info.Size)
	}
	if err != nil {
		info.Status, info.Damage = session.Torn, err.Error()
		return info, nil
	}
	info.Status, info.EndedAt, info.Streams = end.Status, end.T, end.Streams
	info.ExitCode, info.Signal, info.Why = end.ExitCode, end.Signal, end.Why
	return info, nil
}

// end reads the end line by the seek table.
func (l *framed) end(size int64) (session.Event, error) {
	es, ok, err := readTable(l.file, size)
	if err != nil {
		return session.Event{}, err
	}
	if !ok || len(es) == 0 {
		return session.Event{}, fmt.Errorf("%w: no seek table", ErrTorn)
	}
	var off int64
	for _, e := range es[:len(es)-1] {
		off += int64(e.packed)
	}
	f, err := l.unframer.at(off)
	if err != nil {
		return session.Event{}, fmt.Errorf("%w: last frame", ErrCorrupt)
	}
	text, err := l.decode(f)
	if err != nil {
		return session.Event{}, err
	}
	return parseEnd(text)
}

// end looks for the end line in the last bytes of a plain file.
func (p *plain) end(size int64) (session.Event, error) {
	b := make([]byte, min(size, 64<<10))
	if _, err := p.file.ReadAt(b, size-int64(len(b))); err != nil {
		return session.Event{}, err
	}
	return parseEnd(b)
}

// parseEnd parses the last line of text.
func parseEnd(text []byte) (session.Event, error) {
	var ev session.Event
	text, ok := bytes.CutSuffix(text, []byte{'\n'})
	if !ok {
		return ev, ErrTorn
	}
	if i := bytes.LastIndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	if err := DecodeLine(text, &ev); err != nil {
		return ev, asCorrupt(err)
	}
	if ev.Type != session.TypeEnd {
		return ev, ErrTorn
	}
	return ev, nil
}
