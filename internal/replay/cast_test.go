package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kubetape/kubetape/internal/session"
)

var meta = session.Meta{V: 1, ID: "exec_a1b2c3", Kind: session.Exec, StartedAt: start, TTY: true,
	Cols: 120, Rows: 43, Argv: []session.Text{"/bin/sh", "-i"}, Namespace: "payments", Pod: "api-1", Container: "app"}

func TestCastFollowsTheSpecification(t *testing.T) {
	tape := &list{events: []session.Event{
		out(1, "$ "), ev(1000, session.TypeStdin, "l"), ev(1500, session.TypeStderr, "é\r\n\x1b[0m"),
		size(2000, 132, 50), {T: at(2100), Type: session.TypeStdin, Masked: 8}, exit(2500, 3),
	}}
	for version, want := range map[int]string{
		2: `{"version":2,"width":120,"height":43,"timestamp":1770632130,"command":"/bin/sh -i","title":"exec_a1b2c3 payments/api-1/app"}
[0.001000, "o", "$ "]
[1.000000, "i", "l"]
[1.500000, "o", "é\r\n\u001b[0m"]
[2.000000, "r", "132x50"]
`,
		3: `{"version":3,"term":{"cols":120,"rows":43},"timestamp":1770632130,"command":"/bin/sh -i","title":"exec_a1b2c3 payments/api-1/app"}
[0.001000, "o", "$ "]
[0.999000, "i", "l"]
[0.500000, "o", "é\r\n\u001b[0m"]
[0.500000, "r", "132x50"]
[0.500000, "x", "3"]
`} {
		tape.i = 0
		var b bytes.Buffer
		rep, err := Cast(&b, tape, meta, version)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != want {
			t.Errorf("version %d:\n%s\nwant:\n%s", version, b.String(), want)
		}
		if rep.Masked != 8 || rep.Replaced != 0 {
			t.Errorf("report %+v", rep)
		}
	}
}

// decoded returns the header and the text of all events with the code.
func decoded(t testing.TB, cast, code string) (header map[string]any, text string) {
	t.Helper()
	for i, line := range strings.Split(strings.TrimSuffix(cast, "\n"), "\n") {
		if i == 0 {
			if err := json.Unmarshal([]byte(line), &header); err != nil {
				t.Fatalf("header: %v", err)
			}
			continue
		}
		var e []any
		if err := json.Unmarshal([]byte(line), &e); err != nil || len(e) != 3 {
			t.Fatalf("line %d: %q: %v", i, line, err)
		}
		if e[1] == code {
			text += e[2].(string)
		}
	}
	return header, text
}

func TestCastCarriesCharactersAcrossEvents(t *testing.T) {
	for _, c := range []struct {
		name     string
		events   []session.Event
		want     string
		replaced int64
	}{
		{"a character in four events", []session.Event{out(1, "a\xf0"), out(2, "\x9f"), out(3, "\xa6"), out(4, "\x80b")}, "a🦀b", 0},
		{"another stream in between", []session.Event{out(1, "\xe2"), ev(2, session.TypeStderr, "x"), out(3, "\x9c\x94")}, "x✔", 0},
		{"a bad byte is counted", []session.Event{out(1, "a\xffb")}, "a\uFFFDb", 1},
		{"a character that never ends", []session.Event{out(1, "a\xe2\x9c")}, "a\uFFFD\uFFFD", 2},
		{"a character broken off by another", []session.Event{out(1, "\xe2\x9c"), out(2, "a")}, "\uFFFD\uFFFDa", 2},
		{"a real U+FFFD is not a replacement", []session.Event{out(1, "\xef\xbf"), out(2, "\xbd")}, "\uFFFD", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			rep, err := Cast(&b, &list{events: c.events}, meta, 3)
			if err != nil {
				t.Fatal(err)
			}
			if _, got := decoded(t, b.String(), "o"); got != c.want || rep.Replaced != c.replaced {
				t.Errorf("got %q with %d replaced, want %q with %d", got, rep.Replaced, c.want, c.replaced)
			}
		})
	}
}

