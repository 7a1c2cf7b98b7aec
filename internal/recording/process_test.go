//go:build linux

package recording

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubetape/kubetape/internal/require"
	"github.com/kubetape/kubetape/internal/session"
)

// dirEnv tells a test that it runs in a process of its own, and where to write.
const dirEnv = "RECORDING_TEST_DIR"

// again runs the calling test in a process of its own.
func again(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), dirEnv+"="+dir)
	return cmd
}

// A limit on the size of files stops a write half way as a full disk does.
func TestAFileThatCannotGrowLosesNothingThatWasAccepted(t *testing.T) {
	dir := os.Getenv(dirEnv)
	if dir == "" {
		if out, err := again(t, t.TempDir()).CombinedOutput(); err != nil || !bytes.Contains(out, []byte(roomMade)) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	limit := func(n uint64) {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: n, Max: unix.RLIM_INFINITY}); err != nil {
			t.Fatal(err)
		}
	}
	limit(100_000)
	fillUp(t, dir, unix.EFBIG, func() { limit(unix.RLIM_INFINITY) })
}

// The disk is a tmpfs in a mount namespace of the process, so that it goes when
// the process does, however that ends.
func TestAFullDiskLosesNothingThatWasAccepted(t *testing.T) {
	dir := os.Getenv(dirEnv)
	if dir == "" {
		require.Root(t)
		cmd := again(t, t.TempDir())
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
		out, err := cmd.CombinedOutput()
		if err != nil && errors.Is(err, os.ErrPermission) {
			require.Skip(t, "needs a mount namespace: %v", err)
		}
		if err != nil || !bytes.Contains(out, []byte(roomMade)) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	disk := func(flags uintptr, size string) {
		if err := unix.Mount("tmpfs", dir, "tmpfs", flags, "size="+size); err != nil {
			t.Fatal(err)
		}
	}
	disk(0, "200k")
	fillUp(t, dir, unix.ENOSPC, func() { disk(unix.MS_REMOUNT, "16m") })

	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 32<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	m := meta()
	m.ID = "exec_late"
	_, err := Create(dir, m, Options{})
	if !errors.Is(err, unix.ENOSPC) || strings.Contains(err.Error(), "\n") {
		t.Errorf("create on a full disk: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "exec_late*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

const roomMade = "accepted after room was made"

// fillUp writes until there is no room, and on when makeRoom has made some.
func fillUp(t *testing.T, dir string, want error, makeRoom func()) {
	w := create(t, dir, Options{Pool: newPool(32<<10, 1)})
	evs := chunked(randomText(1<<20), 4096, time.Millisecond)
	var kept []session.Event
	full := 0
	for i, ev := range evs {
		err := w.Write(ev)
		if err == nil {
			kept = append(kept, ev)
			continue
		}
		if !errors.Is(err, want) || strings.Contains(err.Error(), "\n") {
			t.Fatalf("error is %q", err)
		}
		if full++; full > 3 { // the disk stays full for a while
			evs = evs[i+1:]
			break
		}
	}
	if full == 0 || len(kept) == 0 {
		t.Fatalf("%d events accepted, %d refused", len(kept), full)
	}
	if _, err := w.End(session.Event{T: at(1e6), Status: session.Complete}); !errors.Is(err, want) {
		t.Fatalf("end on a full disk: %v", err)
	}
	if evs, err := readAll(open(t, w.Path())); !errors.Is(err, ErrTorn) || len(evs) == 0 {
		t.Fatalf("what was written before: %d events, %v", len(evs), err)
	}
	makeRoom()
	write(t, w, evs...)
	t.Log(roomMade)
	sum := end(t, w)
	checkGood(t, sum)
	got, _ := readAll(open(t, sum.Path))
	same(t, got[:len(got)-1], append(kept, evs...))
}

// killEvents is how many events a recording of the next test has, which are
// flushed in bursts of at most killBurst.
const (
	killEvents = 400
	killBurst  = 16
)

func killEvent(i int) session.Event {
	ev := session.Event{T: at(i), Type: session.TypeStdout, Data: bytes.Repeat(fmt.Appendf(nil, "event %d\r\n", i), 1+i%200)}
	if i%5 == 0 {
		ev.Data = append(ev.Data, 0xff)
	}
	return ev
}

// TestAWriterKilledAtAnyMomentLosesNothingThatWasFlushed kills a process that
// writes, goes on with what it left in another, and kills that, until a
// recording is whole; every third is closed as torn instead.
func TestAWriterKilledAtAnyMomentLosesNothingThatWasFlushed(t *testing.T) {
	if dir := os.Getenv(dirEnv); dir != "" {
		writeToBeKilled(t, filepath.Join(dir, string(meta().ID)+PartSuffix))
		return
	}
	r := rand.New(rand.NewPCG(5, uint64(time.Now().UnixNano())))
	var ended, resumed, torn, flushed int
	dir := memDir(t)
	for round := 0; round < 40/step || ended == 0 || torn == 0; round++ {
		flushed = max(flushed, killLater(t, dir, r.IntN(80)))
		path := filepath.Join(dir, string(meta().ID)+Suffix)
		closed := true
		if _, err := os.Stat(path); err != nil {
			path, closed = filepath.Join(dir, string(meta().ID)+PartSuffix), false
		}
		evs, err := openedEvents(path)
		switch {
		case evs == nil && err != io.EOF && !closed && flushed == 0: // before the header was there
			dir = memDir(t)
			continue
		case err != io.EOF && (closed || !errors.Is(err, ErrTorn)):
			t.Fatalf("round %d: %d events were flushed, then %v", round, flushed, err)
		}
		checkPrefix(t, evs, flushed)
		if !closed && round%3 > 0 {
			resumed++
			continue // the next process goes on with it
		}
		if !closed {
			sum, err := Recover(path, "killed")
			if err != nil {
				t.Fatalf("round %d: recover: %v", round, err)
			}
			path = sum.Path
		}
		rep, err := Verify(path, nil)
		if err != nil || !rep.OK() {
			t.Fatalf("round %d: %v %+v", round, err, rep)
		}
		if evs, err = openedEvents(path); err != io.EOF {
			t.Fatalf("round %d: %v", round, err)
		}
		n := checkPrefix(t, evs, flushed)
		switch {
		case rep.Status == session.Torn && !closed:
			torn++
		case rep.Status == session.Complete && n == killEvents:
			ended++
		default:
			t.Fatalf("round %d: %s with %d events of %d", round, rep.Status, n, killEvents)
		}
		dir, flushed = memDir(t), 0
	}
	t.Logf("%d ended, %d gone on with, %d closed as torn", ended, resumed, torn)
}

// killLater starts a process that writes, kills it when it has flushed so many
// times or is at its end, and returns how many events it said were flushed.
func killLater(t *testing.T, dir string, flushes int) (flushed int) {
	t.Helper()
	cmd := again(t, dir)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for in := bufio.NewScanner(out); in.Scan(); {
		n, isCount := strings.CutPrefix(in.Text(), "flushed ")
		if !isCount {
			said = append(said, in.Text())
			continue
		}
		if flushed, err = strconv.Atoi(n); err != nil {
			t.Fatal(err)
		}
		if flushes--; flushes <= 0 || flushed == killEvents {
			cmd.Process.Kill() // what it said until then is still read
		}
	}
	cmd.Wait() // killed, or just at its end
	if strings.Contains(strings.Join(said, "\n"), "FAIL") {
		t.Fatalf("writer says: %q", said)
	}
	return flushed
}

func writeToBeKilled(t *testing.T, path string) {
	var w *Writer
	n := 0
	if _, err := os.Stat(path); err == nil {
		if w, err = Resume(path, Options{Pool: newPool(64<<10, 1)}); errors.Is(err, ErrEnded) {
			if _, err = Recover(path, ""); err != nil {
				t.Fatal(err)
			}
			return
		} else if err != nil {
			t.Fatal(err)
		}
		n = int(w.events)
	} else {
		w = create(t, filepath.Dir(path), Options{Pool: newPool(64<<10, 1)})
	}
	for n < killEvents {
		for range 1 + n%killBurst {
			if n < killEvents {
				write(t, w, killEvent(n))
				n++
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("flushed %d\n", n)
	}
	end(t, w)
}

func openedEvents(path string) ([]session.Event, error) {
	r, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readAll(r)
}

// checkPrefix holds that evs are the first events, at least so many of them,
// and an end or none. It returns how many there are.
func checkPrefix(t *testing.T, evs []session.Event, least int) int {
	t.Helper()
	if n := len(evs); n > 0 && evs[n-1].Type == session.TypeEnd {
		evs = evs[:n-1]
	}
	evs = joined(evs)
	if len(evs) < least {
		t.Fatalf("%d events are there, %d were flushed", len(evs), least)
	}
	for i, ev := range evs {
		same(t, []session.Event{ev}, []session.Event{killEvent(i)})
	}
	return len(evs)
}
