package recording

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/kubetape/kubetape/internal/session"
)

var strictBase64 = base64.StdEncoding.Strict()

// DecodeLine parses one line, without its line end, into ev, reusing the
// capacity of ev.Data. Unknown fields are ignored. A line of an unknown type is
// no error: ev then has T and Type, and nothing else (see Known).
func DecodeLine(line []byte, ev *session.Event) error {
	data := ev.Data[:0]
	*ev = session.Event{Data: data}
	if len(line) > MaxLine {
		return fmt.Errorf("line of %d bytes is too long", len(line))
	}
	if decodeStream(line, ev) {
		return check(ev)
	}
	*ev = session.Event{Data: data}
	if err := decodeJSON(line, ev); err != nil {
		return err
	}
	if !Known(ev.Type) {
		return nil
	}
	return check(ev)
}

// Known reports whether this version of the format describes lines of type t.
func Known(t session.Type) bool {
	switch t {
	case session.TypeStdin, session.TypeStdout, session.TypeStderr, session.TypeResize, session.TypeExec,
		session.TypeExit, session.TypeLoss, session.TypeResume, session.TypeEnd:
		return true
	}
	return false
}

// Prefixes of the lines that encoder.line makes for the streams.
var (
	headT    = []byte(`{"t":"`)
	keyS     = []byte(`"s":"`)
	keyB     = []byte(`"b":"`)
	streamDs = [...]struct {
		mid []byte
		typ session.Type
	}{
		{[]byte(`","d":"stdout",`), session.TypeStdout},
		{[]byte(`","d":"stdin",`), session.TypeStdin},
		{[]byte(`","d":"stderr",`), session.TypeStderr},
	}
)

// decodeStream parses a stream line in exactly the spelling of encoder.line. It
// returns false for any other, good or bad; what is then in ev means nothing.
func decodeStream(line []byte, ev *session.Event) (ok bool) {
	const timeLen = len(timeLayout)
	if !bytes.HasPrefix(line, headT) || len(line) < len(headT)+timeLen {
		return false
	}
	stamp, rest := line[len(headT):len(headT)+timeLen], line[len(headT)+timeLen:]
	for _, s := range &streamDs {
		value, found := bytes.CutPrefix(rest, s.mid)
		if !found {
			continue
		}
		if ev.T, ok = parseStamp(stamp); !ok {
			return false
		}
		ev.Type = s.typ
		if value, ok = bytes.CutSuffix(value, []byte(`"}`)); !ok {
			return false
		}
		var err error
		if text, found := bytes.CutPrefix(value, keyS); found {
			ev.Data, err = decodeText(ev.Data[:0], text)
		} else if text, found := bytes.CutPrefix(value, keyB); found {
			ev.Data, err = decodeBase64(ev.Data, text)
		} else {
			return false
		}
		return err == nil
	}
	return false
}

func decodeBase64(dst, text []byte) ([]byte, error) {
	out, err := strictBase64.AppendDecode(dst[:0], text)
	// The decoder skips line ends inside the text; JSON allows none there.
	if err != nil || base64.StdEncoding.EncodedLen(len(out)) != len(text) {
		return dst[:0], errors.New("b is not standard base64")
	}
	return out, nil
}

// parseStamp parses timeLayout. ok is false for anything else, also for a
// legal time in another spelling.
func parseStamp(b []byte) (t time.Time, ok bool) {
	const shape = "dddd-dd-ddTdd:dd:dd.ddddddZ"
	if len(b) != len(shape) {
		return t, false
	}
	for i := range shape {
		if d := b[i] - '0'; shape[i] == 'd' && d > 9 || shape[i] != 'd' && b[i] != shape[i] {
			return t, false
		}
	}
	num := func(i, j int) (n int) {
		for _, c := range b[i:j] {
			n = n*10 + int(c-'0')
		}
		return n
	}
	year, month, day := num(0, 4), num(5, 7), num(8, 10)
	hour, minute, sec := num(11, 13), num(14, 16), num(17, 19)
	t = time.Date(year, time.Month(month), day, hour, minute, sec, num(20, 26)*1000, time.UTC)
	// time.Date takes 30 February for 2 March; a recording may not.
	if t.Day() != day || int(t.Month()) != month || hour > 23 || minute > 59 || sec > 59 || year == 0 {
		return t, false
	}
	return t, true
}

