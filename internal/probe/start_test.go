package probe

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/kubetape/kubetape/internal/kevent"
)

func TestKeptBeginningIsReadAsFarAsItGoes(t *testing.T) {
	whole := process(t, evEnter, map[string]uint64{"kind": 1, "argv_all": 9}, "sh", "shim", "box/docker/", "sh\x00-c\x00id\x00")
	for name, c := range map[string]struct {
		raw    []byte
		argv   string
		cgroup string
	}{
		"whole":               {whole, "sh\x00-c\x00id\x00", "/docker/box"},
		"with room behind it": {append(slices.Clone(whole), 0, 0, 0), "sh\x00-c\x00id\x00", "/docker/box"},
		"argv cut":            {whole[:len(whole)-4], "sh\x00-c", "/docker/box"},
		"argv cut off":        {whole[:len(whole)-9], "", "/docker/box"},
		"cgroup cut":          {whole[:len(whole)-12], "", "/dock/box"},
		"nothing behind it":   {whole[:sizeExec], "", "/"},
	} {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(c.raw)
			var ev kevent.Event
			if err := decodeStart(c.raw, &ev); err != nil {
				t.Fatal(err)
			}
			p := ev.Program
			if ev.Type != kevent.Enter || ev.Session != 222 || p.Kind != kevent.PutIn || p.ArgvAll != 9 || string(p.Argv) != c.argv || p.Cgroup != c.cgroup {
				t.Errorf("read %+v", ev)
			}
			if !bytes.Equal(c.raw, before) {
				t.Error("what was kept was changed")
			}
		})
	}
	var ev kevent.Event
	if err := decodeStart(whole[:sizeExec-1], &ev); err == nil {
		t.Error("read less than a beginning")
	}
}

func FuzzDecodeStart(f *testing.F) {
	f.Add(process(f, evEnter, map[string]uint64{"kind": 1}, "sh", "shim", "a/b/", "sh\x00"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = slices.Clip(raw)
		if len(raw) >= sizeExec { // lengths at the edges are what matters
			n := uint32(len(raw) - sizeExec)
			edge := slices.Clone(raw)
			binary.LittleEndian.PutUint32(edge[offCgroupLen:], ^uint32(0))
			binary.LittleEndian.PutUint32(edge[offArgvLen:], n+1)
			var ev kevent.Event
			if err := decodeStart(edge, &ev); err != nil {
				t.Errorf("lengths beyond the end: %v", err)
			}
		}
		var ev kevent.Event
		if decodeStart(raw, &ev) != nil {
			return
		}
		if len(ev.Program.Argv)+len(ev.Program.Cgroup) > len(raw)+1 {
			t.Errorf("more came out than the %d bytes that went in", len(raw))
		}
	})
}

func TestBeginningOfAnOpenSessionIsKeptInTheKernel(t *testing.T) {
	p := openProbe(t, settings(t))
	s := startTerminal(t, `printf 'there? '; read a; : `+strings.Repeat("x", 2000))
	s.expect("there? ")
	e := listen(t, p)
	e.until(func() bool { return e.of(s.cmd.Process.Pid).begun })
	told := e.of(s.cmd.Process.Pid)
	kept, ok := p.Start(told.sid)
	if !ok || kept.Session != told.sid || kept.Program.PID != told.enter.PID || kept.Program.Kind != told.enter.Kind ||
		kept.Program.Cgroup != told.enter.Cgroup || kept.Program.ArgvAll != told.enter.ArgvAll {
		t.Errorf("kept %+v, %v; told %+v", kept, ok, told.enter)
	}
	if n := len(kept.Program.Argv); n < 100 || n >= len(told.enter.Argv) || !bytes.HasPrefix(told.enter.Argv, kept.Program.Argv) {
		t.Errorf("%d bytes of argv kept of %d", n, len(told.enter.Argv))
	}
	s.typeIn("\n")
	s.end()
	e.over(s.cmd.Process.Pid, 1)
	if err := p.Forget(told.sid); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.Start(told.sid); ok {
		t.Error("kept after the session was forgotten")
	}
}
