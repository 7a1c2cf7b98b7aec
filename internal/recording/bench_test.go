//go:build unix

package recording

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/kubetape/kubetape/internal/session"
)

// record writes one whole recording of a sample.
func record(b testing.TB, s sampleSet, dir string, o Options) Summary {
	return end(b, feed(b, s, dir, o))
}

// feed writes everything of it but the end.
func feed(b testing.TB, s sampleSet, dir string, o Options) *Writer {
	m := meta()
	m.ID = session.NewID(session.Exec, time.Now())
	w, err := Create(dir, m, o)
	if err != nil {
		b.Fatal(err)
	}
	for i, ev := range s.events {
		if err := w.Write(ev); err != nil {
			b.Fatal(err)
		}
		if s.flush > 0 && i%s.flush == 0 {
			if err := w.Flush(); err != nil {
				b.Fatal(err)
			}
		}
	}
	return w
}

// BenchmarkRecord is a whole recording as the recorder makes it, from Create to
// the end of End. MB/s are of stream data.
func BenchmarkRecord(b *testing.B) {
	for _, s := range samples() {
		cast := asciicast(s.events)
		b.Run(s.name, func(b *testing.B) {
			dir := b.TempDir()
			b.SetBytes(dataLen(s.events))
			b.ReportAllocs()
			var sum Summary
			var bytes int64
			from := cpuTime(b)
			for b.Loop() {
				sum = record(b, s, dir, Options{})
				bytes += dataLen(s.events)
			}
			b.ReportMetric(float64(bytes)/1e6/(cpuTime(b)-from).Seconds(), "MB/cpu-s")
			b.ReportMetric(float64(dataLen(s.events))/float64(sum.Size), "ratio")
			b.ReportMetric(float64(sum.Size)/float64(cast), "of-cast.gz")
		})
	}
}

// BenchmarkWrite is the part of it that keeps up with the session: Write and
// Flush, until the .part is abandoned.
func BenchmarkWrite(b *testing.B) {
	for _, s := range samples() {
		b.Run(s.name, func(b *testing.B) {
			dir := b.TempDir()
			b.SetBytes(dataLen(s.events))
			var bytes int64
			from := cpuTime(b)
			for b.Loop() {
				w := feed(b, s, dir, Options{})
				if err := errors.Join(w.Flush(), w.Abandon(), os.Remove(w.Path())); err != nil {
					b.Fatal(err)
				}
				bytes += dataLen(s.events)
			}
			b.ReportMetric(float64(bytes)/1e6/(cpuTime(b)-from).Seconds(), "MB/cpu-s")
		})
	}
}

// BenchmarkFlush is the second of many small sessions: one event and a flush.
// The time is that of one of them.
func BenchmarkFlush(b *testing.B) {
	pool, dir := NewPool(), b.TempDir()
	ws := make([]*Writer, 1000)
	for i := range ws {
		m := meta()
		m.ID = session.ID(fmt.Sprintf("exec_%d", i))
		var err error
		if ws[i], err = Create(dir, m, Options{Pool: pool}); err != nil {
			b.Fatal(err)
		}
		defer ws[i].Abandon()
	}
	data := []byte(listing(rand.New(rand.NewPCG(6, 6))))
	i := 0
	from := cpuTime(b)
	b.ReportAllocs()
	for b.Loop() {
		w := ws[i%len(ws)]
		if err := errors.Join(w.Write(session.Event{T: at(i), Type: session.TypeStdout, Data: data}), w.Flush()); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64((cpuTime(b)-from).Nanoseconds())/float64(i), "cpu-ns/op")
	b.ReportMetric(float64(ws[0].Size())/float64(i/len(ws)+1), "file-B/op")
}

// cpuTime is what this process has used. On a shared machine it says more than
// the clock.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLevels compresses the text of a sample in frames of one size at one
// level: the choice behind the constants of Pool.
func BenchmarkLevels(b *testing.B) {
	levels := []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression}
	for _, s := range samples() {
		cast := asciicast(s.events)
		text := textOf(b, s.events)
		for _, level := range levels {
			for _, frame := range []int{4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 2 << 20, 4 << 20, 8 << 20} {
				if frame > 2*len(text) {
					continue
				}
				b.Run(fmt.Sprintf("%s/%s/%dKiB", s.name, level, frame>>10), func(b *testing.B) {
					benchLevel(b, s, text, level, frame, cast)
				})
			}
		}
	}
}

func benchLevel(b *testing.B, s sampleSet, text []byte, level zstd.EncoderLevel, frame, cast int) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(max(frame, 1<<20)))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(dataLen(s.events))
	var dst []byte
	var size int
	for b.Loop() {
		size = 0
		for rest := text; len(rest) > 0; {
			n := min(frame, len(rest))
			dst = enc.EncodeAll(rest[:n], dst[:0])
			size += len(dst) + 8
			rest = rest[n:]
		}
	}
	b.ReportMetric(float64(dataLen(s.events))/float64(size), "ratio")
	b.ReportMetric(float64(size)/float64(cast), "of-cast.gz")
}

func textOf(b testing.TB, evs []session.Event) (text []byte) {
	for _, ev := range evs {
		var err error
		if text, err = AppendLine(text, &ev); err != nil {
			b.Fatal(err)
		}
	}
	return text
}

// BenchmarkDecode reads a recording to its end, digests and all.
func BenchmarkDecode(b *testing.B) {
	for _, s := range samples() {
		b.Run(s.name, func(b *testing.B) {
			sum := record(b, s, b.TempDir(), Options{})
			b.SetBytes(dataLen(s.events))
			b.ReportAllocs()
			for b.Loop() {
				if rep, err := Verify(sum.Path, nil); err != nil || !rep.OK() {
					b.Fatal(err, rep.Faults)
				}
			}
		})
	}
}
