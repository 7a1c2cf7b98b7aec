package replay

import (
	"context"
	"errors"
	"io"
	"math"
	"time"

	"github.com/kubetape/kubetape/internal/session"
)

// Screen is where a replay is shown. Its methods are called from one goroutine.
type Screen interface {
	// Show shows an event: data, a resize, a loss, a restart of the recorder.
	Show(ev session.Event) error
	// Skip says that what is shown from here is only on the way to another place.
	// Where back is set, it begins again from an empty screen.
	Skip(back bool)
	// Land ends Skip.
	Land() error
	// Status is called whenever the state of the replay changed by a key, and about
	// once a second of the recording.
	Status(s Status)
}

// Status is the state of a running replay.
type Status struct {
	At     time.Duration // since the beginning of the recording
	Speed  float64       // +Inf: as fast as possible
	Paused bool
}

// Options steer Play. The zero value plays all of it as fast as possible.
type Options struct {
	Start     time.Time     // the beginning of the recording; zero: the first event's time
	Speed     float64       // 1 is the recording's own; 0 or +Inf: as fast as possible
	From      time.Duration // since Start: what is before is shown at once
	To        time.Duration // since Start: what is after is not shown; 0: no end
	IdleLimit time.Duration // the longest wait between two events, in the recording's time; 0: none
	Seek      time.Duration // how far KeyBack and KeyForward go; 0: five seconds
	Clock     Clock         // nil: Wall
	Keys      <-chan Key    // nil: no keys; closing it means no more of them
}

// Result says how a replay ended.
type Result struct {
	At      time.Duration  // where it ended
	End     *session.Event // the recording's end line, where the replay came to it
	Quit    bool           // KeyQuit
	Losses  int            // loss events shown
	Stopped bool           // at Options.To
}

// The bounds of what KeyFaster and KeySlower can reach.
const (
	slowest = 1.0 / 16
	fastest = 256.0
)

var errQuit = errors.New("quit")

// Play shows tape on screen until its end, Options.To, KeyQuit, or the end of ctx,
// whose error it returns. Errors of the tape but io.EOF are returned as they are;
// Result is good with an error too.
func Play(ctx context.Context, tape Tape, screen Screen, o Options) (Result, error) {
	p := &player{tape: tape, screen: screen, Options: o, start: o.Start}
	if p.Clock == nil {
		p.Clock = Wall
	}
	if p.Seek <= 0 {
		p.Seek = 5 * time.Second
	}
	if p.Speed <= 0 || math.IsNaN(p.Speed) {
		p.Speed = math.Inf(1)
	}
	err := p.run(ctx)
	if errors.Is(err, errQuit) {
		p.res.Quit, err = true, nil
	}
	p.res.At = p.at
	return p.res, err
}

type player struct {
	Options
	tape   Tape
	screen Screen
	start  time.Time
	res    Result

	next     session.Event // the event that comes, when have is set
	have     bool
	off      time.Duration // of next, since start; never less than of the one before
	at       time.Duration // where we are
	paused   bool
	anchorAt time.Duration // the recording was here …
	anchor   time.Time     // … at this time of the clock
	shown    time.Duration // at of the last Status
}

func (p *player) run(ctx context.Context) error {
	if p.From > 0 {
		if err := p.skipTo(ctx, p.From); err != nil {
			return endOf(err)
		}
	}
	p.mark()
	p.status()
	for {
		err := p.advance(ctx)
		if err != nil {
			return endOf(err)
		}
	}
}

// advance waits for the next event or a key, and acts on it.
func (p *player) advance(ctx context.Context) error {
	if err := p.load(); err != nil {
		return err
	}
	if p.To > 0 && p.off > p.To {
		p.res.Stopped = true
		return errStop
	}
	key, err := p.wait(ctx)
	switch {
	case err != nil:
		return err
	case key != KeyNone:
		return p.press(ctx, key)
	}
	return p.show()
}

// wait returns KeyNone when the next event is due.
func (p *player) wait(ctx context.Context) (Key, error) {
	if gap := p.off - p.at; p.IdleLimit > 0 && gap > p.IdleLimit {
		p.at = p.off - p.IdleLimit
		p.mark()
	}
	var due <-chan time.Time
	if !p.paused {
		d := p.untilDue()
		if d <= 0 { // look for a key all the same, or nothing could stop a flood
			select {
			case k, ok := <-p.Keys:
				return p.key(k, ok), nil
			case <-ctx.Done():
				return KeyNone, ctx.Err()
			default:
				return KeyNone, nil
			}
		}
		c, stop := p.Clock.After(d)
		defer stop()
		due = c
	}
	for {
		select {
		case <-due:
			return KeyNone, nil
		case <-ctx.Done():
			return KeyNone, ctx.Err()
		case k, ok := <-p.Keys:
			if k = p.key(k, ok); k != KeyNone {
				p.at = p.now()
				return k, nil
			}
		}
	}
}

