package probe

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/kubetape/kubetape/internal/require"
)

// bpfFiles counts this process's descriptors of BPF objects and of what waits
// for them.
func bpfFiles(t *testing.T) (n int) {
	t.Helper()
	r, w, err := os.Pipe() // the runtime's own poller is there from now on
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	dirs, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if to, err := os.Readlink("/proc/self/fd/" + d.Name()); err == nil && strings.HasPrefix(to, "anon_inode:") {
			n++
		}
	}
	return n
}

func mounts(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), " "+dir+" ")
}

func TestUnloadLeavesNothingBehind(t *testing.T) {
	c := settings(t)
	before := bpfFiles(t)
	p, err := Open(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Arm(); err != nil {
		t.Fatal(err)
	}
	ids := linkIDs(t, p)
	info, err := p.maps.Sessions.Info()
	if err != nil {
		t.Fatal(err)
	}
	sessions, _ := info.ID()
	if mounts(t, c.PinDir) != 1 || bpfFiles(t) <= before {
		t.Error("nothing is open: the test sees nothing")
	}
	if err := errors.Join(p.Unload(), p.Close()); err != nil {
		t.Fatal(err)
	}
	if n := bpfFiles(t); n != before {
		t.Errorf("%d descriptors of BPF objects before, %d after", before, n)
	}
	if n := mounts(t, c.PinDir); n != 0 {
		t.Errorf("%d mounts on the pin directory", n)
	}
	left, err := os.ReadDir(c.PinDir)
	if err != nil || len(left) != 0 {
		t.Errorf("in the pin directory: %v, %v", left, err)
	}
	for _, id := range ids {
		gone(t, "link", func() error {
			l, err := link.NewFromID(id)
			if err == nil {
				err = l.Close()
			}
			return err
		})
	}
	gone(t, "map", func() error {
		m, err := ebpf.NewMapFromID(sessions)
		if err == nil {
			err = m.Close()
		}
		return err
	})
}

func linkIDs(t *testing.T, p *Probe) (ids []link.ID) {
	t.Helper()
	for _, l := range append(append([]link.Link{}, p.links...), p.armed) {
		info, err := l.Info()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, info.ID)
	}
	return ids
}

// gone wants look to find nothing. The kernel drops objects behind grace
// periods: some are waited for.
func gone(t *testing.T, what string, look func() error) {
	t.Helper()
	for range 100 {
		if err := look(); errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err := quiesce(); err != nil {
			t.Fatal(err)
		}
	}
	t.Errorf("a %s is still in the kernel", what)
}

func TestCheckLeavesNothingBehind(t *testing.T) {
	require.BPF(t)
	before := bpfFiles(t)
	r := Check("")
	if !r.Usable() || r.Flavour != Syscall || r.Kernel == "" {
		t.Errorf("report: %+v", r)
	}
	if n := bpfFiles(t); n != before {
		t.Errorf("%d descriptors of BPF objects before, %d after", before, n)
	}
}

