package recording

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/kubetape/kubetape/internal/session"
)

// FuzzDecodeLine holds that what decodes also encodes, and then decodes to the
// same event.
func FuzzDecodeLine(f *testing.F) {
	for _, ev := range append(sample(), loss(1)) {
		line, err := AppendLine(nil, &ev)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line[:len(line)-1])
	}
	f.Add([]byte(`{"t":"2026-02-09T10:15:30.001Z","d":"stdin","b":"bHMgLWxhCg=="}`))
	f.Add([]byte(`{"t":"2026-02-09T10:15:30.001Z","d":"stdin","s":"\u0000\ud83e\udd55"}`))
	f.Add([]byte(`{"t":"2026-02-09T10:15:30.001234Z","d":"stdin","s":"a\"b","b":""}`))
	f.Add([]byte(`{"t":"2026-02-09T10:15:30+02:00","d":"new_thing","x":[1,{"y":null}]}`))
	f.Add([]byte(`{"t":"2026-02-09T10:15:30Z","d":"end","status":"torn","streams":{}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var a, b session.Event
		if DecodeLine(line, &a) != nil || !Known(a.Type) {
			return
		}
		again, err := AppendLine(nil, &a)
		if err != nil {
			t.Fatalf("decoded %q, but cannot encode: %v", line, err)
		}
		if err := DecodeLine(again[:len(again)-1], &b); err != nil {
			t.Fatalf("encoded %q, but cannot decode: %v", again, err)
		}
		if a.Data, b.Data = bytes.Clone(a.Data), bytes.Clone(b.Data); !reflect.DeepEqual(a, b) {
			t.Fatalf("%q\n  was %+v\n  now %+v", line, a, b)
		}
	})
}

// FuzzReader gives arbitrary bytes to everything that reads a file. Memory is
// bounded, nothing panics, and who reads to the end has seen an end.
func FuzzReader(f *testing.F) {
	file := finished(f)
	f.Add(file, true)
	f.Add(file[:len(file)/2], true)
	open, _ := part(f)
	f.Add(open, false)
	f.Add([]byte(`{"t":"2026-02-09T10:15:30.001Z","d":"stdin","b":"bHMgLWxhCg=="}`), false)
	z, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(z.EncodeAll(make([]byte, 1<<26), nil), true) // a bomb
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte, closed bool) {
		suffix := PartSuffix
		if closed {
			suffix = Suffix
		}
		path := filepath.Join(dir, string(meta().ID)+suffix)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path)
		if err != nil {
			return
		}
		defer r.Close()
		evs, err := readAll(r)
		ended := len(evs) > 0 && evs[len(evs)-1].Type == session.TypeEnd
		if err == io.EOF && r.Meta().V > 0 && !ended {
			t.Fatal("io.EOF without an end")
		}
		if r.SeekTime(at(150)) == nil {
			readAll(r)
		}
		if _, err := ReadInfo(path); err != nil {
			t.Fatalf("opens, but no info: %v", err)
		}
		rep, verr := Verify(path, nil)
		if verr != nil || rep.OK() && err != io.EOF {
			t.Fatalf("reader says %v, verify %v %+v", err, verr, rep)
		}
		if closed {
			return
		}
		if sum, err := Recover(path, "fuzz"); err == nil {
			if rep, err := Verify(sum.Path, nil); err != nil || !rep.OK() && errors.Is(err, ErrCorrupt) {
				t.Fatalf("recovered, but %v %+v", err, rep)
			}
			os.Remove(sum.Path)
			os.Remove(path + cutSuffix)
		}
	})
}

// FuzzRoundTrip writes what the bytes tell it to, with flushes and a crash in
// between, and reads it back.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("\x00hello\x01world\x02\xff\x03\x04\x05"), uint8(3))
	f.Add(bytes.Repeat([]byte{7, 1, 6, 0}, 300), uint8(0))
	f.Fuzz(func(t *testing.T, script []byte, crash uint8) {
		w := create(t, t.TempDir(), Options{Pool: newPool(1<<12, 1)})
		var want []session.Event
		for i := 0; len(script) > 0; i++ {
			op := script[0]
			n := min(len(script)-1, int(op>>3))
			data := script[1 : 1+n]
			script = script[1+n:]
			ev := session.Event{T: start.Add(time.Duration(i) * time.Microsecond), Type: session.TypeStdout, Data: data}
			switch op & 7 {
			case 0:
				ev.Type = session.TypeStdin
			case 1:
				ev = session.Event{T: ev.T, Type: session.TypeStdin, Masked: 1 + n}
			case 2:
				ev = session.Event{T: ev.T, Type: session.TypeExec, PID: i, Argv: []session.Text{session.Text(data)}}
			case 3:
				ev.Data = bytes.Repeat(data, 1000)
			case 4:
				if err := w.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			write(t, w, ev)
			want = append(want, ev)
			if i == int(crash) {
				if err := w.Flush(); err != nil {
					t.Fatal(err)
				}
				if err := w.Abandon(); err != nil {
					t.Fatal(err)
				}
				var err error
				if w, err = Resume(w.Path(), Options{Pool: w.pool}); err != nil {
					t.Fatal(err)
				}
			}
		}
		sum := end(t, w)
		checkGood(t, sum)
		evs, err := readAll(open(t, sum.Path))
		if err != io.EOF {
			t.Fatal(err)
		}
		same(t, joined(evs[:len(evs)-1]), want)
	})
}

// joined makes one event again of those that a Writer made of one.
func joined(evs []session.Event) (out []session.Event) {
	for _, ev := range evs {
		if n := len(out) - 1; n >= 0 && ev.Type.Stream() != "" && out[n].Type == ev.Type && out[n].T.Equal(ev.T) {
			out[n].Data = append(out[n].Data, ev.Data...)
			continue
		}
		out = append(out, ev)
	}
	return out
}
