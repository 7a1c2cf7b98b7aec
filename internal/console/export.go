package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/replay"
	"github.com/kubetape/kubetape/internal/session"
)

// Formats are what Export writes.
var Formats = []string{"asciicast-v2", "asciicast-v3", "iddio", "text"}

// Export writes the recording that arg names in another form, to the file of that
// name, or to Out where file is empty or "-". A file is put in place only when it
// is whole.
func (c *Console) Export(ctx context.Context, arg, format, file string) error {
	if !slices.Contains(Formats, format) {
		return Usage("format %q is not known: use %s", format, strings.Join(Formats, ", "))
	}
	t, info, err := c.open(arg)
	if err != nil {
		return err
	}
	defer t.Close()
	if file == "" || file == "-" {
		return c.export(ctx, t, &info, format, c.Out, IsTerminal(c.Out))
	}
	if st, err := os.Stat(file); err == nil && !st.Mode().IsRegular() { // a pipe or a device is not replaced
		return c.exportTo(ctx, t, &info, format, file)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".kubetape-export-*")
	if err != nil {
		return fmt.Errorf("create export: %w", err)
	}
	err = c.export(ctx, t, &info, format, tmp, false)
	if e := tmp.Close(); err == nil {
		err = e
	}
	// A damaged recording's good part is worth having: the error is told all the same.
	if err == nil || errors.Is(err, recording.ErrTorn) || errors.Is(err, recording.ErrCorrupt) {
		if e := os.Rename(tmp.Name(), file); e != nil {
			err = errors.Join(err, fmt.Errorf("put export in place: %w", e))
		}
	}
	_ = os.Remove(tmp.Name()) // gone already where all went well
	return err
}

func (c *Console) exportTo(ctx context.Context, t *tape, info *recording.Info, format, file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open export: %w", err)
	}
	err = c.export(ctx, t, info, format, f, IsTerminal(f))
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

func (c *Console) export(ctx context.Context, t *tape, info *recording.Info, format string, w io.Writer, terminal bool) error {
	bar := c.progress("exporting", terminal)
	src := &watched{tape: t, ctx: ctx, bar: bar, info: info}
	var err error
	switch format {
	case "iddio":
		err = replay.Plain(w, src)
	case "text":
		err = replay.Text(w, src)
	default:
		version := 2
		if format == "asciicast-v3" {
			version = 3
		}
		var rep replay.CastReport
		rep, err = replay.Cast(w, src, info.Meta, version)
		bar.end()
		if rep.Replaced > 0 {
			c.Say("%d bytes are not UTF-8: each is U+FFFD in the asciicast, and exact in the recording", rep.Replaced)
		}
	}
	bar.end()
	if src.masked > 0 {
		c.Say("%d bytes of stdin were masked and are not in the export", src.masked)
	}
	if src.lost > 0 {
		c.Say("%d bytes were not recorded and are not in the export", src.lost)
	}
	return c.ending(info, err)
}

// watched is a tape that moves a bar, counts what is missing, and ends with ctx.
type watched struct {
	*tape
	ctx          context.Context
	bar          *progress
	info         *recording.Info
	masked, lost int64
}

// Rewind implements replay.Tape.
func (s *watched) Rewind() error {
	s.masked, s.lost = 0, 0
	return s.tape.Rewind()
}

// Next implements replay.Source.
func (s *watched) Next() (session.Event, error) {
	if err := s.ctx.Err(); err != nil {
		return session.Event{}, err
	}
	ev, err := s.tape.Next()
	if err != nil {
		return ev, err
	}
	s.masked += int64(ev.Masked)
	if ev.Type == session.TypeLoss {
		s.lost += max(ev.Bytes, 0)
	}
	if !s.info.EndedAt.IsZero() {
		start := s.info.Meta.StartedAt
		s.bar.at(int64(ev.T.Sub(start)), int64(s.info.EndedAt.Sub(start)))
	}
	return ev, nil
}
