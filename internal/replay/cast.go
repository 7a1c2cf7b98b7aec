package replay

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kubetape/kubetape/internal/session"
)

// CastReport says what an asciicast could not hold.
type CastReport struct {
	Events   int
	Replaced int64 // bytes that are not UTF-8, each U+FFFD in the asciicast
	Masked   int64 // bytes of stdin that are not in the recording
	Lost     int64 // bytes known to be missing from the recording
}

// Cast writes tape as an asciicast of version 2 or 3: stdout and stderr as "o",
// stdin as "i", sizes as "r", and in version 3 the exit code as "x". What was
// masked or lost has no event. An asciicast is text, so a character that was cut
// in two is put together at its last byte, and bytes that are not UTF-8 become
// U+FFFD. Newlines of sessions without a terminal get a carriage return, as a
// terminal would have given them.
//
// Where tape ends with an error, what came before is written, and the error
// returned.
//
// https://docs.asciinema.org/manual/asciicast/v2/ and …/v3/
func Cast(w io.Writer, tape Tape, m session.Meta, version int) (CastReport, error) {
	if version != 2 && version != 3 {
		return CastReport{}, fmt.Errorf("asciicast version %d is not known", version)
	}
	cols, rows, err := firstSize(tape, m)
	if err != nil {
		return CastReport{}, err
	}
	bw := bufio.NewWriterSize(w, 64<<10)
	c := &cast{w: bw, v3: version == 3, start: m.StartedAt, crlf: !m.TTY}
	if err := c.header(m, cols, rows); err != nil {
		return c.report, err
	}
	for {
		var ev session.Event
		if ev, err = tape.Next(); err != nil {
			break
		}
		if err = c.event(ev); err != nil {
			return c.report, err
		}
	}
	if e := c.flush(); e != nil {
		return c.report, e
	}
	if e := bw.Flush(); e != nil {
		return c.report, e
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return c.report, err
}

// sizeScan bounds how far firstSize looks, in events.
const sizeScan = 1000

// firstSize returns the size of the terminal at the beginning: the header's, or
// the first that is told later, or 80×24.
func firstSize(tape Tape, m session.Meta) (cols, rows int, err error) {
	if m.Cols > 0 && m.Rows > 0 {
		return m.Cols, m.Rows, nil
	}
	cols, rows = 80, 24
	if !m.TTY {
		return cols, rows, nil
	}
	for range sizeScan {
		ev, err := tape.Next()
		if err != nil { // the same error comes again where it matters
			break
		}
		if ev.Type == session.TypeResize && ev.Cols > 0 && ev.Rows > 0 {
			cols, rows = ev.Cols, ev.Rows
			break
		}
	}
	return cols, rows, tape.Rewind()
}

type cast struct {
	w      *bufio.Writer
	v3     bool
	crlf   bool
	start  time.Time
	at     int64 // microseconds of the last event
	carry  [3]carry
	report CastReport
	line   bytes.Buffer
}

func (c *cast) header(m session.Meta, cols, rows int) error {
	var argv []string
	for _, a := range m.Argv {
		argv = append(argv, string(a))
	}
	title := string(m.ID)
	if m.Pod != "" {
		title += " " + strings.Join([]string{m.Namespace, m.Pod, m.Container}, "/")
	}
	h := struct {
		Version   int    `json:"version"`
		Width     int    `json:"width,omitempty"`
		Height    int    `json:"height,omitempty"`
		Term      any    `json:"term,omitempty"`
		Timestamp int64  `json:"timestamp,omitempty"`
		Command   string `json:"command,omitempty"`
		Title     string `json:"title,omitempty"`
	}{Version: 2, Width: cols, Height: rows, Timestamp: max(m.StartedAt.Unix(), 0),
		Command: strings.Join(argv, " "), Title: title}
	if c.v3 {
		h.Version, h.Width, h.Height = 3, 0, 0
		h.Term = struct {
			Cols int `json:"cols"`
			Rows int `json:"rows"`
		}{cols, rows}
	}
	return c.json(h, "\n")
}

// json writes v and then end.
func (c *cast) json(v any, end string) error {
	c.line.Reset()
	e := json.NewEncoder(&c.line) // ends with a newline
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	c.line.Truncate(c.line.Len() - 1)
	c.line.WriteString(end)
	_, err := c.w.Write(c.line.Bytes())
	return err
}

func (c *cast) event(ev session.Event) error {
	if c.start.IsZero() {
		c.start = ev.T
	}
	at := max(ev.T.Sub(c.start).Microseconds(), c.at)
	switch ev.Type {
	case session.TypeStdout, session.TypeStderr, session.TypeStdin:
		c.report.Masked += int64(ev.Masked)
		k := &c.carry[session.Stream(ev.Type).Index()]
		code := "o"
		if ev.Type == session.TypeStdin {
			code = "i"
		}
		text := k.add(ev.Data, &c.report.Replaced)
		if c.crlf && code == "o" {
			text = k.sink.crlf(text)
		}
		if len(text) == 0 {
			return nil
		}
		return c.put(at, code, string(text))
	case session.TypeResize:
		if ev.Cols <= 0 || ev.Rows <= 0 {
			return nil
		}
		return c.put(at, "r", fmt.Sprintf("%dx%d", ev.Cols, ev.Rows))
	case session.TypeLoss:
		c.report.Lost += max(ev.Bytes, 0)
	case session.TypeEnd:
		if err := c.flush(); err != nil {
			return err
		}
		if c.v3 && ev.ExitCode != nil {
			return c.put(at, "x", fmt.Sprint(*ev.ExitCode))
		}
	}
	return nil
}

// flush writes characters that never got their last byte.
func (c *cast) flush() error {
	for i, s := range session.Streams {
		k := &c.carry[i]
		n := k.n
		k.n = 0
		c.report.Replaced += int64(n)
		if n == 0 {
			continue
		}
		code := "o"
		if s == session.Stdin {
			code = "i"
		}
		if err := c.put(c.at, code, strings.Repeat("\uFFFD", n)); err != nil {
			return err
		}
	}
	return nil
}

// put writes one event. Times are whole microseconds, so that the intervals of
// version 3 add up exactly.
func (c *cast) put(at int64, code, data string) error {
	t := at
	if c.v3 {
		t = at - c.at
	}
	c.at = at
	c.report.Events++
	if _, err := fmt.Fprintf(c.w, "[%d.%06d, %q, ", t/1e6, t%1e6, code); err != nil {
		return err
	}
	return c.json(data, "]\n")
}

// carry puts characters together that were cut between two events.
type carry struct {
	buf  [utf8.UTFMax]byte
	n    int
	sink sink
}

// add returns what is complete of the carried bytes and b, as valid UTF-8, and
// counts the bytes it had to replace.
func (k *carry) add(b []byte, replaced *int64) []byte {
	if k.n > 0 {
		b = append(append([]byte(nil), k.buf[:k.n]...), b...)
		k.n = 0
	}
	end := len(b)
	for i := max(end-utf8.UTFMax+1, 0); i < end; i++ {
		if utf8.RuneStart(b[i]) && !utf8.FullRune(b[i:]) {
			k.n = copy(k.buf[:], b[i:])
			b = b[:i]
			break
		}
	}
	if utf8.Valid(b) {
		return b
	}
	out := make([]byte, 0, len(b)+16)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			*replaced++
		}
		out = utf8.AppendRune(out, r)
		b = b[n:]
	}
	return out
}