func TestCastSize(t *testing.T) {
	unknown := meta
	unknown.Cols, unknown.Rows = 0, 0
	piped := unknown
	piped.TTY = false
	for _, c := range []struct {
		name   string
		m      session.Meta
		events []session.Event
		w, h   float64
	}{
		{"the header's", meta, []session.Event{size(1, 10, 10)}, 120, 43},
		{"the first that is told", unknown, []session.Event{out(1, "x"), size(2, 0, 0), size(3, 100, 30), size(4, 5, 5)}, 100, 30},
		{"none is known", unknown, []session.Event{out(1, "x")}, 80, 24},
		{"no terminal", piped, []session.Event{out(1, "x")}, 80, 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			if _, err := Cast(&b, &list{events: c.events}, c.m, 2); err != nil {
				t.Fatal(err)
			}
			h, _ := decoded(t, b.String(), "o")
			if h["width"] != c.w || h["height"] != c.h {
				t.Errorf("got %v x %v, want %v x %v", h["width"], h["height"], c.w, c.h)
			}
		})
	}
}

func TestCastOfPipesGetsCarriageReturns(t *testing.T) {
	m := meta
	m.TTY = false
	var b bytes.Buffer
	if _, err := Cast(&b, &list{events: []session.Event{out(1, "a\nb\r"), out(2, "\nc\n")}}, m, 2); err != nil {
		t.Fatal(err)
	}
	if _, got := decoded(t, b.String(), "o"); got != "a\r\nb\r\nc\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestExportsKeepWhatCameBeforeAnError(t *testing.T) {
	torn := errors.New("torn")
	for name, export := range map[string]func(*bytes.Buffer, *list) error{
		"cast":  func(b *bytes.Buffer, l *list) error { _, err := Cast(b, l, meta, 3); return err },
		"plain": func(b *bytes.Buffer, l *list) error { return Plain(b, l) },
		"text":  func(b *bytes.Buffer, l *list) error { return Text(b, l) },
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			err := export(&b, &list{events: []session.Event{out(1, "hello")}, end: torn})
			if !errors.Is(err, torn) {
				t.Errorf("error %v", err)
			}
			if !strings.Contains(b.String(), "hello") && !strings.Contains(b.String(), "aGVsbG8=") {
				t.Errorf("wrote %q", b.String())
			}
		})
	}
}

func TestPlainIsTheSeedsForm(t *testing.T) {
	var b bytes.Buffer
	err := Plain(&b, &list{events: []session.Event{
		ev(1, session.TypeStdin, "ls -la\n"), {T: at(2), Type: session.TypeStdin, Masked: 3}, size(3, 1, 1),
		{T: start.Add(50001000), Type: session.TypeStdout, Data: []byte("total 24\n")}, exit(60, 0)}})
	want := `{"t":"2026-02-09T10:15:30.001Z","d":"stdin","b":"bHMgLWxhCg=="}
{"t":"2026-02-09T10:15:30.050001Z","d":"stdout","b":"dG90YWwgMjQK"}
`
	if err != nil || b.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, b.String(), want)
	}
}

func TestTextKeepsTheStreamsApart(t *testing.T) {
	var b bytes.Buffer
	err := Text(&b, &list{events: []session.Event{out(1, "one"), ev(2, session.TypeStderr, "bad\n"), out(3, " line\n"), ev(4, session.TypeStdin, "no")}})
	if err != nil || b.String() != "bad\none line\n" {
		t.Errorf("%v %q", err, b.String())
	}
}

func FuzzCast(f *testing.F) {
	f.Add([]byte("a\xf0\x9f\xa6\x80b\xff"), uint8(1))
	f.Add([]byte("\xe2\x9c"), uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		var events []session.Event
		for rest := in; len(rest) > 0; {
			n := min(max(int(step), 1), len(rest))
			events = append(events, out(len(events), string(rest[:n])))
			rest = rest[n:]
		}
		var b bytes.Buffer
		rep, err := Cast(&b, &list{events: events}, meta, 3)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := decoded(t, b.String(), "o"); got != string([]rune(string(in))) {
			t.Fatalf("got %q of %q", got, in)
		}
		if (rep.Replaced == 0) != utf8.Valid(in) {
			t.Fatalf("%d replaced of %q", rep.Replaced, in)
		}
	})
}
