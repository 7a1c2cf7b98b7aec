package console

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/internal/termsafe"
)

// Cat writes the bytes of one stream, exactly as recorded; where Out is a terminal
// and raw is not set, through the filter. What is missing is said on Err.
func (c *Console) Cat(ctx context.Context, arg string, stream session.Stream, raw bool) error {
	if stream.Index() < 0 {
		return Usage("stream %q is not known: use stdout, stderr or stdin", stream)
	}
	t, info, err := c.open(arg)
	if err != nil {
		return err
	}
	defer t.Close()
	terminal := IsTerminal(c.Out)
	bar := c.progress("reading", terminal)
	w := bufio.NewWriterSize(c.Out, 64<<10)
	filtered := terminal && !raw
	var filter termsafe.Filter
	var buf []byte
	var masked, lost int64
	err = walk(ctx, t, &info, bar, func(ev *session.Event) error {
		switch {
		case ev.Type == session.TypeLoss && ev.Stream == stream:
			lost += max(ev.Bytes, 0)
		case ev.Type.Stream() != stream:
		case filtered:
			buf = filter.Append(buf[:0], ev.Data)
			_, err := w.Write(buf)
			return err
		default:
			masked += int64(ev.Masked)
			_, err := w.Write(ev.Data)
			return err
		}
		return nil
	})
	if filtered {
		if _, e := w.Write(append(filter.Finish(nil), filter.State().Reset()...)); err == nil {
			err = e
		}
	}
	if e := w.Flush(); err == nil {
		err = e
	}
	if masked > 0 {
		c.Say("%d bytes of %s were masked and are not here", masked, stream)
	}
	if lost > 0 {
		c.Say("%d bytes of %s were not recorded and are not here", lost, stream)
	}
	return c.ending(&info, err)
}

// walk calls do with every event of t. It returns nil at the proper end.
func walk(ctx context.Context, t *tape, info *recording.Info, bar *progress, do func(*session.Event) error) error {
	defer bar.end()
	for n := 0; ; n++ {
		ev, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n%256 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !info.EndedAt.IsZero() {
				bar.at(int64(ev.T.Sub(info.Meta.StartedAt)/time.Millisecond), int64(info.EndedAt.Sub(info.Meta.StartedAt)/time.Millisecond))
			}
		}
		if err := do(&ev); err != nil {
			return err
		}
	}
}
