// Package replay plays a recording back and turns it into other forms.
//
// [Play] walks a [Tape] in the recording's own time, at any speed, and shows each
// event on a [Screen]; keys steer it. [Terminal] is the screen of a person's
// terminal or of a plain file. [Cast] writes asciicast v2 and v3, [Plain] the
// seed's JSON Lines, [Text] a readable transcript.
//
// The package reads no files: a Tape is whatever has the events. Nothing here
// starts a goroutine.
package replay

import (
	"time"

	"github.com/kubetape/kubetape/internal/session"
)

// Source has the events of one recording in order. Next returns io.EOF after the
// last; Data of an event is good until the next call.
type Source interface {
	Next() (session.Event, error)
}

// Tape is a source that can start again from its first event.
type Tape interface {
	Source
	Rewind() error
}

// Clock is where Play gets its time. Wall is the real one.
type Clock interface {
	Now() time.Time
	// After sends once on the channel when d has passed. stop lets go of it.
	After(d time.Duration) (c <-chan time.Time, stop func())
}

// Wall is the clock on the wall.
var Wall Clock = wall{}

type wall struct{}

func (wall) Now() time.Time { return time.Now() }

func (wall) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}
