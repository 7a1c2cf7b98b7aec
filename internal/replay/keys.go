package replay

// Key is what a person wants of a running replay.
type Key uint8

// The keys.
const (
	KeyNone    Key = iota
	KeyPause       // space
	KeyStep        // . : the next event, while paused
	KeyBack        // left arrow or , : five seconds back
	KeyForward     // right arrow: five seconds on
	KeyFaster      // + or up arrow
	KeySlower      // - or down arrow
	KeyQuit        // q, Ctrl-C, Ctrl-D
)

// KeyReader finds keys in what a terminal sends. The zero value is ready. An
// unknown sequence is no key.
type KeyReader struct {
	esc int // bytes of an escape sequence so far, 0 outside
}

// Key takes one byte and returns the key that it completes, or KeyNone.
func (r *KeyReader) Key(b byte) Key {
	switch {
	case b == 0x1b:
		r.esc = 1
		return KeyNone
	case r.esc == 1 && (b == '[' || b == 'O'):
		r.esc = 2
		return KeyNone
	case r.esc == 2 && b >= 0x20 && b < 0x40: // parameters, as of Shift-Left
		return KeyNone
	case r.esc == 2:
		r.esc = 0
		switch b {
		case 'A':
			return KeyFaster
		case 'B':
			return KeySlower
		case 'C':
			return KeyForward
		case 'D':
			return KeyBack
		}
		return KeyNone
	}
	r.esc = 0
	switch b {
	case ' ', 'p':
		return KeyPause
	case '.':
		return KeyStep
	case ',':
		return KeyBack
	case '+', '=':
		return KeyFaster
	case '-', '_':
		return KeySlower
	case 'q', 'Q', 0x03, 0x04:
		return KeyQuit
	}
	return KeyNone
}
