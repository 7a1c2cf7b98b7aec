// Package e2e_test tries the recorder as a whole: the real programs, real
// containers, real logins. Each test holds sessions as users do and compares
// what was recorded with what the clients of those sessions sent and received.
package e2e_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/require"
	"github.com/kubetape/kubetape/internal/store"
	"github.com/kubetape/kubetape/testenv/compare"
	"github.com/kubetape/kubetape/testenv/recorder"
	"github.com/kubetape/kubetape/testenv/stage"
)

// shared is the stage of all tests of this package.
var shared struct {
	once  sync.Once
	stage *stage.Stage
	err   error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.stage != nil {
		if err := shared.stage.Close(); err != nil {
			fmt.Fprintf(os.Stderr, "close the stage: %v\n", err)
			code = 1
		}
	}
	os.Exit(code)
}

// set returns the stage, and a context that ends before the test's time does.
func set(t *testing.T, limit time.Duration) (context.Context, *stage.Stage) {
	t.Helper()
	require.Root(t)
	for _, name := range stage.Needs {
		require.Tool(t, name)
	}
	shared.once.Do(func() {
		shared.stage, shared.err = stage.Raise(context.Background(), func(string) {})
	})
	if shared.err != nil {
		t.Fatalf("set the stage: %v", shared.err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx, shared.stage
}

// record starts a recorder with this configuration. It is closed with the test.
func record(t *testing.T, ctx context.Context, s *stage.Stage, config string) *recorder.Recorder {
	t.Helper()
	require.BPF(t)
	if s.Programs.Node == "" {
		t.Fatal("this checkout has no cmd/kubetape-node")
	}
	r, err := s.Recorder(strings.ReplaceAll(t.Name(), "/", "_"), recorder.Options{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(r.LastLog())
		}
	})
	if err := r.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return r
}

// settle is how long a recording may take to end after its session did.
const settle = 30 * time.Second

// recorded waits for n recordings, stops the recorder and lists what there is.
// That fewer came is the caller's to say: it knows which.
func recorded(t *testing.T, ctx context.Context, r *recorder.Recorder, n int) []store.Entry {
	t.Helper()
	wait, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	if err := r.Finished(wait, n); err != nil {
		t.Errorf("wait for %d recordings: %v", n, err)
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	entries, faults, err := store.Open(r.Recordings()).List(ctx, store.Filter{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Errorf("%s: %v", f.Path, f.Err)
	}
	return entries
}

// find fails the test where h has no recording that is all of it.
func find(t *testing.T, entries []store.Entry, h compare.Held) (store.Entry, bool) {
	t.Helper()
	e, err := compare.Find(entries, h)
	if err != nil {
		t.Error(err)
	}
	return e, err == nil
}
