package recording

import (
	"encoding/base64"
	"errors"
	"unicode/utf8"
)

// Bytes of a stream stand in a line either as a JSON string, key s, or as
// base64, key b. A string is what zstd finds repetitions in, and what a person
// can read; base64 holds what is not UTF-8.

// escapes says of each byte how a JSON string of this package spells it: 0 as
// it is, a letter for the short escape of that letter, escHex for \u00xx, and
// escLook for the first byte of characters of which some are escaped.
var escapes = func() (t [256]byte) {
	for c := range 0x20 {
		t[c] = escHex
	}
	t[0x7f] = escHex
	t['"'], t['\\'], t['\n'], t['\r'], t['\t'] = '"', '\\', 'n', 'r', 't'
	t[0xc2], t[0xd8], t[0xe2] = escLook, escLook, escLook
	return t
}()

const (
	escHex  = 1
	escLook = 2
	hexes   = "0123456789abcdef"
)

// riskyRune returns the character at the start of b, and its length, when it
// has to be escaped: it is above DEL and a terminal may act on it, or turn what
// follows it round, or take it for a line end. n is 0 for any other. b is
// valid UTF-8.
func riskyRune(b []byte) (r uint16, n int) {
	switch {
	case b[0] == 0xc2 && b[1] < 0xa0: // C1 controls, U+0080 to U+009F
		return uint16(b[1]), 2
	case b[0] == 0xd8 && b[1] == 0x9c: // U+061C
		return 0x061c, 2
	case b[0] == 0xe2 && b[1] == 0x80 && (b[2] == 0x8e || b[2] == 0x8f || b[2] >= 0xa8 && b[2] <= 0xae),
		b[0] == 0xe2 && b[1] == 0x81 && b[2] >= 0xa6 && b[2] <= 0xaf:
		// U+200E, U+200F, U+2028 to U+202E, U+2066 to U+206F
		return uint16(b[0]&0xf)<<12 | uint16(b[1]&0x3f)<<6 | uint16(b[2]&0x3f), 3
	}
	return 0, 0
}

// appendText appends data, which is valid UTF-8, as the inside of a JSON
// string. ok is false, and dst unchanged, when that takes more than limit bytes.
func appendText(dst, data []byte, limit int) (_ []byte, ok bool) {
	begin, from := len(dst), 0
	for i := 0; i < len(data); {
		kind := escapes[data[i]]
		if kind == 0 {
			i++
			continue
		}
		r, n := uint16(data[i]), 1
		if kind == escLook {
			if r, n = riskyRune(data[i:]); n == 0 {
				i += 2 // no byte but the first of a character is in the table
				continue
			}
		}
		size := 6
		if kind > escLook {
			size = 2
		}
		if len(dst)-begin+i-from+size > limit {
			return dst[:begin], false
		}
		dst = append(dst, data[from:i]...)
		if kind > escLook {
			dst = append(dst, '\\', kind)
		} else {
			dst = append(dst, '\\', 'u', hexes[r>>12], hexes[r>>8&15], hexes[r>>4&15], hexes[r&15])
		}
		i += n
		from = i
	}
	if len(dst)-begin+len(data)-from > limit {
		return dst[:begin], false
	}
	return append(dst, data[from:]...), true
}

// textLen returns how many bytes appendText appends for data.
func textLen(data []byte) int {
	n := len(data)
	for i, c := range data {
		switch kind := escapes[c]; {
		case kind == 0:
		case kind > escLook:
			n++
		case kind == escHex:
			n += 5
		default:
			if _, k := riskyRune(data[i:]); k > 0 {
				n += 6 - k
			}
		}
	}
	return n
}

// textLimit is how long the string for so many bytes may be. What is longer,
// and so is hardly text but control characters, goes as base64: a line, a frame
// and the time for both stay in proportion to the data.
func textLimit(n int) int { return 3*n + 64 }

// appendData appends the bytes of a stream as key and value.
func appendData(dst, data []byte) []byte {
	if utf8.Valid(data) {
		text, ok := appendText(append(dst, `"s":"`...), data, textLimit(len(data)))
		if ok {
			return append(text, '"')
		}
	}
	dst = append(dst, `"b":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, data)
	return append(dst, '"')
}

// Lengths of what appendData appends: at most, and exactly.
func dataMax(n int) int { return len(`"s":""`) + max(textLimit(n), base64.StdEncoding.EncodedLen(n)) }

func dataSize(data []byte) int {
	n := base64.StdEncoding.EncodedLen(len(data))
	if utf8.Valid(data) {
		if t := textLen(data); t <= textLimit(len(data)) {
			n = t
		}
	}
	return len(`"s":""`) + n
}

// piece returns how many bytes of data go into the next line. Long data is cut
// between characters; data that begins or ends inside a character, as what is
// read in blocks does, gives up those few bytes to a line of their own, so that
// the rest can be text.
func piece(data []byte) int {
	n := len(data)
	if n > maxData {
		n = maxData
		for k := range utf8.UTFMax {
			if utf8.RuneStart(data[n-k]) {
				n -= k
				break
			}
		}
	}
	if n < splitFrom || utf8.Valid(data[:n]) {
		return n
	}
	lead, tail := 0, 0
	for lead < utf8.UTFMax-1 && !utf8.RuneStart(data[lead]) {
		lead++
	}
	for k := 1; k < utf8.UTFMax; k++ {
		if c := data[n-k]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(data[n-k:n]) {
				tail = k
			}
			break
		}
	}
	if lead+tail == 0 || !utf8.Valid(data[lead:n-tail]) {
		return n
	}
	if lead > 0 {
		return lead
	}
	return n - tail
}

// splitFrom is from how many bytes on an extra line is worth its time stamp.
const splitFrom = 512

var errText = errors.New("s is not a JSON string")

// decodeText appends to dst the bytes that the inside of a JSON string stands
// for. Unlike encoding/json it refuses what is not UTF-8 and half a surrogate
// pair, for which that puts U+FFFD: other bytes than the session's.
func decodeText(dst, text []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		return dst, errText
	}
	from := 0
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c < 0x20 || c == '"':
			return dst, errText
		case c != '\\':
			i++
			continue
		}
		dst = append(dst, text[from:i]...)
		if i+1 == len(text) {
			return dst, errText
		}
		switch c := text[i+1]; c {
		case '"', '\\', '/':
			dst = append(dst, c)
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'u':
			r, n := unescape(text[i:])
			if n == 0 {
				return dst, errText
			}
			dst = utf8.AppendRune(dst, r)
			i += n - 2
		default:
			return dst, errText
		}
		i += 2
		from = i
	}
	return append(dst, text[from:]...), nil
}

// unescape reads \uxxxx at the start of b, or two of them that are a surrogate
// pair, and returns the character and their length: 0 for anything else.
func unescape(b []byte) (r rune, n int) {
	r, ok := hex4(b)
	if !ok {
		return 0, 0
	}
	switch {
	case r < 0xd800 || r > 0xdfff:
		return r, 6
	case r > 0xdbff:
		return 0, 0
	}
	low, ok := hex4(b[6:])
	if !ok || low < 0xdc00 || low > 0xdfff {
		return 0, 0
	}
	return 0x10000 + (r-0xd800)<<10 + (low - 0xdc00), 12
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
