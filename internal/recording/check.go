package recording

import (
	"errors"
	"fmt"
	"math"

	"github.com/kubetape/kubetape/internal/session"
)

// Ranges that hold for any machine that kubetape runs on; what is outside them
// was not written by a recorder.
const (
	maxPID    = 1 << 22 // PID_MAX_LIMIT of 64-bit Linux
	maxUID    = math.MaxInt & (1<<32 - 1)
	maxWindow = 1<<16 - 1 // struct winsize has 16-bit fields
	maxSignal = 64
	maxMasked = math.MaxInt & (1<<40 - 1)
	maxBytes  = 1 << 60
)

// check says what is wrong with an event, for Writer and reader alike.
func check(ev *session.Event) error {
	if y := ev.T.UTC().Year(); y < 1 || y > 9999 || ev.T.IsZero() {
		return errors.New("time is out of range")
	}
	switch ev.Type {
	case session.TypeStdin:
		if ev.Masked < 0 || ev.Masked > maxMasked {
			return fmt.Errorf("stdin: masked count %d is out of range", ev.Masked)
		}
		if ev.Masked > 0 && len(ev.Data) > 0 {
			return errors.New("stdin: both data and a masked count")
		}
	case session.TypeStdout, session.TypeStderr:
		if ev.Masked != 0 {
			return fmt.Errorf("%s: only stdin can be masked", ev.Type)
		}
	case session.TypeResize:
		return inRange("resize", field{"cols", ev.Cols, 0, maxWindow}, field{"rows", ev.Rows, 0, maxWindow})
	case session.TypeExec:
		return inRange("exec", field{"pid", ev.PID, 0, maxPID}, field{"ppid", ev.PPID, 0, maxPID},
			field{"uid", ev.UID, -1, maxUID}, field{"argv_cut", ev.ArgvCut, 0, maxMasked})
	case session.TypeExit:
		return inRange("exit", field{"pid", ev.PID, 0, maxPID}, field{"signal", ev.Signal, 0, maxSignal},
			codeField(ev.ExitCode))
	case session.TypeLoss:
		if ev.Stream != "" && ev.Stream.Index() < 0 {
			return fmt.Errorf("loss: unknown stream %.32q", string(ev.Stream))
		}
		if ev.Bytes < -1 || ev.Bytes > maxBytes {
			return fmt.Errorf("loss: byte count %d is out of range", ev.Bytes)
		}
	case session.TypeResume:
	case session.TypeEnd:
		return checkEnd(ev)
	default:
		return fmt.Errorf("unknown type of event %.32q", string(ev.Type))
	}
	return nil
}

func checkEnd(ev *session.Event) error {
	switch ev.Status {
	case session.Complete, session.Lossy, session.Torn:
	default:
		return fmt.Errorf("end: unknown status %.32q", string(ev.Status))
	}
	for s, t := range ev.Streams {
		if s.Index() < 0 {
			return fmt.Errorf("end: unknown stream %.32q", string(s))
		}
		if t.Bytes < 0 || t.Masked < 0 || t.Lost < 0 {
			return fmt.Errorf("end: negative count for %s", s)
		}
		if !isDigest(t.SHA256) {
			return fmt.Errorf("end: sha256 of %s is not a digest", s)
		}
	}
	return inRange("end", field{"signal", ev.Signal, 0, maxSignal}, codeField(ev.ExitCode))
}

type field struct {
	name        string
	val, lo, hi int
}

// codeField allows what wait(2) and Windows-minded runtimes report; -1 is used
// by some runtimes for "not known".
func codeField(code *int) field {
	f := field{"exit_code", 0, -1, maxUID}
	if code != nil {
		f.val = *code
	}
	return f
}

func inRange(what string, fs ...field) error {
	for _, f := range fs {
		if f.val < f.lo || f.val > f.hi {
			return fmt.Errorf("%s: %s %d is out of range", what, f.name, f.val)
		}
	}
	return nil
}

func isDigest(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// checkMeta says what is wrong with a header.
func checkMeta(m *session.Meta) error {
	switch {
	case m.V > session.FormatVersion:
		return fmt.Errorf("%w: %d", ErrVersion, m.V)
	case m.V < 1:
		return fmt.Errorf("header: version %d is not one", m.V)
	case !m.ID.Valid():
		return fmt.Errorf("header: %w: %.80q", session.ErrBadID, string(m.ID))
	case m.Kind != m.ID.Kind():
		return fmt.Errorf("header: kind %.32q is not that of id %s", string(m.Kind), m.ID)
	case m.Observer != session.Node && m.Observer != session.API:
		return fmt.Errorf("header: unknown observer %.32q", string(m.Observer))
	case m.Stdin != "" && !m.Stdin.Valid():
		return fmt.Errorf("header: unknown stdin policy %.32q", string(m.Stdin))
	case m.StartedAt.IsZero() || m.StartedAt.Year() < 1 || m.StartedAt.Year() > 9999:
		return errors.New("header: started_at is missing or out of range")
	}
	return inRange("header", field{"cols", m.Cols, 0, maxWindow}, field{"rows", m.Rows, 0, maxWindow})
}
