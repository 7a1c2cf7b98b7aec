package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/internal/termsafe"
)

// fakeClock moves only when somebody waits: After fires at once, having moved the
// time. A key is handed over in the middle of the wait that reaches its time; keys
// of time 0 come right after the one before.
type fakeClock struct {
	now  time.Time
	keys []timedKey
	out  chan Key
}

type timedKey struct {
	at  time.Duration // of the clock, since its beginning
	key Key
}

func (c *fakeClock) Now() time.Time { return c.now }

func (c *fakeClock) After(d time.Duration) (<-chan time.Time, func()) {
	due := c.now.Add(d)
	if len(c.keys) > 0 && !start.Add(c.keys[0].at).After(due) {
		k := c.keys[0]
		c.keys = c.keys[1:]
		if t := start.Add(k.at); t.After(c.now) {
			c.now = t
		}
		c.out <- k.key
		for len(c.keys) > 0 && c.keys[0].at == 0 {
			c.out <- c.keys[0].key
			c.keys = c.keys[1:]
		}
		return nil, func() {}
	}
	c.now = due
	ch := make(chan time.Time, 1)
	ch <- due
	return ch, func() {}
}

// log is a screen that writes down what it is told and when.
type log struct {
	clock *fakeClock
	lines []string
	skip  bool
}

func (l *log) Show(e session.Event) error {
	mark := ""
	if l.skip {
		mark = "skip "
	}
	l.lines = append(l.lines, fmt.Sprintf("%s%v %s%s", mark, l.clock.now.Sub(start), e.Data, map[bool]string{true: "end"}[e.Type == session.TypeEnd]))
	return nil
}

func (l *log) Skip(back bool) {
	l.skip = true
	if back {
		l.lines = append(l.lines, "clear")
	}
}
func (l *log) Land() error   { l.skip = false; return nil }
func (l *log) Status(Status) {}

