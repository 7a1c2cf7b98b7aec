package probe

import (
	"encoding/binary"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/kubetape/kubetape/internal/kevent"
)

// layoutOf returns a struct as the embedded object's type information has it.
func layoutOf(t testing.TB, name string) *btf.Struct {
	t.Helper()
	spec, err := loadRecorder()
	if err != nil {
		t.Fatal(err)
	}
	var s *btf.Struct
	if err := spec.Types.TypeByName(name, &s); err != nil {
		t.Fatalf("struct %s: %v", name, err)
	}
	return s
}

func TestGoMirrorsHaveTheLayoutOfTheObject(t *testing.T) {
	for name, mirror := range map[string]any{
		"ev_header":      recorderEvHeader{},
		"ev_data":        recorderEvData{},
		"ev_exec":        recorderEvExec{},
		"ev_exit":        recorderEvExit{},
		"ev_resize":      recorderEvResize{},
		"session":        recorderSession{},
		"slot":           recorderSlot{},
		"counters":       recorderCounters{},
		"task_info":      recorderTaskInfo{},
		"container_info": recorderContainerInfo{},
		"object_key":     recorderObjectKey{},
		"object_info":    recorderObjectInfo{},
		"config":         recorderConfig{},
	} {
		t.Run(name, func(t *testing.T) {
			c, g := layoutOf(t, name), reflect.TypeOf(mirror)
			if uintptr(c.Size) != g.Size() {
				t.Errorf("%d bytes in the object, %d in Go", c.Size, g.Size())
			}
			if n := fields(g); n != len(c.Members) {
				t.Errorf("%d members in the object, %d in Go", len(c.Members), n)
			}
			for _, m := range c.Members {
				f, ok := g.FieldByNameFunc(func(s string) bool {
					return strings.EqualFold(s, strings.ReplaceAll(m.Name, "_", ""))
				})
				if !ok {
					t.Errorf("no field for %s", m.Name)
					continue
				}
				size, err := btf.Sizeof(m.Type)
				if err != nil {
					t.Fatal(err)
				}
				if uintptr(m.Offset.Bytes()) != f.Offset || uintptr(size) != f.Type.Size() {
					t.Errorf("%s: %d bytes at %d in the object, %d at %d in Go", m.Name, size, m.Offset.Bytes(), f.Type.Size(), f.Offset)
				}
			}
		})
	}
}

// fields counts those that are not padding.
func fields(g reflect.Type) (n int) {
	for i := range g.NumField() {
		if g.Field(i).Name != "_" {
			n++
		}
	}
	return n
}

// put writes v where the object's type information says that a member lies.
func put(t testing.TB, b []byte, s *btf.Struct, member string, v uint64) {
	t.Helper()
	for _, m := range s.Members {
		if m.Name != member {
			continue
		}
		at := m.Offset.Bytes()
		size, err := btf.Sizeof(m.Type)
		if err != nil {
			t.Fatal(err)
		}
		switch size {
		case 1:
			b[at] = byte(v)
		case 2:
			binary.LittleEndian.PutUint16(b[at:], uint16(v))
		case 4:
			binary.LittleEndian.PutUint32(b[at:], uint32(v))
		case 8:
			binary.LittleEndian.PutUint64(b[at:], v)
		default:
			t.Fatalf("%s.%s has %d bytes", s.Name, member, size)
		}
		return
	}
	t.Fatalf("struct %s has no %s", s.Name, member)
}

// record makes a record of the ring: a struct with its members set, and what
// follows it.
func record(t testing.TB, typ uint32, name string, members map[string]uint64, rest string) []byte {
	t.Helper()
	s, h := layoutOf(t, name), layoutOf(t, "ev_header")
	b := make([]byte, s.Size)
	for m, v := range members {
		put(t, b, s, m, v)
	}
	b = append(b, rest...)
	put(t, b, h, "ts", 111)
	put(t, b, h, "sid", 222)
	put(t, b, h, "type", uint64(typ))
	put(t, b, h, "size", uint64(len(b)))
	return b
}