// decodeJSON parses a line of any type and spelling. encoding/json alone would
// take {"D":"stdout"} for "d" and the last of two equal keys; a reader written
// in another language would not, and the two would see different sessions.
func decodeJSON(line []byte, ev *session.Event) error {
	keys, err := splitObject(line)
	if err != nil {
		return err
	}
	var stamp string
	if err := keys.need("t", &stamp); err != nil {
		return err
	}
	if ev.T, err = time.Parse(time.RFC3339Nano, stamp); err != nil {
		return fmt.Errorf("t is not a time: %.40q", stamp)
	}
	ev.T = ev.T.UTC().Truncate(time.Microsecond)
	if err := keys.need("d", &ev.Type); err != nil {
		return err
	}
	if !isName(string(ev.Type)) {
		return fmt.Errorf("d is not a name: %.40q", string(ev.Type))
	}
	if err := decodeFields(keys, ev); err != nil {
		return fmt.Errorf("%s: %w", ev.Type, err)
	}
	return nil
}

func decodeFields(k object, ev *session.Event) error {
	switch ev.Type {
	case session.TypeStdin, session.TypeStdout, session.TypeStderr:
		return decodeStreamFields(k, ev)
	case session.TypeResize:
		return errors.Join(k.need("cols", &ev.Cols), k.need("rows", &ev.Rows))
	case session.TypeExec:
		return errors.Join(k.need("pid", &ev.PID), k.need("ppid", &ev.PPID), k.need("uid", &ev.UID),
			k.need("argv", &ev.Argv), k.may("argv_cut", &ev.ArgvCut))
	case session.TypeExit:
		return errors.Join(k.need("pid", &ev.PID), k.may("exit_code", &ev.ExitCode), k.may("signal", &ev.Signal))
	case session.TypeLoss:
		return errors.Join(k.may("stream", &ev.Stream), k.need("bytes", &ev.Bytes), k.may("why", &ev.Why))
	case session.TypeResume:
		return k.may("why", &ev.Why)
	case session.TypeEnd:
		return errors.Join(k.need("status", &ev.Status), k.may("exit_code", &ev.ExitCode),
			k.may("signal", &ev.Signal), k.may("why", &ev.Why), k.need("streams", &ev.Streams))
	}
	return nil
}

func decodeStreamFields(k object, ev *session.Event) error {
	_, masked := k["masked"]
	_, b := k["b"]
	s, text := k["s"]
	switch {
	case masked && (b || text):
		return errors.New("both data and a masked count")
	case b && text:
		return errors.New("both s and b")
	case masked:
		if err := k.need("masked", &ev.Masked); err != nil {
			return err
		}
		if ev.Masked <= 0 {
			return fmt.Errorf("masked count %d is out of range", ev.Masked)
		}
		return nil
	}
	var err error
	if text {
		if len(s) < 2 || s[0] != '"' {
			return errText
		}
		ev.Data, err = decodeText(ev.Data[:0], s[1:len(s)-1])
		return err
	}
	var base64 string
	if err := k.need("b", &base64); err != nil {
		return err
	}
	ev.Data, err = decodeBase64(ev.Data, []byte(base64))
	return err
}

// object holds the values of a JSON object by their keys.
type object map[string]json.RawMessage

// splitObject takes one JSON object apart. It refuses equal keys, text that is
// not UTF-8 and anything after the object.
func splitObject(line []byte) (object, error) {
	if !utf8.Valid(line) {
		return nil, errors.New("line is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(line))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("line is not a JSON object")
	}
	o := object{}
	for d.More() {
		t, err := d.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return nil, errors.New("line is not a JSON object")
		}
		if _, twice := o[key]; twice {
			return nil, fmt.Errorf("key %.40q stands twice", key)
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, fmt.Errorf("value of %.40q is not JSON", key)
		}
		o[key] = raw
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("line is not a whole JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("text after the JSON object")
	}
	return o, nil
}

func (o object) need(key string, into any) error {
	raw, ok := o[key]
	if !ok || string(raw) == "null" {
		return fmt.Errorf("no %s", key)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s is of the wrong type", key)
	}
	return nil
}

func (o object) may(key string, into any) error {
	if _, ok := o[key]; !ok {
		return nil
	}
	return o.need(key, into)
}

// isName reports whether s may be a type of line, in this or a later version.
func isName(s string) bool {
	if len(s) == 0 || len(s) > 32 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// decodeMeta parses the first line of a recording.
func decodeMeta(line []byte) (session.Meta, error) {
	var m session.Meta
	keys, err := splitObject(line)
	if err != nil {
		return m, fmt.Errorf("header: %w", err)
	}
	if err := keys.need("v", &m.V); err != nil {
		return m, fmt.Errorf("header: %w", err)
	}
	if m.V > session.FormatVersion { // whose other fields may be anything
		return m, fmt.Errorf("%w: %d", ErrVersion, m.V)
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return m, errors.New("header: a field is of the wrong type")
	}
	m.StartedAt = m.StartedAt.UTC()
	return m, checkMeta(&m)
}