func TestSuccessorTakesOverAndReadsWhatWasLeft(t *testing.T) {
	c := settings(t)
	first, err := Open(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Arm(); err != nil {
		t.Fatal(err)
	}
	s := startTerminal(t, `printf 'one? '; read a; printf 'two? '; read b; echo bye`)
	s.expect("one? ")
	s.typeIn("1\n")
	s.expect("two? ")
	if first.Resumed() {
		t.Error("the first says that it resumed")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	s.typeIn("2\n") // while nobody is there
	s.end()

	second := openProbe(t, c)
	if !second.Resumed() {
		t.Fatal("the second did not resume")
	}
	if since, armed := second.ArmedSince(); !armed || since != 0 {
		t.Errorf("armed since %d, %v", since, armed)
	}
	h := listen(t, second).over(s.cmd.Process.Pid, 1)
	if string(h.data[1]) != s.shown.String() || string(h.data[0]) != s.typed.String() {
		t.Errorf("seen %q and %q of %q and %q", h.data[1], h.data[0], s.shown.String(), s.typed.String())
	}
	all, err := second.Sessions()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, l := range all {
		found = found || l.Session == h.sid && l.Exited && l.First == s.cmd.Process.Pid
	}
	if !found {
		t.Errorf("sessions in the kernel: %+v", all)
	}
	h.sum(t, second, [3]int{s.typed.Len(), s.shown.Len(), 0})
}

func TestBrokenPinsAreReplaced(t *testing.T) {
	c := settings(t)
	first, err := Open(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	missing := first.pins.mapp(recorderMapTasks)
	if err := errors.Join(first.Close(), os.Remove(missing)); err != nil {
		t.Fatal(err)
	}
	p := openProbe(t, c)
	if p.Resumed() {
		t.Error("took over a set without all its maps")
	}
	cmd, out, _ := pipes(t, nil, "echo works")
	if h := listen(t, p).over(cmd.Process.Pid, 1); string(h.data[1]) != string(out) {
		t.Errorf("seen %q of %q", h.data[1], out)
	}
}

func TestUnloadTakesAwayWhatADeadRecorderLeft(t *testing.T) {
	c := settings(t)
	log := slog.New(slog.DiscardHandler)
	if found, err := Unload(c.PinDir, log); found || err != nil {
		t.Errorf("before anything was loaded: %v, %v", found, err)
	}
	p, err := Open(c, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if found, err := Unload(c.PinDir, log); !found || err != nil {
		t.Errorf("after a recorder died: %v, %v", found, err)
	}
	if n := mounts(t, c.PinDir); n != 0 {
		t.Errorf("%d mounts on the pin directory", n)
	}
	if found, err := Unload(c.PinDir, log); found || err != nil {
		t.Errorf("a second time: %v, %v", found, err)
	}
}

func TestPinDirectoryThatCannotBeOneIsOneClearLine(t *testing.T) {
	for name, dir := range map[string]func(string) string{
		"a file":            func(d string) string { write(t, d+"/file", "x"); return d + "/file" },
		"below a file":      func(d string) string { write(t, d+"/file", "x"); return d + "/file/pins" },
		"in /proc":          func(string) string { return "/proc/kubetape" },
		"a name too long":   func(d string) string { return filepath.Join(d, strings.Repeat("x", 300)) },
		"a zero in a name":  func(d string) string { return d + "/a\x00b" },
		"an escape in /sys": func(string) string { return "/sys/\x1b[2J" },
	} {
		t.Run(name, func(t *testing.T) {
			c := settings(t)
			before := bpfFiles(t)
			c.PinDir = dir(t.TempDir())
			p, err := Open(c, slog.New(slog.DiscardHandler))
			if err == nil {
				t.Fatal(errors.Join(errors.New("opened"), p.Unload(), p.Close()))
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
			if n := bpfFiles(t); n != before {
				t.Errorf("%d descriptors before, %d after", before, n)
			}
		})
	}
}

func TestArmAndDisarmMayBeRepeated(t *testing.T) {
	p := openProbe(t, settings(t))
	if err := p.Arm(); err != nil {
		t.Error(err)
	}
	if err := errors.Join(p.Disarm(), p.Disarm()); err != nil {
		t.Error(err)
	}
	if _, armed := p.ArmedSince(); armed {
		t.Error("armed after Disarm")
	}
	before := Now()
	if err := p.Arm(); err != nil {
		t.Fatal(err)
	}
	if since, armed := p.ArmedSince(); !armed || since < before || since > Now() {
		t.Errorf("armed since %d, %v; it was %d", since, armed, before)
	}
}

func TestUnarmedProbeSeesTheSessionAndNotItsStreams(t *testing.T) {
	p := openProbe(t, settings(t))
	if err := p.Disarm(); err != nil {
		t.Fatal(err)
	}
	cmd, _, _ := pipes(t, nil, "echo unseen")
	if h := listen(t, p).over(cmd.Process.Pid); len(h.data[1]) != 0 {
		t.Errorf("seen %q", h.data[1])
	}
}

func TestNextAfterCloseSaysSo(t *testing.T) {
	c := settings(t)
	c.PinDir = ""
	p, err := Open(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	e := listen(t, p)
	if _, err := e.p.Next(farOff(), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("error is %v", err)
	}
}
