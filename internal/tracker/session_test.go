package tracker

import (
	"slices"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/kevent"
	"github.com/kubetape/kubetape/internal/session"
)

func TestPipedExecEndsWhenItsOutputsWereReadToTheirEnd(t *testing.T) {
	s := newStage(t)
	s.enter(1, pipeExec)
	s.data(1, 0, "in")
	s.exec(1, 101, "ls\x00-l\x00")
	s.data(1, 1, "out")
	s.data(1, 2, "err")
	s.eof(1, 1)
	s.exit(1, 3<<8)
	s.wantDue()
	s.eof(1, 2)
	s.wantDue(1)
	s.wantLines(1, `stdin "in"`, `exec 101 ["ls" "-l"]`, `stdout "out"`, `stderr "err"`, "exit 100 code 3", "end complete code 3")
	if s.tr.Busy() {
		t.Error("busy without a session")
	}
}

func TestOutputsReadToTheirEndBeforeTheExitEndTheSessionAtTheExit(t *testing.T) {
	s := newStage(t)
	s.enter(1, pipeExec)
	s.eof(1, 1, 2)
	s.wantDue()
	s.exit(1, 0)
	s.wantDue(1)
	s.wantLines(1, "exit 100 code 0", "end complete code 0")
}

func TestTerminalSessionEndsAtTheHangUp(t *testing.T) {
	s := newStage(t)
	s.enter(1, ttyExec)
	s.data(1, 1, "$ ")
	s.data(1, 0, "exit\r")
	s.data(1, 1, "exit\r\n")
	s.resize(1, 132, 43)
	s.exit(1, 9)
	s.eof(1, 1)
	s.wantDue(1)
	s.wantLines(1, `stdout "$ "`, `stdin "exit\r"`, `stdout "exit\r\n"`, "resize 132x43", "exit 100 signal 9", "end complete signal 9")
}

func TestOutputAfterAnEndOfFileGoesOn(t *testing.T) {
	s := newStage(t)
	s.enter(1, ttyExec)
	s.eof(1, 1)
	s.data(1, 1, "more")
	s.exit(1, 0)
	s.wantDue()
	s.of(1).inside = 0
	s.pass(time.Minute) // a runtime may be slow to read the rest
	s.wantDue()
	s.eof(1, 1)
	s.wantDue(1)
}

func TestBusyRuntimeIsWaitedForUntilItReads(t *testing.T) {
	s := newStage(t)
	s.enter(1, pipeExec)
	s.exit(1, 0)
	s.pass(20 * time.Second)
	s.wantDue()
	s.data(1, 1, "late")
	s.eof(1, 1, 2)
	s.wantDue(1)
	s.wantLines(1, "exit 100 code 0", `stdout "late"`, "end complete code 0")
}

func TestOutputThatNobodyEverReadsEndsTheSessionAtLast(t *testing.T) {
	s := newStage(t)
	s.enter(1, pipeExec)
	s.exit(1, 0)
	s.pass(31 * time.Second)
	s.wantDue(1)
}

func TestClosedStdinDoesNotEndASession(t *testing.T) {
	s := newStage(t)
	s.enter(1, pipeExec)
	s.of(1).inside = 1
	s.data(1, 0, "in")
	s.holds = false // the end of stdin, that is
	s.exit(1, 0)
	s.pass(10 * time.Second)
	s.wantDue()
}

func TestBackgroundProcessKeepsTheSessionOpen(t *testing.T) {
	s := newStage(t)
	s.enter(1, pipeExec)
	s.of(1).inside = 2
	s.data(1, 1, "started\n")
	s.exit(1, 0)
	s.pass(5 * time.Second)
	s.wantDue()
	s.data(1, 1, "still here\n")
	s.of(1).inside = 0
	s.pass(500 * time.Millisecond)
	s.wantDue()
	s.eof(1, 1, 2)
	s.wantDue(1)
	if got := s.tape(1).text(session.Stdout); got != "started\nstill here\n" {
		t.Errorf("stdout is %q", got)
	}
}

func TestClosedHolderEndsASessionWhoseBackgroundProcessStays(t *testing.T) {
	s := newStage(t)
	s.enter(1, pipeExec)
	s.of(1).inside = 2
	s.data(1, 1, "x")
	s.exit(1, 0)
	s.pass(3 * time.Second)
	s.wantDue()
	s.holds = false
	s.pass(3 * time.Second)
	s.wantDue(1)
}

