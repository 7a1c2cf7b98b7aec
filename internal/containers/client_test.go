package containers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/cgroup"
)

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// running is a Client whose Run runs until the test ends.
type running struct {
	*Client
	t       *testing.T
	changed chan bool // the runtime began to answer, or stopped to
}

func runClient(t *testing.T, cfg Config) *running {
	t.Helper()
	r := &running{t: t, changed: make(chan bool, 64)}
	cfg.Changed = func(_, _ string, up bool) { r.changed <- up }
	cfg.Interval, cfg.MinRetry, cfg.MaxRetry = 20*time.Millisecond, 20*time.Millisecond, 100*time.Millisecond
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	r.Client = New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return r
}

// wait waits until the runtime answers, or does not.
func (r *running) wait(up bool) {
	r.t.Helper()
	select {
	case got := <-r.changed:
		if got != up {
			r.t.Fatalf("runtime answers: %v, want %v", got, up)
		}
	case <-time.After(time.Minute):
		r.t.Fatalf("waited for a runtime that answers: %v", up)
	}
}

func TestContainersOfARealRuntime(t *testing.T) {
	d := newDaemon(t)
	r := runClient(t, Config{Sockets: []string{d.socket}})
	if _, err := r.Resolve(t.Context(), "abc"); !errors.Is(err, ErrNoRuntime) {
		t.Fatalf("before there is a runtime: %v", err)
	}
	d.start()
	r.wait(true)
	d.load()
	sandbox, id := d.pod("api-1", map[string]string{
		labelPod: "api-1", labelNamespace: "payments", labelUID: "uid-of-api-1", labelContainer: "app", "team": "red",
	})
	_, bare := d.pod("bare", nil)

	check := func(got Info, err error, id, pod, name string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		want := Info{ID: id, Runtime: cgroup.Containerd, Namespace: "payments", Pod: pod, PodUID: "uid-of-" + pod, Name: name, Image: got.Image, Labels: got.Labels}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
		if name != "" && got.Image != image {
			t.Errorf("image %q, want %q", got.Image, image)
		}
	}
	if _, ok := r.Lookup(id); ok {
		t.Error("known before anybody asked")
	}
	got, err := r.Resolve(t.Context(), id)
	check(got, err, id, "api-1", "app")
	if got.Labels["team"] != "red" {
		t.Errorf("labels %v", got.Labels)
	}
	got.Labels["team"] = "blue" // a caller's own
	cached, ok := r.Lookup(id)
	if !ok || cached.Labels["team"] != "red" {
		t.Errorf("remembered %v, %v", cached, ok)
	}
	got, err = r.Resolve(t.Context(), bare)
	check(got, err, bare, "bare", "app")
	got, err = r.Resolve(t.Context(), sandbox)
	check(got, err, sandbox, "api-1", "")

	failures := r.Stats().Failures
	for name, id := range map[string]string{
		"unknown": strings.Repeat("0", 64), "a prefix": id[:12], "empty": "", "a name": "mybox", "no text": "\xff\x00",
	} {
		if got, err := r.Resolve(t.Context(), id); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if _, err := r.Resolve(t.Context(), strings.Repeat("0", 64)); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown container: %v", err)
	}
	if now := r.Stats().Failures; now != failures {
		t.Errorf("%d failures for containers that are unknown", now-failures)
	}

	// A runtime that restarts: what is remembered stays, and a new client is
	// filled with what runs.
	d.stop()
	r.wait(false)
	if _, ok := r.Lookup(id); !ok {
		t.Error("forgotten when the runtime stopped")
	}
	if _, err := r.Resolve(t.Context(), strings.Repeat("1", 64)); !errors.Is(err, ErrNoRuntime) {
		t.Errorf("while the runtime is away: %v", err)
	}
	if r.Stats().Failures == 0 {
		t.Error("no failure was counted")
	}
	d.start()
	r.wait(true)
	if _, err := r.Resolve(t.Context(), strings.Repeat("1", 64)); !errors.Is(err, ErrNotFound) {
		t.Errorf("after the restart: %v", err)
	}
	fresh := runClient(t, Config{Sockets: []string{filepath.Join(d.dir, "absent.sock"), d.socket}})
	fresh.wait(true)
	if got, ok := fresh.Lookup(bare); !ok || got.Pod != "bare" || got.Namespace != "payments" {
		t.Errorf("a new client knows %+v, %v", got, ok)
	}
}

