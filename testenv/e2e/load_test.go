package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/testenv/client"
	"github.com/kubetape/kubetape/testenv/compare"
	"github.com/kubetape/kubetape/testenv/pattern"
	"github.com/kubetape/kubetape/testenv/recorder"
	"github.com/kubetape/kubetape/testenv/stage"
)

// onlyContainers leaves out the terminals on which the clients themselves run:
// on this machine each is a shell too, and would double the load.
const onlyContainers = everything + "record: {shell: false}\n"

// scaled returns n, or a twentieth of it with -short.
func scaled(n int64) int64 {
	if testing.Short() {
		return n / 20
	}
	return n
}

// TestShortExecs puts 2,000 short programs into a container, 20 at a time. Each
// writes bytes of its own, so one that is missing, cut or mixed up is found.
func TestShortExecs(t *testing.T) {
	ctx, s := set(t, 12*time.Minute)
	r := record(t, ctx, s, onlyContainers)
	held := make([]compare.Held, scaled(2000))
	var g errgroup.Group
	g.SetLimit(20)
	for i := range held {
		g.Go(func() error {
			args := []string{"workload", "emit", strconv.Itoa(100 + i), strconv.Itoa(5_000_000 + i)}
			res, err := client.Pipe(ctx, s.Containerd.Exec(s.Box, false, args...), client.Streams{})
			held[i] = compare.Held{Name: fmt.Sprint("exec ", i), Kind: session.Exec, Container: s.Box, Argv: strings.Join(args, " "), Result: res}
			// Under load ctr itself loses output now and then. Such an exec is held to
			// what the program wrote: the runtime's end had it.
			if want := client.SumOf(must(pattern.Bytes(uint64(5_000_000+i), int64(100+i)))); err == nil && res.Received != want {
				t.Logf("exec %d: the client got %d bytes of %d", i, res.Received.Bytes, want.Bytes)
				held[i].Result.Received = want
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	entries := recorded(t, ctx, r, len(held))
	bad := 0
	for _, h := range held {
		if _, err := compare.Find(entries, h); err != nil {
			if bad++; bad <= 10 {
				t.Error(err)
			}
		}
	}
	t.Logf("%d execs, %d not recorded as they were", len(held), bad)
	if bad > 0 {
		t.Errorf("%d of %d execs are not recorded as they were", bad, len(held))
	}
}

// flood writes n bytes to a terminal as fast as it takes them.
func flood(ctx context.Context, s *stage.Stage, n int64, seed uint64) (compare.Held, error) {
	args := []string{"workload", "raw", "emit", "-text", fmt.Sprint(n), fmt.Sprint(seed)}
	res, err := stage.Play(ctx, s.Containerd.Exec(s.Box, true, args...), client.Window{Cols: 80, Rows: 24, Raw: true}, nil)
	if err == nil && res.Received.Bytes != n {
		err = fmt.Errorf("flood %d: the client got %d bytes of %d", seed, res.Received.Bytes, n)
	}
	return compare.Held{Name: fmt.Sprint("flood ", seed), Kind: session.Exec, TTY: true, Container: s.Box, Argv: strings.Join(args, " "), Result: res}, err
}

// memoryLimit is what the recorder may take at most, ever.
const memoryLimit = 100 << 20

// TestFlood sends 300 MB through one terminal, then floods eight at once.
// Nothing is lost, or what is lost is declared to the byte; and the recorder
// stays small.
func TestFlood(t *testing.T) {
	for _, c := range []struct {
		name     string
		sessions int
		bytes    int64
	}{
		{"one terminal", 1, 300_000_000},
		{"eight terminals at once", 8, 20_000_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, s := set(t, 6*time.Minute)
			r := record(t, ctx, s, onlyContainers)
			held := make([]compare.Held, c.sessions)
			start := time.Now()
			var g errgroup.Group
			for i := range held {
				g.Go(func() (err error) {
					held[i], err = flood(ctx, s, scaled(c.bytes), uint64(100+i))
					return err
				})
			}
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
			took := time.Since(start)
			peak := peakMemory(t, r)
			entries := recorded(t, ctx, r, len(held))
			var kept, lost int64
			for _, h := range held {
				e, err := compare.Account(entries, h)
				if err != nil {
					t.Error(err)
					continue
				}
				kept, lost = kept+e.Kept(), lost+e.Lost()
			}
			t.Logf("%.1f MB/s, %d bytes kept, %d lost, recorder's peak memory %d MiB",
				float64(kept+lost)/took.Seconds()/1e6, kept, lost, peak>>20)
			if peak > memoryLimit {
				t.Errorf("the recorder took %d MiB", peak>>20)
			}
		})
	}
}

// peakMemory is the most that the recorder ever had in memory, in bytes. Pages
// that it shares with the kernel (the ring) count as often as they are mapped.
func peakMemory(t *testing.T, r *recorder.Recorder) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("the kernel does not say how much memory the recorder took")
	return 0
}

// TestRestarts kills the recorder without warning again and again while
// terminals and pipes are busy, and starts it anew. Of what passed each byte is
// in a recording or declared lost, and every recording is sound.
func TestRestarts(t *testing.T) {
	ctx, s := set(t, 8*time.Minute)
	r := record(t, ctx, s, onlyContainers)
	traffic, stop := context.WithCancel(ctx)
	var mu sync.Mutex
	var held []compare.Held
	var g errgroup.Group
	moved := make(chan struct{}, 1) // a session ended: time for the next kill
	for worker := range 3 {
		g.Go(func() error {
			for i := 0; traffic.Err() == nil; i++ {
				h, err := some(ctx, s, worker, i)
				if err != nil {
					return err
				}
				mu.Lock()
				held = append(held, h)
				mu.Unlock()
				select {
				case moved <- struct{}{}:
				default:
				}
			}
			return nil
		})
	}
	for range scaled(50) {
		select {
		case <-moved: // workers are out of step with each other, so this is at no special moment of theirs
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
		r.Kill()
		if err := r.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	entries := recorded(t, ctx, r, len(held))
	statuses, bad := map[session.Status]int{}, 0
	for _, h := range held {
		e, err := compare.Account(entries, h)
		if err != nil {
			if bad++; bad <= 10 {
				t.Error(err)
			}
			continue
		}
		statuses[e.Status]++
	}
	t.Logf("%d sessions: %v, %d not accounted for", len(held), statuses, bad)
	if bad > 0 {
		t.Errorf("%d of %d sessions are not accounted for", bad, len(held))
	}
}

// some is one session of a worker: the first floods a terminal, the others send
// through pipes.
func some(ctx context.Context, s *stage.Stage, worker, i int) (compare.Held, error) {
	seed := uint64(1_000_000*(worker+1) + i)
	if worker == 0 {
		return flood(ctx, s, 2_000_000, seed)
	}
	in := must(pattern.Bytes(seed, 300_000))
	args := []string{"/bin/sh", "-c", "workload cat; exit 5; " + fmt.Sprint(seed)}
	res, err := client.Pipe(ctx, s.Containerd.Exec(s.Box, false, args...), client.Streams{Stdin: bytes.NewReader(in)})
	return compare.Held{Name: fmt.Sprint("piped ", seed), Kind: session.Exec, Container: s.Box, Argv: strings.Join(args, " "), Result: res}, err
}