// key handles the end of the keys: without them, nobody could end a pause.
func (p *player) key(k Key, ok bool) Key {
	if ok {
		return k
	}
	p.Keys = nil
	if p.paused {
		return KeyPause
	}
	return KeyNone
}

// untilDue returns how long of the clock's time it is to the next event.
func (p *player) untilDue() time.Duration {
	if math.IsInf(p.Speed, 1) {
		return 0
	}
	d := float64(p.off-p.anchorAt) / p.Speed
	if d > float64(math.MaxInt64/2) {
		return math.MaxInt64 / 2
	}
	return time.Duration(d) - p.Clock.Now().Sub(p.anchor)
}

// now returns where the recording is between the last event and the next.
func (p *player) now() time.Duration {
	if p.paused || math.IsInf(p.Speed, 1) {
		return p.at
	}
	passed := float64(p.Clock.Now().Sub(p.anchor)) * p.Speed
	at := p.off
	if passed < float64(p.off-p.anchorAt) {
		at = p.anchorAt + time.Duration(passed)
	}
	return max(at, p.at)
}

// mark starts the clock anew from where we are.
func (p *player) mark() { p.anchor, p.anchorAt = p.Clock.Now(), p.at }

func (p *player) status() {
	p.shown = p.at
	p.screen.Status(Status{At: p.at, Speed: p.Speed, Paused: p.paused})
}

func (p *player) press(ctx context.Context, k Key) error {
	switch k {
	case KeyQuit:
		return errQuit
	case KeyPause:
		p.paused = !p.paused
	case KeyStep:
		if p.paused {
			if err := p.show(); err != nil {
				return err
			}
		}
	case KeyFaster:
		p.Speed = min(p.Speed*2, max(fastest, p.Speed))
	case KeySlower:
		if math.IsInf(p.Speed, 1) {
			p.Speed = fastest
		} else {
			p.Speed = max(p.Speed/2, min(slowest, p.Speed))
		}
	case KeyBack:
		if err := p.skipTo(ctx, max(p.at-p.Seek, 0)); err != nil {
			return err
		}
	case KeyForward:
		if err := p.skipTo(ctx, p.at+p.Seek); err != nil {
			return err
		}
	}
	p.mark()
	p.status()
	return nil
}

// skipTo shows at once what lies between here and target; where target lies
// behind, from the beginning.
func (p *player) skipTo(ctx context.Context, target time.Duration) (err error) {
	back := target < p.at
	if back {
		if err := p.tape.Rewind(); err != nil {
			return err
		}
		p.have, p.at, p.off = false, 0, 0
		p.res.Losses = 0
	}
	if p.To > 0 {
		target = min(target, p.To)
	}
	p.screen.Skip(back)
	defer func() {
		if e := p.screen.Land(); err == nil {
			err = e
		}
	}()
	for n := 0; ; n++ {
		if err := p.load(); err != nil {
			return err
		}
		if p.off >= target {
			p.at = target
			return nil
		}
		if err := p.show(); err != nil {
			return err
		}
		if n%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// load makes sure that next is there.
func (p *player) load() error {
	if p.have {
		return nil
	}
	ev, err := p.tape.Next()
	if err != nil {
		return err
	}
	if p.start.IsZero() {
		p.start = ev.T
	}
	// A clock that was set back must not stop the replay: time only goes on.
	p.next, p.have, p.off = ev, true, max(ev.T.Sub(p.start), p.off, 0)
	return nil
}

// show shows the next event.
func (p *player) show() error {
	p.at, p.have = p.off, false
	switch p.next.Type {
	case session.TypeEnd:
		end := p.next
		end.Data = nil
		p.res.End = &end
	case session.TypeLoss:
		p.res.Losses++
	}
	if err := p.screen.Show(p.next); err != nil {
		return err
	}
	if p.at-p.shown >= time.Second || p.at < p.shown {
		p.status()
	}
	return nil
}

// errStop ends a replay at Options.To.
var errStop = errors.New("stop")

// endOf turns the ways in which a replay ends well into nil.
func endOf(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, errStop) {
		return nil
	}
	return err
}
