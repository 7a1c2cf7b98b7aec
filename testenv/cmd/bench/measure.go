package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/kubetape/kubetape/internal/store"
	"github.com/kubetape/kubetape/testenv/client"
	"github.com/kubetape/kubetape/testenv/recorder"
	"github.com/kubetape/kubetape/testenv/stage"
)

type benchmark struct {
	options  options
	stage    *stage.Stage
	recorder *recorder.Recorder
	rows     []row
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if len(v)%2 == 1 {
		return v[len(v)/2]
	}
	return (v[len(v)/2-1] + v[len(v)/2]) / 2
}

// pair is one run: the same work without and with the recorder.
type pair struct{ without, with, cpu float64 }

// pairs takes the runs. with gets a recorder that has just started.
func (b *benchmark) pairs(ctx context.Context, without, with func(context.Context) (float64, error)) ([]pair, error) {
	var all []pair
	for range b.options.runs {
		var p pair
		var err error
		if p.without, err = without(ctx); err != nil {
			return nil, err
		}
		if err := b.recorder.Start(ctx); err != nil {
			return nil, err
		}
		before := processorTime(b.recorder.PID())
		if p.with, err = with(ctx); err != nil {
			return nil, err
		}
		if err := b.recorder.Finished(ctx, 0); err != nil { // what is still to be written is part of the price
			return nil, err
		}
		p.cpu = processorTime(b.recorder.PID()) - before
		if err := b.recorder.Stop(); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// medians returns the median of each side, of the ratios, and of the
// recorder's processor time.
func medians(all []pair) (without, with, ratio, cpu float64) {
	var a, b, r, c []float64
	for _, p := range all {
		a, b, r, c = append(a, p.without), append(b, p.with), append(r, p.with/p.without), append(c, p.cpu)
	}
	return median(a), median(b), median(r), median(c)
}

// processorTime is what a process took so far, in seconds of user and system.
func processorTime(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(string(f[11]), 64)
	system, _ := strconv.ParseFloat(string(f[12]), 64)
	return (user + system) / 100 // USER_HZ is 100 on every architecture we build for
}

// unrelated times a process that does nothing but system calls and has nothing
// to do with any session.
func (b *benchmark) unrelated(ctx context.Context) ([]row, error) {
	calls := func(ctx context.Context) (float64, error) {
		cmd := exec.CommandContext(ctx, "dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count="+strconv.FormatInt(b.options.calls, 10), "status=none")
		if err := cmd.Run(); err != nil {
			return 0, fmt.Errorf("dd: %w", err)
		}
		return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), nil
	}
	beside := func(ctx context.Context) (float64, error) {
		term, err := client.Open(ctx, b.stage.Containerd.Exec(b.stage.Box, true, "/bin/sh"), client.Window{Cols: 80, Rows: 24, Raw: true})
		if err != nil {
			return 0, err
		}
		if err := term.Expect(ctx, "# "); err != nil {
			return 0, err
		}
		took, err := calls(ctx)
		if terr := term.Type([]byte("exit\n")); err == nil {
			err = terr
		}
		if _, werr := term.Wait(); err == nil {
			err = werr
		}
		return took, err
	}
	var rows []row
	for _, m := range []struct {
		work string
		with func(context.Context) (float64, error)
	}{
		{"unrelated process, no session", calls},
		{"unrelated process, one session", beside},
	} {
		all, err := b.pairs(ctx, calls, m.with)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.work, err)
		}
		without, with, ratio, _ := medians(all)
		rows = append(rows, row{work: m.work, without: without, with: with, ratio: ratio})
	}
	return rows, nil
}

// rate returns how fast n bytes came, in MB/s.
func rate(n int64, start time.Time) float64 {
	return float64(n) / 1e6 / time.Since(start).Seconds()
}

func (b *benchmark) terminal(ctx context.Context) ([]row, error) {
	n := b.options.flood
	work := func(ctx context.Context) (float64, error) {
		cmd := b.stage.Containerd.Exec(b.stage.Box, true, "workload", "raw", "emit", "-text", fmt.Sprint(n), "1")
		start := time.Now()
		res, err := stage.Play(ctx, cmd, client.Window{Cols: 80, Rows: 24, Raw: true}, nil)
		if err == nil && res.Received.Bytes != n {
			err = fmt.Errorf("got %d bytes of %d", res.Received.Bytes, n)
		}
		return rate(n, start), err
	}
	return b.throughput(ctx, "terminal flood", n, work)
}

func (b *benchmark) pipes(ctx context.Context) ([]row, error) {
	n := b.options.pipe
	work := func(ctx context.Context) (float64, error) {
		start := time.Now()
		res, err := client.Pipe(ctx, b.stage.Containerd.Exec(b.stage.Box, false, "workload", "emit", "-text", fmt.Sprint(n), "2"), client.Streams{})
		if err == nil && res.Received.Bytes != n {
			err = fmt.Errorf("got %d bytes of %d", res.Received.Bytes, n)
		}
		return rate(n, start), err
	}
	return b.throughput(ctx, "pipe flood", n, work)
}

