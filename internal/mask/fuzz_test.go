package mask

import (
	"bytes"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/session"
)

// FuzzMask plays a script against a Mask: each step is a byte that says what
// happens and how long after the last, a length, and the bytes.
func FuzzMask(f *testing.F) {
	step := func(op byte, s string) string { return string([]byte{op, byte(len(s))}) + s }
	f.Add([]byte(step(2, "ls -la\r") + step(3, "ls -la\r\n")))
	f.Add([]byte(step(2, "e") + step(3, "e") + step(2, "c") + step(3, "\becho")))
	f.Add([]byte(step(2, "secret\r") + step(3, "\r\nWelcome")))
	f.Add([]byte(step(1, "secret\r") + step(3, "*\b \b") + step(0x72, "x") + step(4, "")))
	f.Add([]byte(step(2, "\x1b[200~a b\nc\x1b[201~") + step(3, "\x1b[7ma b\r\nc\x1b[27m")))
	f.Fuzz(func(t *testing.T, script []byte) {
		for _, p := range []session.Policy{session.Masked, session.Full, session.Off} {
			play(t, p, script)
		}
	})
}

func play(t *testing.T, p session.Policy, script []byte) {
	m := New(p)
	now := time.Unix(0, 0)
	var sent, shown []byte
	done := 0 // bytes of sent that were decided on
	var raw []bool
	take := func(items []Item) {
		for _, i := range items {
			n := len(i.Data) + i.Masked
			if n == 0 || (len(i.Data) > 0) == (i.Masked > 0) {
				t.Fatalf("item of %d bytes kept and %d masked", len(i.Data), i.Masked)
			}
			if done+n > len(sent) {
				t.Fatal("more came out than went in")
			}
			if want := sent[done : done+n]; i.Masked == 0 && !bytes.Equal(i.Data, want) {
				t.Fatalf("kept %q, which was typed as %q", i.Data, want)
			}
			if i.Masked == 0 && p == session.Masked {
				for j, c := range i.Data {
					if raw[done+j] && printable(c) && c > 0x7f && !bytes.Contains(shown, []byte{c}) {
						t.Fatalf("kept %q, which was never shown", c)
					}
				}
			}
			done += n
		}
	}
	for len(script) >= 2 {
		op, n := script[0], int(script[1])
		n = min(n, len(script)-2)
		data := script[2 : 2+n]
		script = script[2+n:]
		now = now.Add(time.Duration(op>>4) * 70 * time.Millisecond)
		switch op & 7 {
		case 0, 1, 2:
			st := State{Echo: op&7 == 0, Icanon: op&7 != 2}
			sent = append(sent, data...)
			for range data {
				raw = append(raw, op&7 == 2)
			}
			take(m.Input(now, data, st))
		case 3:
			shown = append(shown, data...)
			take(m.Output(now, data))
		default:
			take(m.Tick(now))
		}
		if m.Pending() != len(sent)-done {
			t.Fatalf("%d bytes pending, but %d typed and %d decided", m.Pending(), len(sent), done)
		}
	}
	take(m.Flush())
	if done != len(sent) || m.Pending() != 0 {
		t.Fatalf("%d of %d bytes came out, %d pending", done, len(sent), m.Pending())
	}
}
