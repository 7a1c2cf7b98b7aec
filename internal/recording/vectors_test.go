package recording

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kubetape/kubetape/internal/session"
)

// The vectors in testdata are made by make.py, which knows FORMAT.md and not
// this package.
var vectors = []struct {
	name   string
	status session.Status
	events int    // that Next gives, the end included
	fault  string // part of the only fault
	open   error  // from Open
	read   error  // from Next behind the last event
}{
	{name: "exec_01jkn3w8zv5q2m7d9b4x6c8e0f", status: session.Lossy, events: 17, read: io.EOF},
	{name: "exec_01jkn3xpppes00000000000000", status: session.Complete, events: 5, read: io.EOF},
	{name: "shell_01jkn3xt0rn000000000000000", status: session.Torn, events: 2, read: io.EOF},
	{name: "attach_01jkn3xcut0000000000000000", status: session.Torn, events: 2, fault: "without an end", read: ErrTorn},
	{name: "exec_01jkn3xfvtvre000000000000000", status: session.Complete, events: 2, read: io.EOF},
	{name: "exec_01jkn3xtext0000000000000000", status: session.Complete, events: 8, read: io.EOF},
	{name: "exec_01jkn3xb0th000000000000000", status: session.Torn, events: 0, fault: "both s and b", read: ErrCorrupt},
	{name: "exec_01jkn3xha1f000000000000000", status: session.Torn, events: 0, fault: "not a JSON string", read: ErrCorrupt},
	{name: "exec_01jkn3xvers10n20000000000000", open: ErrVersion},
	{name: "exec_01jkn3xf0rged00000000000000a", status: session.Torn, events: 2, fault: "stdout: sha256", read: io.EOF},
	{name: "exec_01jkn3xback0000000000000000b", status: session.Torn, events: 3, fault: "time goes back", read: io.EOF},
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		for _, suffix := range []string{".jsonl", ".jsonl.zst"} {
			t.Run(v.name+suffix, func(t *testing.T) {
				path := filepath.Join("testdata", v.name+suffix)
				r, err := Open(path)
				if v.open != nil {
					if !errors.Is(err, v.open) {
						t.Fatalf("open: %v, want %v", err, v.open)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				evs, err := readAll(r)
				if len(evs) != v.events || !errors.Is(err, v.read) {
					t.Errorf("%d events and %v, want %d and %v", len(evs), err, v.events, v.read)
				}
				rep, err := Verify(path, nil)
				if err != nil || rep.Status != v.status {
					t.Errorf("verify: %v, %+v", err, rep)
				}
				// A cut compressed file also lacks its seek table.
				if n := len(rep.Faults); v.fault == "" && n > 0 || v.fault != "" && !strings.Contains(strings.Join(rep.Faults, "\n"), v.fault) {
					t.Errorf("faults: %q, want %q", rep.Faults, v.fault)
				}
			})
		}
	}
}

func TestTheLongVectorIsReadToTheLetter(t *testing.T) {
	r := open(t, filepath.Join("testdata", vectors[0].name+Suffix))
	m := r.Meta()
	if m.Argv[2] != "printf '\xff'; exec sh" || m.Origin[1].Comm != "odd\xfe" || *m.UID != 0 || m.Cols != 120 {
		t.Errorf("header: %+v", m)
	}
	evs, _ := readAll(r)
	if string(evs[0].Data) != "\xff# " || evs[3].Masked != 8 || evs[5].Rows != 43 || evs[10].Bytes != 4096 || evs[11].Bytes != -1 {
		t.Errorf("events: %+v", evs)
	}
	ex := evs[8]
	want := []session.Text{"\x80\x81", "", "\u2028<&>\x01"}
	if !slices.Equal(ex.Argv, want) || ex.ArgvCut != 17 || ex.UID != 1000 {
		t.Errorf("exec: %+v", ex)
	}
	if evs[13].Signal != 9 || evs[13].ExitCode != nil || *evs[12].ExitCode != 0 {
		t.Errorf("exits: %+v %+v", evs[12], evs[13])
	}
}

func TestTheVectorOfTextIsReadToTheLetter(t *testing.T) {
	r := open(t, filepath.Join("testdata", "exec_01jkn3xtext0000000000000000"+Suffix))
	var latin []byte
	for c := range rune(0x100) {
		latin = utf8.AppendRune(latin, c)
	}
	evs, _ := readAll(r)
	for i, want := range []string{
		string(latin), "\u061b\u061c\u200d\u200e\u200f\u2028\u2029\u202e\u2066\u206f\ufeff\ufffd\ufffe\uffff\U0001f955\U0010ffff",
		"as base64", "\xc3", "\xa9", "", "/é🥕\b\f\x7f\x1b",
	} {
		if string(evs[i].Data) != want {
			t.Errorf("event %d: %q, want %q", i, evs[i].Data, want)
		}
	}
}

// Except where a vector shows another spelling on purpose, its author and this
// package, who both know FORMAT.md, spell each line of a stream alike.
func TestVectorsAreSpelledAsTheWriterSpells(t *testing.T) {
	alike, text := 0, 0
	for _, v := range vectors {
		b, err := os.ReadFile(filepath.Join("testdata", v.name+".jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(b) {
			var ev session.Event
			if !bytes.Contains(line, []byte(`,"s":`)) || DecodeLine(line[:len(line)-1], &ev) != nil {
				continue
			}
			text++
			if again, err := AppendLine(nil, &ev); err == nil && bytes.Equal(again, line) {
				alike++
			}
		}
	}
	// The two with \b in them are not.
	if text-alike != 2 || alike < 10 {
		t.Errorf("%d of %d lines are spelled alike", alike, text)
	}
}

func TestTheSeedsPlainFormIsRead(t *testing.T) {
	path := filepath.Join("testdata", "exec_a1b2c3.jsonl")
	r := open(t, path)
	started := time.Date(2026, 2, 9, 10, 15, 30, 1e6, time.UTC)
	want := session.Meta{ID: "exec_a1b2c3", Kind: session.Exec, Observer: session.API, StartedAt: started}
	if !reflect.DeepEqual(r.Meta(), want) {
		t.Errorf("header: %+v", r.Meta())
	}
	evs, err := readAll(r)
	if err != io.EOF {
		t.Fatal(err)
	}
	same(t, evs, []session.Event{
		{T: started, Type: session.TypeStdin, Data: []byte("ls -la\n")},
		{T: started.Add(49 * time.Millisecond), Type: session.TypeStdout, Data: []byte("total 24\n")},
	})
	rep, err := Verify(path, nil)
	if err != nil || !rep.OK() || rep.Status != "" || !rep.Info.Plain || len(rep.Notes) != 1 {
		t.Errorf("verify: %v %+v", err, rep)
	}
	if err := r.SeekTime(at(20)); err != nil {
		t.Fatal(err)
	}
	if ev, err := r.Next(); err != nil || ev.Type != session.TypeStdout {
		t.Errorf("after a seek: %v %+v", err, ev)
	}
}

func TestAPlainFileThatStopsInALineIsTorn(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join("testdata", "exec_a1b2c3.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		path := filepath.Join(t.TempDir(), "exec_a1b2c3.jsonl")
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path)
		if err == nil {
			_, err = readAll(r)
			r.Close()
		}
		// Where a cut falls between two lines nothing can tell; FORMAT.md says so.
		line := len(whole) / 2
		between := n == line-1 || n == line || n == line+1 || n == len(whole)-1
		if !errors.Is(err, ErrTorn) && (!between || err != io.EOF) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}

func TestWhatIsNoRecordingIsOneClearError(t *testing.T) {
	dir := t.TempDir()
	for name, b := range map[string]string{
		"empty":            "",
		"text":             "hello\n",
		"json of another":  `{"hello":1}` + "\n",
		"an array":         "{]\n",
		"header of no v":   `{"id":"exec_1"}` + "\n",
		"gzip":             "\x1f\x8b\x08\x00",
		"zstd, no line":    "\x28\xb5\x2f\xfd\x24\x00\x01\x00\x00\x99\xe9\xd8\x51",
		"id that climbs":   `{"v":1,"id":"../../etc/x","kind":"exec","observer":"node","started_at":"2026-02-09T10:15:30Z"}` + "\n",
		"kind of another":  `{"v":1,"id":"exec_1","kind":"shell","observer":"node","started_at":"2026-02-09T10:15:30Z"}` + "\n",
		"key stands twice": `{"v":1,"v":1,"id":"exec_1","kind":"exec","observer":"node","started_at":"2026-02-09T10:15:30Z"}` + "\n",
	} {
		path := filepath.Join(dir, "x")
		if err := os.WriteFile(path, []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path)
		if err == nil {
			_, err = r.Next()
			r.Close()
		}
		if err == nil || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%s: %q", name, err)
		}
		if _, err := ReadInfo(path); err == nil {
			t.Errorf("%s: info without an error", name)
		}
	}
	if _, err := Open(dir); err == nil {
		t.Error("a directory was opened")
	}
}
