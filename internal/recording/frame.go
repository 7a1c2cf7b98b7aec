package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Magic numbers of RFC 8878, section 3.1, little-endian.
const (
	frameMagic    = 0xFD2FB528
	skipMagic     = 0x184D2A50 // to 0x184D2A5F
	skipMask      = 0xFFFFFFF0
	blockMax      = 128 << 10
	frameHeadMax  = 18
	frameCheckLen = 4
)

// errShort says that the file stops inside a frame. It is the tail of a crash,
// or of a file that is being written.
var errShort = errors.New("file stops inside a frame")

// unframer reads whole zstd frames of a file, one at a time, and hands out only
// text whose checksum is right. Its memory is bounded by maxPacked + MaxFrame,
// and is as small as the frames are.
type unframer struct {
	r    io.ReaderAt
	raw  []byte // the file from base on
	base int64
	text []byte
}

// frame is one zstd frame or skippable frame in a file.
type frame struct {
	off  int64
	raw  []byte // the whole frame; good until the next call
	skip bool   // a skippable frame
}

// at returns the frame that begins at off. The error is io.EOF when the file
// ends at off, errShort when it ends inside the frame, and ErrCorrupt when no
// frame of a recording can begin like that.
func (u *unframer) at(off int64) (frame, error) {
	if off < u.base || off > u.base+int64(len(u.raw)) {
		u.base, u.raw = off, u.raw[:0]
	} else {
		// Keep what has been read ahead.
		n := copy(u.raw, u.raw[off-u.base:])
		u.base, u.raw = off, u.raw[:n]
	}
	n, skip, err := u.measure()
	if err != nil {
		return frame{off: off}, err
	}
	if err := u.fill(n); err != nil {
		return frame{off: off}, err
	}
	return frame{off: off, raw: u.raw[:n], skip: skip}, nil
}

// measure walks the headers of the frame at base and returns its length.
func (u *unframer) measure() (n int, skip bool, err error) {
	if err := u.fill(1); err == errShort {
		return 0, false, io.EOF
	} else if err != nil {
		return 0, false, err
	}
	if err := u.fill(8); err != nil { // the shortest frame has 9 bytes, a skippable one 8
		return 0, false, err
	}
	magic := binary.LittleEndian.Uint32(u.raw)
	if magic&skipMask == skipMagic {
		size := binary.LittleEndian.Uint32(u.raw[4:])
		if size > maxPacked {
			return 0, true, fmt.Errorf("%w: skippable frame of %d bytes", ErrCorrupt, size)
		}
		return 8 + int(size), true, nil
	}
	if magic != frameMagic {
		return 0, false, fmt.Errorf("%w: no zstd frame", ErrCorrupt)
	}
	var h zstd.Header
	if err := u.fill(frameHeadMax); err != nil && err != errShort {
		return 0, false, err
	}
	if err := h.Decode(u.raw[:min(len(u.raw), frameHeadMax)]); err != nil {
		if len(u.raw) < frameHeadMax {
			return 0, false, errShort
		}
		return 0, false, fmt.Errorf("%w: zstd frame header", ErrCorrupt)
	}
	const unused = 0x18 // two bits of the descriptor; decoders may ignore one of them
	switch {
	case u.raw[4]&unused != 0:
		return 0, false, fmt.Errorf("%w: zstd frame header has unused bits set", ErrCorrupt)
	case !h.HasCheckSum:
		return 0, false, fmt.Errorf("%w: zstd frame without a checksum", ErrCorrupt)
	case h.DictionaryID != 0:
		return 0, false, fmt.Errorf("%w: zstd frame with a dictionary", ErrCorrupt)
	case h.HasFCS && h.FrameContentSize > MaxFrame:
		return 0, false, fmt.Errorf("%w: zstd frame of %d bytes of text", ErrCorrupt, h.FrameContentSize)
	}
	return u.blocks(h.HeaderSize)
}

// blocks walks the block headers (RFC 8878, section 3.1.1.2) from n on.
func (u *unframer) blocks(n int) (int, bool, error) {
	for last := false; !last; {
		if err := u.fill(n + 3); err != nil {
			return 0, false, err
		}
		b := uint32(u.raw[n]) | uint32(u.raw[n+1])<<8 | uint32(u.raw[n+2])<<16
		last = b&1 != 0
		size := int(b >> 3)
		n += 3
		switch kind := b >> 1 & 3; {
		case kind == 3 || size > blockMax:
			return 0, false, fmt.Errorf("%w: zstd block header", ErrCorrupt)
		case kind == 1: // one byte, repeated
			n++
		default:
			n += size
		}
		if n > maxPacked {
			return 0, false, fmt.Errorf("%w: zstd frame is too long", ErrCorrupt)
		}
	}
	return n + frameCheckLen, false, nil
}

// fill makes at least n bytes from base on available, and reads somewhat ahead.
func (u *unframer) fill(n int) error {
	if len(u.raw) >= n {
		return nil
	}
	const ahead = 16 << 10
	have := len(u.raw)
	want := max(n, have+ahead)
	if cap(u.raw) < want {
		grown := make([]byte, have, max(want, min(2*cap(u.raw), maxPacked)))
		copy(grown, u.raw)
		u.raw = grown
	}
	k, err := u.r.ReadAt(u.raw[have:want], u.base+int64(have))
	u.raw = u.raw[:have+k]
	switch {
	case len(u.raw) >= n:
		return nil
	case err == nil || err == io.EOF:
		return errShort
	}
	return err
}

var decoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(MaxFrame), zstd.WithDecoderMaxWindow(MaxFrame))
	if err != nil { // these options are legal
		panic(err)
	}
	return d
}}

// decode returns the text of a frame, good until the next call. The text is
// whole lines, and the checksum over it is right.
func (u *unframer) decode(f frame) ([]byte, error) {
	d := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(d)
	var err error
	u.text, err = d.DecodeAll(f.raw, u.text[:0])
	if err != nil {
		return nil, fmt.Errorf("%w: zstd frame does not decode", ErrCorrupt)
	}
	if len(u.text) == 0 || u.text[len(u.text)-1] != '\n' {
		return nil, fmt.Errorf("%w: zstd frame does not end at a line end", ErrCorrupt)
	}
	return u.text, nil
}
