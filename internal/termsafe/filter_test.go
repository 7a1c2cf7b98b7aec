package termsafe

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func clean(s string) string {
	var f Filter
	return string(f.Finish(f.Append(nil, []byte(s))))
}

func TestFilter(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"text passes", "héllo ✔ 🦀\r\n", "héllo ✔ 🦀\r\n"},
		{"colours pass", "\x1b[1;38:2::1:2:3mx\x1b[m", "\x1b[1;38:2::1:2:3mx\x1b[m"},
		{"cursor, erase and scroll region pass", "\x1b[2;3H\x1b[K\x1b[2J\x1b[1;5r\x1b7\x1b8\x1bM", "\x1b[2;3H\x1b[K\x1b[2J\x1b[1;5r\x1b7\x1b8\x1bM"},
		{"the alternate screen passes", "\x1b[?1049hx\x1b[?1049l", "\x1b[?1049hx\x1b[?1049l"},
		{"line drawing passes", "\x1b(0lqk\x1b(B\x0e\x0f", "\x1b(0lqk\x1b(B\x0e\x0f"},
		{"synchronised output passes", "\x1b[?2026hx\x1b[?2026l", "\x1b[?2026hx\x1b[?2026l"},
		{"a title is dropped", "a\x1b]0;evil\x07b", "ab"},
		{"a title ended by ST is dropped", "a\x1b]2;evil\x1b\\b", "ab"},
		{"the clipboard is not reached", "a\x1b]52;c;ZXZpbA==\x07b", "ab"},
		{"a link loses its target and keeps its text", "\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\", "text"},
		{"a file transfer is dropped", "\x1b]1337;File=name=eA==:AAAA\x07", ""},
		{"a check mark in a title does not end it", "a\x1b]0;\u2714evil\x07b", "ab"},
		{"a UTF-8 ST ends a title", "a\x1b]0;evil\u009cb", "ab"},
		{"an 8-bit ST ends a title", "a\x1b]0;evil\x9cb", "ab"},
		{"device control, privacy, application and start-of-string are dropped", "1\x1bP$qm\x1b\\2\x1b^x\x1b\\3\x1b_Gx\x1b\\4\x1bXx\x1b\\5", "12345"},
		{"a bell does not end device control", "\x1bPa\x07b\x1b\\c", "c"},
		{"reports are dropped", "\x1b[c\x1b[>c\x1b[=c\x1b[6n\x1b[?6n\x1b[5n\x1b[18t\x1b[21t\x1b[>q\x1b[?2004$p\x1b[1;1;1;1;1;1*y\x1bZ\x05", ""},
		{"modes that change the keys are dropped", "\x1b[?1h\x1b=\x1b>\x1b[?2004h\x1b[?1000;1006h\x1b[?1004h\x1b[>1u\x1b[=1u\x1b[>4;2m\x1b[20h\x1b[2h\x1b[?66h", ""},
		{"only the harmless of several modes pass", "\x1b[?1000;25;2004l", "\x1b[?25l"},
		{"printing is dropped", "\x1b[5i\x1b[?5i\x1b[0i", ""},
		{"leaving UTF-8 and 8-bit answers are dropped", "\x1b%@\x1b G", ""},
		{"the scroll-back is not erased", "\x1b[H\x1b[2J\x1b[3J", "\x1b[H\x1b[2J"},
		{"VT52 and 132 columns are dropped", "\x1b[?2l\x1b[?3h", ""},
		{"highlight tracking is not taken for scrolling", "\x1b[2T\x1b[1;2;3;4;5T", "\x1b[2T"},
		{"saved modes are dropped", "\x1b[?1000s\x1b[?1000r", ""},
		{"an 8-bit CSI is shown as a bad byte, not obeyed", "\x9b5n", "\uFFFD5n"},
		{"a CSI in UTF-8 is shown as a bad byte, not obeyed", "\u009b5n", "\uFFFD5n"},
		{"a bad byte inside a character", "\xe2\x98A", "\uFFFD\uFFFDA"},
		{"a character cut by the end", "a\xe2\x98", "a\uFFFD\uFFFD"},
		{"a surrogate is not a character", "\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"},
		{"a control inside a sequence is obeyed first", "\x1b[3\n1m", "\n\x1b[31m"},
		{"CAN ends a sequence", "\x1b[31\x18m", "m"},
		{"an escape begins anew", "\x1b[3\x1b[1m", "\x1b[1m"},
		{"a sequence is never ended by a foreign byte", "\x1b[3é", "é"},
		{"a malformed sequence is dropped whole", "\x1b[3!1m\x1b[1?2hx", "x"},
		{"too many digits are dropped", "\x1b[999999Cx", "x"},
		{"an overlong sequence is dropped whole", "\x1b[" + strings.Repeat("1;", 200) + "mx", "x"},
		{"a screen title is text without its introducer", "\x1bkevil\x1b\\x", "evilx"},
		{"the bell is silent", "\x07", ""},
		{"an unfinished sequence is dropped", "a\x1b[3", "a"},
		{"a soft reset keeps the keys", "\x1b[!p", "\x1b[0m\x1b[?25h"},
		{"a full reset becomes what it draws", "\x1b[?1049h\x1bcx", "\x1b[?1049h\x1b[?1049l\x1b[0m\x1b[?25h\x1b[H\x1b[2Jx"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := clean(c.in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestReset(t *testing.T) {
	const always = "\x1b[0m\x1b[?25h"
	for _, c := range []struct{ name, in, want string }{
		{"plain output needs little", "hello", always},
		{"the alternate screen is left", "\x1b[?1049h", "\x1b[?1049l" + always},
		{"a screen already left is not left again", "\x1b[?1049h\x1b[?1049l", always},
		{"margins go back to the whole screen", "\x1b[2;5r", "\x1b[?6l\x1b[r\x1b[999;1H" + always},
		{"line drawing ends", "\x1b(0", "\x1b(B\x0f" + always},
		{"insert mode, wrapping, reverse, style", "\x1b[4h\x1b[?7l\x1b[?5h\x1b[5 q\x1b[?2026h", "\x1b[?2026l\x1b[4l\x1b[?7h\x1b[?5l\x1b[0 q" + always},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f Filter
			f.Append(nil, []byte(c.in))
			if got := string(f.State().Reset()); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestRemovedCountsWhatWasDropped(t *testing.T) {
	var f Filter
	f.Append(nil, []byte("a\x1b]0;x\x07b\x1b[6n\x1b[?1000;25h\x1b[1mc"))
	if f.Removed() != 3 {
		t.Errorf("removed %d, want 3: the title, the report, the mouse mode", f.Removed())
	}
}

// allowed describes all output of a filter, independently of its code.
var allowed = regexp.MustCompile(`^(?:[\x08-\x0d\x0e\x0f\x20-\x7e]|[^\x00-\x{9f}]` +
	`|\x1b[78DEHM]|\x1b[()*+][012AB]|\x1b#[34568]` +
	`|\x1b\[[0-9;]*[@A-IL-MPSXZ` + "`" + `abdefg]|\x1b\[[0-9:;]*m|\x1b\[[0-9]*T|\x1b\[[su]|\x1b\[[0-9;]*r|\x1b\[4[hl]` +
	`|\x1b\[\??0*[012]?[JK]|\x1b\[0*[0-6]? q` +
	`|\x1b\[\?(?:0*(?:5|6|7|12|25|47|1047|1048|1049|2026);?)+[hl])*$`)

func FuzzFilter(f *testing.F) {
	for _, s := range []string{"a\x1b]0;x\x07b", "\x1b[?1000;25hx", "\xe2\x98\x83\x9b5n", "\x1bc\x1b[!p", "\x1bP\x1b\\\u009d\x1b%@", "\x1b[1\n;2\x7fm"} {
		f.Add([]byte(s), uint8(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		var whole, parts Filter
		a := whole.Finish(whole.Append(nil, in))
		var b []byte
		for rest := in; len(rest) > 0; {
			n := min(max(int(step), 1), len(rest))
			b = parts.Append(b, rest[:n])
			rest = rest[n:]
		}
		b = parts.Finish(b)
		if !bytes.Equal(a, b) || whole.state != parts.state || whole.removed != parts.removed {
			t.Fatalf("cut in %d: %q, whole: %q", step, b, a)
		}
		if !utf8.Valid(a) || !allowed.Match(a) {
			t.Fatalf("let through %q", a)
		}
		if again := clean(string(a)); again != string(a) {
			t.Fatalf("filtered twice: %q, once: %q", again, a)
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	src, err := os.ReadFile("filter_test.go")
	if err != nil {
		b.Fatal(err)
	}
	src = bytes.ReplaceAll(src, []byte("func"), []byte("\x1b[1;32mfunc\x1b[m"))
	var f Filter
	var out []byte
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		out = f.Append(out[:0], src)
	}
}
