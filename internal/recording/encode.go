package recording

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/kubetape/kubetape/internal/session"
)

// timeLayout is the one spelling of time that Writer uses: UTC, six digits.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// AppendLine appends ev as one line, with its line end, to dst. The three
// streams, which are nearly all of a recording, are spelled without reflection.
// It returns dst unchanged with an error for an event that no reader would take.
func AppendLine(dst []byte, ev *session.Event) ([]byte, error) {
	var e encoder
	return e.line(dst, ev)
}

// encoder keeps the spelling of the last second, since that is most of the cost
// of a time stamp. The zero value is ready.
type encoder struct {
	second int64
	text   [20]byte // 2006-01-02T15:04:05.
}

func (e *encoder) line(dst []byte, ev *session.Event) ([]byte, error) {
	if err := check(ev); err != nil {
		return dst, err
	}
	n := len(dst)
	dst = append(dst, `{"t":"`...)
	dst = e.time(dst, ev.T)
	dst = append(dst, `","d":"`...)
	dst = append(dst, ev.Type...)
	switch {
	case ev.Type.Stream() != "" && ev.Masked > 0:
		dst = append(dst, `","masked":`...)
		dst = strconv.AppendInt(dst, int64(ev.Masked), 10)
		return append(dst, '}', '\n'), nil
	case ev.Type.Stream() != "":
		dst = appendData(append(dst, `",`...), ev.Data)
		if len(dst)-n+1 > MaxLine {
			return dst[:n], fmt.Errorf("encode %s event: line of %d bytes is too long", ev.Type, len(dst)-n)
		}
		return append(dst, '}', '\n'), nil
	}
	dst = append(dst, '"')
	rest, err := json.Marshal(fields(ev))
	if err != nil {
		return dst[:n], fmt.Errorf("encode %s event: %w", ev.Type, err)
	}
	if len(rest) > 2 { // more than {}
		dst = append(dst, ',')
		dst = append(dst, rest[1:len(rest)-1]...)
	}
	if len(dst)-n+1 > MaxLine {
		return dst[:n], fmt.Errorf("encode %s event: line of %d bytes is too long", ev.Type, len(dst)-n)
	}
	return append(dst, '}', '\n'), nil
}

func (e *encoder) time(dst []byte, t time.Time) []byte {
	sec := t.Unix()
	if sec != e.second || e.text[0] == 0 {
		t.UTC().AppendFormat(e.text[:0], "2006-01-02T15:04:05.")
		e.second = sec
	}
	dst = append(dst, e.text[:]...)
	us := t.Nanosecond() / 1000
	return append(dst,
		byte('0'+us/100000), byte('0'+us/10000%10), byte('0'+us/1000%10),
		byte('0'+us/100%10), byte('0'+us/10%10), byte('0'+us%10), 'Z')
}

// The fields after t and d of the lines that are not streams, in the order in
// which they are written. A pointer is a field that may be absent but whose
// zero counts.
type (
	resizeFields struct {
		Cols int `json:"cols"`
		Rows int `json:"rows"`
	}
	execFields struct {
		PID     int            `json:"pid"`
		PPID    int            `json:"ppid"`
		UID     int            `json:"uid"`
		Argv    []session.Text `json:"argv"`
		ArgvCut int            `json:"argv_cut,omitempty"`
	}
	exitFields struct {
		PID      int  `json:"pid"`
		ExitCode *int `json:"exit_code,omitempty"`
		Signal   int  `json:"signal,omitempty"`
	}
	lossFields struct {
		Stream session.Stream `json:"stream,omitempty"`
		Bytes  int64          `json:"bytes"`
		Why    string         `json:"why,omitempty"`
	}
	resumeFields struct {
		Why string `json:"why,omitempty"`
	}
	endFields struct {
		Status   session.Status                    `json:"status"`
		ExitCode *int                              `json:"exit_code,omitempty"`
		Signal   int                               `json:"signal,omitempty"`
		Why      string                            `json:"why,omitempty"`
		Streams  map[session.Stream]session.Totals `json:"streams"`
	}
)

func fields(ev *session.Event) any {
	switch ev.Type {
	case session.TypeResize:
		return resizeFields{ev.Cols, ev.Rows}
	case session.TypeExec:
		argv, cut := cutArgv(ev.Argv, ev.ArgvCut)
		return execFields{ev.PID, ev.PPID, ev.UID, argv, cut}
	case session.TypeExit:
		return exitFields{ev.PID, ev.ExitCode, ev.Signal}
	case session.TypeLoss:
		return lossFields{ev.Stream, ev.Bytes, ev.Why}
	case session.TypeResume:
		return resumeFields{ev.Why}
	default: // check lets only end come here
		return endFields{ev.Status, ev.ExitCode, ev.Signal, ev.Why, ev.Streams}
	}
}

// cutArgv keeps the first maxArgv bytes of the arguments. An argument costs at
// least a few bytes of text, empty or not, so those count too.
func cutArgv(argv []session.Text, cut int) ([]session.Text, int) {
	const each = 4
	room := maxArgv
	for i, a := range argv {
		if room -= len(a) + each; room >= 0 {
			continue
		}
		for _, lost := range argv[i:] {
			cut += len(lost)
		}
		kept := max(0, len(a)+room)
		out := append(append([]session.Text(nil), argv[:i]...), a[:kept])
		return out, cut - kept
	}
	if argv == nil {
		argv = []session.Text{}
	}
	return argv, cut
}