// The offsets in decode.go are numbers: each member gets a value of its own where
// the object has it, and must come out as itself.
func TestDecodeReadsEachMemberWhereTheObjectHasIt(t *testing.T) {
	for name, c := range map[string]struct {
		raw  []byte
		want kevent.Event
	}{
		"data": {
			record(t, evData, "ev_data", map[string]uint64{
				"off": 1, "len": 3, "changed": 100, "stream": 2, "why": 0, "lflag": lflagEcho, "prev_lflag": lflagCanonical, "holder": 4, "fd": 5,
			}, "abc"),
			kevent.Event{
				Type: kevent.Data, Stream: 2, Off: 1, Len: 3, Bytes: []byte("abc"), Holder: 4, FD: 5,
				Term: kevent.Term{Known: true, Echo: true, PrevCanonical: true, Changed: 100},
			},
		},
		"unseen": {
			record(t, evUnseen, "ev_data", map[string]uint64{"off": 7, "len": 1 << 40, "stream": 1, "why": 3}, ""),
			kevent.Event{Type: kevent.Unseen, Stream: 1, Off: 7, Len: 1 << 40, Why: kevent.Before},
		},
		"end of file": {
			record(t, evEOF, "ev_data", map[string]uint64{"off": 7, "stream": 1, "holder": 8, "fd": 9, "lflag": lflagCanonical}, ""),
			kevent.Event{Type: kevent.EOF, Stream: 1, Off: 7, Holder: 8, FD: 9, Term: kevent.Term{Known: true, Canonical: true}},
		},
		"exit": {
			record(t, evExit, "ev_exit", map[string]uint64{"seq": 1, "pid": 2, "code": 3, "first": 1}, ""),
			kevent.Event{Type: kevent.Exit, Seq: 1, PID: 2, Code: 3, First: true},
		},
		"resize": {
			record(t, evResize, "ev_resize", map[string]uint64{"seq": 1, "rows": 24, "cols": 80}, ""),
			kevent.Event{Type: kevent.Resize, Seq: 1, Rows: 24, Cols: 80},
		},
		"hint":   {record(t, evHint, "ev_header", nil, ""), kevent.Event{Type: kevent.Hint}},
		"unborn": {record(t, evUnborn, "ev_header", nil, ""), kevent.Event{Type: kevent.Unborn}},
		"enter": {
			process(t, evEnter, map[string]uint64{"kind": 3}, "sshd", "sshd: root", "last/parent/top/", "ls\x00-l\x00"),
			kevent.Event{Type: kevent.Enter, Seq: 1, Program: kevent.Program{
				Kind: kevent.Login, Outer: 2, ArgvAll: 3, Written: 4, PID: 7, PPID: 8, UID: 9, LoginUID: 10, MountNS: 11, PidNS: 12, NSPID: 13,
				Rows: 14, Cols: 15, Host: true, TTY: 17, Comm: "sshd", Parent: "sshd: root", Cgroup: "/top/parent/last", Argv: []byte("ls\x00-l\x00"),
				FDs: [3]kevent.FD{kevent.FDTTY, kevent.FDPipe, kevent.FDNull},
			}},
		},
		"exec": {
			process(t, evExec, nil, "fifteen-bytes-15", "", "", ""),
			kevent.Event{Type: kevent.Exec, Seq: 1, Program: kevent.Program{
				Outer: 2, ArgvAll: 3, Written: 4, PID: 7, PPID: 8, UID: 9, LoginUID: 10, MountNS: 11, PidNS: 12, NSPID: 13,
				Rows: 14, Cols: 15, Host: true, TTY: 17, Comm: "fifteen-bytes-15", Cgroup: "/", Argv: []byte{},
				FDs: [3]kevent.FD{kevent.FDTTY, kevent.FDPipe, kevent.FDNull},
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.At, c.want.Session = 111, 222
			ev := kevent.Event{Type: 99, Bytes: []byte("left from the last event"), Rows: 7}
			if err := decode(c.raw, &ev); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(ev, c.want) {
				t.Errorf("decoded\n\t%+v\nwant\n\t%+v", ev, c.want)
			}
		})
	}
}

// process makes a record of a process.
func process(t testing.TB, typ uint32, members map[string]uint64, comm, parent, cgroup, argv string) []byte {
	t.Helper()
	all := map[string]uint64{
		"seq": 1, "outer": 2, "argv_all": 3, "written": 4, "argv_len": uint64(len(argv)), "cgroup_len": uint64(len(cgroup)),
		"pid": 7, "ppid": 8, "uid": 9, "loginuid": 10, "mntns": 11, "pidns": 12, "nspid": 13, "rows": 14, "cols": 15,
		"host": 1, "lflag": 16, "tty_index": 17,
	}
	for m, v := range members {
		all[m] = v
	}
	b := record(t, typ, "ev_exec", all, cgroup+argv)
	for _, m := range layoutOf(t, "ev_exec").Members {
		switch m.Name {
		case "comm":
			copy(b[m.Offset.Bytes():], comm)
		case "parent":
			copy(b[m.Offset.Bytes():], parent)
		case "fds":
			copy(b[m.Offset.Bytes():], []byte{1, 2, 4})
		}
	}
	return b
}

// Enums and macros leave no trace in the object: their source is compared.
func TestNumbersOfTheSourceAreThoseOfTheGoSide(t *testing.T) {
	b, err := os.ReadFile("../../bpf/event.h")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, m := range regexp.MustCompile(`(?m)^(?:#define |\s+)([A-Z][A-Z_]+)(?: =)? (\d+)\b`).FindAllStringSubmatch(string(b), -1) {
		if got[m[1]], err = strconv.ParseUint(m[2], 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]uint64{
		"EV_DATA": evData, "EV_UNSEEN": evUnseen, "EV_EOF": evEOF, "EV_ENTER": evEnter, "EV_EXEC": evExec, "EV_EXIT": evExit,
		"EV_RESIZE": evResize, "EV_HINT": evHint, "EV_UNBORN": evUnborn,
		"ENTER_EXEC": uint64(kevent.PutIn), "ENTER_FIRST": uint64(kevent.First), "ENTER_LOGIN": uint64(kevent.Login), "ENTER_COMMAND": uint64(kevent.Command),
		"FD_NONE": uint64(kevent.FDNone), "FD_TTY": uint64(kevent.FDTTY), "FD_PIPE": uint64(kevent.FDPipe), "FD_SOCKET": uint64(kevent.FDSocket),
		"FD_NULL": uint64(kevent.FDNull), "FD_FILE": uint64(kevent.FDFile),
		"UNSEEN_FAULT": uint64(kevent.Fault), "UNSEEN_MOVED": uint64(kevent.Moved), "UNSEEN_BEFORE": uint64(kevent.Before), "UNSEEN_LARGE": uint64(kevent.Large),
		"KT_SLOT_BITS": slotBits, "KT_STREAMS": 3, "TASK_FIRST": taskFirst,
	} {
		if g, ok := got[name]; !ok || g != want {
			t.Errorf("%s is %d (%v) in the source, %d in Go", name, g, ok, want)
		}
	}
	spec, err := loadRecorder()
	if err != nil {
		t.Fatal(err)
	}
	if got := spec.Maps[recorderMapSlots].MaxEntries; got != 1<<slotBits {
		t.Errorf("%d slots in the object, %d in Go", got, 1<<slotBits)
	}
}