func TestRuntimeThatNeverAnswersCostsItsTimeOnly(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan struct{})
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		close(asked)
		_, _ = conn.Read(make([]byte, 1<<16)) // and no answer
		<-t.Context().Done()
	}()
	r := runClient(t, Config{Sockets: []string{l.Addr().String()}, Timeout: 50 * time.Millisecond})
	<-asked
	if _, err := r.Resolve(t.Context(), "abc"); !errors.Is(err, ErrNoRuntime) {
		t.Errorf("got %v", err)
	}
}

func TestDescribeTakesThePodOfTheOuterContainer(t *testing.T) {
	c := New(Config{Sockets: []string{}})
	c.cache.put(Info{ID: "outer", Runtime: cgroup.Containerd, Namespace: "ci", Pod: "builder", Name: "docker"})
	got, ok := c.Describe(cgroup.Container{ID: "inner", Runtime: cgroup.Docker, Outer: "outer"})
	if !ok || got.ID != "inner" || got.Runtime != cgroup.Docker || got.Pod != "builder" || got.Name != "docker" {
		t.Errorf("nested: %+v, %v", got, ok)
	}
	got, ok = c.Describe(cgroup.Container{ID: "outer"})
	if !ok || got.Runtime != cgroup.Containerd || got.Pod != "builder" {
		t.Errorf("known: %+v, %v", got, ok)
	}
	got, ok = c.Describe(cgroup.Container{ID: "mybox", Runtime: cgroup.Containerd})
	if ok || got.ID != "mybox" || got.Runtime != cgroup.Containerd {
		t.Errorf("unknown: %+v, %v", got, ok)
	}
}

func TestCacheForgetsWhatWasNotUsedForLongest(t *testing.T) {
	c := New(Config{Sockets: []string{}, MaxEntries: 3})
	for _, id := range []string{"a", "b", "c"} {
		c.cache.put(Info{ID: id})
	}
	c.Lookup("a")
	c.cache.put(Info{ID: "d"})
	c.cache.put(Info{ID: "a", Pod: "p"})
	for id, want := range map[string]bool{"a": true, "b": false, "c": true, "d": true} {
		if _, ok := c.Lookup(id); ok != want {
			t.Errorf("%s: known %v, want %v", id, ok, want)
		}
	}
	if s := c.Stats(); s.Evicted != 1 || s.Hits != 4 || s.Misses != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestLabelsWithoutEndAreCut(t *testing.T) {
	labels := map[string]string{"long": strings.Repeat("x", 1<<20)}
	for i := range 1000 {
		labels[fmt.Sprint(i)] = "v"
	}
	got := cutLabels(labels)
	if len(got) != maxLabels || got["long"] != "" {
		t.Errorf("%d labels, one of %d bytes", len(got), len(got["long"]))
	}
}

func TestUserNames(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/bash\n\n# comment\nbroken\nno:number:x:1\nalice:x:1000:1000::/:\nalias:x:1000:1:::\nbig:x:4294967295:0:::\n"
	for uid, want := range map[int]string{0: "root", 1000: "alice", 4294967295: "big", 7: "", -1: ""} {
		if got, err := userIn(strings.NewReader(passwd), uid); err != nil || got != want {
			t.Errorf("uid %d: %q, %v; want %q", uid, got, err, want)
		}
	}
	if _, err := User(filepath.Join(t.TempDir(), "none"), 0); err == nil {
		t.Error("no error for a file that is not there")
	}
	if _, err := userIn(strings.NewReader(strings.Repeat("x", 1<<20)), 0); err == nil {
		t.Error("no error for a line without end")
	}
}

func FuzzUser(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/sh\n", 0)
	f.Fuzz(func(t *testing.T, file string, uid int) {
		name, err := userIn(strings.NewReader(file), uid)
		if name != "" && (err != nil || !strings.Contains(file, name) || strings.ContainsAny(name, ":\n")) {
			t.Errorf("name %q, %v", name, err)
		}
	})
}
