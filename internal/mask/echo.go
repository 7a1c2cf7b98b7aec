package mask

import (
	"bytes"
	"time"
)

// echo is what a Mask knows of the output.
type echo struct {
	esc  escape // state at the end of the last output, while input waits
	toks []token

	// The last output that answered nothing, as it may have overtaken the
	// input that it answers.
	early   []byte
	earlyAt time.Time

	// The line being echoed: what of it was, and whether that includes
	// anything but stars.
	line   int
	drawn  drawn
	proven bool
}

// Sizes, in bytes. An echo is as long as what was typed, and more only where a
// program draws a line anew.
const (
	maxEarly = 512
	maxShown = 1024
)

// match takes an output as the answer to what waits.
func (m *Mask) match(t time.Time, data []byte) {
	first := m.firstHeld()
	if first < 0 {
		m.echo.early = append(m.echo.early[:0], data[:min(len(data), maxEarly)]...)
		m.echo.earlyAt = t
		m.echo.esc = escape{}
		return
	}
	m.echo.early = m.echo.early[:0]
	if m.q[first].t.Sub(t) > Skew {
		return // older than the input: no answer to it
	}
	m.echo.toks = m.echo.esc.tokens(m.echo.toks[:0], data)
	w := m.walk(first, m.echo.toks)
	switch {
	case w.nothing:
	case w.ok:
		m.accept(first, w)
	case w.units == 0 && m.q[first].late && m.q[first].seen == 0:
		m.q[first].late = false // it was the answer to the key before
	default:
		m.dropHeld(func(u *unit) bool { return u.t.Sub(t) <= Skew })
	}
}

// matchEarly tries whether the output before the units from first on was their
// echo. Only all of them, or none.
func (m *Mask) matchEarly(t time.Time, first int) {
	e := &m.echo
	if len(e.early) == 0 || t.Sub(e.earlyAt) > Skew || m.firstHeld() < first {
		e.early = e.early[:0]
		return
	}
	held := m.firstHeld()
	toks := new(escape).tokens(e.toks[:0], e.early)
	e.early = e.early[:0]
	if w := m.walk(held, toks); w.ok && w.end == len(m.q) {
		m.accept(held, w)
	}
}

// firstHeld returns the index of the first unit that waits, or -1.
func (m *Mask) firstHeld() int {
	for i := range m.q {
		if m.q[i].fate == hold {
			return i
		}
	}
	return -1
}

// walked is the result of laying an output beside the units that wait.
type walked struct {
	ok      bool  // it is an echo
	nothing bool  // it shows nothing: cursor movements, colours
	units   int   // units echoed to their end
	end     int   // index behind the last of them, and behind the keys after it
	seen    int   // bytes echoed of the unit at end
	drawn   drawn // the line as it is shown behind them
}

// drawn is what a program has echoed of a line.
type drawn struct {
	text []byte // its end
	row  int    // where the row of the screen begins in it
	redo []byte // what may be drawn once more, as the cursor went back over it
}

// walk lays tokens beside the units from first on.
//
// A program that draws anew what it shows goes back first: zsh answers the "s"
// of "ls" with "\bls". So what the cursor went back over may be repeated.
func (m *Mask) walk(first int, toks []token) walked {
	w := walked{end: first, seen: m.q[first].seen, nothing: true, drawn: m.lineOf(first)}
	var whole walked // up to the last Enter that was answered
	for i := 0; i < len(toks); i++ {
		k := toks[i]
		switch {
		case k.kind == other:
			continue
		case k.kind == cursor:
			w.drawn.goBack(k)
			continue
		case wraps(toks[i:]):
			w.drawn.row, w.drawn.redo = len(w.drawn.text), nil
			i++
			continue
		case k.kind == text && w.drawn.repeats(k.c):
			continue
		}
		w.nothing = false
		enter := m.skipKeys(&w)
		switch {
		case k.kind == newline && enter:
			w.end++
			w.ok = true
			whole = w
			w.drawn = drawn{}
			continue
		case k.kind == newline:
			w.ok = w.units > 0 && w.end == len(m.q)
		case enter || w.end == len(m.q) || m.q[w.end].data[w.seen] != k.c:
			// Something else. Behind an echo that is whole, it may be the rest
			// of the line, drawn anew, if the cursor goes back over it. Where
			// Enter was typed already there is no rest: that is what a message
			// behind a silent prompt looks like.
			w.ok = w.units > 0 && w.seen == 0 && !enter && goesBack(toks[i:])
		default:
			w.drawn.text = append(w.drawn.text, k.c)
			w.seen++
			if w.seen == len(m.q[w.end].data) {
				w.seen = 0
				w.units++
				w.end++
			}
			continue
		}
		if !w.ok && whole.ok {
			return whole
		}
		return w
	}
	w.ok = !w.nothing
	return w
}

