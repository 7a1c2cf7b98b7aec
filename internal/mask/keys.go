package mask

import "time"

// split cuts raw input into units: keys, which are kept, and printable bytes,
// which are held.
func (m *Mask) split(t time.Time, data []byte) {
	for len(data) > 0 {
		if n := keyLen(data); n > 0 {
			u := unit{t: t, fate: keep, data: data[:n], line: m.line, nl: isEnter(data[0])}
			m.push(u)
			m.newLine(data[:n])
			m.silent = true
			data = data[n:]
			continue
		}
		n := 1
		for n < len(data) && printable(data[n]) {
			n++
		}
		m.push(unit{t: t, fate: hold, data: data[:n], line: m.line, late: m.silent})
		data = data[n:]
	}
}

// printable reports whether a byte may be part of a secret. The upper half is:
// it is UTF-8, and terminals have long given up the 8-bit control bytes there.
func printable(c byte) bool { return c >= 0x20 && c != 0x7f }

func isEnter(c byte) bool { return c == '\r' || c == '\n' }

// newLine counts lines: Enter ends one, and so do the keys that throw it away
// (^C, ^D, ^U, ^Z, ^\).
func (m *Mask) newLine(data []byte) {
	for _, c := range data {
		switch c {
		case '\r', '\n', 0x03, 0x04, 0x15, 0x1a, 0x1c:
			m.line++
		}
	}
}

// maxParams is the longest list of parameters that is taken for a key's: that
// of a mouse report in the SGR form, with room to spare. What looks like a longer
// one may be anything.
const maxParams = 16

// keyLen returns the length of the control byte or complete escape sequence
// (ECMA-48, section 5.4; xterm's keys) that data begins with, or 0 where it
// begins with a printable byte. An escape sequence that is not complete is not
// waited for: its introducer alone is a key then, and what follows is text.
func keyLen(data []byte) int {
	switch {
	case printable(data[0]):
		return 0
	case data[0] != 0x1b || len(data) == 1 || data[1] < 0x20 || data[1] >= 0x7f:
		return 1
	}
	switch data[1] {
	case '[':
		for i, c := range data[2:min(len(data), 2+maxParams)] {
			if c >= 0x40 && c < 0x7f {
				return i + 3
			}
			if c < 0x20 || c >= 0x7f {
				break
			}
		}
		return 1
	case 'O': // SS3: keys of the application mode
		if len(data) > 2 && data[2] >= 0x40 && data[2] < 0x7f {
			return 3
		}
		return 1
	case ']', 'P', '_', '^', 'X': // a terminal's report, a string of any length
		return 1
	}
	return 2 // Meta and a key
}
