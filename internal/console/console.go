// Package console is what a person's command line does with recordings: list,
// show, replay, print, verify and export them. It knows streams and terminals, and
// nothing of flags.
//
// Everything it prints that came from a recording goes through package termsafe,
// but for what is written to a file, and what was asked for raw.
//
// A Console does one thing at a time; it is not safe for concurrent use.
package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/replay"
	"github.com/kubetape/kubetape/internal/store"
	"github.com/kubetape/kubetape/internal/termsafe"
)

// Console is where commands read from and write to.
type Console struct {
	In    *os.File // keys of a replay, where it is a terminal
	Out   *os.File
	Err   *os.File
	Store *store.Store
}

// Exit statuses of the command line.
const (
	ExitOK          = 0
	ExitFailed      = 1   // the operation failed, or verification found faults
	ExitUsage       = 2   // a wrong flag or argument
	ExitNotFound    = 3   // no such recording
	ExitAmbiguous   = 4   // a prefix fits several recordings
	ExitInterrupted = 130 // by a signal, or Ctrl-C
)

// ErrUsage marks an error as one of flags or arguments.
var ErrUsage = errors.New("usage")

type usageError string

func (e usageError) Error() string        { return string(e) }
func (e usageError) Is(target error) bool { return target == ErrUsage }

// Usage returns an error that is ErrUsage and reads as the text alone.
func Usage(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// ErrReported is an error whose lines stand on Err already.
var ErrReported = errors.New("already reported")

// ExitCode returns the exit status for an error of a command.
func ExitCode(err error) int {
	var ambiguous *store.AmbiguousError
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, ErrUsage):
		return ExitUsage
	case errors.Is(err, store.ErrNotFound):
		return ExitNotFound
	case errors.As(err, &ambiguous):
		return ExitAmbiguous
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	}
	return ExitFailed
}

// Say writes one clean line to Err.
func (c *Console) Say(format string, args ...any) {
	fmt.Fprintln(c.Err, "kubetape: "+termsafe.Line(fmt.Sprintf(format, args...)))
}

// IsTerminal reports whether f is a terminal.
func IsTerminal(f *os.File) bool { return f != nil && term.IsTerminal(int(f.Fd())) }

// size returns the size of the terminal f, or zeros.
func size(f *os.File) (cols, rows int) {
	cols, rows, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0, 0
	}
	return cols, rows
}

// tape is a recording's file as a replay.Tape.
type tape struct {
	*recording.Reader
	path string
}

// open opens the recording that arg names.
func (c *Console) open(arg string) (*tape, recording.Info, error) {
	path, err := c.Store.Find(arg)
	if err != nil {
		return nil, recording.Info{}, err
	}
	info, err := recording.ReadInfo(path)
	if err != nil {
		return nil, info, err
	}
	r, err := recording.Open(path)
	if err != nil {
		return nil, info, err
	}
	return &tape{Reader: r, path: path}, info, nil
}

// Rewind implements replay.Tape.
func (t *tape) Rewind() error {
	r, err := recording.Open(t.path)
	if err != nil {
		return err
	}
	old := t.Reader
	t.Reader = r
	return old.Close()
}

var _ replay.Tape = (*tape)(nil)

// ending explains an error of a tape. A recording that is still being written has
// no end, and that is no error.
func (c *Console) ending(info *recording.Info, err error) error {
	if errors.Is(err, recording.ErrTorn) && strings.HasSuffix(info.Path, recording.PartSuffix) {
		c.Say("this recording has no end: it is still being written, or its recorder was stopped")
		return nil
	}
	return err
}

// printJSON writes v, indented where indent is set. It is safe for a terminal.
func printJSON(w io.Writer, v any, indent bool) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if indent {
		e.SetIndent("", "  ")
	}
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(termsafe.JSON(b.Bytes()))
	return err
}
