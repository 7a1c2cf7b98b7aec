package sshd_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/require"
	"github.com/kubetape/kubetape/testenv/client"
	"github.com/kubetape/kubetape/testenv/pattern"
	"github.com/kubetape/kubetape/testenv/sshd"
)

func TestServer(t *testing.T) {
	require.Root(t)
	for _, name := range []string{"sshd", "ssh", "scp", "ssh-keygen"} {
		require.Tool(t, name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := sshd.Start(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(pattern.Bytes(4, 200_000))
	if err != nil {
		t.Fatal(err)
	}

	t.Run("a login has a terminal of the client's size", func(t *testing.T) {
		term, err := client.Open(ctx, s.SSH(true), client.Window{Cols: 90, Rows: 25})
		if err != nil {
			t.Fatal(err)
		}
		if err := term.Type([]byte("stty size; exit 5\n")); err != nil {
			t.Fatal(err)
		}
		if err := term.Expect(ctx, "25 90\r\n"); err != nil {
			t.Error(err)
		}
		if got, err := term.Wait(); err != nil || got.ExitCode != 5 {
			t.Errorf("got %+v, %v; want exit code 5", got, err)
		}
	})

	t.Run("a command passes bytes unchanged", func(t *testing.T) {
		got, err := client.Pipe(ctx, s.SSH(false, "cat; echo apart >&2; exit 3"), client.Streams{Stdin: bytes.NewReader(data)})
		if err != nil {
			t.Fatal(err)
		}
		sum := client.SumOf(data)
		if want := (client.Result{Sent: sum, Received: sum, Errors: client.SumOf([]byte("apart\n")), ExitCode: 3}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})

	for name, sftp := range map[string]bool{"scp copies a file": false, "sftp copies a file": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
			if err := os.WriteFile(from, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := s.Upload(sftp, from, to).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, data) {
				t.Errorf("the copy differs: %v", err)
			}
		})
	}

	t.Run("closing ends a login that is still open", func(t *testing.T) {
		term, err := client.Open(ctx, s.SSH(true), client.Window{Cols: 80, Rows: 24})
		if err != nil {
			t.Fatal(err)
		}
		if err := term.Type([]byte("echo he''re; cat\n")); err != nil {
			t.Fatal(err)
		}
		if err := term.Expect(ctx, "here\r\n"); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := term.Wait(); err != nil {
			t.Error(err)
		}
	})
}
