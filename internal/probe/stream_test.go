package probe

import (
	"bytes"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/creack/pty"

	"github.com/kubetape/kubetape/internal/kevent"
)

func TestTerminalIsSeenBothWaysWithItsSizesFlagsAndProcesses(t *testing.T) {
	p := openProbe(t, settings(t))
	s := startTerminal(t, `printf 'one? '; read a; stty -echo; printf 'two? '; read b; stty echo
		/bin/echo "$a $b"; printf 'sized? '; read c; stty size; exit 3`)
	s.expect("one? ")
	s.typeIn("plain\n")
	s.expect("two? ")
	s.typeIn("secret\n")
	s.expect("sized? ")
	if err := pty.Setsize(s.master, &pty.Winsize{Rows: 43, Cols: 132}); err != nil {
		t.Fatal(err)
	}
	s.typeIn("\n")
	s.end()

	h := listen(t, p).over(s.cmd.Process.Pid, 1)
	if got := h.data[1]; !bytes.Equal(got, s.shown.Bytes()) {
		t.Errorf("shown %q, seen %q", s.shown.Bytes(), got)
	}
	if got := h.data[0]; !bytes.Equal(got, s.typed.Bytes()) {
		t.Errorf("typed %q, seen %q", s.typed.Bytes(), got)
	}
	if len(h.terms) != 3 || !h.terms[0].Echo || h.terms[1].Echo || !h.terms[1].Canonical || !h.terms[2].Echo || !h.terms[0].Known {
		t.Errorf("terminal's state at the inputs: %+v", h.terms)
	}
	if !slices.Equal(h.resizes, [][2]uint16{{132, 43}}) {
		t.Errorf("sizes: %v", h.resizes)
	}
	e := h.enter
	if e.Kind != kevent.Login || !e.Host || e.Rows != 24 || e.Cols != 80 || e.FDs != [3]kevent.FD{kevent.FDTTY, kevent.FDTTY, kevent.FDTTY} || e.PPID != os.Getpid() {
		t.Errorf("beginning: %+v", e)
	}
	if !strings.HasPrefix(string(e.Argv), "/bin/sh\x00-c\x00printf ") || int(e.ArgvAll) != len(e.Argv) {
		t.Errorf("argv of %d bytes: %q", e.ArgvAll, e.Argv)
	}
	if !h.ran("stty\x00-echo\x00") || !h.ran("/bin/echo\x00plain secret\x00") || !h.ran("stty\x00size\x00") {
		t.Errorf("processes: %+v", h.execs)
	}
	if h.code != 3<<8 {
		t.Errorf("status %#x", h.code)
	}
	h.sum(t, p, [3]int{s.typed.Len(), s.shown.Len(), 0})
}

func (h *heard) ran(argv string) bool {
	return slices.ContainsFunc(h.execs, func(p kevent.Program) bool { return string(p.Argv) == argv })
}

func TestSessionKilledBySignalSaysWhich(t *testing.T) {
	p := openProbe(t, settings(t))
	s := startTerminal(t, `kill -TERM $$`)
	s.end()
	if h := listen(t, p).over(s.cmd.Process.Pid); h.code != 15 {
		t.Errorf("status %#x", h.code)
	}
}

func TestLongArgumentsAreCutAndTheRestCounted(t *testing.T) {
	p := openProbe(t, settings(t))
	const long = 60000
	s := startTerminal(t, `/bin/true $(head -c 60000 /dev/zero | tr '\0' x)`)
	s.end()
	h := listen(t, p).over(s.cmd.Process.Pid)
	i := slices.IndexFunc(h.execs, func(p kevent.Program) bool { return bytes.HasPrefix(p.Argv, []byte("/bin/true\x00")) })
	if i < 0 {
		t.Fatalf("processes: %d", len(h.execs))
	}
	argv, all := h.execs[i].Argv, h.execs[i].ArgvAll
	if all != uint64(len("/bin/true"))+1+long+1 || len(argv) != 16384 || strings.Trim(string(argv[10:]), "x") != "" {
		t.Errorf("%d of %d bytes: %.20q", len(argv), all, argv)
	}
}