func TestClosedMasterEndsATerminalSessionWhoseProcessStays(t *testing.T) {
	s := newStage(t)
	s.enter(1, ttyExec)
	s.data(1, 1, "x")
	s.pass(5 * time.Second)
	s.wantDue()
	s.holds = false
	s.pass(3 * time.Second)
	s.wantDue(1)
	s.wantLines(1, `stdout "x"`, "end complete unknown")
}

func TestPipedSessionIsNotEndedByAHolderThatWaits(t *testing.T) {
	s := newStage(t)
	s.enter(1, pipeExec)
	s.data(1, 1, "x")
	s.holds = false // what /proc says must not count: outputs are not at their end
	s.pass(time.Minute)
	s.wantDue()
}

func TestSessionIsDueOnce(t *testing.T) {
	s := newStage(t)
	s.enter(1, pipeExec)
	s.eof(1, 1, 2)
	s.exit(1, 0)
	if got := s.tr.Due(); !slices.Equal(got, []uint64{1}) {
		t.Fatalf("due are %v", got)
	}
	s.eof(1, 1)
	s.pass(10 * time.Second)
	if got := s.tr.Due(); len(got) != 0 {
		t.Errorf("due again: %v", got)
	}
}

func TestNestedTerminalSessionLingersBehindItsProcess(t *testing.T) {
	s := newStage(t)
	s.enter(1, ttyExec)
	inner := ttyExec
	inner.Outer, inner.Shares, inner.PID = 1, true, 200
	s.enter(2, inner)
	s.data(2, 1, "a")
	s.exit(2, 0)
	s.wantDue()
	s.data(2, 1, "last words")
	s.pass(300 * time.Millisecond)
	s.wantDue(2)
	if got := s.tape(2).text(session.Stdout); got != "alast words" {
		t.Errorf("stdout is %q", got)
	}
	if s.tape(1).end != nil {
		t.Error("the outer session ended too")
	}
}

func TestTimesInARecordingNeverGoBack(t *testing.T) {
	s := newStage(t)
	s.enter(1, ttyExec)
	s.data(1, 1, "b")
	k := s.of(1)
	s.event(kevent.Event{Type: kevent.Data, At: 1, Session: 1, Stream: 1, Off: k.total[1] - 1, Len: 0})
	k.total[1]++
	s.event(kevent.Event{Type: kevent.Data, At: s.now - uint64(500*time.Microsecond), Session: 1, Stream: 1, Off: 1, Len: 1, Bytes: []byte("a")})
	s.exit(1, 0)
	s.eof(1, 1)
	s.now = 2 // Final with a time before everything
	s.wantDue(1)
	if got := s.tape(1).text(session.Stdout); got != "ba" {
		t.Errorf("stdout is %q", got)
	}
}

func TestHeaderSaysHowASessionBegan(t *testing.T) {
	s := newStage(t)
	s.box.PodUID = "uid-1"
	p := ttyExec
	p.UID, p.LoginUID, p.ArgvAll = 33, 1000, 1006
	s.enter(1, p)
	m := s.tape(1).meta
	if m.V != session.FormatVersion || m.Kind != session.Exec || m.Observer != session.Node || m.Node != "n1" || m.Flavour != "syscall" {
		t.Errorf("header is %+v", m)
	}
	if m.ContainerID != "c0ffee" || m.Runtime != "containerd" || m.PodUID != "uid-1" || !m.TTY || m.Cols != 80 || m.Rows != 24 {
		t.Errorf("header is %+v", m)
	}
	if m.PID != 100 || *m.UID != 33 || *m.LoginUID != 1000 || m.ArgvCut != 1000 || !slices.Equal(m.Argv, []session.Text{"sh", "-i"}) {
		t.Errorf("header is %+v", m)
	}
	if m.StdinKind != "tty" || m.Stdin != session.Masked || m.Key != "boot/1" || !m.StartedAt.Equal(wall(s.now)) {
		t.Errorf("header is %+v", m)
	}
}

