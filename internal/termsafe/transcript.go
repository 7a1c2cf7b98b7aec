package termsafe

import (
	"bytes"
	"io"
	"strconv"
	"unicode/utf8"
)

// maxLine bounds the line that a Transcript holds, in characters.
const maxLine = 1 << 14

// Transcript writes what a terminal showed as plain lines of UTF-8: it applies
// what programs do to the line they are on (carriage return, backspace, insert,
// delete, erase, moving left and right) and leaves out everything else. It does
// not know the screen: a full-screen program leaves the order of its writing.
type Transcript struct {
	W   io.Writer
	p   parser
	row []rune
	col int
	out []byte
	err error
}

// Write takes terminal output. It never fails but for an error of W.
func (t *Transcript) Write(b []byte) (int, error) {
	t.p.feed(t, b)
	if t.flush(); t.err != nil {
		return 0, t.err
	}
	return len(b), nil
}

// Close writes the last line. It does not close W.
func (t *Transcript) Close() error {
	t.p.end(t)
	if len(t.row) > 0 {
		t.newline()
	}
	t.flush()
	return t.err
}

func (t *Transcript) flush() {
	if t.err == nil && len(t.out) > 0 {
		_, t.err = t.W.Write(t.out)
	}
	t.out = t.out[:0]
}

func (t *Transcript) newline() {
	row := t.row
	for len(row) > 0 && row[len(row)-1] == ' ' {
		row = row[:len(row)-1]
	}
	for _, r := range row {
		t.out = utf8.AppendRune(t.out, r)
	}
	t.out = append(t.out, '\n')
	t.row, t.col = t.row[:0], 0
	if len(t.out) > 1<<16 {
		t.flush()
	}
}

func (t *Transcript) put(r rune) {
	if t.col >= maxLine {
		t.newline()
	}
	t.pad(t.col + 1)
	t.row[t.col] = r
	t.col++
}

func (t *Transcript) pad(n int) {
	for len(t.row) < n {
		t.row = append(t.row, ' ')
	}
}

func (t *Transcript) text(p []byte) {
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		t.put(r)
		p = p[n:]
	}
}

func (t *Transcript) control(c byte) {
	switch c {
	case '\n', '\v', '\f':
		t.newline()
	case '\r':
		t.col = 0
	case '\b':
		t.col = max(t.col-1, 0)
	case '\t':
		t.col = min(t.col/8*8+8, maxLine)
		t.pad(t.col)
	}
}

func (t *Transcript) dropped() {}

func (t *Transcript) escape(inter []byte, final byte) {
	if len(inter) == 0 && (final == 'c' || final == 'E' || final == 'D') && len(t.row) > 0 {
		t.newline()
	}
}

func (t *Transcript) csi(prefix byte, params, inter []byte, final byte) {
	if prefix == '?' && len(inter) == 0 && (final == 'h' || final == 'l') {
		for p := range bytes.SplitSeq(params, []byte(";")) {
			if s := string(p); (s == "47" || s == "1047" || s == "1049") && len(t.row) > 0 {
				t.newline()
			}
		}
	}
	if prefix != 0 || len(inter) > 0 {
		return
	}
	first, _, _ := bytes.Cut(params, []byte(";"))
	arg, _ := strconv.Atoi(string(first)) // a default where there is none
	n := min(max(arg, 1), maxLine)
	switch final {
	case 'C', 'a':
		t.col = min(t.col+n, maxLine)
	case 'D':
		t.col = max(t.col-n, 0)
	case 'G', '`':
		t.col = n - 1
	case 'A', 'B', 'E', 'F', 'H', 'f', 'd', 'e', 'S', 'T', 'L', 'M', 'J':
		if final == 'J' && arg == 0 {
			t.row = t.row[:min(t.col, len(t.row))]
			return
		}
		if len(t.row) > 0 { // another line of the screen: what is here is done
			t.newline()
		}
		t.col = 0
	case 'K':
		t.erase(arg)
	case 'P':
		if t.col < len(t.row) {
			t.row = append(t.row[:t.col], t.row[min(t.col+n, len(t.row)):]...)
		}
	case '@':
		if t.col < len(t.row) && len(t.row)+n <= maxLine {
			tail := append([]rune(nil), t.row[t.col:]...)
			t.row = t.row[:t.col]
			t.pad(t.col + n)
			t.row = append(t.row, tail...)
		}
	case 'X':
		for i := t.col; i < min(t.col+n, len(t.row)); i++ {
			t.row[i] = ' '
		}
	}
}

func (t *Transcript) erase(how int) {
	end := min(t.col, len(t.row))
	switch how {
	case 0:
		t.row = t.row[:end]
	case 1:
		for i := range end {
			t.row[i] = ' '
		}
	case 2:
		t.row = t.row[:0]
	}
}
