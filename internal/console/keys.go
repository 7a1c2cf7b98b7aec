package console

import (
	"os"

	"golang.org/x/term"

	"github.com/kubetape/kubetape/internal/replay"
)

// keys are the keys of a terminal in raw mode.
type keys struct {
	c    chan replay.Key // closed when no more come
	quit chan struct{}
	done chan struct{}
	in   *os.File
	old  *term.State
	wait waiter
}

// startKeys turns off the line discipline of in and reads keys from it, until
// stop.
func startKeys(in *os.File) (*keys, error) {
	w, err := newWaiter(in)
	if err != nil {
		return nil, err
	}
	old, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		w.close()
		return nil, err
	}
	k := &keys{c: make(chan replay.Key), quit: make(chan struct{}), done: make(chan struct{}), in: in, old: old, wait: w}
	go k.read()
	return k, nil
}

func (k *keys) read() {
	defer close(k.done)
	defer close(k.c)
	var r replay.KeyReader
	var buf [64]byte
	for k.wait.readable() {
		n, err := k.in.Read(buf[:])
		for _, b := range buf[:n] {
			key := r.Key(b)
			if key == replay.KeyNone {
				continue
			}
			select {
			case k.c <- key:
			case <-k.quit:
				return
			}
		}
		if n == 0 || err != nil {
			return
		}
	}
}

// stop ends the reading, waits for it where the system can interrupt it, and puts
// the terminal back.
func (k *keys) stop() {
	close(k.quit)
	if k.wait.interrupt() {
		<-k.done
		k.wait.close()
	}
	_ = term.Restore(int(k.in.Fd()), k.old) // a terminal that is gone needs no putting back
}
