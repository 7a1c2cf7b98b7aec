package node

import (
	"time"

	"github.com/kubetape/kubetape/internal/kevent"
	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/session"
)

// tape is one recording on its way to disk: what is queued for it, and the
// writer, which only the worker that has it in hand touches.
type tape struct {
	meta session.Meta
	prog kevent.Program

	// Guarded by tapes.mu.
	items  []item
	named  bool // identity is settled, the header may be written
	inHand bool // queued for or with a worker
	dirty  bool // something was written since the last flush

	// The worker's.
	w      *recording.Writer
	lost   [3]int64 // bytes that could not be written to disk, not yet said in the recording
	lostEv int64    // process events, likewise
	failed bool     // the last write failed: said once
	synced time.Time
}

// item is an event with bytes of its own.
type item struct {
	ev session.Event
}

const (
	// join is how long after a piece of a stream the next may follow to become
	// one line with it. Half of a frame at 60 Hz: nobody sees it in a replay.
	join = 8 * time.Millisecond
	// longest is how large such a line may get.
	longest = 32 << 10
)

// add queues ev, joined to the last one where they are pieces of one stream. It
// returns by how many bytes the queue grew.
func (t *tape) add(ev session.Event) int {
	if len(ev.Data) > 0 && len(t.items) > 0 {
		last := &t.items[len(t.items)-1].ev
		if last.Type == ev.Type && len(last.Data) > 0 && len(last.Data)+len(ev.Data) <= longest && ev.T.Sub(last.T) <= join {
			last.Data = append(last.Data, ev.Data...)
			return len(ev.Data)
		}
	}
	if len(ev.Data) > 0 {
		ev.Data = append(make([]byte, 0, len(ev.Data)+len(ev.Data)/2), ev.Data...)
	}
	t.items = append(t.items, item{ev})
	return weigh(&ev)
}

// overhead is what an item takes beside its bytes, about.
const overhead = 256

// weigh says what an event takes in memory, about.
func weigh(ev *session.Event) int {
	n := len(ev.Data) + overhead
	for _, a := range ev.Argv {
		n += len(a) + 16
	}
	return n
}

func weight(items []item) int {
	n := 0
	for i := range items {
		n += weigh(&items[i].ev)
	}
	return n
}
