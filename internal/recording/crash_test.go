package recording

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubetape/kubetape/internal/durable"
	"github.com/kubetape/kubetape/internal/session"
)

// part returns the bytes of an open recording of the sample, with a frame for
// every two events, and where its frames end.
func part(t testing.TB) (file []byte, ends []int) {
	t.Helper()
	w := create(t, t.TempDir(), Options{})
	ends = append(ends, int(w.Size()))
	for i, ev := range sample() {
		write(t, w, ev)
		if i%2 == 1 || i == len(sample())-1 {
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			ends = append(ends, int(w.Size()))
		}
	}
	b, err := os.ReadFile(w.Path())
	if err != nil {
		t.Fatal(err)
	}
	return b, ends
}

// finished returns the bytes of a finished recording of the sample in several
// frames.
func finished(t testing.TB) []byte {
	t.Helper()
	b, _ := part(t)
	dir := t.TempDir()
	w, err := Resume(put(t, dir, PartSuffix, b), Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.closed = true // keep the small frames: End would join them
	defer w.file.Close()
	end := session.Event{T: at(5000), Type: session.TypeEnd, Status: session.Complete, Streams: w.streams(true)}
	if w.text, err = AppendLine(nil, &end); err != nil {
		t.Fatal(err)
	}
	if err := w.finish(); err != nil {
		t.Fatal(err)
	}
	b, err = os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// memDir is a directory in memory where there is one, for tests that sync
// thousands of files to no purpose.
func memDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "recording")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func put(t testing.TB, dir, suffix string, b []byte) string {
	t.Helper()
	path := filepath.Join(dir, string(meta().ID)+suffix)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// eventsIn is how many events of the sample the first n bytes of part hold.
func eventsIn(ends []int, n int) (events int) {
	for i, end := range ends[1:] {
		if n >= end {
			events = min(2*(i+1), len(sample()))
		}
	}
	return events
}

func TestAfterACutAtAnyByteTheGoodPartIsReadAndRecordingGoesOn(t *testing.T) {
	file, ends := part(t)
	dir := memDir(t)
	for n := 0; n <= len(file); n += step {
		path := put(t, dir, PartSuffix, file[:n])
		want := sample()[:eventsIn(ends, n)]
		if n < ends[0] {
			if _, err := Open(path); !errors.Is(err, ErrTorn) {
				t.Fatalf("open of %d bytes, less than the header: %v, want ErrTorn", n, err)
			}
			if _, err := Resume(path, Options{}); !errors.Is(err, ErrTorn) {
				t.Fatalf("resume of %d bytes, less than the header: %v, want ErrTorn", n, err)
			}
			continue
		}
		evs, err := readAll(open(t, path))
		if !errors.Is(err, ErrTorn) {
			t.Fatalf("cut at %d: %v, want ErrTorn", n, err)
		}
		same(t, evs, want)

		w, err := Resume(path, Options{})
		if err != nil {
			t.Fatalf("resume after a cut at %d: %v", n, err)
		}
		more := session.Event{T: at(2000), Type: session.TypeStdout, Data: []byte("and on")}
		write(t, w, more)
		sum := end(t, w)
		checkGood(t, sum)
		evs, err = readAll(open(t, sum.Path))
		if err != io.EOF || evs[len(evs)-1].Type != session.TypeEnd {
			t.Fatalf("resumed after a cut at %d: %v", n, err)
		}
		same(t, evs[:len(evs)-1], append(want[:len(want):len(want)], more))
		if err := os.Remove(sum.Path); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 { // the last .part without a header was overwritten
		for _, e := range left {
			if strings.HasSuffix(e.Name(), cutSuffix) {
				t.Errorf("an unfinished frame was kept as %s", e.Name())
			}
		}
	}
}

func TestAFinishedRecordingThatWasCutIsNeverTakenForWhole(t *testing.T) {
	file := finished(t)
	dir := memDir(t)
	for n := 0; n < len(file); n += step {
		path := put(t, dir, Suffix, file[:n])
		if r, err := Open(path); err == nil {
			evs, err := readAll(r)
			r.Close()
			if !errors.Is(err, ErrTorn) {
				t.Fatalf("cut at %d: %v, want ErrTorn", n, err)
			}
			if len(evs) > 0 && evs[len(evs)-1].Type == session.TypeEnd {
				evs = evs[:len(evs)-1]
			}
			same(t, evs, sample()[:len(evs)])
		} else if !errors.Is(err, ErrTorn) {
			t.Fatalf("open after a cut at %d: %v, want ErrTorn", n, err)
		}
		if rep, err := Verify(path, nil); err == nil && (rep.OK() || rep.Status != session.Torn) {
			t.Fatalf("verify after a cut at %d: %+v", n, rep)
		}
		if info, err := ReadInfo(path); err == nil && info.Status != session.Torn {
			t.Fatalf("info after a cut at %d: %+v", n, info)
		}
	}
}

// A window size in a frame header that is larger than need be changes nothing
// of what is decoded. Such a flip may pass here; the digest of the file, which
// stands in the audit log, tells it.
func TestAFlippedBitAnywhereIsNoticedOrHarmless(t *testing.T) {
	file := finished(t)
	noticed, harmless := 0, 0
	dir := memDir(t)
	for n := 0; n < len(file); n += step {
		for _, mask := range []byte{0x01, 0x10, 0x80, 0xff} {
			bad := bytes.Clone(file)
			bad[n] ^= mask
			path := put(t, dir, Suffix, bad)
			whole := false
			if r, err := Open(path); err == nil {
				evs, err := readAll(r)
				r.Close()
				if whole = err == io.EOF; whole && len(evs) != len(sample())+1 {
					t.Fatalf("byte %d ^ %#x: read to the end with %d events", n, mask, len(evs))
				}
				if len(evs) > 0 && evs[len(evs)-1].Type == session.TypeEnd {
					evs = evs[:len(evs)-1]
				}
				same(t, evs, sample()[:len(evs)])
			}
			if rep, err := Verify(path, nil); err == nil && rep.OK() != whole {
				t.Fatalf("byte %d ^ %#x: reader to the end %v, verified as %+v", n, mask, whole, rep)
			}
			ReadInfo(path) // a list does not check what lies between; it must only not panic
			if noticed++; whole {
				harmless++
			}
		}
	}
	if harmless*50 > noticed {
		t.Errorf("%d of %d flips passed", harmless, noticed)
	}
}

func TestAFlippedBitInAnOpenRecordingKeepsWhatIsBeforeItAndThrowsNothingAway(t *testing.T) {
	file, ends := part(t)
	kept := 0
	for n := ends[0]; n < len(file); n += step {
		dir := memDir(t)
		bad := bytes.Clone(file)
		bad[n] ^= 0x41
		path := put(t, dir, PartSuffix, bad)
		good := 0
		for _, end := range ends {
			if end <= n {
				good = end
			}
		}
		sum, err := Recover(path, "the machine stopped")
		if err != nil {
			t.Fatalf("byte %d: %v", n, err)
		}
		if sum.Status != session.Torn {
			t.Fatalf("byte %d: status %s", n, sum.Status)
		}
		checkGood(t, sum)
		evs, err := readAll(open(t, sum.Path))
		if err != io.EOF {
			t.Fatal(err)
		}
		if len(evs) != len(sample())+1 { // not a harmless flip, see above
			same(t, evs[:len(evs)-1], sample()[:eventsIn(ends, good)])
		}
		if cut, err := os.ReadFile(path + cutSuffix); err == nil && !bytes.Equal(cut, bad[good:]) {
			t.Fatalf("byte %d: %d bytes kept, want %d", n, len(cut), len(bad)-good)
		} else if err == nil {
			kept++
		}
	}
	if kept == 0 {
		t.Error("no flip made recovery keep what it cut off")
	}
}

func TestRecoverFinishesWhatACrashLeftBetweenEndAndRename(t *testing.T) {
	file := finished(t)
	table := len(appendTable(nil, make([]entry, 8)))
	for name, b := range map[string][]byte{
		"whole file, not yet renamed":     file,
		"end line, but no seek table":     file[:len(file)-table],
		"end line, and half a seek table": file[:len(file)-table/2],
	} {
		t.Run(name, func(t *testing.T) {
			path := put(t, t.TempDir(), PartSuffix, b)
			if err := os.WriteFile(path+mergeName, []byte("left over"), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Resume(path, Options{}); !errors.Is(err, ErrEnded) {
				t.Fatalf("resume: %v, want ErrEnded", err)
			}
			sum, err := Recover(path, "crash")
			if err != nil || sum.Status != session.Complete {
				t.Fatalf("recover: %v %+v", err, sum)
			}
			checkGood(t, sum)
			if got, _ := os.ReadFile(sum.Path); !bytes.Equal(got, file) {
				t.Error("the file is not what End would have written")
			}
			for _, suffix := range []string{"", cutSuffix, mergeName} {
				if _, err := os.Stat(path + suffix); err == nil {
					t.Errorf("%s is still there", filepath.Base(path+suffix))
				}
			}
		})
	}
}

func TestARecordingHasOneWriter(t *testing.T) {
	w := create(t, t.TempDir(), Options{})
	if _, err := Resume(w.Path(), Options{}); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("resume beside a writer: %v, want ErrLocked", err)
	}
	if _, err := Recover(w.Path(), ""); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("recover beside a writer: %v, want ErrLocked", err)
	}
	if _, err := Create(filepath.Dir(w.Path()), meta(), Options{}); !errors.Is(err, os.ErrExist) {
		t.Errorf("create beside a writer: %v, want ErrExist", err)
	}
	end(t, w)
	if _, err := Create(filepath.Dir(w.Path()), meta(), Options{}); !errors.Is(err, os.ErrExist) {
		t.Errorf("create over a finished recording: %v, want ErrExist", err)
	}
	if err := w.Write(sample()[0]); !errors.Is(err, ErrClosed) {
		t.Errorf("write after the end: %v, want ErrClosed", err)
	}
}