func TestPipesAreSeenEachOnItsOwn(t *testing.T) {
	p := openProbe(t, settings(t))
	in := noise(300_000)
	cmd, out, errs := pipes(t, in, `cat; echo oops >&2; exit 7`)
	h := listen(t, p).over(cmd.Process.Pid, 1, 2)
	if !bytes.Equal(out, in) || string(errs) != "oops\n" {
		t.Fatal("the session itself went wrong")
	}
	if !bytes.Equal(h.data[0], in) || !bytes.Equal(h.data[1], out) || !bytes.Equal(h.data[2], errs) {
		t.Errorf("seen %d, %d and %d bytes of %d, %d and %d, lost %v", len(h.data[0]), len(h.data[1]), len(h.data[2]), len(in), len(out), len(errs), h.lost)
	}
	if h.enter.Kind != kevent.Command || h.enter.FDs != [3]kevent.FD{kevent.FDPipe, kevent.FDPipe, kevent.FDPipe} || h.code != 7<<8 {
		t.Errorf("beginning %+v, status %#x", h.enter, h.code)
	}
	h.sum(t, p, [3]int{len(in), len(out), len(errs)})
}

// noise is random and the same each time.
func noise(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestManyShortSessionsAreWholeAndNoneMixedUp(t *testing.T) {
	p := openProbe(t, settings(t))
	e := listen(t, p)
	for range 20 {
		in := noise(100)
		cmd, out, _ := pipes(t, in, `cat; echo $$`)
		h := e.over(cmd.Process.Pid, 1, 2)
		if !bytes.Equal(h.data[0], in) || !bytes.Equal(h.data[1], out) || h.lost != [3]uint64{} {
			t.Fatalf("sent %d, got %q; seen %d and %q, lost %v", len(in), out, len(h.data[0]), h.data[1], h.lost)
		}
		h.sum(t, p, [3]int{len(in), len(out), 0})
	}
}

// A link that nothing refers to is closed by the garbage collector, and capture
// stops without a word.
func TestCaptureOutlivesTheGarbageCollector(t *testing.T) {
	for name, pins := range map[string]bool{"with pins": true, "without pins": false} {
		t.Run(name, func(t *testing.T) {
			c := settings(t)
			if !pins {
				c.PinDir = ""
			}
			p := openProbe(t, c)
			e := listen(t, p)
			for range 4 {
				runtime.GC()
				runtime.GC() // finalizers of the first are run by the second
				cmd, out, _ := pipes(t, nil, `echo alive`)
				if h := e.over(cmd.Process.Pid, 1, 2); !bytes.Equal(h.data[1], out) {
					t.Fatalf("seen %q of %q", h.data[1], out)
				}
			}
		})
	}
}

func TestLossIsExactWhenNobodyReadsTheRingAndAQuietSessionLosesNothing(t *testing.T) {
	c := settings(t)
	c.RingBytes = MinRing
	p := openProbe(t, c)
	const flood = 2 << 20
	loud, out, _ := pipes(t, nil, `head -c 2097152 /dev/zero`)
	if len(out) != flood {
		t.Fatalf("the flood had %d bytes", len(out))
	}
	quiet, said, _ := pipes(t, []byte("psst"), `cat; echo quiet`)
	e := listen(t, p)
	h := e.over(quiet.Process.Pid, 1)
	if !bytes.Equal(h.data[1], said) || string(h.data[0]) != "psst" || h.lost != [3]uint64{} {
		t.Errorf("of the quiet session %q and %q were seen, lost %v", h.data[0], h.data[1], h.lost)
	}
	h.sum(t, p, [3]int{4, len(said), 0})
	e.drain()
	h = e.of(loud.Process.Pid)
	if len(h.data[1]) == 0 || len(h.data[1]) > MinRing {
		t.Errorf("%d bytes of the flood came through a ring of %d", len(h.data[1]), MinRing)
	}
	h.sum(t, p, [3]int{0, flood, 0})
	n, err := p.Counters()
	if err != nil || n.RingDrops == 0 {
		t.Errorf("counters %+v, %v", n, err)
	}
}

// Reader and load share the processors: what the reader cannot keep up with is
// lost, and counted.
func TestFloodThatIsReadIsWholeOrItsLossIsExact(t *testing.T) {
	p := openProbe(t, settings(t))
	const flood = 8 << 20
	type ended struct {
		pid int
		out []byte
	}
	done := make(chan ended)
	go func() {
		cmd, out, _ := pipes(t, nil, `head -c 8388608 /dev/zero | tr '\0' y`)
		done <- ended{cmd.Process.Pid, out}
	}()
	e := listen(t, p)
	var s ended
	e.until(func() bool {
		select {
		case s = <-done:
		default:
		}
		return s.pid != 0 && e.of(s.pid).exited // an end of file may not have fitted in
	})
	e.drain()
	h := e.of(s.pid)
	if len(bytes.Trim(h.data[1], "y")) != 0 || len(s.out) != flood || len(h.data[1]) < MinRing {
		t.Errorf("seen %d of %d bytes, lost %d", len(h.data[1]), len(s.out), h.lost[1])
	}
	h.sum(t, p, [3]int{0, flood, 0})
}

func TestStopEndsTheCaptureOfOneSessionWithItsTotalsFinal(t *testing.T) {
	p := openProbe(t, settings(t))
	s, other := startTerminal(t, `printf 'a? '; read x; printf 'b? '; read y`), startTerminal(t, `printf 'c? '; read z`)
	s.expect("a? ")
	s.typeIn("x\n")
	s.expect("b? ")
	other.expect("c? ")
	e := listen(t, p)
	e.until(func() bool { return strings.Contains(string(e.of(s.cmd.Process.Pid).data[1]), "b? ") })
	h := e.of(s.cmd.Process.Pid)
	if _, err := p.Stop(map[uint64]bool{h.sid: true}); err != nil {
		t.Fatal(err)
	}
	before, ok := p.Lookup(h.sid)
	if !ok || before.Exited || before.First != s.cmd.Process.Pid || before.Inside != 1 {
		t.Fatalf("the kernel knows %+v, %v", before, ok)
	}
	said := s.shown.Len()
	s.typeIn("y\n")
	s.end()
	other.typeIn("z\n")
	other.end()
	e.over(other.cmd.Process.Pid, 1)
	e.drain()
	after, ok := p.Lookup(h.sid)
	if !ok || after.Total != before.Total || after.Total != [3]uint64{2, uint64(said), 0} {
		t.Errorf("totals %v when stopped, %v at the end, %v", before.Total, after.Total, ok)
	}
	if err := p.Forget(h.sid); err != nil {
		t.Error(err)
	}
	if _, ok := p.Lookup(h.sid); ok {
		t.Error("the kernel still knows the session")
	}
	if got := e.of(other.cmd.Process.Pid).data[0]; string(got) != "z\n" {
		t.Errorf("the other session's input is %q", got)
	}
}

func TestSlotOfASessionIsTheOneThatTheKernelFills(t *testing.T) {
	p := openProbe(t, settings(t))
	cmd, _, _ := pipes(t, nil, `echo x`)
	e := listen(t, p)
	h := e.over(cmd.Process.Pid, 1, 2)
	var s recorderSlot
	if err := p.maps.Slots.Lookup(slotOf(h.sid), &s); err != nil {
		t.Fatal(err)
	}
	if s.Submitted == 0 || s.Consumed != s.Submitted {
		t.Errorf("slot holds %+v after all was read", s)
	}
}
