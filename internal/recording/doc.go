// Package recording writes and reads recordings: one file for what one observer
// saw of one session, zstd-compressed JSON Lines in the public seekable format.
// FORMAT.md beside this file describes it for other implementations; testdata
// holds its test vectors.
//
// A Writer makes <id>.jsonl.zst.part and turns it into <id>.jsonl.zst when the
// session ends. What Flush has returned for survives a crash of the process,
// what Sync has returned for a crash of the machine. Resume goes on with a file
// that a crash left open, Recover closes it as torn.
//
// A Reader takes nothing on trust: only text whose frame has the right checksum
// is parsed, lines and frames are bounded, and a file that stops early is never
// mistaken for one that ended.
//
// Writers share a Pool, which bounds the memory of all of them together. A
// Writer or Reader belongs to one goroutine at a time; a Pool is safe for
// concurrent use.
package recording

import "errors"

// Bounds of the format. A reader refuses what is beyond them.
const (
	// MaxLine is the longest line in bytes, without its line end.
	MaxLine = 4 << 20
	// MaxFrame is the most text, in bytes, that one zstd frame holds.
	MaxFrame = 16 << 20
	// maxPacked is the longest compressed frame: text that does not compress
	// costs three bytes a block of 128 KiB, and a few for header and checksum.
	maxPacked = MaxFrame + MaxFrame>>10 + 1<<10
	// maxData is how many bytes of a stream go into one line; longer data is
	// written as several lines of the same time.
	maxData = 192 << 10
	// maxArgv is how many bytes of arguments go into one line. What is cut off
	// is counted in argv_cut. In the worst spelling (\u0001) it grows sixfold,
	// which still is a legal line.
	maxArgv = 384 << 10
)

// Names of files.
const (
	Suffix     = ".jsonl.zst"      // a recording that has its end
	PartSuffix = ".jsonl.zst.part" // a recording that is being written, or that a crash left open
	cutSuffix  = ".cut"            // beside a .part: unreadable bytes that recovery cut off
	mergeName  = ".tmp"            // beside a .part: the file in its final form, not yet in place
)

// Errors that callers may want to tell apart. They come wrapped with the place
// in the file.
var (
	// ErrTorn says that a recording stops without its end: a crash, a cut, or a
	// recorder that is still writing.
	ErrTorn = errors.New("recording stops without an end")
	// ErrCorrupt says that a recording holds something that no writer writes.
	ErrCorrupt = errors.New("recording is damaged")
	// ErrVersion says that a recording is of a later version of the format.
	ErrVersion = errors.New("recording is of a later version of the format")
	// ErrEnded says that a recording has its end already, so nothing can be added.
	ErrEnded = errors.New("recording has ended")
	// ErrClosed is returned by a Writer after End or Abandon.
	ErrClosed = errors.New("recording is closed")
)