func TestPlay(t *testing.T) {
	events := []session.Event{out(0, "a"), out(1000, "b"), out(11000, "c"), out(12000, "d"), exit(12000, 0)}
	for _, c := range []struct {
		name string
		o    Options
		keys []timedKey
		want string
	}{
		{"at its own speed", Options{Speed: 1}, nil, "0s a, 1s b, 11s c, 12s d, 12s end"},
		{"twice as fast", Options{Speed: 2}, nil, "0s a, 500ms b, 5.5s c, 6s d, 6s end"},
		{"half as fast", Options{Speed: .5}, nil, "0s a, 2s b, 22s c, 24s d, 24s end"},
		{"without waiting", Options{}, nil, "0s a, 0s b, 0s c, 0s d, 0s end"},
		{"long waits cut", Options{Speed: 1, IdleLimit: 2 * time.Second}, nil, "0s a, 1s b, 3s c, 4s d, 4s end"},
		{"long waits cut, in the recording's time", Options{Speed: 2, IdleLimit: 2 * time.Second}, nil, "0s a, 500ms b, 1.5s c, 2s d, 2s end"},
		{"from the middle", Options{Speed: 1, From: 5 * time.Second}, nil, "skip 0s a, skip 0s b, 6s c, 7s d, 7s end"},
		{"up to the middle", Options{Speed: 1, To: 2 * time.Second}, nil, "0s a, 1s b"},
		{"from after the end", Options{Speed: 1, From: time.Hour}, nil, "skip 0s a, skip 0s b, skip 0s c, skip 0s d, skip 0s end"},
		{"a pause", Options{Speed: 1}, []timedKey{{500 * time.Millisecond, KeyPause}, {0, KeyPause}}, "0s a, 1s b, 11s c, 12s d, 12s end"},
		{"steps while paused", Options{Speed: 1}, []timedKey{{500 * time.Millisecond, KeyPause}, {0, KeyStep}, {0, KeyStep}, {0, KeyQuit}}, "0s a, 500ms b, 500ms c"},
		{"a step needs a pause", Options{Speed: 1}, []timedKey{{500 * time.Millisecond, KeyStep}}, "0s a, 1s b, 11s c, 12s d, 12s end"},
		{"faster in the middle of a wait", Options{Speed: 1}, []timedKey{{2 * time.Second, KeyFaster}}, "0s a, 1s b, 6.5s c, 7s d, 7s end"},
		{"slower in the middle of a wait", Options{Speed: 1}, []timedKey{{10 * time.Second, KeySlower}}, "0s a, 1s b, 12s c, 14s d, 14s end"},
		{"five seconds on", Options{Speed: 1}, []timedKey{{2 * time.Second, KeyForward}}, "0s a, 1s b, 6s c, 7s d, 7s end"},
		{"on past an event", Options{Speed: 1}, []timedKey{{8 * time.Second, KeyForward}}, "0s a, 1s b, skip 8s c, skip 8s d, skip 8s end"},
		{"five seconds back", Options{Speed: 1}, []timedKey{{5500 * time.Millisecond, KeyBack}}, "0s a, 1s b, clear, skip 5.5s a, 6s b, 16s c, 17s d, 17s end"},
		{"back past the beginning", Options{Speed: 1}, []timedKey{{500 * time.Millisecond, KeyBack}}, "0s a, clear, 500ms a, 1.5s b, 11.5s c, 12.5s d, 12.5s end"},
		{"quitting", Options{Speed: 1}, []timedKey{{500 * time.Millisecond, KeyQuit}}, "0s a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys := make(chan Key, 8)
			clock := &fakeClock{now: start, keys: c.keys, out: keys}
			screen := &log{clock: clock}
			c.o.Clock, c.o.Start, c.o.Keys = clock, start, keys
			if _, err := Play(t.Context(), &list{events: events}, screen, c.o); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(screen.lines, ", "); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestPlayReportsHowItEnded(t *testing.T) {
	torn := errors.New("torn")
	lossy := []session.Event{out(0, "a"), {T: at(1), Type: session.TypeLoss, Bytes: 5}}
	res, err := Play(t.Context(), &list{events: lossy, end: torn}, &log{clock: &fakeClock{}}, Options{})
	if !errors.Is(err, torn) || res.Losses != 1 || res.End != nil {
		t.Errorf("torn: %+v, %v", res, err)
	}
	res, err = Play(t.Context(), &list{events: []session.Event{exit(0, 3)}}, &log{clock: &fakeClock{}}, Options{})
	if err != nil || res.End == nil || *res.End.ExitCode != 3 {
		t.Errorf("complete: %+v, %v", res, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, speed := range []float64{1, math.Inf(1)} {
		_, err = Play(ctx, &list{events: lossy}, &log{clock: &fakeClock{}}, Options{Speed: speed, Keys: make(chan Key)})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled at speed %v: %v", speed, err)
		}
	}
}

func TestPlayTimeNeverGoesBack(t *testing.T) {
	clock := &fakeClock{now: start}
	screen := &log{clock: clock}
	_, err := Play(t.Context(), &list{events: []session.Event{out(2000, "a"), out(500, "b"), out(3000, "c")}}, screen,
		Options{Speed: 1, Clock: clock, Start: start})
	if got := strings.Join(screen.lines, ", "); err != nil || got != "2s a, 2s b, 3s c" {
		t.Errorf("%v: %s", err, got)
	}
}

func TestPlaySurvivesAbsurdTimes(t *testing.T) {
	far := session.Event{T: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), Type: session.TypeStdout}
	old := session.Event{T: time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), Type: session.TypeStdout}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	clock := &fakeClock{now: start}
	_, err := Play(ctx, &list{events: []session.Event{old, far, old, far}}, &log{clock: clock},
		Options{Speed: 1.0 / 16, Clock: clock, Start: start, IdleLimit: time.Second})
	if err != nil {
		t.Error(err)
	}
}

func TestKeys(t *testing.T) {
	for in, want := range map[string][]Key{
		" .,q":                        {KeyPause, KeyStep, KeyBack, KeyQuit},
		"\x1b[D\x1b[C\x1bOA\x1b[1;2B": {KeyBack, KeyForward, KeyFaster, KeySlower},
		"+=-_":                        {KeyFaster, KeyFaster, KeySlower, KeySlower},
		"xyz\x1b[5~\x1b\x1b[Cq":       {KeyForward, KeyQuit},
		"\x03":                        {KeyQuit},
		"\x1bq":                       {KeyQuit},
	} {
		var r KeyReader
		var got []Key
		for _, b := range []byte(in) {
			if k := r.Key(b); k != KeyNone {
				got = append(got, k)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
}

func TestTerminal(t *testing.T) {
	const undo = "\x1b[0m\x1b[?25h"
	for _, c := range []struct {
		name string
		t    Terminal
		do   func(*Terminal)
		want string
	}{
		{"what acts is filtered", Terminal{}, func(s *Terminal) { s.Show(out(0, "a\x1b]0;x\x07b")) }, "ab"},
		{"raw is raw", Terminal{Raw: true}, func(s *Terminal) { s.Show(out(0, "a\x1b]0;x\x07b")) }, "a\x1b]0;x\x07b"},
		{"a terminal is put back", Terminal{Live: true}, func(s *Terminal) { s.Show(out(0, "\x1b[?1049hx")) }, "\x1b[?1049hx\x1b[?1049l" + undo},
		{"a bare newline gets a carriage return", Terminal{CRLF: true}, func(s *Terminal) {
			s.Show(out(0, "a\nb\r\nc\r"))
			s.Show(out(0, "\nd\n"))
		}, "a\r\nb\r\nc\r\nd\r\n"},
		{"the streams are filtered apart", Terminal{}, func(s *Terminal) {
			s.Show(out(0, "a\x1b[3"))
			s.Show(ev(0, session.TypeStderr, "e"))
			s.Show(out(0, "1mb"))
		}, "ae\x1b[31mb"},
		{"a terminal gets what was skipped", Terminal{Live: true}, func(s *Terminal) {
			s.Skip(false)
			s.Show(out(0, "a"))
			s.Land()
			s.Show(out(0, "b"))
		}, "ab" + undo},
		{"a file does not", Terminal{}, func(s *Terminal) {
			s.Skip(false)
			s.Show(out(0, "a"))
			s.Land()
			s.Show(out(0, "b"))
		}, "b"},
		{"going back begins on an empty screen", Terminal{Live: true}, func(s *Terminal) {
			s.Show(out(0, "\x1b[?1049ha"))
			s.Skip(true)
			s.Show(out(0, "b"))
			s.Land()
		}, "\x1b[?1049ha\x1b[?1049l" + undo + termsafe.Clear + "b" + undo},
		{"the status is in the title, which is put back", Terminal{Live: true, Title: true, Name: "exec_1\x07", Length: time.Minute}, func(s *Terminal) {
			s.Status(Status{At: 61 * time.Second, Speed: 2})
			s.Show(session.Event{Type: session.TypeLoss, Bytes: 7})
		}, "\x1b[22;2t\x1b]2;exec_1\\x07 01:01/01:00 2x\x1b\\\x1b]2;exec_1\\x07 01:01/01:00 2x · 7 bytes lost\x1b\\" + undo + "\x1b[23;2t"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			c.t.Out, c.t.Err = &b, &b
			c.do(&c.t)
			if err := c.t.Close(); err != nil {
				t.Fatal(err)
			}
			if b.String() != c.want {
				t.Errorf("\n got %q\nwant %q", b.String(), c.want)
			}
		})
	}
}

func TestTerminalKeepsLittleOfALongWay(t *testing.T) {
	var b bytes.Buffer
	s := Terminal{Out: &b, Err: &b, Live: true}
	s.Skip(false)
	s.Show(out(0, "\x1b[?1049h\x1b[?25l"))
	line := strings.Repeat("x", 1<<16)
	for range 2 * maxBehind / len(line) {
		s.Show(out(0, line))
	}
	s.Land()
	if b.Len() > maxBehind+1000 {
		t.Errorf("wrote %d bytes", b.Len())
	}
	if !strings.Contains(b.String()[:200], "\x1b[?1049h\x1b[?25l") {
		t.Errorf("the state was lost: %q", b.String()[:200])
	}
}

func TestSizeHint(t *testing.T) {
	if h := SizeHint(132, 43, 80, 24); h != "recorded on 132x43, shown on 80x24" {
		t.Error(h)
	}
	if h := SizeHint(80, 24, 80, 24) + SizeHint(80, 24, 0, 0); h != "" {
		t.Error(h)
	}
}
