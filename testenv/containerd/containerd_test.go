package containerd_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubetape/kubetape/internal/require"
	"github.com/kubetape/kubetape/testenv/binaries"
	"github.com/kubetape/kubetape/testenv/client"
	"github.com/kubetape/kubetape/testenv/containerd"
	"github.com/kubetape/kubetape/testenv/image"
	"github.com/kubetape/kubetape/testenv/pattern"
)

const imageName = "kubetape.test/box:1"

// start gives a daemon with the test image and one running container, "box".
func start(t *testing.T) (context.Context, *containerd.Daemon) {
	t.Helper()
	require.Root(t)
	busybox := require.Tool(t, "busybox")
	for _, name := range []string{"containerd", "ctr", "runc"} {
		require.Tool(t, name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	dir, err := os.MkdirTemp("", "kubetape-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("something of the daemon is left: %v", err)
		}
	})
	bin, err := binaries.Build(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	tar, err := os.Create(filepath.Join(dir, "image.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer tar.Close()
	spec := image.Spec{Name: imageName, Busybox: busybox, Files: map[string]string{"/bin/workload": bin.Workload}}
	if err := image.Write(tar, spec); err != nil {
		t.Fatal(err)
	}
	d, err := containerd.Start(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := d.Import(ctx, tar.Name()); err != nil {
		t.Fatal(err)
	}
	box := containerd.Container{ID: "box", Image: imageName, Argv: []string{"/bin/workload", "sleep-forever"}}
	if err := d.Run(ctx, box); err != nil {
		t.Fatal(err)
	}
	return ctx, d
}

func bytesOf(r io.Reader) []byte {
	b, err := io.ReadAll(r)
	if err != nil {
		panic(err) // a pattern does not fail
	}
	return b
}

// TestSessions holds sessions in a container and shows that what the client
// counts is what the program inside wrote and read.
func TestSessions(t *testing.T) {
	ctx, d := start(t)

	t.Run("a piped exec keeps three streams apart", func(t *testing.T) {
		in := bytesOf(pattern.Bytes(1, 300_000))
		var report bytes.Buffer
		got, err := client.Pipe(ctx, d.Exec("box", false, "workload", "sink"), client.Streams{Stdin: bytes.NewReader(in), Stderr: &report})
		if err != nil {
			t.Fatal(err)
		}
		sum := client.SumOf(in)
		if want := fmt.Sprintf("%d %s\n", sum.Bytes, sum.SHA256); report.String() != want || got.Sent != sum {
			t.Errorf("program read %q, client sent %+v, want %q", report.String(), got.Sent, want)
		}
		got, err = client.Pipe(ctx, d.Exec("box", false, "workload", "both", "100000", "5"), client.Streams{})
		if err != nil {
			t.Fatal(err)
		}
		want := client.Result{
			Sent:     client.SumOf(nil),
			Received: client.SumOf(bytesOf(pattern.Bytes(5, 100_000))),
			Errors:   client.SumOf(bytesOf(pattern.Bytes(6, 100_000))),
		}
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})

	for _, way := range []string{"emit", "writev", "sendfile", "splice", "io_uring", "openpty", "rename containerd-shim emit", "doublefork emit"} {
		t.Run("a raw terminal shows every byte of "+way, func(t *testing.T) {
			argv := append([]string{"workload", "raw"}, strings.Fields(way)...)
			term, err := client.Open(ctx, d.Exec("box", true, append(argv, "300000", "9")...), client.Window{Cols: 80, Rows: 24, Raw: true})
			if err != nil {
				t.Fatal(err)
			}
			got, err := term.Wait()
			if err != nil {
				t.Fatal(err)
			}
			if want := client.SumOf(bytesOf(pattern.Bytes(9, 300_000))); got.Received != want {
				t.Errorf("got %+v, want %+v, last output %s", got, want, term.Last())
			}
		})
	}

	t.Run("a shell on a terminal sees a resize", func(t *testing.T) {
		term, err := client.Open(ctx, d.Exec("box", true, "/bin/sh"), client.Window{Cols: 100, Rows: 30, Raw: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []func() error{
			func() error { return term.Expect(ctx, "# ") },
			func() error { // ctr listens for resizes only after it set the first size
				return term.Type([]byte("until [ \"$(stty size)\" = '30 100' ]; do :; done; echo fi''rst size\n"))
			},
			func() error { return term.Expect(ctx, "first size\r\n") },
			func() error { return term.Resize(132, 43) },
			func() error {
				// The size arrives when it arrives: ask the terminal until it is there.
				return term.Type([]byte("until [ \"$(stty size)\" = '43 132' ]; do :; done; echo si''ze is here; exit 7\n"))
			},
			func() error { return term.Expect(ctx, "size is here\r\n") },
		} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		got, err := term.Wait()
		if err != nil || got.ExitCode != 7 {
			t.Errorf("got %+v, %v; want exit code 7", got, err)
		}
	})

	t.Run("sixty short execs, twenty at a time, are not mixed up", func(t *testing.T) {
		var g errgroup.Group
		g.SetLimit(20)
		for i := range 60 {
			g.Go(func() error {
				n := int64(1000 + i)
				got, err := client.Pipe(ctx, d.Exec("box", false, "workload", "emit", fmt.Sprint(n), fmt.Sprint(i)), client.Streams{})
				if want := client.SumOf(bytesOf(pattern.Bytes(uint64(i), n))); err == nil && got.Received != want {
					err = fmt.Errorf("exec %d: got %+v, want %+v", i, got.Received, want)
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
	})

	t.Run("an attached container has the client's terminal", func(t *testing.T) {
		c := containerd.Container{ID: "seen", Image: imageName, TTY: true, Argv: []string{"/bin/workload", "raw", "emit", "5000", "3"}}
		term, err := client.Open(ctx, d.Attached(c), client.Window{Cols: 80, Rows: 24, Raw: true})
		if err != nil {
			t.Fatal(err)
		}
		got, err := term.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if want := client.SumOf(bytesOf(pattern.Bytes(3, 5000))); got.Received != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// TestCloseSweepsUp kills the daemon itself, so that only the sweep is left.
func TestCloseSweepsUp(t *testing.T) {
	ctx, d := start(t)
	pid, err := d.InitPID(ctx, "box")
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.FindProcess(d.PID())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err == nil && !bytes.Contains(stat, []byte(") Z ")) { // one that nobody has reaped yet is dead enough
		t.Errorf("the container's process is left: %s", stat)
	}
	if left, _ := filepath.Glob("/sys/fs/cgroup/*/" + d.Namespace); len(left) > 0 {
		t.Errorf("cgroups are left: %v", left)
	}
}
