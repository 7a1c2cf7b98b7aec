package mask

import (
	"bytes"
	"time"

	"github.com/kubetape/kubetape/internal/session"
)

// The limits of a Mask.
const (
	// Timeout is how long a program may take to echo what was typed.
	Timeout = time.Second
	// Fresh is how young a change of the terminal's state must be for the
	// state before it to count too: a reader may restore ECHO before the
	// observer has looked.
	Fresh = 50 * time.Millisecond
	// Skew is how far an output's time may lie before that of the input it
	// answers: the two are observed in different places.
	Skew = 5 * time.Millisecond
	// MaxHeld is how many bytes of input wait for their echo, at most. Beyond
	// it the oldest are masked.
	MaxHeld = 64 << 10
	// maxUnits bounds the pieces that wait, each of which costs more than
	// its bytes.
	maxUnits = 4096
)

// State is the terminal's state (of the slave's termios) when an input was
// given to it. The zero State is the one to use where it could not be read: the
// input is kept only as far as it is seen to be echoed.
type State struct {
	Echo, Icanon bool
	// PrevEcho and PrevIcanon are the flags before the last change, which was
	// Since ago. Changed says whether there was one.
	Changed              bool
	PrevEcho, PrevIcanon bool
	Since                time.Duration
}

// Item is a piece of input whose fate is known: Data is kept, or Masked bytes
// are not. Just one of the two is set.
type Item struct {
	T      time.Time // when it was typed
	Data   []byte
	Masked int
}

// Mask decides for one terminal session. Its methods take events in order of
// time and return what is decided by then: all input, each byte once, in the
// order of Input's calls. An item may come out later than outputs that came
// after it; its T tells. The items returned, and their Data, are good until the
// next call.
type Mask struct {
	policy session.Policy
	q      []unit
	held   int // bytes in q
	out    []Item

	line    int  // number of the line being typed
	tainted int  // number of the line on which something was not echoed
	silent  bool // no output since the last key that may cause some
	echo    echo
}

type fate uint8

const (
	keep fate = iota
	drop      // masked
	hold      // waits for its echo
)

// unit is a piece of one input with one fate.
type unit struct {
	t    time.Time
	fate fate
	data []byte
	line int
	seen int  // hold: bytes that were echoed so far
	late bool // hold: a key before it may yet be answered by an output of its own
	nl   bool // keep: it is Enter
}

// New returns a Mask for a policy. A policy that is not known masks everything.
func New(p session.Policy) *Mask {
	return &Mask{policy: p, tainted: -1}
}

// Input tells what was typed at t, in state st.
func (m *Mask) Input(t time.Time, data []byte, st State) []Item {
	m.begin(t)
	if len(data) == 0 {
		return m.out
	}
	f := m.judge(st)
	if f != hold && len(m.q) == 0 {
		m.emit(t, f, data)
		m.newLine(data)
		return m.out
	}
	data = bytes.Clone(data)
	if f != hold {
		m.push(unit{t: t, fate: f, data: data, line: m.line})
		m.newLine(data)
		return m.settle()
	}
	first := len(m.q)
	m.split(t, data)
	m.matchEarly(t, first)
	return m.settle()
}

// Output tells what the terminal showed at t.
func (m *Mask) Output(t time.Time, data []byte) []Item {
	m.begin(t)
	if len(data) == 0 || m.policy != session.Masked {
		return m.out
	}
	m.match(t, data)
	m.silent = false
	return m.settle()
}

// Tick tells the time where neither input nor output does. Call it at least
// about once a second while Pending.
func (m *Mask) Tick(now time.Time) []Item {
	m.begin(now)
	return m.settle()
}

// Flush masks what still waits. Call it at the end of the session, or before a
// pause in observing it.
func (m *Mask) Flush() []Item {
	m.out = m.out[:0]
	m.dropHeld(func(*unit) bool { return true })
	return m.settle()
}

// Pending returns how many bytes of input wait for a decision.
func (m *Mask) Pending() int { return m.held }

// judge returns what the policy and the terminal's state say of an input.
func (m *Mask) judge(st State) fate {
	switch m.policy {
	case session.Full:
		return keep
	case session.Masked:
	default:
		return drop
	}
	f := judgeFlags(st.Echo, st.Icanon)
	if st.Changed && st.Since < Fresh {
		prev := judgeFlags(st.PrevEcho, st.PrevIcanon)
		switch {
		case f == drop || prev == drop:
			f = drop
		case f == hold || prev == hold:
			f = hold
		}
	}
	return f
}

func judgeFlags(echo, icanon bool) fate {
	switch {
	case echo:
		return keep
	case icanon:
		return drop
	}
	return hold
}

// begin starts a call at time t: what has waited too long is masked.
func (m *Mask) begin(t time.Time) {
	m.out = m.out[:0]
	m.dropHeld(func(u *unit) bool { return t.Sub(u.t) >= Timeout })
}

// dropHeld masks the held units that f picks, and the lines they are on.
func (m *Mask) dropHeld(f func(*unit) bool) {
	for i := range m.q {
		if u := &m.q[i]; u.fate == hold && (u.line == m.tainted || f(u)) {
			u.fate = drop
			m.tainted = max(m.tainted, u.line)
		}
	}
}

// push appends a unit to the queue and keeps the queue within its bounds.
func (m *Mask) push(u unit) {
	if u.fate == hold && u.line == m.tainted {
		u.fate = drop
	}
	m.q = append(m.q, u)
	m.held += len(u.data)
	if m.held <= MaxHeld && len(m.q) <= maxUnits {
		return
	}
	over, units := m.held-MaxHeld, len(m.q)-maxUnits
	for i := range m.q {
		if over <= 0 && units <= 0 {
			break
		}
		u := &m.q[i]
		over -= len(u.data)
		units--
		if u.fate == hold {
			u.fate = drop
			m.tainted = max(m.tainted, u.line)
		}
	}
	m.settle()
}

// settle moves what is decided from the head of the queue to the items.
func (m *Mask) settle() []Item {
	n := 0
	for n < len(m.q) && m.q[n].fate != hold {
		u := &m.q[n]
		m.emit(u.t, u.fate, u.data)
		m.held -= len(u.data)
		n++
	}
	if n > 0 {
		rest := copy(m.q, m.q[n:])
		clear(m.q[rest:]) // lets go of their data
		m.q = m.q[:rest]
	}
	return m.out
}

// emit adds to the items, to the last of them where it goes on.
func (m *Mask) emit(t time.Time, f fate, data []byte) {
	if n := len(m.out); n > 0 && m.out[n-1].T.Equal(t) {
		last := &m.out[n-1]
		if f == drop && last.Masked > 0 {
			last.Masked += len(data)
			return
		}
		if f == keep && last.Masked == 0 {
			last.Data = append(last.Data[:len(last.Data):len(last.Data)], data...)
			return
		}
	}
	if f == drop {
		m.out = append(m.out, Item{T: t, Masked: len(data)})
		return
	}
	m.out = append(m.out, Item{T: t, Data: data})
}
