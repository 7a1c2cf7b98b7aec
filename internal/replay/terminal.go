package replay

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/internal/termsafe"
)

// maxBehind bounds what is kept of the output on the way to another place, in
// bytes. It is some thousand screens; what lies before cannot be seen any more,
// but for what a full-screen program drew once and never again.
const maxBehind = 8 << 20

// Terminal is a Screen that writes what the session's terminal showed, through
// package termsafe. Set the fields before the first call; call Close at the end,
// however the replay ended.
type Terminal struct {
	Out  io.Writer // stdout of the session
	Err  io.Writer // stderr of the session, of sessions without a terminal
	Raw  bool      // no filter
	Live bool      // Out is a person's terminal: it is cleared for seeking, and put back at the end
	CRLF bool      // the terminal's own output processing is off: a bare newline needs a carriage return
	// Title shows the status in the title of the terminal's window: the one place
	// that the replayed screen does not share.
	Title  bool
	Name   string                  // of the recording, for the title
	Length time.Duration           // of the recording, for the title; 0: not known
	Size   func() (cols, rows int) // of the terminal, now; nil or 0: not known
	// Note is called with each thing that is not output: a loss, a restart of the
	// recorder. at is the time since the beginning, as of the last Status.
	Note func(ev session.Event)

	out, err   sink
	skipping   bool
	behind     []piece
	behindSize int
	cut        bool // pieces were left out of behind
	lost       int64
	cols, rows int // of the recorded terminal
	status     Status
	titled     bool
}

// sink is the way of one stream.
type sink struct {
	filter termsafe.Filter
	buf    []byte
	lastCR bool
}

// piece is output that waits for the end of a Skip.
type piece struct {
	w      io.Writer
	data   []byte
	before termsafe.State
}

// Show implements Screen.
func (t *Terminal) Show(ev session.Event) error {
	switch ev.Type {
	case session.TypeStdout:
		return t.write(t.Out, &t.out, ev.Data)
	case session.TypeStderr:
		return t.write(t.Err, &t.err, ev.Data)
	case session.TypeResize:
		t.cols, t.rows = ev.Cols, ev.Rows
		t.title()
	case session.TypeLoss:
		t.lost += max(ev.Bytes, 0)
		fallthrough
	case session.TypeResume:
		if t.Note != nil {
			t.Note(ev)
		}
		t.title()
	}
	return nil
}

func (t *Terminal) write(w io.Writer, s *sink, data []byte) error {
	before := s.filter.State()
	if t.Raw {
		s.buf = append(s.buf[:0], data...)
	} else {
		s.buf = s.filter.Append(s.buf[:0], data)
	}
	out := s.buf
	if t.CRLF {
		out = s.crlf(out)
	}
	if len(out) == 0 {
		return nil
	}
	if !t.skipping {
		_, err := w.Write(out)
		return err
	}
	if !t.Live { // a file gets what lies between from and to, nothing else
		return nil
	}
	t.behind = append(t.behind, piece{w, append([]byte(nil), out...), before})
	t.behindSize += len(out)
	for t.behindSize > maxBehind && len(t.behind) > 1 {
		t.behindSize -= len(t.behind[0].data)
		t.behind, t.cut = t.behind[1:], true
	}
	return nil
}

// crlf puts a carriage return before each bare newline.
func (s *sink) crlf(b []byte) []byte {
	var out []byte
	from := 0
	for i, c := range b {
		if c == '\n' && !s.lastCR {
			out = append(append(out, b[from:i]...), '\r')
			from = i
		}
		s.lastCR = c == '\r'
	}
	if out == nil {
		return b
	}
	return append(out, b[from:]...)
}

// Skip implements Screen.
func (t *Terminal) Skip(back bool) {
	t.skipping = true
	if !back {
		return
	}
	t.lost = 0
	if !t.Live {
		return
	}
	clear := piece{w: t.Out, data: append(t.reset(), termsafe.Clear...)}
	t.behind, t.behindSize = append(t.behind[:0], clear), len(clear.data)
	t.out, t.err = sink{}, sink{}
}

// Land implements Screen.
func (t *Terminal) Land() error {
	t.skipping = false
	var err error
	if t.cut && len(t.behind) > 0 {
		first := t.behind[0]
		_, err = t.Out.Write(append(append(t.reset(), termsafe.Clear...), first.before.Enter()...))
	}
	for _, p := range t.behind {
		if err == nil {
			_, err = p.w.Write(p.data)
		}
	}
	t.behind, t.behindSize, t.cut = nil, 0, false
	return err
}

// reset returns what puts the terminal back.
func (t *Terminal) reset() []byte {
	if t.Raw {
		return []byte(termsafe.RawReset)
	}
	return t.out.filter.State().Reset()
}

// Status implements Screen.
func (t *Terminal) Status(s Status) {
	t.status = s
	t.title()
}

// title writes the status. Its errors are those of the output, which says them.
func (t *Terminal) title() {
	if !t.Title || t.skipping {
		return
	}
	line := ""
	if !t.titled {
		line, t.titled = "\x1b[22;2t", true // keep the old title
	}
	_, _ = io.WriteString(t.Out, line+"\x1b]2;"+termsafe.Line(t.StatusLine())+"\x1b\\")
}

// StatusLine returns the status as one line.
func (t *Terminal) StatusLine() string {
	s := t.Name + " " + Offset(t.status.At)
	if t.Length > 0 {
		s += "/" + Offset(t.Length)
	}
	switch {
	case t.status.Paused:
		s += " paused"
	case math.IsInf(t.status.Speed, 1):
		s += " max"
	default:
		s += fmt.Sprintf(" %gx", t.status.Speed)
	}
	if t.lost > 0 {
		s += fmt.Sprintf(" · %d bytes lost", t.lost)
	}
	if hint := t.hint(); hint != "" {
		s += " · " + hint
	}
	return s
}

// Resize tells the size with which the recorded terminal began.
func (t *Terminal) Resize(cols, rows int) { t.cols, t.rows = cols, rows }

func (t *Terminal) hint() string {
	if t.Size == nil {
		return ""
	}
	cols, rows := t.Size()
	return SizeHint(t.cols, t.rows, cols, rows)
}

// SizeHint says that a terminal of cols × rows is too small for what was recorded
// on recCols × recRows, or nothing.
func SizeHint(recCols, recRows, cols, rows int) string {
	if cols <= 0 || rows <= 0 || cols >= recCols && rows >= recRows {
		return ""
	}
	return fmt.Sprintf("recorded on %dx%d, shown on %dx%d", recCols, recRows, cols, rows)
}

// Removed returns how many controls and sequences the filter dropped.
func (t *Terminal) Removed() int { return t.out.filter.Removed() + t.err.filter.Removed() }

// Close writes what the filter held back, and puts the terminal back.
func (t *Terminal) Close() error {
	if t.skipping { // ended on the way
		if err := t.Land(); err != nil {
			return err
		}
	}
	if !t.Raw {
		for _, s := range []struct {
			w io.Writer
			s *sink
		}{{t.Out, &t.out}, {t.Err, &t.err}} {
			if b := s.s.filter.Finish(nil); len(b) > 0 {
				if _, err := s.w.Write(b); err != nil {
					return err
				}
			}
		}
	}
	if !t.Live {
		return nil
	}
	end := t.reset()
	if t.titled {
		end = append(end, "\x1b[23;2t"...)
	}
	_, err := t.Out.Write(end)
	return err
}

// Offset writes a time since the beginning as [h:]mm:ss.
func Offset(d time.Duration) string {
	s := int64(d / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%02d:%02d", s/60, s%60)
}
