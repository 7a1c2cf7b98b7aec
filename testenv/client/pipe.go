package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
)

// Streams are the ends of a session without a terminal. A nil Stdin is an
// empty one. Stdout and Stderr get a copy of what came; nil throws it away.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Pipe runs cmd with three pipes, feeds it all of s.Stdin, and returns once it
// ended and both its outputs did. When ctx ends first the program is killed.
// A program that exits with a status is no error: see Result.ExitCode.
func Pipe(ctx context.Context, cmd *exec.Cmd, s Streams) (Result, error) {
	var sent, received, errs meter
	fed := make(chan struct{})
	if s.Stdin == nil {
		close(fed)
	} else {
		// A pipe of our own and not cmd.Stdin: only what the program took is counted.
		w, err := cmd.StdinPipe()
		if err != nil {
			return Result{}, fmt.Errorf("open stdin pipe: %w", err)
		}
		go func() {
			defer close(fed)
			defer w.Close()
			_, _ = io.Copy(countTo{w, &sent}, s.Stdin) // a program that ends early closes the pipe: its choice
		}()
	}
	cmd.Stdout = tee(&received, s.Stdout)
	cmd.Stderr = tee(&errs, s.Stderr)
	stop, err := startUnder(ctx, cmd)
	if err != nil {
		return Result{}, err
	}
	err = cmd.Wait() // closes our end of stdin too
	stop()
	<-fed
	res := Result{Sent: sent.sum(), Received: received.sum(), Errors: errs.sum(), ExitCode: cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return res, fmt.Errorf("wait for %s: %w", cmd.Path, err)
	}
	if ctx.Err() != nil {
		return res, fmt.Errorf("run %s: %w", cmd.Path, context.Cause(ctx))
	}
	return res, nil
}

// countTo passes on to w and counts what w took.
type countTo struct {
	w io.Writer
	m *meter
}

func (c countTo) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.m.count(b[:n])
	return n, err
}

func tee(m *meter, w io.Writer) io.Writer {
	if w == nil {
		return m
	}
	return io.MultiWriter(m, w)
}

// startUnder starts cmd and kills it, by its pid, when ctx ends. The returned
// function ends the watch and must be called after Wait.
func startUnder(ctx context.Context, cmd *exec.Cmd) (func(), error) {
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	return func() { stop() }, nil
}
