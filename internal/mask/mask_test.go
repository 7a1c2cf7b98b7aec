package mask

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/session"
)

var (
	raw    = State{}
	shown  = State{Echo: true, Icanon: true}
	hidden = State{Icanon: true}
)

// script plays inputs and outputs against a Mask, and writes down what comes
// out: kept text as it is, masked bytes as "<n>".
type script struct {
	m   *Mask
	now time.Time
	out strings.Builder
}

func newScript(p session.Policy) *script {
	return &script{m: New(p), now: time.Unix(1000, 0)}
}

func (s *script) take(items []Item) *script {
	for _, i := range items {
		if i.Masked > 0 {
			fmt.Fprintf(&s.out, "<%d>", i.Masked)
			continue
		}
		s.out.Write(i.Data)
	}
	return s
}

func (s *script) in(st State, text string) *script {
	return s.take(s.m.Input(s.now, []byte(text), st))
}
func (s *script) show(text string) *script { return s.take(s.m.Output(s.now, []byte(text))) }
func (s *script) after(d time.Duration) *script {
	s.now = s.now.Add(d)
	return s
}
func (s *script) tick() *script { return s.take(s.m.Tick(s.now)) }
func (s *script) end() string   { s.take(s.m.Flush()); return s.out.String() }

const ms = time.Millisecond