// throughput measures work both ways and looks at what was written.
func (b *benchmark) throughput(ctx context.Context, name string, n int64, work func(context.Context) (float64, error)) ([]row, error) {
	all, err := b.pairs(ctx, work, work)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r := row{work: name, rate: true}
	var cpu float64
	r.without, r.with, r.ratio, cpu = medians(all)
	r.cpuPerGB = cpu / (float64(n) / 1e9)
	entries, _, err := store.Open(b.recorder.Recordings()).List(ctx, store.Filter{}, nil)
	if err != nil {
		return nil, err
	}
	var size, kept, lost int64
	var last store.Entry
	for _, e := range entries {
		if e.Kept()+e.Lost() >= n/2 { // not those of the lines before
			size, kept, lost, last = size+e.Size, kept+e.Kept(), lost+e.Lost(), e
		}
		defer os.Remove(e.Path)
	}
	if kept == 0 {
		return nil, fmt.Errorf("%s: nothing was recorded", name)
	}
	r.diskPerGB = float64(size) / float64(kept) * 1e9
	r.note = fmt.Sprintf("%d bytes kept, %d lost", kept, lost)
	if last.Meta.TTY {
		cast, err := b.gzippedCast(ctx, last)
		if err != nil {
			return nil, err
		}
		r.note += fmt.Sprintf("; the same session as asciicast, gzipped, is %.2f of the recording's size", float64(cast)/float64(last.Size))
	}
	return []row{r}, nil
}

// gzippedCast is the size of a recording as asciicast v2 under gzip.
func (b *benchmark) gzippedCast(ctx context.Context, e store.Entry) (int64, error) {
	cmd := exec.CommandContext(ctx, b.stage.Programs.CLI, "session", "export", "--format", "asciicast-v2", e.Path)
	var size counter
	zip := gzip.NewWriter(&size)
	cmd.Stdout = zip
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("export %s: %w", e.Meta.ID, err)
	}
	return int64(size), zip.Close()
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// others measures the recorders of Debian's packages on a terminal of this
// machine, beside the same work without them.
func (b *benchmark) others(ctx context.Context) ([]row, error) {
	n := b.options.other
	file := filepath.Join(b.stage.Dir, "other")
	var missing int64 // some show less than all of it: that is theirs, and noted
	workload := fmt.Sprintf("%s raw emit -text %d 3", b.stage.Programs.Workload, n)
	on := func(argv ...string) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) {
			defer os.Remove(file + ".old")
			_ = os.Rename(file, file+".old") // one of them refuses to write over a file
			cmd := exec.Command(argv[0], argv[1:]...)
			cmd.Stderr = io.Discard // what a recorder says itself is not the session's
			start := time.Now()
			res, err := stage.Play(ctx, cmd, client.Window{Cols: 80, Rows: 24, Raw: true}, nil)
			missing = max(missing, n-res.Received.Bytes)
			return rate(n, start), err
		}
	}
	// tlog-rec does not run where nobody keeps a list of logins.
	const logins = "/run/utmp"
	if f, err := os.OpenFile(logins, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644); err == nil {
		f.Close()
		defer os.Remove(logins)
	}
	plain := on("/bin/sh", "-c", workload)
	var rows []row
	for _, tool := range []struct {
		name string
		argv []string
	}{
		{"script", []string{"script", "-qec", workload, file}},
		{"asciinema", []string{"asciinema", "rec", "-q", "-c", workload, file}},
		{"tlog-rec", []string{"tlog-rec", "--writer=file", "--file-path=" + file, "/bin/sh", "-c", workload}},
	} {
		r := row{work: tool.name + ", terminal of this machine", rate: true}
		if _, err := exec.LookPath(tool.argv[0]); err != nil {
			r.note = "not installed"
			rows = append(rows, r)
			continue
		}
		var a, c, ratios []float64
		missing = 0
		for range b.options.runs {
			without, err := plain(ctx)
			if err != nil {
				return nil, err
			}
			with, err := on(tool.argv...)(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", tool.name, err)
			}
			a, c, ratios = append(a, without), append(c, with), append(ratios, with/without)
		}
		r.without, r.with, r.ratio = median(a), median(c), median(ratios)
		if missing > 0 {
			r.note = fmt.Sprintf("showed up to %d bytes less than there were", missing)
		}
		if info, err := os.Stat(file); err == nil {
			r.diskPerGB = float64(info.Size()) / float64(n) * 1e9
		}
		rows = append(rows, r)
	}
	return rows, nil
}
