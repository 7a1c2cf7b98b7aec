package replay

import (
	"io"
	"time"

	"github.com/kubetape/kubetape/internal/session"
)

var start = time.Date(2026, 2, 9, 10, 15, 30, 0, time.UTC)

// list is a tape in memory. After its last event it returns end, or io.EOF.
type list struct {
	events []session.Event
	i      int
	end    error
}

func (l *list) Next() (session.Event, error) {
	if l.i >= len(l.events) {
		if l.end != nil {
			return session.Event{}, l.end
		}
		return session.Event{}, io.EOF
	}
	l.i++
	return l.events[l.i-1], nil
}

func (l *list) Rewind() error { l.i = 0; return nil }

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

func out(ms int, s string) session.Event {
	return session.Event{T: at(ms), Type: session.TypeStdout, Data: []byte(s)}
}

func ev(ms int, t session.Type, s string) session.Event {
	return session.Event{T: at(ms), Type: t, Data: []byte(s)}
}

func size(ms, cols, rows int) session.Event {
	return session.Event{T: at(ms), Type: session.TypeResize, Cols: cols, Rows: rows}
}

func exit(ms, code int) session.Event {
	return session.Event{T: at(ms), Type: session.TypeEnd, Status: session.Complete, ExitCode: &code}
}