// lineOf returns what was echoed of the line of unit i.
func (m *Mask) lineOf(i int) drawn {
	if m.echo.line != m.q[i].line {
		return drawn{}
	}
	d := m.echo.drawn
	d.text = bytes.Clone(d.text)
	return d
}

// goBack notes what the cursor went back over.
func (d *drawn) goBack(k token) {
	switch {
	case k.c == '\r':
		d.redo = d.text[d.row:]
	case k.c == 'C':
		d.redo = nil // fish reaches a column by \r and so many to the right
	case k.back > 0:
		d.redo = lastRunes(d.text, k.back+runes(d.redo))
	}
}

// repeats reports whether c draws anew what is there, and goes on behind it.
func (d *drawn) repeats(c byte) bool {
	if len(d.redo) == 0 || d.redo[0] != c {
		d.redo = nil
		return false
	}
	d.redo = d.redo[1:]
	return true
}

// runes returns the number of characters in b.
func runes(b []byte) int {
	n := 0
	for _, c := range b {
		if c&0xc0 != 0x80 {
			n++
		}
	}
	return n
}

// skipKeys moves w over keys to the next unit that waits, or to an Enter, and
// reports whether it is one: nothing but a new line shows that.
func (m *Mask) skipKeys(w *walked) (enter bool) {
	for ; w.end < len(m.q) && m.q[w.end].fate != hold; w.end++ {
		if m.q[w.end].nl {
			return true
		}
	}
	return false
}

// wraps reports whether toks begin with what readline and zsh write to reach the
// next row: a blank, a carriage return, and neither a new line nor a way back to
// the right (then the blank is one that was typed).
func wraps(toks []token) bool {
	if len(toks) < 2 || toks[0].kind != text || toks[0].c != ' ' || toks[1].kind != cursor || toks[1].c != '\r' {
		return false
	}
	return len(toks) == 2 || toks[2].kind != newline && (toks[2].kind != cursor || toks[2].c != 'C')
}

// goesBack reports whether toks move the cursor back before a new line begins.
// A carriage return does only where no new line follows it.
func goesBack(toks []token) bool {
	atLeft := false
	for _, k := range toks {
		switch {
		case k.kind == newline:
			return false
		case k.kind == cursor && k.c == '\r':
			atLeft = true
		case k.kind == cursor && k.c == 'C':
			if atLeft {
				return true
			}
		case k.kind == cursor || k.kind == text && atLeft:
			return true
		}
	}
	return false
}

// accept keeps the units that walk found echoed.
func (m *Mask) accept(first int, w walked) {
	e := &m.echo
	for i := first; i < w.end && i < len(m.q); i++ {
		u := &m.q[i]
		if u.fate != hold {
			continue
		}
		e.begin(u.line)
		// A prompt that shows stars for what is typed would "echo" stars,
		// too: alone they prove nothing.
		e.proven = e.proven || !stars(u.data)
		u.fate = drop
		if e.proven {
			u.fate = keep
		}
	}
	if w.end < len(m.q) && m.q[w.end].fate == hold {
		m.q[w.end].seen = w.seen
		e.begin(m.q[w.end].line)
	}
	if over := len(w.drawn.text) - maxShown; over > 0 {
		w.drawn.text = w.drawn.text[over:]
		w.drawn.row = max(w.drawn.row-over, 0)
	}
	e.drawn = w.drawn
}

// begin makes line the one that is echoed.
func (e *echo) begin(line int) {
	if line != e.line {
		e.line, e.proven = line, false
	}
}

// stars reports whether b holds nothing but what prompts show for a secret.
func stars(b []byte) bool {
	rest := bytes.ReplaceAll(b, []byte("•"), nil)
	rest = bytes.ReplaceAll(rest, []byte("●"), nil)
	return len(bytes.Trim(rest, "*")) == 0
}

// lastRunes returns the last n characters of b, or all.
func lastRunes(b []byte, n int) []byte {
	i := len(b)
	for i > 0 && n > 0 {
		i--
		if b[i]&0xc0 != 0x80 {
			n--
		}
	}
	return b[i:]
}