func TestWhatBeganIsToldApart(t *testing.T) {
	const box = "/kubepods/burstable/pod0e3a2c2e-7c06-4d5c-8a5e-7d3a3a1a2b3c/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for name, c := range map[string]struct {
		prog   kevent.Program
		boxed  bool
		off    session.Kind
		kind   session.Kind // "": rejected
		noTape bool         // neither recorded nor rejected
	}{
		"a process put into a known container is an exec":      {prog: ttyExec, boxed: true, kind: session.Exec},
		"a process put into something unknown is no session":   {prog: ttyExec},
		"a process put into a container told by its cgroup":    {prog: with(ttyExec, kevent.PutIn, box), kind: session.Exec},
		"the first process of a container is an attach":        {prog: with(ttyExec, kevent.First, box), kind: session.Attach},
		"the first process of a namespace without a container": {prog: with(ttyExec, kevent.First, "/user.slice/x.service"), boxed: true},
		"a login is a shell":                       {prog: with(ttyExec, kevent.Login, ""), kind: session.Shell},
		"a login without a terminal is a shell":    {prog: with(pipeExec, kevent.Command, ""), kind: session.Shell},
		"a kind that is not recorded is rejected":  {prog: ttyExec, boxed: true, off: session.Exec},
		"a beginning of no known kind is rejected": {prog: with(ttyExec, 77, box), boxed: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.boxed = c.boxed
			s.cfg.Kinds[c.off] = false
			s.enter(1, c.prog)
			if c.kind == "" {
				s.wantNone()
				s.data(1, 1, "dropped")
				s.wantNone()
				s.wantDue(1)
				if got := s.tr.Stats().Rejected; got != 1 {
					t.Errorf("%d rejected", got)
				}
				return
			}
			if got := s.tape(1).meta.Kind; got != c.kind {
				t.Errorf("kind is %q, want %q", got, c.kind)
			}
		})
	}
}

func with(p kevent.Program, k kevent.Kind, cg string) kevent.Program {
	p.Kind, p.Cgroup = k, cg
	return p
}

func TestContainerWithNothingToAttachToIsNoSession(t *testing.T) {
	s := newStage(t)
	s.event(kevent.Event{Type: kevent.Enter, Program: with(pipeExec, kevent.First, "/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")})
	s.wantNone()
	s.wantDue()
	if s.tr.Stats().Rejected != 0 {
		t.Error("counted as rejected")
	}
}

func TestHintsBeginNothing(t *testing.T) {
	s := newStage(t)
	s.event(kevent.Event{Type: kevent.Hint})
	s.event(kevent.Event{Type: kevent.Hint, Session: 5})
	s.wantNone()
	s.wantDue()
}

func TestSecondEnterOfAnOpenSessionBeginsNothing(t *testing.T) {
	s := newStage(t)
	s.discover[1] = ttyExec
	s.data(1, 1, "before its Enter came through")
	s.enter(1, ttyExec)
	s.data(1, 1, " and after")
	s.exit(1, 0)
	s.eof(1, 1)
	s.wantDue(1)
	if got := s.tape(1).text(session.Stdout); got != "before its Enter came through and after" {
		t.Errorf("stdout is %q", got)
	}
}

func TestTypedInputThatIsNotEchoedIsMasked(t *testing.T) {
	silent := kevent.Term{Known: true, Canonical: true}
	for name, c := range map[string]struct {
		policy session.Policy
		prog   kevent.Program
		want   []string
	}{
		"masked on a terminal": {session.Masked, ttyExec, []string{`stdin "id\r"`, "stdin masked 7"}},
		"full on a terminal":   {session.Full, ttyExec, []string{`stdin "id\r"`, `stdin "secret\r"`}},
		"off on a terminal":    {session.Off, ttyExec, []string{"stdin masked 3", "stdin masked 7"}},
		"masked on pipes":      {session.Masked, pipeExec, []string{`stdin "id\r"`, `stdin "secret\r"`}},
		"off on pipes":         {session.Off, pipeExec, []string{"stdin masked 3", "stdin masked 7"}},
		"no policy masks":      {"", ttyExec, []string{`stdin "id\r"`, "stdin masked 7"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.cfg.Stdin = c.policy
			s.restart()
			s.enter(1, c.prog)
			s.typed(1, 0, "id\r", echoing)
			s.typed(1, 0, "secret\r", silent)
			s.exit(1, 0)
			s.eof(1, 1, 2)
			s.wantDue(1)
			s.wantLines(1, append(c.want, "exit 100 code 0", "end complete code 0")...)
		})
	}
}

