package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/session"
)

var began = time.Date(2026, 2, 9, 10, 15, 30, 0, time.UTC)

func add(t testing.TB, dir string, id session.ID, after time.Duration, done bool) {
	t.Helper()
	w, err := recording.Create(dir, session.Meta{ID: id, Kind: id.Kind(), Observer: session.Node, StartedAt: began.Add(after)}, recording.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !done {
		if err := errors.Join(w.Flush(), w.Abandon()); err != nil {
			t.Fatal(err)
		}
		return
	}
	if _, err := w.End(session.Event{T: began.Add(after + time.Second), Status: session.Complete}); err != nil {
		t.Fatal(err)
	}
}

func TestListSeesEveryRecordingOnce(t *testing.T) {
	dir := t.TempDir()
	add(t, dir, "exec_a", 2*time.Hour, true)
	add(t, dir, "shell_b", time.Hour, true)
	add(t, dir, "attach_c", 0, false)
	// A finished file beside a .part of the same recording, and files of others.
	if err := os.WriteFile(filepath.Join(dir, "exec_a.jsonl.zst.part"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "exec_d.jsonl.zst.part"), nil, 0o600); err != nil { // just begun
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "README"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := Open(dir)
	entries, faults, err := s.List(t.Context(), Filter{}, nil)
	if err != nil || len(faults) != 0 {
		t.Fatal(err, faults)
	}
	if !Sort(entries, "start", false) || Sort(entries, "nonsense", false) {
		t.Error("orders")
	}
	got := ""
	for _, e := range entries {
		got += fmt.Sprintf("%s %s, ", e.Meta.ID, e.Status)
	}
	if got != "exec_d open, attach_c open, shell_b complete, exec_a complete, " {
		t.Errorf("listed %s", got)
	}
	entries, _, err = s.List(t.Context(), Filter{Since: began.Add(time.Hour), Until: began.Add(2 * time.Hour)}, nil)
	if err != nil || len(entries) != 1 || entries[0].Meta.ID != "shell_b" {
		t.Errorf("between: %v, %v", entries, err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	add(t, dir, "exec_abc", 0, true)
	add(t, dir, "exec_abd", 0, false)
	s := Open(dir)
	if p, err := s.Find("exec_abd"); err != nil || p != filepath.Join(dir, "exec_abd.jsonl.zst.part") {
		t.Error(p, err)
	}
	var amb *AmbiguousError
	if _, err := s.Find("exec_ab"); !errors.As(err, &amb) || len(amb.IDs) != 2 {
		t.Error(err)
	}
	for _, arg := range []string{"exec_x", "", "./exec_abc", "../../etc"} {
		if _, err := s.Find(arg); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", arg, err)
		}
	}
}

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		glob, value string
		want        bool
	}{
		{"", "", true}, {"api-*", "api-7", true}, {"api", "api-7", false}, {"*", "", false}, {"[", "[", true}, {"[", "x", false},
	} {
		if got := match(c.glob, c.value); got != c.want {
			t.Errorf("%q of %q: %v", c.glob, c.value, got)
		}
	}
}

func BenchmarkList(b *testing.B) {
	const n = 1000
	dir := b.TempDir()
	for i := range n {
		add(b, dir, session.ID(fmt.Sprintf("exec_%06d", i)), 0, true)
	}
	b.ResetTimer()
	for b.Loop() {
		if entries, _, err := Open(dir).List(b.Context(), Filter{}, nil); err != nil || len(entries) != n {
			b.Fatal(err, len(entries))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "us/recording")
}
