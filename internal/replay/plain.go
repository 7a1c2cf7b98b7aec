package replay

import (
	"bufio"
	"encoding/base64"
	"errors"
	"io"
	"time"

	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/internal/termsafe"
)

// Plain writes the seed's plain form: one JSON line for each piece of stdin,
// stdout and stderr, with the time, the direction and the bytes in base64, and
// nothing else. The bytes are exact; what was masked or lost has no line. Where
// src ends with an error, what came before is written, and the error returned.
func Plain(w io.Writer, src Source) error {
	bw := bufio.NewWriterSize(w, 64<<10)
	var line []byte
	var err error
	for {
		var ev session.Event
		if ev, err = src.Next(); err != nil {
			break
		}
		if ev.Type.Stream() == "" || len(ev.Data) == 0 {
			continue
		}
		line = append(line[:0], `{"t":"`...)
		line = ev.T.UTC().AppendFormat(line, timeForm(ev.T))
		line = append(line, `","d":"`...)
		line = append(line, ev.Type...)
		line = append(line, `","b":"`...)
		line = base64.StdEncoding.AppendEncode(line, ev.Data)
		line = append(line, '"', '}', '\n')
		if _, err := bw.Write(line); err != nil {
			return err
		}
	}
	return finish(bw, err)
}

// timeForm is RFC 3339 with milliseconds, as the seed has it, or with
// microseconds where there are any.
func timeForm(t time.Time) string {
	if t.Nanosecond()/1000%1000 == 0 {
		return "2006-01-02T15:04:05.000Z"
	}
	return "2006-01-02T15:04:05.000000Z"
}

// Text writes what the session showed as readable lines (see
// [termsafe.Transcript]). Where src ends with an error, what came before is
// written, and the error returned.
func Text(w io.Writer, src Source) error {
	bw := bufio.NewWriterSize(w, 64<<10)
	out, errs := termsafe.Transcript{W: bw}, termsafe.Transcript{W: bw}
	var err error
	for {
		var ev session.Event
		if ev, err = src.Next(); err != nil {
			break
		}
		t := &out
		switch ev.Type {
		case session.TypeStderr:
			t = &errs
		case session.TypeStdout:
		default:
			continue
		}
		if _, err := t.Write(ev.Data); err != nil {
			return err
		}
	}
	for _, t := range []*termsafe.Transcript{&out, &errs} {
		if e := t.Close(); e != nil {
			return e
		}
	}
	return finish(bw, err)
}

// finish flushes, and turns the proper end of a source into nil.
func finish(bw *bufio.Writer, err error) error {
	if e := bw.Flush(); e != nil {
		return e
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
