package termsafe

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

func TestLine(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain text stays", "api-7d4b /bin/sh -c 'a b'", "api-7d4b /bin/sh -c 'a b'"},
		{"letters of any script stay", "žluťoučký 日本 🦀", "žluťoučký 日本 🦀"},
		{"a newline cannot forge a row", "a\nb\tc\r", `a\nb\tc\r`},
		{"an escape is shown", "\x1b]0;x\x07", `\x1b]0;x\x07`},
		{"C1 is shown", "\u009b5n", `\u009b5n`},
		{"bidirectional overrides are shown", "a\u202eb\u2066c\u200f", `a\u202eb\u2066c\u200f`},
		{"zero width is shown", "a\u200bb\ufeff", `a\u200bb\ufeff`},
		{"tags are shown", "a\U000e0041", `a\U000e0041`},
		{"bytes that are not UTF-8 are shown", "a\xff\x9b", `a\xff\x9b`},
		{"a backslash is doubled", `a\x1b`, `a\\x1b`},
		{"other spaces are shown", "a\u00a0b\u3000c\u2028", `a\u00a0b\u3000c\u2028`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Line(c.in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestCut(t *testing.T) {
	if got := Cut("äöüß", 3); got != "äö…" {
		t.Errorf("got %q", got)
	}
	if got := Cut("äöü", 3); got != "äöü" {
		t.Errorf("got %q", got)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("a\x1b[0m", "b")
	f.Add(`a\n`, "a\n")
	f.Add("\u202e", `\u202e`)
	f.Fuzz(func(t *testing.T, a, b string) {
		la, lb := Line(a), Line(b)
		if (a == b) != (la == lb) {
			t.Fatalf("%q and %q become %q and %q", a, b, la, lb)
		}
		if i := strings.IndexFunc(la, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Fatalf("%q shows %q", a, la)
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add("a\u009b\u202e\U000e0041\x7f\x1b é")
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "\uFFFD")
		plain, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		safe := JSON(plain)
		var back string
		if err := json.Unmarshal(safe, &back); err != nil || back != s {
			t.Fatalf("%q became %q: %v", s, back, err)
		}
		if i := strings.IndexFunc(string(safe), func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Fatalf("%q shows %q", s, safe)
		}
	})
}