func TestMasked(t *testing.T) {
	changed := func(now, prev State, since time.Duration) State {
		now.Changed, now.PrevEcho, now.PrevIcanon, now.Since = true, prev.Echo, prev.Icanon, since
		return now
	}
	cases := []struct {
		name string
		do   func(*script)
		want string
	}{
		{"echo on: kept at once", func(s *script) { s.in(shown, "ls\r") }, "ls\r"},
		{"canonical without echo: masked at once", func(s *script) { s.in(hidden, "secret\r") }, "<7>"},
		{"echo restored just now: masked", func(s *script) { s.in(changed(shown, hidden, 49*ms), "secret\r") }, "<7>"},
		{"echo restored some time ago: kept", func(s *script) { s.in(changed(shown, hidden, 50*ms), "ls\r") }, "ls\r"},
		{"hidden just now: masked", func(s *script) { s.in(changed(hidden, shown, 0), "secret\r") }, "<7>"},
		{"raw, and hidden just before: masked", func(s *script) { s.in(changed(raw, hidden, ms), "x").show("x") }, "<1>"},
		{"raw just before: held", func(s *script) { s.in(changed(shown, raw, ms), "x").show("x") }, "x"},
		{"raw just before, no echo: masked", func(s *script) { s.in(changed(shown, raw, ms), "x") }, "<1>"},

		{"raw, echoed", func(s *script) { s.in(raw, "l").show("l").in(raw, "s").show("s").in(raw, "\r").show("\r\n") }, "ls\r"},
		{"raw, echoed in pieces", func(s *script) { s.in(raw, "make all").show("ma").show("ke a").show("ll") }, "make all"},
		{"raw, echoed in pieces, the last one missing", func(s *script) { s.in(raw, "make all").show("ma").show("ke a") }, "<8>"},
		{"raw, echoed in pieces, then something else", func(s *script) { s.in(raw, "make all").show("ma").show("rs") }, "<8>"},
		{"raw, several inputs before one echo", func(s *script) { s.in(raw, "l").in(raw, "s").in(raw, "\r").show("ls\r\nfile\r\n") }, "ls\r"},
		{"raw, echo in colours", func(s *script) { s.in(raw, "ls").show("\x1b[32ml\x1b[1ms\x1b[0m\x1b[K") }, "ls"},
		{"raw, escape sequence split over outputs", func(s *script) { s.in(raw, "ls").show("\x1b[3").show("2mls") }, "ls"},
		{"raw, a title before the echo", func(s *script) { s.in(raw, "ls").show("\x1b]0;ti").show("tle\x1b\\ls") }, "ls"},
		{"raw, a bell before the echo", func(s *script) { s.in(raw, "ls").show("\als") }, "ls"},
		{"raw, autosuggestion behind the echo", func(s *script) { s.in(raw, "l").show("l\x1b[90ms -la\x1b[39m\x1b[5D") }, "l"},
		{"raw, columns reached from the left as fish does", func(s *script) {
			s.in(raw, "c").show("c\r\x1b[12C").in(raw, "d").show("d\r\x1b[13C").show("\b\bcd\r\x1b[13C").
				in(raw, "c").show("\r\x1b[13Ccho a-b\r\x1b[14C")
		}, "cdc"},
		{"raw, a message behind columns to the right", func(s *script) { s.in(raw, "W").show("Wel\x1b[3Ccome\r\n") }, "<1>"},
		{"raw, character split over inputs", func(s *script) { s.in(raw, "\xc3").in(raw, "\xa9").show("é") }, "é"},
		{"raw, redrawn from the character before", func(s *script) { s.in(raw, "l").show("l").in(raw, "l").show("\bll") }, "ll"},
		{"raw, redrawn over a wide character", func(s *script) { s.in(raw, "é").show("é").in(raw, "a").show("\béa") }, "éa"},

		{"echo overtakes its input a little", func(s *script) { s.show("l").after(4*ms).in(raw, "l") }, "l"},
		{"echo overtakes its input by too much", func(s *script) { s.show("l").after(6*ms).in(raw, "l") }, "<1>"},
		{"what overtook is no whole echo", func(s *script) { s.show("wor").after(ms).in(raw, "word") }, "<4>"},
		{"what overtook is the prompt, the echo comes", func(s *script) { s.show("$ ").after(ms).in(raw, "ls").show("ls") }, "ls"},
		{"a prompt that begins like the secret", func(s *script) { s.show("Password: ").after(ms).in(raw, "Pass") }, "<4>"},

		{"silence: masked after a second", func(s *script) { s.in(raw, "a").after(999 * ms).tick().after(ms).tick().show("a") }, "<1>"},
		{"silence: the rest of the line too", func(s *script) {
			s.in(raw, "a").after(time.Second).in(raw, "b").show("b").in(raw, "\r").show("\r\n").in(raw, "c").show("c")
		}, "<1><1>\rc"},
		{"stars", func(s *script) {
			for _, c := range "hi*!" {
				s.in(raw, string(c)).show("*")
			}
			s.in(raw, "\r").show("\r\n")
		}, "<1><1><1><1>\r"},
		{"stars, and a secret that begins with some", func(s *script) {
			for _, c := range "**h" {
				s.in(raw, string(c)).show("*")
			}
		}, "<1><1><1>"},
		{"stars, all typed first", func(s *script) { s.in(raw, "h").in(raw, "i").show("*").show("*") }, "<2>"},
		{"stars that a shell echoes", func(s *script) { s.in(raw, "l").show("l").in(raw, "*").show("*") }, "l*"},
		{"a welcome behind a new line", func(s *script) { s.in(raw, "Wel").in(raw, "\r").show("\r\nWelcome") }, "<3>\r"},
		{"a welcome without a new line", func(s *script) { s.in(raw, "Wel").in(raw, "\r").show("Welcome\r\n") }, "<3>\r"},
		{"a welcome, typed fast", func(s *script) { s.in(raw, "W").in(raw, "e").in(raw, "x").show("Welcome\r\n") }, "<3>"},
		{"a welcome, one key", func(s *script) { s.in(raw, "W").show("Welcome\r\n") }, "<1>"},
		{"a welcome in the same chunk as Enter", func(s *script) { s.in(raw, "Wel\r").show("\r\n").show("Welcome\r\n") }, "<3>\r"},
		{"a paste that ends in a hidden prompt", func(s *script) {
			s.in(raw, "read -s x\rsecret\r").show("read -s x\r\n\x1b[?2004l\r").after(20 * ms).show("\x1b[?2004h$ ")
		}, "read -s x\r<6>\r"},
		{"no key is waited for behind a held one, order stays", func(s *script) { s.in(raw, "a").in(raw, "\x1b[A").in(shown, "x") }, "<1>\x1b[Ax"},
		{"hidden behind held: order stays", func(s *script) { s.in(raw, "a").in(hidden, "secret").show("a") }, "a<6>"},

		{"keys: kept at once", func(s *script) {
			s.in(raw, "\x1b[A\x1bOP\x1b[15~\x1b[<0;12;34M\x1bx\t\r\x7f\x03\x1b")
		}, "\x1b[A\x1bOP\x1b[15~\x1b[<0;12;34M\x1bx\t\r\x7f\x03\x1b"},
		{"an escape sequence that is not complete is text", func(s *script) { s.in(raw, "\x1b[123") }, "\x1b<4>"},
		{"an escape sequence with too many digits is text", func(s *script) { s.in(raw, "\x1b[1234567890123456789~") }, "\x1b<21>"},
		{"a terminal's report is text", func(s *script) { s.in(raw, "\x1b]11;rgb:00\a") }, "\x1b<10>\a"},
		{"completion, and more typed before its answer", func(s *script) {
			s.in(raw, "\t").in(raw, "x").show("mewhere/").show("x")
		}, "\tx"},
		{"output from before the input is no answer", func(s *script) {
			s.in(raw, "l")
			s.now = s.now.Add(-6 * ms)
			s.show("job done\r\n")
			s.now = s.now.Add(7 * ms)
			s.show("l")
		}, "l"},
		{"nothing", func(s *script) { s.in(raw, "").show("").tick() }, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(session.Masked)
			c.do(s)
			if got := s.end(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestOtherPoliciesLookAtNothing(t *testing.T) {
	for p, want := range map[session.Policy]string{
		session.Full: "ls\rsecret\rx", session.Off: "<3><7><1>", "nonsense": "<3><7><1>",
	} {
		s := newScript(p)
		s.in(shown, "ls\r").in(hidden, "secret\r").in(raw, "x")
		if got := s.end(); got != want {
			t.Errorf("%s: got %q, want %q", p, got, want)
		}
	}
}

func TestItemsHaveTheTimeOfTheirInput(t *testing.T) {
	m := New(session.Masked)
	t0 := time.Unix(5, 0)
	if got := m.Input(t0, []byte("l"), raw); len(got) != 0 {
		t.Fatalf("decided at once: %v", got)
	}
	got := m.Output(t0.Add(30*ms), []byte("l"))
	if len(got) != 1 || !got[0].T.Equal(t0) || string(got[0].Data) != "l" {
		t.Errorf("got %v", got)
	}
}

func TestInputThatIsHeldIsBounded(t *testing.T) {
	t.Run("in bytes", func(t *testing.T) {
		s := newScript(session.Masked)
		chunk := strings.Repeat("x", 1000)
		for range 200 {
			s.in(raw, chunk)
			if n := s.m.Pending(); n > MaxHeld {
				t.Fatalf("%d bytes held", n)
			}
		}
		if got := s.end(); strings.Contains(got, "x") {
			t.Error("kept what was never shown")
		}
	})
	t.Run("in one input", func(t *testing.T) {
		s := newScript(session.Masked)
		if s.in(raw, strings.Repeat("x", 1<<20)); s.m.Pending() > MaxHeld {
			t.Errorf("%d bytes held", s.m.Pending())
		}
	})
	t.Run("in pieces", func(t *testing.T) {
		s := newScript(session.Masked)
		s.in(raw, "x")
		for range 3 * maxUnits {
			s.in(raw, "\t")
		}
		if n := len(s.m.q); n > maxUnits {
			t.Errorf("%d units held", n)
		}
	})
}

func TestCallersBufferIsNotKept(t *testing.T) {
	s := newScript(session.Masked)
	b := []byte("ls")
	s.take(s.m.Input(s.now, b, raw))
	copy(b, "XX")
	s.show("ls")
	if got := s.end(); got != "ls" {
		t.Errorf("got %q", got)
	}
}

func BenchmarkOutputWhileNothingWaits(b *testing.B) {
	m := New(session.Masked)
	data := []byte(strings.Repeat("line of output\r\n", 256))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		m.Output(time.Unix(1, 0), data)
	}
}

func BenchmarkOutputWhileSomethingWaits(b *testing.B) {
	data := []byte(strings.Repeat("x", 4096))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		m := New(session.Masked)
		m.Input(time.Unix(1, 0), []byte("z"), raw)
		m.Output(time.Unix(1, 0), data)
	}
}
