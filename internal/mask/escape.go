package mask

// kind says what an output's token does.
type kind uint8

const (
	other   kind = iota // colours, titles, the bell: shows nothing
	text                // one byte that is shown
	newline             // \n, or another control byte that programs do not echo with
	cursor              // \r, \b, or a cursor movement
)

// token is a piece of output.
type token struct {
	kind kind
	c    byte // text and cursor: the byte
	back int  // cursor: how many columns it goes back, where that is said
}

// escape reads escape sequences (ECMA-48) that may be split over outputs.
//
//	ground --ESC--> start --[--> csi --final byte--> ground
//	                     --], P, X, ^, _--> str --BEL, or ESC \--> ground
//	                     --intermediate--> start, any other--> ground
type escape struct {
	in    state
	param int  // csi: the first parameter so far
	many  bool // csi: has more than one parameter, or a private one
}

type state uint8

const (
	ground state = iota
	start
	csi
	str
	strEnd // an ESC inside str
)

// maxParam bounds a parameter: no terminal is as wide.
const maxParam = 10000

// tokens appends the tokens of b to toks.
func (e *escape) tokens(toks []token, b []byte) []token {
	for _, c := range b {
		switch e.in {
		case ground:
			toks = e.plain(toks, c)
		case start:
			e.open(c)
		case csi:
			toks = e.control(toks, c)
		case str:
			switch c {
			case 0x07:
				e.in = ground
			case 0x1b:
				e.in = strEnd
			}
		case strEnd:
			e.in = ground
			if c != '\\' {
				e.open(c)
			}
		}
	}
	return toks
}

func (e *escape) plain(toks []token, c byte) []token {
	switch {
	case c == 0x1b:
		e.in = start
		return toks
	case printable(c):
		return append(toks, token{kind: text, c: c})
	case c == '\r':
		return append(toks, token{kind: cursor, c: c})
	case c == '\b':
		return append(toks, token{kind: cursor, c: c, back: 1})
	case c == 0x07, c == 0x0e, c == 0x0f, c == 0:
		return append(toks, token{kind: other})
	}
	return append(toks, token{kind: newline, c: c})
}

// open takes the byte behind ESC.
func (e *escape) open(c byte) {
	switch {
	case c == '[':
		*e = escape{in: csi}
	case c == ']', c == 'P', c == 'X', c == '^', c == '_':
		e.in = str
	case c >= 0x20 && c < 0x30: // intermediate byte: one more follows
		e.in = start
	case c == 0x1b:
		e.in = start
	default:
		e.in = ground
	}
}

// control takes a byte of a CSI sequence.
func (e *escape) control(toks []token, c byte) []token {
	switch {
	case c >= '0' && c <= '9':
		e.param = min(e.param*10+int(c-'0'), maxParam)
		return toks
	case c >= 0x20 && c < 0x40:
		e.many = true
		return toks
	case c < 0x20: // a control byte inside: terminals carry it out
		return toks
	}
	e.in = ground
	switch {
	case c == 'D' && !e.many: // cursor back
		return append(toks, token{kind: cursor, c: c, back: max(e.param, 1)})
	case c == 'A' || c == 'C' || c == 'G': // up, to the right, to a column
		return append(toks, token{kind: cursor, c: c})
	}
	return toks
}
