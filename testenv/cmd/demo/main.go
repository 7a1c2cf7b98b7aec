// Command demo shows on this machine what kubetape does: it installs what is
// missing, starts the recorder, holds real sessions (a shell in a container with
// a resize, a piped exec, an ssh login, an nsenter), lists and replays what was
// recorded, and compares every byte with what the clients of those sessions sent
// and received. It leaves nothing running. `make demo` runs it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kubetape/kubetape/internal/store"
	"github.com/kubetape/kubetape/testenv/compare"
	"github.com/kubetape/kubetape/testenv/recorder"
	"github.com/kubetape/kubetape/testenv/stage"
)

// total bounds the whole, so that a demo that hangs says so; settle bounds what a
// recording may take to end after its session did.
const (
	total  = 10 * time.Minute
	settle = 20 * time.Second
)

var errStart = errors.New("the recorder does not run here")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, total)
	defer cancel()
	line, err := demo(ctx)
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: FAILED: %v\n", err)
		if errors.Is(err, errStart) {
			fmt.Fprintln(os.Stderr, "demo: what this machine allows is said by: go run ./cmd/kubetape-node check")
		}
		os.Exit(1)
	}
	fmt.Println(line)
}

func say(format string, args ...any) { fmt.Printf("demo: "+format+"\n", args...) }

func demo(ctx context.Context) (line string, err error) {
	if os.Geteuid() != 0 {
		return "", errors.New("recording a machine needs root; run: sudo env \"PATH=$PATH\" make demo")
	}
	if err := install(ctx); err != nil {
		return "", err
	}
	s, err := stage.Raise(ctx, func(step string) { say("%s", step) })
	if err != nil {
		return "", err
	}
	defer func() {
		if cerr := s.Close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("clean up: %w", cerr))
		}
	}()
	r, err := s.Recorder("node", recorder.Options{})
	if err != nil {
		return "", err
	}
	say("start the recorder")
	if err := r.Start(ctx); err != nil {
		return "", fmt.Errorf("%w: %w", errStart, err)
	}
	held, err := hold(ctx, s)
	if err != nil {
		return "", err
	}
	say("stop the recorder")
	wait, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	if err := r.Finished(wait, len(held)); err != nil {
		say("wait for %d recordings: %v", len(held), err) // judge says which is missing
	}
	if err := r.Stop(); err != nil {
		return "", err
	}
	return judge(ctx, s, r.Recordings(), held)
}

// install runs the script that brings what is missing and says so first.
func install(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "../scripts/deps.sh", "demo") // go run stands in testenv
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("install what is missing: %w", err)
	}
	return nil
}

// hold holds the sessions, one after the other.
func hold(ctx context.Context, s *stage.Stage) ([]compare.Held, error) {
	var all []compare.Held
	for _, session := range []func(context.Context) (compare.Held, error){
		s.InteractiveExec, s.PipedExec, s.Login, s.Nsenter,
	} {
		h, err := session(ctx)
		if err != nil {
			return nil, err
		}
		say("held: %-16s sent %d bytes, received %d", h.Name, h.Result.Sent.Bytes, h.Result.Received.Bytes+h.Result.Errors.Bytes)
		all = append(all, h)
	}
	return all, nil
}

// judge lists, replays and verifies the recordings and compares them with what
// was held.
func judge(ctx context.Context, s *stage.Stage, dir string, held []compare.Held) (string, error) {
	tape := func(args ...string) error {
		say("$ kubetape %s", strings.ReplaceAll(strings.Join(args, " "), dir, "RECORDINGS"))
		cmd := exec.CommandContext(ctx, s.Programs.CLI, args...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("kubetape %s: %w", args[1], err)
		}
		return nil
	}
	if err := tape("session", "ls", "--dir", dir); err != nil {
		return "", err
	}
	entries, faults, err := store.Open(dir).List(ctx, store.Filter{}, nil)
	if err != nil {
		return "", err
	}
	var errs []error
	for _, f := range faults {
		errs = append(errs, fmt.Errorf("read %s: %w", filepath.Base(f.Path), f.Err))
	}
	var bytes, lost int64
	for i, h := range held {
		e, err := compare.Find(entries, h)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		bytes += h.Result.Sent.Bytes + h.Result.Received.Bytes + h.Result.Errors.Bytes
		lost += e.Lost()
		if i == 0 {
			errs = append(errs, tape("session", "replay", "--dir", dir, "--id", string(e.Meta.ID), "--speed", "2x"))
			fmt.Println()
		}
	}
	errs = append(errs, tape("session", "verify", "--dir", dir, "--all"))
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	return fmt.Sprintf("demo: ok: %d sessions, %d bytes, %d lost, all verified", len(held), bytes, lost), nil
}
