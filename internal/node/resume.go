package node

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/kubetape/kubetape/internal/probe"
	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/internal/tracker"
)

// resume takes up what an earlier recorder left: recordings whose session the
// kernel still holds open go on, all others are closed as torn. Call it before
// the first event is read.
func (l *loop) resume(dir, boot string) error {
	live := map[uint64]probe.Live{}
	if l.probe.Resumed() {
		all, err := l.probe.Sessions()
		if err != nil {
			return err
		}
		for _, s := range all {
			live[s.Session] = s
		}
	}
	parts, err := filepath.Glob(filepath.Join(dir, "*"+recording.PartSuffix))
	if err != nil {
		return fmt.Errorf("list open recordings: %w", err)
	}
	for _, path := range parts {
		log := l.log.With("recording", filepath.Base(path))
		info, err := recording.ReadInfo(path)
		if err != nil {
			l.setAside(path, err, log)
			continue
		}
		sid, ours := tracker.ParseKey(boot, info.Meta.Key)
		s, alive := live[sid]
		if !ours || !alive {
			l.recover(path, log)
			continue
		}
		if err := l.goOn(path, s); err != nil {
			log.Error("go on with recording", "error", err)
			continue
		}
		log.Info("recording goes on", "session", info.Meta.ID)
	}
	return nil
}

func (l *loop) goOn(path string, s probe.Live) error {
	w, err := recording.Resume(path, l.tapes.opts)
	if err != nil {
		return err
	}
	r := tracker.Recorded{Meta: w.Meta()}
	if r.Told, err = told(path); err != nil {
		return errors.Join(err, w.Abandon())
	}
	for i, name := range session.Streams {
		r.Sum[i] = w.Totals(name)
	}
	l.tapes.adopt(w)
	l.tracker.Adopt(s.Session, r, probe.Now(), l.world.program(s))
	return nil
}

// told counts the process and size events of a recording, and those it says are
// lost.
func told(path string) (n uint64, err error) {
	r, err := recording.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		ev, err := r.Next()
		if errors.Is(err, recording.ErrTorn) || errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		switch {
		case ev.Type == session.TypeExec, ev.Type == session.TypeExit, ev.Type == session.TypeResize:
			n++
		case ev.Type == session.TypeLoss && ev.Stream == "" && ev.Bytes > 0:
			n += uint64(ev.Bytes)
		}
	}
}

// recover closes a recording whose session ended, or whose machine restarted,
// while no recorder ran.
func (l *loop) recover(path string, log *slog.Logger) {
	sum, err := recording.Recover(path, "recorder stopped before the session")
	if err != nil && !errors.Is(err, recording.ErrEnded) {
		l.setAside(path, err, log)
		return
	}
	log.Info("recording closed", "status", sum.Status)
}

// setAside gives a file that holds nothing readable another name, so that it is
// neither lost nor looked at again.
func (l *loop) setAside(path string, cause error, log *slog.Logger) {
	if st, err := os.Stat(path); err == nil && st.Size() == 0 {
		if err := os.Remove(path); err != nil {
			log.Error("remove empty recording", "error", err)
		}
		return
	}
	log.Error("open recording cannot be read, it is set aside", "error", cause)
	if err := os.Rename(path, strings.TrimSuffix(path, recording.PartSuffix)+".unreadable"); err != nil {
		log.Error("set recording aside", "error", err)
	}
}

// leftOpen lists the sessions that the kernel holds open, once all that it has
// told of them so far is in the ring.
func (l *loop) leftOpen() ([]probe.Live, error) {
	all, err := l.probe.Sessions()
	if err != nil {
		return nil, err
	}
	_, err = l.probe.Stop(nil)
	return all, err
}

// takeUp sees to sessions that nobody knows: they began while no recorder ran, or
// just before one was killed. Call it after what was in the ring has come through.
func (l *loop) takeUp(left []probe.Live) {
	now := probe.Now()
	held := l.tapes.keys() // closed here, and still on their way to the disk
	for _, s := range left {
		if !l.tracker.Knows(s.Session) && held[tracker.Key(l.boot, s.Session)] {
			continue
		}
		l.log.Debug("session in the kernel", "sid", s.Session, "kind", s.Kind, "exited", s.Exited, "ending", s.Ending, "known", l.tracker.Knows(s.Session))
		if s.Ending && !l.tracker.Knows(s.Session) { // its recording is closed
			if err := l.probe.Forget(s.Session); err != nil {
				l.log.Error("forget session", "error", err)
			}
			continue
		}
		l.tracker.Missing([]uint64{s.Session}, now)
		l.tracker.Tell(s.Session, l.world.found(s), now)
	}
}

// Unload ends a capture that an earlier recorder left in the kernel and closes
// its recordings as torn, with what is still in the ring. It reports whether
// there was any.
func Unload(c Config, log *slog.Logger) (found bool, err error) {
	unlock, err := prepare(c.Recordings)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	found, err = probe.Unload(c.Capture.Pins, log)
	if errors.Is(err, probe.ErrBusy) {
		return found, fmt.Errorf("%w: %w", ErrRunning, err)
	}
	if err != nil {
		return found, err
	}
	parts, err := filepath.Glob(filepath.Join(c.Recordings, "*"+recording.PartSuffix))
	if err != nil {
		return found, fmt.Errorf("list open recordings: %w", err)
	}
	for _, path := range parts {
		if _, err := recording.Recover(path, "capture was unloaded"); err != nil {
			return true, err
		}
	}
	return found || len(parts) > 0, nil
}
