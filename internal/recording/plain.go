package recording

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubetape/kubetape/internal/session"
)

// plain gives the lines of a recording that is not compressed.
type plain struct {
	file *os.File
	in   *bufio.Reader
	line []byte
	n    int
	seed bool // the seed's form: no header, no end
}

// startPlain reads the first line, which is a header or the first event.
func (r *Reader) startPlain() error {
	p := &plain{file: r.file}
	p.rewind()
	r.lines = p
	first, err := p.next(false)
	if err != nil && err != io.EOF {
		return err
	}
	keys, err := splitObject(first)
	if err != nil {
		return asCorrupt(err)
	}
	if _, ok := keys["v"]; ok {
		r.meta, err = decodeMeta(first)
		return asCorrupt(err)
	}
	if err := DecodeLine(first, &r.ev); err != nil {
		return asCorrupt(err)
	}
	p.seed = true
	r.meta = seedMeta(r.path, r.ev.T)
	p.rewind()
	return nil
}

// seedMeta is what can be known of a recording in the seed's form. Its recorder
// was a proxy, and its files are named by the session.
func seedMeta(path string, started time.Time) session.Meta {
	m := session.Meta{Observer: session.API, StartedAt: started}
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	if id := session.ID(name); id.Valid() {
		m.ID, m.Kind = id, id.Kind()
	}
	return m
}

func (p *plain) rewind() {
	p.in, p.n = bufio.NewReaderSize(io.NewSectionReader(p.file, 0, 1<<62), 64<<10), 0
}

func (p *plain) next(ended bool) ([]byte, error) {
	p.line = p.line[:0]
	for {
		part, err := p.in.ReadSlice('\n')
		p.line = append(p.line, part...)
		if len(p.line) > MaxLine+1 {
			return nil, fmt.Errorf("%w: line %d is too long", ErrCorrupt, p.n+1)
		}
		switch {
		case err == nil:
			p.n++
			return bytes.TrimSuffix(p.line[:len(p.line)-1], []byte{'\r'}), nil
		case err == bufio.ErrBufferFull:
			continue
		case err != io.EOF:
			return nil, err
		}
		return p.last(ended)
	}
}

// last says what it means that the file ends here. The seed's recorder may
// leave out the last line end, but then the line must be whole.
func (p *plain) last(ended bool) ([]byte, error) {
	var ev session.Event
	switch {
	case len(p.line) == 0 && (p.seed || ended):
		return nil, io.EOF
	case len(p.line) > 0 && (p.seed || p.n == 0) && DecodeLine(p.line, &ev) == nil:
		p.n++
		return p.line, nil
	}
	n := p.n
	return nil, fmt.Errorf("%w: it stops in line %d", ErrTorn, n+1)
}

// seek reads from the start: a plain file has no table.
func (p *plain) seek(time.Time) error {
	p.rewind()
	if p.seed {
		return nil
	}
	_, err := p.next(false) // the header
	return err
}

func (p *plain) place() string { return fmt.Sprintf("line %d", p.n) }
