package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"os/exec"
	"testing"
	"time"
)

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestPipe(t *testing.T) {
	data := make([]byte, 1<<20)
	rand.Read(data)
	for _, c := range []struct {
		name              string
		argv              []string
		in                []byte
		sent, out, errout []byte
		code              int
	}{
		{"what cat takes it gives back", []string{"cat"}, data, data, data, nil, 0},
		{"stderr is kept apart", []string{"sh", "-c", "cat >&2; printf out; exit 3"}, data, data, []byte("out"), data, 3},
		{"no stdin is an empty stdin", []string{"cat"}, nil, nil, nil, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s Streams
			if c.in != nil {
				s.Stdin = bytes.NewReader(c.in)
			}
			got, err := Pipe(deadline(t), exec.Command(c.argv[0], c.argv[1:]...), s)
			if err != nil {
				t.Fatal(err)
			}
			want := Result{SumOf(c.sent), SumOf(c.out), SumOf(c.errout), c.code}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
	t.Run("an ended context kills the program", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Pipe(ctx, exec.Command("cat", "/dev/zero"), Streams{}); err == nil {
			t.Error("no error")
		}
	})
}

func TestTerminal(t *testing.T) {
	ctx := deadline(t)
	term, err := Open(ctx, exec.Command("sh", "-c", `stty size; read x; printf 'a\nb\0\377'; stty size`), Window{Cols: 100, Rows: 30, Raw: true})
	if err != nil {
		t.Fatal(err)
	}
	steps := []func() error{
		func() error { return term.Expect(ctx, "30 100\n") },
		func() error { return term.Resize(132, 43) },
		func() error { return term.Type([]byte("go\n")) },
		func() error { return term.Expect(ctx, "43 132\n") },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			t.Error(err)
		}
	}
	got, err := term.Wait()
	if err != nil {
		t.Fatal(err)
	}
	want := Result{SumOf([]byte("go\n")), SumOf([]byte("30 100\na\nb\x00\xff43 132\n")), SumOf(nil), 0}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestExpectFailsWhenTheOutputEnds(t *testing.T) {
	ctx := deadline(t)
	term, err := Open(ctx, exec.Command("echo", "no"), Window{Cols: 80, Rows: 24, Raw: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := term.Expect(ctx, "yes"); err == nil {
		t.Error("no error")
	}
	if _, err := term.Wait(); err != nil {
		t.Error(err)
	}
}
