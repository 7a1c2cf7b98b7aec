package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kubetape/kubetape/internal/kevent"
)

// samples is one record of each type.
func samples(t testing.TB) [][]byte {
	return [][]byte{
		record(t, evData, "ev_data", map[string]uint64{"len": 3, "stream": 1}, "abc"),
		record(t, evUnseen, "ev_data", map[string]uint64{"len": 9, "why": 1}, ""),
		record(t, evEOF, "ev_data", nil, ""),
		process(t, evEnter, map[string]uint64{"kind": 1}, "sh", "containerd-shim", "a/b/", "sh\x00-c\x00id\x00"),
		process(t, evExec, nil, "ls", "sh", "", "ls\x00"),
		record(t, evExit, "ev_exit", nil, ""),
		record(t, evResize, "ev_resize", nil, ""),
		record(t, evHint, "ev_header", nil, ""),
		record(t, evUnborn, "ev_header", nil, ""),
	}
}

func TestDecodeRefusesARecordCutAnywhere(t *testing.T) {
	for _, raw := range samples(t) {
		for n := range raw {
			var ev kevent.Event
			if err := decode(raw[:n:n], &ev); !errors.Is(err, errShort) {
				t.Errorf("type %d cut to %d of %d bytes: %v", raw[16], n, len(raw), err)
			}
			announced := slices.Clone(raw[:n])
			if n < sizeHeader {
				continue
			}
			binary.LittleEndian.PutUint32(announced[20:], uint32(n))
			if err := decode(announced, &ev); err == nil {
				t.Errorf("type %d with %d of %d bytes and a size that says so is decoded", raw[16], n, len(raw))
			}
		}
	}
}

func TestDecodeIgnoresWhatLiesBehindTheRecord(t *testing.T) {
	for _, raw := range samples(t) {
		var a, b kevent.Event
		if err := decode(raw, &a); err != nil {
			t.Fatal(err)
		}
		if err := decode(append(slices.Clone(raw), 1, 2, 3, 4, 5, 6, 7, 8), &b); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Bytes, b.Bytes) || !bytes.Equal(a.Program.Argv, b.Program.Argv) {
			t.Errorf("type %d: padding became content", raw[16])
		}
	}
}

func TestDecodeRefusesWhatMakesNoSense(t *testing.T) {
	for name, c := range map[string]struct {
		raw  []byte
		says string
	}{
		"no bytes":                          {nil, "too short"},
		"type 0":                            {record(t, 0, "ev_header", nil, ""), "unknown type 0"},
		"a type that nobody knows":          {record(t, 10, "ev_header", nil, ""), "unknown type 10"},
		"a fourth stream":                   {record(t, evData, "ev_data", map[string]uint64{"stream": 3, "len": 1}, "x"), "stream 3"},
		"a stream beyond int32":             {record(t, evUnseen, "ev_data", map[string]uint64{"stream": 0xffffffff}, ""), "stream"},
		"fewer bytes than announced":        {record(t, evData, "ev_data", map[string]uint64{"len": 2}, "x"), "1 bytes, 2 announced"},
		"more bytes than announced":         {record(t, evData, "ev_data", map[string]uint64{"len": 1}, "xy"), "2 bytes, 1 announced"},
		"argv beyond the record":            {process(t, evExec, map[string]uint64{"argv_len": 5}, "", "", "", "abcd"), "too short"},
		"cgroup beyond the record":          {process(t, evEnter, map[string]uint64{"cgroup_len": 1 << 31}, "", "", "a/", ""), "too short"},
		"two lengths whose sum wraps":       {process(t, evEnter, map[string]uint64{"cgroup_len": 0xffffffff, "argv_len": 2}, "", "", "", ""), "too short"},
		"a size that is less than a header": {withSize(record(t, evHint, "ev_header", nil, ""), 23), "too short"},
		"a size beyond the record":          {withSize(record(t, evHint, "ev_header", nil, ""), 25), "too short"},
		"a size beyond int32":               {withSize(record(t, evHint, "ev_header", nil, ""), 0xffffffff), "too short"},
	} {
		t.Run(name, func(t *testing.T) {
			var ev kevent.Event
			err := decode(c.raw, &ev)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is %v, want one line with %q", err, c.says)
			}
		})
	}
}

func withSize(raw []byte, n uint32) []byte {
	binary.LittleEndian.PutUint32(raw[20:], n)
	return raw
}

func TestCgroupPathIsTurnedUpright(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "/",
		"a/":                    "/a",
		"last/mid/top/":         "/top/mid/last",
		"cut/without its slash": "/without its slash/cut",
		"/":                     "/",
		"\x1b[2J/x/":            "/x/\x1b[2J",
	} {
		if got := upright(in); got != want {
			t.Errorf("upright(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNameOfAProgramEndsAtItsFirstZero(t *testing.T) {
	for in, want := range map[string]string{"": "", "sh\x00x": "sh", "0123456789abcdef": "0123456789abcdef", "\xff\x80": "\xff\x80"} {
		var c [16]int8
		for i := range len(in) {
			c[i] = int8(in[i])
		}
		if got := text(c); got != want {
			t.Errorf("text(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, raw := range samples(f) {
		f.Add(raw)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = slices.Clip(raw) // a read beyond it panics
		before := slices.Clone(raw)
		var ev kevent.Event
		if err := decode(raw, &ev); err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
			return
		}
		if !bytes.Equal(raw, before) {
			t.Error("the record was changed")
		}
		size := int(binary.LittleEndian.Uint32(raw[20:]))
		if len(ev.Bytes) > size || len(ev.Program.Argv)+len(ev.Program.Cgroup) > size {
			t.Errorf("more came out (%d, %d) than the record's %d bytes", len(ev.Bytes), len(ev.Program.Argv), size)
		}
		if ev.Type == kevent.Data && uint64(len(ev.Bytes)) != ev.Len {
			t.Errorf("%d bytes for %d", len(ev.Bytes), ev.Len)
		}
		if ev.Stream < 0 || ev.Stream > 2 || ev.Type == 0 || ev.Type > kevent.Unborn {
			t.Errorf("stream %d of an event of type %d", ev.Stream, ev.Type)
		}
	})
}

// The kernel's formula, written apart: the high bits of the product.
func TestSlotIsTheOneThatTheKernelComputes(t *testing.T) {
	for _, sid := range []uint64{0, 1, 2, 1 << 63, ^uint64(0), 0x0123456789abcdef} {
		product := sid * 0x9e3779b97f4a7c15
		if got, want := slotOf(sid), uint32(product>>52); got != want {
			t.Errorf("slotOf(%#x) = %d, want %d", sid, got, want)
		}
	}
}

// Numbers of sessions are times with a processor's number in the low byte, so
// they come in regular steps. They must not share slots more than chance would
// have it.
func TestSlotsAreSpreadEvenly(t *testing.T) {
	for name, stride := range map[string]uint64{
		"one a nanosecond":        1 << 8,
		"one a microsecond":       1000 << 8,
		"one a millisecond":       1e6 << 8,
		"one a second":            1e9 << 8,
		"pipes of one login":      1 << 48,
		"several processors' own": 1,
	} {
		t.Run(name, func(t *testing.T) {
			const n = 64
			var used [1 << slotBits]int
			most := 0
			for i := range uint64(n) {
				s := slotOf(123456789<<8 + i*stride)
				if s >= 1<<slotBits {
					t.Fatalf("slot %d of %d", s, 1<<slotBits)
				}
				used[s]++
				most = max(most, used[s])
			}
			if most > 3 {
				t.Errorf("%d of %d sessions share a slot", most, n)
			}
		})
	}
}
