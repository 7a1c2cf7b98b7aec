package termsafe

import (
	"bytes"
	"testing"
	"unicode"
	"unicode/utf8"
)

func transcript(in []byte, step int) string {
	var b bytes.Buffer
	t := Transcript{W: &b}
	for len(in) > 0 {
		n := min(max(step, 1), len(in))
		t.Write(in[:n])
		in = in[n:]
	}
	t.Close()
	return b.String()
}

func TestTranscript(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"lines and colours", "\x1b[32mls\x1b[m\r\na b\r\n", "ls\na b\n"},
		{"typing corrected by backspace", "lx\b \bs\r\n", "ls\n"},
		{"a progress bar shows its last state", " 10%\r 50%\r100%\r\n", "100%\n"},
		{"erase to the end of the line", "secret\r\x1b[Kok\n", "ok\n"},
		{"insert and delete", "abd\b\x1b[@c\x1b[D\x1b[P\n", "abd\n"},
		{"a title leaves no trace", "\x1b]0;title\x07$ \r\n", "$\n"},
		{"a character split in two writes", "\xe2\x9c\x94\n", "✔\n"},
		{"bytes that are no text", "a\xffb\n", "a\uFFFDb\n"},
		{"a last line without an end", "bye", "bye\n"},
		{"another row of the screen is another line", "\x1b[1;1Hone\x1b[2;1Htwo", "one\ntwo\n"},
		{"a huge column number is no memory", "\x1b[99999999999999Gx\x1b[99999Cy\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := transcript([]byte(c.in), 1)
			if c.want == "" {
				if len(got) > 3*maxLine {
					t.Errorf("%d bytes", len(got))
				}
				return
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzTranscript(f *testing.F) {
	f.Add([]byte("a\x1b[2Db\r\x1b[K\x1b[5@x\x1b[1;1H\x1b[9Xé"), uint8(3))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		a, b := transcript(in, len(in)), transcript(in, int(step))
		if a != b {
			t.Fatalf("cut in %d: %q, whole: %q", step, b, a)
		}
		if !utf8.ValidString(a) {
			t.Fatalf("not UTF-8: %q", a)
		}
		for _, r := range a {
			if r != '\n' && unicode.IsControl(r) {
				t.Fatalf("control left in %q", a)
			}
		}
	})
}
