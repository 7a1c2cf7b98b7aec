package termsafe

import (
	"bytes"
	"strconv"
)

// Filter cleans a stream of terminal output. The zero value is ready. What comes
// out does not depend on how the input is cut into pieces, and each piece of
// output ends at the end of a sequence, so that other output may stand between.
type Filter struct {
	p       parser
	out     []byte
	state   State
	removed int
}

// Append appends the harmless part of src to dst.
func (f *Filter) Append(dst, src []byte) []byte {
	f.out = dst
	f.p.feed(f, src)
	dst, f.out = f.out, nil
	return dst
}

// Finish appends what was held back when the input ends: an unfinished character
// becomes U+FFFD, an unfinished sequence is dropped. The filter is then as new
// but for State and Removed.
func (f *Filter) Finish(dst []byte) []byte {
	f.out = dst
	f.p.end(f)
	dst, f.out = f.out, nil
	return dst
}

// State returns what the output so far has changed on the terminal.
func (f *Filter) State() State { return f.state }

// Removed returns the number of controls and sequences dropped so far.
func (f *Filter) Removed() int { return f.removed }

func (f *Filter) text(p []byte) { f.out = append(f.out, p...) }
func (f *Filter) dropped()      { f.removed++ }

func (f *Filter) control(c byte) {
	switch c {
	case '\b', '\t', '\n', '\v', '\f', '\r':
		f.out = append(f.out, c)
	case 0x0e, 0x0f: // SO, SI
		f.state.charset = true
		f.out = append(f.out, c)
	case 0x00, 0x7f: // padding: terminals ignore it
	default:
		f.removed++
	}
}

func (f *Filter) escape(inter []byte, final byte) {
	switch {
	case len(inter) == 0:
		switch final {
		case '7', '8', 'D', 'E', 'H', 'M': // DECSC, DECRC, IND, NEL, HTS, RI
		case 'c': // RIS resets the auditor's own settings too: do what it does to the picture
			f.out = append(f.out, f.state.Reset()...)
			f.state = State{}
			f.out = append(f.out, Clear...)
			return
		case '\\': // the end of a string that was dropped
			return
		default:
			f.removed++
			return
		}
	case len(inter) == 1 && bytes.IndexByte([]byte("()*+"), inter[0]) >= 0 &&
		bytes.IndexByte([]byte("012AB"), final) >= 0: // a character set to G0…G3
		f.state.charset = true
	case len(inter) == 1 && inter[0] == '#' && bytes.IndexByte([]byte("34568"), final) >= 0:
		// double size lines, alignment pattern
	default:
		f.removed++
		return
	}
	f.out = append(f.out, 0x1b)
	f.out = append(f.out, inter...)
	f.out = append(f.out, final)
}

func (f *Filter) csi(prefix byte, params, inter []byte, final byte) {
	ok := false
	switch {
	case !saneParams(params, prefix == 0 && final == 'm'):
	case prefix == 0 && len(inter) == 0:
		ok = f.plain(params, final)
	case prefix == '?' && len(inter) == 0 && (final == 'h' || final == 'l'):
		f.modes(params, final == 'h')
		return
	case prefix == '?' && len(inter) == 0 && (final == 'J' || final == 'K'): // DECSED, DECSEL
		ok = oneOf(params, 0, 2)
	case prefix == 0 && string(inter) == " " && final == 'q': // DECSCUSR
		ok = oneOf(params, 0, 6)
		f.state.style = f.state.style || ok
	case prefix == 0 && string(inter) == "!" && final == 'p': // DECSTR, as RIS above
		f.out = append(f.out, f.state.soft()...)
		return
	}
	if !ok {
		f.removed++
		return
	}
	f.out = append(f.out, 0x1b, '[')
	if prefix != 0 {
		f.out = append(f.out, prefix)
	}
	f.out = append(f.out, params...)
	f.out = append(f.out, inter...)
	f.out = append(f.out, final)
}

// plain says whether CSI params final, without prefix or intermediates, only draws.
func (f *Filter) plain(params []byte, final byte) bool {
	switch final {
	case '@', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'L', 'M', 'P', 'S', 'X', 'Z',
		'`', 'a', 'b', 'd', 'e', 'f', 'g':
		return true
	case 'J': // 3 would erase the auditor's scroll-back
		return oneOf(params, 0, 2)
	case 'K':
		return oneOf(params, 0, 2)
	case 'T': // with more parameters it starts mouse tracking
		return bytes.IndexByte(params, ';') < 0
	case 's', 'u': // save and restore the cursor; with parameters they mean something else
		return len(params) == 0
	case 'm':
		f.state.sgr = !(len(params) == 0 || string(params) == "0")
		return true
	case 'r':
		f.state.region = len(params) > 0
		return true
	case 'h', 'l': // insert mode; 2 locks the keyboard, 20 changes what Enter sends
		if string(params) != "4" {
			return false
		}
		f.state.insert = final == 'h'
		return true
	}
	return false
}

// modes writes the harmless ones of a list of DEC private modes.
func (f *Filter) modes(params []byte, on bool) {
	first := true
	for p := range bytes.SplitSeq(params, []byte(";")) {
		n, err := strconv.Atoi(string(p))
		if err != nil || !f.state.mode(n, on) {
			f.removed++
			continue
		}
		if first {
			f.out = append(f.out, 0x1b, '[', '?')
		} else {
			f.out = append(f.out, ';')
		}
		f.out = strconv.AppendInt(f.out, int64(n), 10)
		first = false
	}
	if first {
		return
	}
	final := byte('l')
	if on {
		final = 'h'
	}
	f.out = append(f.out, final)
}

// saneParams reports whether params are numbers of at most five digits, at most
// 32 of them, parted by semicolons and, where colon is set, colons.
func saneParams(params []byte, colon bool) bool {
	digits, count := 0, 1
	for _, c := range params {
		switch {
		case c >= '0' && c <= '9':
			if digits++; digits > 5 {
				return false
			}
		case c == ';', c == ':' && colon:
			digits = 0
			if count++; count > 32 {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// oneOf reports whether params is empty or one number from lo to hi.
func oneOf(params []byte, lo, hi int) bool {
	if len(params) == 0 {
		return true
	}
	n, err := strconv.Atoi(string(params))
	return err == nil && n >= lo && n <= hi
}
