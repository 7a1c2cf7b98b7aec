package recording

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The seek table is the last frame of a recording: a skippable frame as in
// https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md
//
//	0x184D2A5E  size  { packed size, text size } per frame  frames  descriptor  0x8F92EAB1
//	    4        4        4            4                      4         1           4
//
// all little-endian. Writer sets no checksums in it (descriptor 0), since each
// frame has its own; readers take tables with checksums too.
const (
	tableMagic  = 0x184D2A5E
	footerMagic = 0x8F92EAB1
	footerLen   = 9
	tableMax    = maxPacked // 2 million frames
)

// entry is the size of one frame, in bytes.
type entry struct{ packed, text uint32 }

func appendTable(dst []byte, es []entry) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, tableMagic)
	dst = le.AppendUint32(dst, uint32(len(es)*8+footerLen))
	for _, e := range es {
		dst = le.AppendUint32(dst, e.packed)
		dst = le.AppendUint32(dst, e.text)
	}
	dst = le.AppendUint32(dst, uint32(len(es)))
	dst = append(dst, 0)
	return le.AppendUint32(dst, footerMagic)
}

// parseTable parses a whole skippable frame.
func parseTable(b []byte) ([]entry, error) {
	le := binary.LittleEndian
	bad := func(what string) ([]entry, error) {
		return nil, fmt.Errorf("%w: seek table: %s", ErrCorrupt, what)
	}
	if len(b) < 8+footerLen || le.Uint32(b) != tableMagic || int64(le.Uint32(b[4:])) != int64(len(b)-8) {
		return bad("not one")
	}
	foot := b[len(b)-footerLen:]
	if le.Uint32(foot[5:]) != footerMagic {
		return bad("no magic number at its end")
	}
	each := 8
	switch foot[4] {
	case 0:
	case 0x80:
		each = 12
	default:
		return bad("reserved bits are set")
	}
	n := int64(le.Uint32(foot))
	if n*int64(each) != int64(len(b)-8-footerLen) {
		return bad("number of frames does not fit its size")
	}
	es := make([]entry, n)
	for i := range es {
		at := b[8+i*each:]
		es[i] = entry{le.Uint32(at), le.Uint32(at[4:])}
		if es[i].packed == 0 || es[i].packed > maxPacked || es[i].text > MaxFrame {
			return bad("size of a frame is out of range")
		}
	}
	return es, nil
}

// readTable reads the seek table at the end of a file of the given size. ok is
// false when the file does not end in one.
func readTable(r io.ReaderAt, size int64) (es []entry, ok bool, err error) {
	if size < 8+footerLen {
		return nil, false, nil
	}
	var foot [footerLen]byte
	if _, err := r.ReadAt(foot[:], size-footerLen); err != nil {
		return nil, false, err
	}
	le := binary.LittleEndian
	if le.Uint32(foot[5:]) != footerMagic {
		return nil, false, nil
	}
	each := int64(8)
	if foot[4]&0x80 != 0 {
		each = 12
	}
	length := 8 + int64(le.Uint32(foot[:]))*each + footerLen
	if length > tableMax || length > size {
		return nil, false, fmt.Errorf("%w: seek table is larger than its file", ErrCorrupt)
	}
	b := make([]byte, length)
	if _, err := r.ReadAt(b, size-length); err != nil {
		return nil, false, err
	}
	es, err = parseTable(b)
	if err != nil {
		return nil, false, err
	}
	var sum int64
	for _, e := range es {
		sum += int64(e.packed)
	}
	if sum != size-length {
		return nil, false, fmt.Errorf("%w: seek table does not add up to the size of the file", ErrCorrupt)
	}
	return es, true, nil
}
