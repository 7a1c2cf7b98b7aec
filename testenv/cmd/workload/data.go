package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/kubetape/kubetape/testenv/pattern"
)

// plain hides what *os.File knows beside Read and Write, so that io.Copy does
// not turn to splice, sendfile or copy_file_range by itself.
type plain struct{ io.ReadWriter }

// source reads "N SEED" from args.
func source(args []string, text bool) (io.Reader, int64, error) {
	if len(args) != 2 {
		return nil, 0, fmt.Errorf("want N and SEED, got %d arguments", len(args))
	}
	n, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil || n < 0 {
		return nil, 0, fmt.Errorf("N is %q, want a count", args[0])
	}
	seed, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return nil, 0, fmt.Errorf("SEED is %q, want a number", args[1])
	}
	if text {
		return pattern.Text(seed, n), n, nil
	}
	return pattern.Bytes(seed, n), n, nil
}

func emit(args []string) error {
	out, text := os.Stdout, false
	for len(args) > 0 && args[0] != "" && args[0][0] == '-' {
		switch args[0] {
		case "-text":
			text = true
		case "-stderr":
			out = os.Stderr
		default:
			return fmt.Errorf("no flag %q", args[0])
		}
		args = args[1:]
	}
	src, _, err := source(args, text)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(plain{out}, src, make([]byte, 32<<10))
	return err
}

func both(args []string) error {
	a, n, err := source(args, false)
	if err != nil {
		return err
	}
	seed, _ := strconv.ParseUint(args[1], 10, 64) // source checked it
	b := pattern.Bytes(seed+1, n)
	for left := n; left > 0; left -= 1000 {
		if _, err := io.CopyN(plain{os.Stdout}, a, min(1000, left)); err != nil {
			return err
		}
		if _, err := io.CopyN(plain{os.Stderr}, b, min(1000, left)); err != nil {
			return err
		}
	}
	return nil
}

func sink([]string) error {
	h := sha256.New()
	n, err := io.Copy(h, plain{os.Stdin})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stderr, "%d %x\n", n, h.Sum(nil))
	return err
}

func cat([]string) error {
	_, err := io.CopyBuffer(plain{os.Stdout}, plain{os.Stdin}, make([]byte, 32<<10))
	return err
}

func exit(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want a status")
	}
	status, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	os.Exit(status)
	return nil
}

func sleepForever([]string) error {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	<-c
	return nil
}
