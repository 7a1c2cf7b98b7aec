package recording

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubetape/kubetape/internal/session"
)

// maxFaults bounds a Report; a file of noise has a fault in every byte.
const maxFaults = 50

// Report is what Verify found.
type Report struct {
	Info   Info
	SHA256 string // of the file as it is, lower-case hex
	Events int64
	Frames int
	// Status is that of the end line where the file bears it out, else Torn.
	// Empty for the seed's plain form, which proves nothing about its end.
	Status session.Status
	// Streams is what is in the file, counted again.
	Streams map[session.Stream]session.Totals
	// Faults say in words what is wrong; none in a good file. A torn recording
	// that recovery closed has none.
	Faults []string
	// Notes are worth knowing and no faults.
	Notes []string
}

// OK reports whether the file is what its end line says it is.
func (r *Report) OK() bool { return len(r.Faults) == 0 }

func (r *Report) fault(format string, args ...any) {
	switch {
	case len(r.Faults) < maxFaults:
		r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
	case len(r.Faults) == maxFaults:
		r.Faults = append(r.Faults, "more faults, not listed")
	}
}

// Verify decodes all of a recording and holds it against itself: checksums of
// frames, form and order of lines, totals and digests of streams, the end and
// the seek table. It needs nothing but the file. progress, which may be nil, is
// called now and then with the bytes of file done and their total.
//
// What is wrong with the content is in the Report; the error is for a file that
// cannot be read, or has no header.
func Verify(path string, progress func(done, total int64)) (Report, error) {
	info, err := ReadInfo(path)
	rep := Report{Info: info}
	if err != nil {
		return rep, err
	}
	r, err := Open(path)
	if err != nil {
		return rep, err
	}
	defer r.Close()
	if progress == nil {
		progress = func(int64, int64) {}
	}
	v := verifier{rep: &rep, tally: newTally()}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(r.file, 0, info.Size)); err != nil {
		return rep, err
	}
	rep.SHA256 = hex.EncodeToString(sum.Sum(nil))
	switch l := r.lines.(type) {
	case *plain:
		v.readPlain(r, l.seed)
	case *framed:
		v.readFrames(l, info.Size, progress)
	}
	v.name(path)
	v.conclude()
	progress(info.Size, info.Size)
	return rep, nil
}

type verifier struct {
	rep *Report
	tally
	seed    bool
	end     *session.Event
	skipped int64
}

func (v *verifier) readPlain(r *Reader, seed bool) {
	v.seed = seed
	for {
		ev, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			v.rep.fault("%v", err)
			break
		}
		v.take(&ev, r.lines.place())
	}
	v.skipped = r.skips
}

// readFrames goes through the file frame by frame. Behind a damaged frame it
// goes on where the seek table says that the next one is.
func (v *verifier) readFrames(l *framed, size int64, progress func(done, total int64)) {
	table, haveTable, err := readTable(l.file, size)
	if err != nil {
		v.rep.fault("%v", err)
	}
	var off int64
	var walked []entry
	for off < size {
		f, err := l.unframer.at(off)
		var text []byte
		if err == nil && f.skip {
			if haveTable && off+int64(len(f.raw)) == size {
				break
			}
			v.rep.fault("byte %d: skippable frame that is not the seek table", off)
			off += int64(len(f.raw))
			continue
		}
		if err == nil {
			text, err = l.decode(f)
		}
		packed := len(f.raw)
		if err != nil {
			v.rep.fault("byte %d: %s", off, plainly(err))
			if !haveTable || len(walked) >= len(table) {
				break
			}
			packed = int(table[len(walked)].packed)
			text = nil
		} else {
			v.lines(text, off)
		}
		v.rep.Frames++
		walked = append(walked, entry{uint32(packed), uint32(len(text))})
		off += int64(packed)
		progress(off, size)
	}
	switch {
	case err == nil && !haveTable && !strings.HasSuffix(v.rep.Info.Path, PartSuffix):
		v.rep.fault("no seek table at the end of the file")
	case haveTable && v.rep.OK() && !slices.Equal(table, walked):
		v.rep.fault("seek table does not fit the frames")
	}
}

func plainly(err error) error {
	if errors.Is(err, errShort) || err == io.EOF {
		return ErrTorn
	}
	return err
}

// lines takes in the lines of the frame at off.
func (v *verifier) lines(text []byte, off int64) {
	if off == 0 { // the header, which Open has parsed
		_, text, _ = bytes.Cut(text, []byte{'\n'})
	}
	var ev session.Event
	for n := 1; len(text) > 0; n++ {
		line, rest, _ := bytes.Cut(text, []byte{'\n'})
		text = rest
		place := fmt.Sprintf("frame at byte %d, line %d", off, n)
		if err := DecodeLine(line, &ev); err != nil {
			v.rep.fault("%s: %v", place, err)
			continue
		}
		if !Known(ev.Type) {
			v.skipped++
			continue
		}
		v.take(&ev, place)
	}
}

func (v *verifier) take(ev *session.Event, place string) {
	if v.end != nil {
		v.rep.fault("%s: line after the end", place)
	}
	if ev.T.Before(v.last) {
		if v.seed {
			v.rep.Notes = append(v.rep.Notes[:0:0], "times go back")
		} else {
			v.rep.fault("%s: time goes back", place)
		}
	}
	v.add(ev)
	if ev.Type == session.TypeEnd {
		end := *ev
		v.end = &end
	}
}

// name checks that the file is called what its header says: a file that was
// given another's name would be shown as the other's session.
func (v *verifier) name(path string) {
	id := string(v.rep.Info.Meta.ID)
	if base := filepath.Base(path); !v.seed && base != id && !strings.HasPrefix(base, id+".") {
		v.rep.Notes = append(v.rep.Notes, fmt.Sprintf("the file is not named after its session, %s", id))
	}
}

func (v *verifier) conclude() {
	rep := v.rep
	rep.Events = v.events
	rep.Streams = v.streams(rep.Info.Meta.TTY)
	if v.skipped > 0 {
		rep.Notes = append(rep.Notes, fmt.Sprintf("%d lines of a type that this version does not know", v.skipped))
	}
	if v.seed {
		rep.Notes = append(rep.Notes, "plain form without header, end and digests: nothing shows that this is all")
		return
	}
	rep.Status = session.Torn
	if v.end == nil {
		rep.fault("%v", ErrTorn)
		return
	}
	for _, s := range session.Streams {
		v.compare(s, v.end.Streams)
	}
	switch {
	case v.end.Status == session.Complete && v.losses > 0:
		rep.fault("end says complete, but %d losses are recorded", v.losses)
	case v.end.Status == session.Lossy && v.losses == 0:
		rep.Notes = append(rep.Notes, "end says lossy, but no loss line says where")
	}
	if rep.OK() {
		rep.Status = v.end.Status
	}
}

func (v *verifier) compare(s session.Stream, said map[session.Stream]session.Totals) {
	got := v.of(s)
	want, ok := said[s]
	if !ok {
		want.SHA256 = v.emptyDigest()
	}
	if got == want {
		return
	}
	if got.Bytes != want.Bytes || got.Masked != want.Masked || got.Lost != want.Lost {
		v.rep.fault("%s: end says %d bytes, %d masked, %d lost; the file has %d, %d, %d", s,
			want.Bytes, want.Masked, want.Lost, got.Bytes, got.Masked, got.Lost)
		return
	}
	v.rep.fault("%s: sha256 is %s, end says %s", s, got.SHA256, want.SHA256)
}

func (v *verifier) emptyDigest() string { return hex.EncodeToString(sha256.New().Sum(nil)) }