func TestTerminalChangedBackBeforeTheLookStillMasks(t *testing.T) {
	s := newStage(t)
	s.enter(1, ttyExec)
	s.now += uint64(time.Second)
	s.typed(1, 0, "secret\r", kevent.Term{Known: true, Echo: true, Canonical: true, PrevCanonical: true, Changed: s.now})
	s.wantLines(1, "stdin masked 7")
}

func TestInputKeepsItsOrderWhereSomeWaitsForItsEcho(t *testing.T) {
	raw := kevent.Term{Known: true} // a line editor: no ECHO, no ICANON
	s := newStage(t)
	s.enter(1, ttyExec)
	s.typed(1, 0, "l", raw)
	s.typed(1, 0, "s", raw)
	s.wantLines(1)
	s.data(1, 1, "ls")
	s.pass(2 * time.Second)
	s.typed(1, 0, "hunter2", raw)
	s.pass(2 * time.Second)
	s.exit(1, 0)
	s.eof(1, 1)
	s.wantDue(1)
	if got := s.tape(1).text(session.Stdin); got != "ls" {
		t.Errorf("kept of stdin: %q", got)
	}
	if got := s.tape(1).sum[0].Masked; got != 7 {
		t.Errorf("%d bytes masked, want 7", got)
	}
}

func TestHeldInputIsCountedWhenTheSessionEnds(t *testing.T) {
	s := newStage(t)
	s.enter(1, ttyExec)
	s.typed(1, 0, "hunter2", kevent.Term{Known: true})
	s.exit(1, 0)
	s.eof(1, 1)
	s.wantDue(1)
	s.wantLines(1, "exit 100 code 0", "stdin masked 7", "end complete code 0")
}

func TestSuspendWritesOutWhatIsHeldBack(t *testing.T) {
	s := newStage(t)
	s.enter(1, ttyExec)
	s.typed(1, 0, "hunter2", kevent.Term{Known: true})
	s.tr.Suspend(s.now)
	s.check()
	s.wantLines(1, "stdin masked 7")
}

func TestArgumentsOfAnyBytesAreKept(t *testing.T) {
	for in, want := range map[string][]session.Text{
		"":             nil,
		"a\x00":        {"a"},
		"a":            {"a"},
		"a\x00\x00":    {"a", ""},
		"\x00":         {""},
		"\xff\x1b[2J":  {"\xff\x1b[2J"},
		"a b\x00c\x00": {"a b", "c"},
	} {
		if got := SplitArgv([]byte(in)); !slices.Equal(got, want) {
			t.Errorf("SplitArgv(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestKeyIsReadBackForItsOwnBootOnly(t *testing.T) {
	if sid, ok := ParseKey("boot", Key("boot", 42)); !ok || sid != 42 {
		t.Errorf("ParseKey = %d, %v", sid, ok)
	}
	for _, key := range []string{"", "boot", "boot/", "boot/0", "boot/x", "other/42", "boot/-1", "boot/99999999999999999999", "bootx/42"} {
		if sid, ok := ParseKey("boot", key); ok {
			t.Errorf("ParseKey(%q) = %d", key, sid)
		}
	}
	if _, ok := ParseKey("", "/42"); ok {
		t.Error("an empty boot id matches")
	}
}

func TestCgroupOfAContainerdNamespaceIsAContainerForItsFirstProcessOnly(t *testing.T) {
	for name, c := range map[string]struct {
		path  string
		nspid int
		want  bool
	}{
		"first process":      {"/mine/box1", 1, true},
		"another process":    {"/mine/box1", 2, false},
		"a systemd service":  {"/system.slice/cron.service", 1, false},
		"deeper":             {"/a/b/c", 1, false},
		"the root":           {"/", 1, false},
		"nothing":            {"", 1, false},
		"a docker container": {"/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 7, true},
	} {
		t.Run(name, func(t *testing.T) {
			if _, ok := InCgroup(c.path, c.nspid); ok != c.want {
				t.Errorf("InCgroup(%q, %d) = %v", c.path, c.nspid, ok)
			}
		})
	}
}
