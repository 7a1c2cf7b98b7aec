package console

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// progress is a bar on a terminal's stderr for what takes more than a second. It
// draws only when told of progress, so nothing runs beside the work. It is safe
// for concurrent use.
type progress struct {
	c    *Console
	what string
	on   bool

	mu    sync.Mutex
	begun time.Time
	last  time.Time
	drawn bool
}

// progress begins a bar. Where Err is no terminal, or hidden is set, it never
// draws.
func (c *Console) progress(what string, hidden bool) *progress {
	return &progress{c: c, what: what, on: !hidden && IsTerminal(c.Err), begun: time.Now()}
}

// at draws the bar, at most ten times a second.
func (p *progress) at(done, total int64) {
	if !p.on || total <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Sub(p.begun) < time.Second || now.Sub(p.last) < time.Second/10 {
		return
	}
	p.last, p.drawn = now, true
	const width = 30
	share := min(max(float64(done)/float64(total), 0), 1)
	n := int(share * width)
	fmt.Fprintf(p.c.Err, "\r%s [%s%s] %3d%%\x1b[K", p.what, strings.Repeat("#", n), strings.Repeat(".", width-n), int(share*100))
}

// end takes the bar away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprint(p.c.Err, "\r\x1b[K")
	}
}
