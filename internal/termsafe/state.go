package termsafe

// State is what filtered output has changed on a terminal, as far as it has to be
// put back. The zero value is a terminal as it was found.
type State struct {
	alt     int  // DEC mode by which the alternate screen was entered: 47, 1047, 1049, or 0
	hidden  bool // cursor
	noWrap  bool
	reverse bool
	origin  bool
	insert  bool
	region  bool
	sgr     bool
	charset bool
	style   bool
	sync    bool
}

// Clear empties the screen and puts the cursor at its beginning.
const Clear = "\x1b[H\x1b[2J"

// mode notes a DEC private mode and reports whether it only changes the picture.
func (s *State) mode(n int, on bool) bool {
	switch n {
	case 5:
		s.reverse = on
	case 6:
		s.origin = on
	case 7:
		s.noWrap = !on
	case 12, 1048: // cursor blink; save and restore the cursor
	case 25:
		s.hidden = !on
	case 47, 1047, 1049:
		s.alt = 0
		if on {
			s.alt = n
		}
	case 2026: // synchronised output
		s.sync = on
	default:
		return false
	}
	return true
}

// soft returns the sequences that undo everything but the alternate screen, and
// notes them as undone.
func (s *State) soft() []byte {
	alt := s.alt
	s.alt = 0
	out := s.undo("\x1b7\x1b[?6l\x1b[r\x1b8")
	*s = State{alt: alt}
	return out
}

// Reset returns the sequences that put the terminal back. What needs none is left
// alone, since some of them move the cursor.
func (s State) Reset() []byte {
	// The way back from margins sends the cursor home, into the middle of what is
	// shown; the last line is where a prompt belongs.
	return s.undo("\x1b[?6l\x1b[r\x1b[999;1H")
}

func (s State) undo(margins string) []byte {
	var out []byte
	add := func(on bool, seq string) {
		if on {
			out = append(out, seq...)
		}
	}
	add(s.sync, "\x1b[?2026l")
	add(s.region || s.origin, margins)
	add(s.alt == 47, "\x1b[?47l")
	add(s.alt == 1047, "\x1b[?1047l")
	add(s.alt == 1049, "\x1b[?1049l")
	add(s.insert, "\x1b[4l")
	add(s.noWrap, "\x1b[?7h")
	add(s.reverse, "\x1b[?5l")
	add(s.charset, "\x1b(B\x0f")
	add(s.style, "\x1b[0 q")
	// A saved cursor may bring colours back: these go last, and always.
	out = append(out, "\x1b[0m\x1b[?25h"...)
	return out
}

// Enter returns the sequences that bring a clean terminal into state s, as far as
// that can be told: it is used where the output that led to s is left out.
func (s State) Enter() []byte {
	var out []byte
	add := func(on bool, seq string) {
		if on {
			out = append(out, seq...)
		}
	}
	add(s.alt == 47, "\x1b[?47h")
	add(s.alt == 1047, "\x1b[?1047h")
	add(s.alt == 1049, "\x1b[?1049h")
	add(s.insert, "\x1b[4h")
	add(s.noWrap, "\x1b[?7l")
	add(s.reverse, "\x1b[?5h")
	add(s.hidden, "\x1b[?25l")
	return out
}

// RawReset puts a terminal back after unfiltered output: it ends an unfinished
// sequence and also undoes what the filter never lets through (keypad and cursor
// key modes, mouse and focus reports, bracketed paste, extended keyboards).
const RawReset = "\x18\x1b\\\x1b[?2026l" +
	"\x1b7\x1b[?6l\x1b[?69l\x1b[r\x1b8\x1b[?6l\x1b[?1049l\x1b[4l\x1b[?7h\x1b[?5l" +
	"\x1b[?1l\x1b>\x1b[?9l\x1b[?1000l\x1b[?1001l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1016l" +
	"\x1b[?2004l\x1b[>4;0m\x1b[<99u\x1b[2l\x1b[20l\x1b(B\x0f\x1b[0 q\x1b[0m\x1b[?25h"
