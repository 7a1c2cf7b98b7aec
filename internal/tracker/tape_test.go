package tracker

import (
	"fmt"
	"maps"
	"slices"

	"github.com/kubetape/kubetape/internal/session"
)

// text puts together what is kept of a stream.
func (tp *tape) text(stream session.Stream) string {
	var b []byte
	for _, e := range tp.events {
		if e.Type.Stream() == stream {
			b = append(b, e.Data...)
		}
	}
	return string(b)
}

// lines is a short form of a recording's events.
func (tp *tape) lines() (out []string) {
	for _, e := range tp.events {
		switch e.Type {
		case session.TypeLoss:
			out = append(out, fmt.Sprintf("loss %s %d %s", e.Stream, e.Bytes, e.Why))
		case session.TypeExec:
			out = append(out, fmt.Sprintf("exec %d %q", e.PID, e.Argv))
		case session.TypeExit:
			out = append(out, fmt.Sprintf("exit %d %s", e.PID, status(e)))
		case session.TypeResize:
			out = append(out, fmt.Sprintf("resize %dx%d", e.Cols, e.Rows))
		case session.TypeResume:
			out = append(out, "resume "+e.Why)
		default:
			if e.Masked > 0 {
				out = append(out, fmt.Sprintf("%s masked %d", e.Type, e.Masked))
				continue
			}
			out = append(out, fmt.Sprintf("%s %q", e.Type, e.Data))
		}
	}
	if tp.end != nil {
		out = append(out, fmt.Sprintf("end %s %s", tp.end.Status, status(*tp.end)))
	}
	return out
}

func status(e session.Event) string {
	switch {
	case e.Signal != 0:
		return fmt.Sprintf("signal %d", e.Signal)
	case e.ExitCode != nil:
		return fmt.Sprintf("code %d", *e.ExitCode)
	}
	return "unknown"
}

func (s *stage) wantLines(sid uint64, want ...string) {
	s.t.Helper()
	if got := s.tape(sid).lines(); !slices.Equal(got, want) {
		s.t.Errorf("session %d holds\n\t%q\nwant\n\t%q", sid, got, want)
	}
}

func (s *stage) wantNone() {
	s.t.Helper()
	if len(s.tapes) != 0 {
		s.t.Errorf("recordings of %v, want none", slices.Collect(maps.Keys(s.tapes)))
	}
}
