package termsafe

import "unicode/utf8"

// handler gets what the parser found, in order. Slices are good only during the
// call. However the input was cut, the calls differ only in how text is cut.
type handler interface {
	text(p []byte)                                     // valid UTF-8 without control characters
	control(c byte)                                    // one C0 control, or DEL
	escape(inter []byte, final byte)                   // ESC inter… final
	csi(prefix byte, params, inter []byte, final byte) // ESC [ prefix? params inter final
	dropped()                                          // a control string, or a sequence that is malformed or too long
}

// maxSequence bounds a CSI sequence. Longer ones are dropped; the longest that
// programs send, colours with sub-parameters, stay under 100 bytes.
const maxSequence = 256

var replacement = []byte("\uFFFD")

type state uint8

//	        ESC            [               final
//	ground ─────▶ escape ─────▶ csi ───────────────▶ ground
//	               │  │                      csiIgnore: malformed, up to the final byte
//	               │  └ 0x20-0x2f ▶ escape with intermediates
//	               └ ] P X ^ _ ────▶ str, up to ST (OSC: or BEL)
//
// CAN and SUB end any of them, ESC begins anew from anywhere.
const (
	ground state = iota
	escape
	csi
	csiIgnore
	str
)

type parser struct {
	state state
	osc   bool // str: BEL ends it
	need  int  // str: continuation bytes still missing from a UTF-8 character
	lead  byte // str: its first byte
	utf   [utf8.UTFMax]byte
	nutf  int // bytes of an unfinished UTF-8 character, in ground
	buf   [maxSequence]byte
	n     int
	inter int // csi: index of the first intermediate byte, or -1
}

func (p *parser) feed(h handler, src []byte) {
	for i := 0; i < len(src); {
		if p.state == ground && p.nutf == 0 {
			if j := textEnd(src, i); j > i {
				h.text(src[i:j])
				i = j
				continue
			}
		}
		p.step(h, src[i])
		i++
	}
}

// end tells h of what was left unfinished when the input stopped.
func (p *parser) end(h handler) {
	for range p.nutf {
		h.text(replacement)
	}
	if p.state != ground {
		h.dropped()
	}
	*p = parser{}
}

// textEnd returns the end of the run of whole, showable characters at src[i:].
func textEnd(src []byte, i int) int {
	for i < len(src) {
		c := src[i]
		if c < utf8.RuneSelf {
			if c < 0x20 || c == 0x7f {
				return i
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && n == 1 || r < 0xa0 {
			return i
		}
		i += n
	}
	return i
}

func (p *parser) step(h handler, c byte) {
	if p.state == ground {
		p.ground(h, c)
		return
	}
	switch {
	case c == 0x1b:
		if p.state != str { // a string was counted at its beginning
			h.dropped()
		}
		p.begin(escape)
		return
	case c == 0x18 || c == 0x1a: // CAN, SUB
		if p.state != str {
			h.dropped()
		}
		p.begin(ground)
		return
	}
	if p.state == str {
		p.str(c)
		return
	}
	if c < 0x20 { // a terminal obeys these in the middle of a sequence
		h.control(c)
		return
	}
	if c == 0x7f {
		return
	}
	if c >= 0x80 { // no sequence holds these: it ends here, and this is text
		h.dropped()
		p.begin(ground)
		p.ground(h, c)
		return
	}
	switch p.state {
	case escape:
		p.escape(h, c)
	case csi:
		p.csi(h, c)
	case csiIgnore:
		if c >= 0x40 {
			h.dropped()
			p.begin(ground)
		}
	}
}

func (p *parser) begin(s state) {
	p.state, p.n, p.inter, p.need = s, 0, -1, 0
}

// ground takes one byte outside of any sequence.
func (p *parser) ground(h handler, c byte) {
	if p.nutf == 0 && c < utf8.RuneSelf {
		switch {
		case c == 0x1b:
			p.begin(escape)
		case c < 0x20 || c == 0x7f:
			h.control(c)
		default:
			h.text([]byte{c})
		}
		return
	}
	p.utf[p.nutf] = c
	p.nutf++
	u := p.utf[:p.nutf]
	if !utf8.FullRune(u) {
		return
	}
	n := p.nutf
	p.nutf = 0
	r, size := utf8.DecodeRune(u)
	switch {
	case size == n && size > 1 && r >= 0xa0:
		h.text(u)
	case size == n && size > 1: // a C1 control: xterm obeys these when they come as UTF-8
		h.text(replacement)
	default: // every byte but the last is bad by itself; the last may begin something
		for range max(n-1, 1) {
			h.text(replacement)
		}
		if n > 1 {
			p.ground(h, c)
		}
	}
}

func (p *parser) escape(h handler, c byte) {
	if c < 0x30 {
		if p.n == 2 { // no known sequence has more than two
			h.dropped()
			p.begin(ground)
			return
		}
		p.buf[p.n] = c
		p.n++
		return
	}
	if p.n == 0 {
		switch c {
		case '[':
			p.begin(csi)
			return
		case ']', 'P', 'X', '^', '_':
			h.dropped()
			p.begin(str)
			p.osc = c == ']'
			return
		}
	}
	inter := p.buf[:p.n]
	p.begin(ground)
	h.escape(inter, c)
}

func (p *parser) csi(h handler, c byte) {
	switch {
	case c >= 0x40:
		body, inter := p.buf[:p.n], p.inter
		p.begin(ground)
		if inter < 0 {
			inter = len(body)
		}
		params, prefix := body[:inter], byte(0)
		if len(params) > 0 && params[0] >= '<' {
			prefix, params = params[0], params[1:]
		}
		for _, b := range params {
			if b >= '<' {
				h.dropped()
				return
			}
		}
		h.csi(prefix, params, body[inter:], c)
		return
	case p.n == len(p.buf), c >= 0x30 && p.inter >= 0:
		p.state = csiIgnore
		return
	case c < 0x30 && p.inter < 0:
		p.inter = p.n
	}
	p.buf[p.n] = c
	p.n++
}

// str takes one byte of a control string. It looks for the end only: ST comes as
// ESC \ (handled by step), or as C1, which must not be mistaken for the middle of
// a UTF-8 character.
func (p *parser) str(c byte) {
	cont := c >= 0x80 && c < 0xc0
	switch {
	case c == 0x07 && p.osc:
		p.begin(ground)
	case cont && p.need > 0:
		p.need--
		if p.lead == 0xc2 && c == 0x9c {
			p.begin(ground)
		}
	case c == 0x9c:
		p.begin(ground)
	case c >= 0xc2 && c < 0xf5:
		p.lead, p.need = c, 1
		if c >= 0xe0 {
			p.need++
		}
		if c >= 0xf0 {
			p.need++
		}
	default:
		p.need = 0
	}
}
