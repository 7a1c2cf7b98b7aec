package recording

import (
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Sizes and levels, chosen by measurement: see MEASUREMENTS.md.
const (
	defaultFrame = 1 << 20  // text of a full frame
	smallText    = 16 << 10 // text that a writer may hold on its own account
	firstText    = 1 << 10  // what a writer holds after its first event
	endAlone     = 32 << 10 // text of the last frame, from which the end gets a frame of its own
	maxSlots     = 4
	defaultLarge = 12
	liveLevel    = zstd.SpeedFastest
	joinLevel    = zstd.SpeedBetterCompression
	shortLevel   = zstd.SpeedBestCompression
	repackText   = 16 << 20 // a recording with no more text is packed anew as a whole by End
	shortText    = 2 << 20  // at shortLevel with no more than this, unless it has less than endAlone
	joinText     = 32 << 20 // beyond this much text in small frames, End joins them at liveLevel
)

// Pool bounds the memory that all writers which share it use together:
//
//   - compressing takes a slot, of which there are as many as processors, at
//     most 4, each less than 3 MiB;
//   - a writer holds at most 16 KiB of text itself; for more it borrows one of
//     12 buffers of 1 MiB until its next Flush, and where none is free it cuts
//     its frames small;
//   - one writer at a time joins small frames (see Writer.End), in 8 MiB, or for
//     short recordings 36 MiB, which the collector takes back after a while.
//
// Small frames cost nothing in the end, as End joins them. It is safe for
// concurrent use. It has no goroutines and needs no closing.
type Pool struct {
	frame int
	slots chan *slot
	large chan []byte // free buffers; nil stands for one that was not made yet

	merging sync.Mutex
	merge   merger    // guarded by merging
	short   sync.Pool // of *slot, at shortLevel; used under merging
}

// slot is what compressing one frame needs.
type slot struct {
	enc    *zstd.Encoder
	packed []byte
}

// merger is what joining small frames needs.
type merger struct {
	tight, fast slot
	text        []byte
}

// NewPool returns a pool with the sizes above.
func NewPool() *Pool { return newPool(defaultFrame, defaultLarge) }

func newPool(frame, large int) *Pool {
	n := min(runtime.GOMAXPROCS(0), maxSlots)
	p := &Pool{frame: frame, slots: make(chan *slot, n), large: make(chan []byte, large)}
	for range n {
		p.slots <- &slot{}
	}
	for range large {
		p.large <- nil
	}
	return p
}

var sharedPool = sync.OnceValue(NewPool)

// compress makes a frame of text and gives it to use, which must not keep it.
func (p *Pool) compress(text []byte, use func(packed []byte) error) error {
	s := <-p.slots
	defer func() { p.slots <- s }()
	return use(s.pack(text, liveLevel))
}

func (s *slot) pack(text []byte, level zstd.EncoderLevel) []byte {
	if s.enc == nil {
		s.enc = newEncoder(level)
	}
	s.packed = s.enc.EncodeAll(text, s.packed[:0])
	packed := s.packed
	if cap(s.packed) > 2*defaultFrame { // an outsize event; do not keep its memory
		s.packed = nil
	}
	return packed
}

func newEncoder(level zstd.EncoderLevel) *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(true), zstd.WithAllLitEntropyCompression(true), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(defaultFrame))
	if err != nil { // these options are legal
		panic(err)
	}
	return e
}

// borrow returns an empty buffer for a full frame, or nil when all are in use.
func (p *Pool) borrow() []byte {
	select {
	case b := <-p.large:
		if b == nil {
			b = make([]byte, 0, p.frame)
		}
		return b[:0]
	default:
		return nil
	}
}

func (p *Pool) giveBack(b []byte) { p.large <- b }
