package console

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/replay"
	"github.com/kubetape/kubetape/internal/session"
)

// ReplayOptions steer Replay.
type ReplayOptions struct {
	Speed     float64       // as replay.Options.Speed
	From, To  string        // as ParsePosition takes them; empty: the beginning, the end
	IdleLimit time.Duration // 0: none
	Raw       bool          // no filter
}

// maxNotes bounds the losses that are told one by one at the end.
const maxNotes = 20

// Replay plays the recording that arg names. Keys work where both In and Out are
// terminals.
func (c *Console) Replay(ctx context.Context, arg string, o ReplayOptions) (err error) {
	t, info, err := c.open(arg)
	if err != nil {
		return err
	}
	defer t.Close()
	from, err := ParsePosition(o.From, info.Meta.StartedAt)
	if err != nil {
		return err
	}
	to, err := ParsePosition(o.To, info.Meta.StartedAt)
	if err != nil {
		return err
	}
	if o.To != "" && to <= from {
		return Usage("the end of what to replay (%s) does not come after its beginning (%s)", to, from)
	}

	live := IsTerminal(c.Out)
	notes := notes{c: c, start: info.Meta.StartedAt, later: live}
	screen := &replay.Terminal{Out: c.Out, Err: c.Err, Raw: o.Raw, Live: live, Title: live,
		Name: string(info.Meta.ID), Note: notes.add}
	if !info.EndedAt.IsZero() {
		screen.Length = max(info.EndedAt.Sub(info.Meta.StartedAt), 0)
	}
	if live {
		screen.Size = func() (int, int) { return size(c.Out) }
		screen.Resize(info.Meta.Cols, info.Meta.Rows)
		cols, rows := size(c.Out)
		if hint := replay.SizeHint(info.Meta.Cols, info.Meta.Rows, cols, rows); hint != "" {
			c.Say("%s: make this window larger to see all of it", hint)
		}
	}
	options := replay.Options{Start: info.Meta.StartedAt, Speed: o.Speed, From: from, To: to, IdleLimit: o.IdleLimit}
	if live && IsTerminal(c.In) {
		k, err := startKeys(c.In)
		if err != nil {
			return fmt.Errorf("read keys: %w", err)
		}
		defer k.stop()
		options.Keys, screen.CRLF = k.c, true
	}
	res, err := replay.Play(ctx, t, screen, options)
	if e := screen.Close(); err == nil {
		err = e
	}
	if screen.CRLF { // the lines that follow need the terminal's own newlines
		fmt.Fprint(c.Out, "\r\n")
	}
	return c.replayEnd(&info, res, err, screen, &notes)
}

// replayEnd says what an auditor has to know about what was just seen.
func (c *Console) replayEnd(info *recording.Info, res replay.Result, err error, screen *replay.Terminal, n *notes) error {
	crlf := ""
	if screen.CRLF {
		crlf = "\r"
	}
	say := func(format string, args ...any) {
		c.Say(format, args...)
		fmt.Fprint(c.Err, crlf)
	}
	n.tell(say)
	if !res.Quit && !res.Stopped && res.End != nil {
		switch res.End.Status {
		case session.Torn:
			say("this recording is torn: the recorder stopped before the session did%s", because(res.End.Why))
		case session.Lossy:
			say("this recording is lossy: %d losses are in it", res.Losses)
		}
	}
	if removed := screen.Removed(); removed > 0 {
		say("%d control sequences were left out (--raw shows them)", removed)
	}
	if err != nil && errors.Is(err, context.Canceled) {
		return err
	}
	return c.ending(info, err)
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// notes are the things in a recording that are not output. On a terminal they
// wait for the end, since the screen belongs to the session.
type notes struct {
	c     *Console
	start time.Time
	later bool
	kept  []string
	more  int
	seen  time.Time // of the latest note: going back shows them again
}

func (n *notes) add(ev session.Event) {
	if n.later && !ev.T.After(n.seen) {
		return
	}
	n.seen = ev.T
	line := replay.Offset(max(ev.T.Sub(n.start), 0)) + " " + noteText(&ev)
	switch {
	case !n.later:
		n.c.Say("%s", line)
	case len(n.kept) < maxNotes:
		n.kept = append(n.kept, line)
	default:
		n.more++
	}
}

func (n *notes) tell(say func(string, ...any)) {
	for _, l := range n.kept {
		say("%s", l)
	}
	if n.more > 0 {
		say("and %d more such events", n.more)
	}
}

// noteText describes a loss or a restart.
func noteText(ev *session.Event) string {
	if ev.Type == session.TypeResume {
		return "the recorder was restarted and went on" + because(ev.Why)
	}
	what, of := "bytes", " of "+string(ev.Stream)
	if ev.Stream == "" {
		what, of = "process events", ""
	}
	if ev.Bytes < 0 {
		return fmt.Sprintf("an unknown number of %s%s was not recorded%s", what, of, because(ev.Why))
	}
	return fmt.Sprintf("%d %s%s were not recorded%s", ev.Bytes, what, of, because(ev.Why))
}
