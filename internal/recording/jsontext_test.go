package recording

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/kubetape/kubetape/internal/session"
)

func TestTextIsSpelledSoThatNoTerminalActsOnIt(t *testing.T) {
	for in, want := range map[string]string{
		"":                   `"s":""`,
		"ls -la é 🥕 \ufffd":  `"s":"ls -la é 🥕 ` + "\ufffd" + `"`,
		"a\"b\\c/<&>\r\n\t":  `"s":"a\"b\\c/<&>\r\n\t"`,
		"\x1b[0m\a\b\x00":    `"s":"\u001b[0m\u0007\u0008\u0000"`,
		"\x7f\u0080\u009b0m": `"s":"\u007f\u0080\u009b0m"`,
		"\u00a0\u061b\u061c": `"s":"` + "\u00a0\u061b" + `\u061c"`,
		"\u200e\u202e\u2069": `"s":"\u200e\u202e\u2069"`,
		"\u2028\u2029":       `"s":"\u2028\u2029"`,
		"\ufffe\uffff":       `"s":"` + "\ufffe\uffff" + `"`,
		"\xff":               `"b":"/w=="`,
		"\xed\xa0\x80":       `"b":"7aCA"`, // half a surrogate pair is not UTF-8
	} {
		if got := string(appendData(nil, []byte(in))); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestEveryCharacterSurvivesAndNoneThatActsStandsInALineAsItIs(t *testing.T) {
	var all []byte
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) || r > 0x3000 && r < 0xfe00 && r%step != 0 || r > 0xffff && r%step != 0 {
			continue
		}
		c := utf8.AppendRune(nil, r)
		text, ok := appendText(nil, c, textLimit(len(c)))
		acts := unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Bidi_Control, r) || r == 0x2028 || r == 0x2029
		if !ok || len(text) != textLen(c) || acts && bytes.Contains(text, c) {
			t.Fatalf("%U is spelled %q", r, text)
		}
		var byJSON string
		if err := json.Unmarshal(fmt.Appendf(nil, `"%s"`, text), &byJSON); err != nil || byJSON != string(c) {
			t.Fatalf("%U: encoding/json reads %q: %v", r, byJSON, err)
		}
		all = append(all, c...)
	}
	text, ok := appendText(nil, all, textLimit(len(all)))
	got, err := decodeText(nil, text)
	if !ok || err != nil || !bytes.Equal(got, all) {
		t.Fatalf("all characters in one line: %v", err)
	}
}

func TestALineHasOneSpellingOfItsBytes(t *testing.T) {
	const head = `{"t":"2026-02-09T10:15:30.001234Z","d":"stdin",`
	for line, want := range map[string]string{
		`"s":"a\u00e9\ud83e\udd55\/\b\f"}`:       "aé🥕/\b\f",
		`"s":"x","later":"y"}`:                   "x",
		`"b":"eA==","later":"y"}`:                "x",
		`"later":"\"","s":"raw ` + "\x7f" + `"}`: "raw \x7f",
		`"s" : "A" } `:                           "A",
	} {
		var ev session.Event
		if err := DecodeLine([]byte(head+line), &ev); err != nil || string(ev.Data) != want {
			t.Errorf("%s: %q, %v", line, ev.Data, err)
		}
	}
	for _, line := range []string{
		`"s":"a","b":"YQ=="}`, `"b":"YQ==","s":"a"}`, `"s":"a","masked":1}`, `"s":"a","s":"a"}`,
		`"s":null}`, `"s":1}`, `"s":["a"]}`, `"s":{"b":"YQ=="}}`, `"s":"a}`, `"s":"a\"}`, `"s":"\x61"}`,
		`"s":"\u12g4"}`, `"s":"\u123"}`, `"s":"\ud83e"}`, `"s":"\udd55\ud83e"}`, `"s":"\ud83e\u0041"}`, `"s":"\ud83ex\udd55"}`,
		"\"s\":\"\x1b\"}", "\"s\":\"\n\"}", "\"s\":\"\xff\"}", "\"s\":\"\xed\xa0\x80\"}", `"S":"a"}`, `"d":"stdin"}`,
	} {
		var ev session.Event
		if err := DecodeLine([]byte(head+line), &ev); err == nil || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%s: %q, error %v", line, ev.Data, err)
		}
	}
}

func TestDataThatIsHardlyTextStaysInProportion(t *testing.T) {
	w := create(t, t.TempDir(), Options{Pool: newPool(1<<20, 1)})
	for i, b := range [][]byte{make([]byte, maxEvent), bytes.Repeat([]byte("\x1b[K"), maxEvent/3/step), bytes.Repeat([]byte("\x01\x01x"), maxEvent/3/step)} {
		write(t, w, session.Event{T: at(i), Type: session.TypeStdout, Data: b})
	}
	sum := end(t, w)
	checkGood(t, sum)
	if got := sum.Streams[session.Stdout].Bytes; got < maxEvent+2*(maxEvent/step-3) {
		t.Errorf("%d bytes", got)
	}
}

func TestDataThatIsCutInsideCharactersIsStillText(t *testing.T) {
	text := strings.Repeat("Grüße, 世界 🥕\r\n", 30000/step)
	for _, size := range []int{600, 4095, 4096, 32 << 10, maxData, maxData + 1, len(text)} {
		w := create(t, t.TempDir(), Options{})
		for rest, i := []byte(text), 0; len(rest) > 0; i++ {
			n := min(size, len(rest))
			write(t, w, session.Event{T: at(i), Type: session.TypeStdout, Data: rest[:n]})
			rest = rest[n:]
		}
		sum := end(t, w)
		checkGood(t, sum)
		evs, err := readAll(open(t, sum.Path))
		if err != io.EOF {
			t.Fatal(err)
		}
		var got []byte
		broken := 0
		for _, ev := range evs {
			got = append(got, ev.Data...)
			if !utf8.Valid(ev.Data) {
				broken += len(ev.Data)
			}
		}
		if string(got) != text {
			t.Fatalf("in blocks of %d: other bytes", size)
		}
		if most := len(text) / size * 4; broken > most {
			t.Errorf("in blocks of %d: %d bytes are base64, want at most %d", size, broken, most)
		}
	}
}

// FuzzData holds that any bytes come back, that what makes room for them knows
// their length, and that encoding/json reads the same.
func FuzzData(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\x00\x1f\x7f", "\u0080\u009f\u2028\u2029\u202e\u2066\ufffd\uffff🥕", "\xff", "é"[:1], "\xe2\x80", strings.Repeat("世", 300)[1:]} {
		f.Add([]byte(s), uint16(0))
		f.Add([]byte(s), uint16(600))
	}
	f.Fuzz(func(t *testing.T, data []byte, times uint16) {
		data = bytes.Repeat(data, 1+int(times)%1000)
		value := appendData(nil, data)
		if n := dataSize(data); n != len(value) || n > dataMax(len(data)) {
			t.Fatalf("%d bytes, foreseen %d, at most %d", len(value), n, dataMax(len(data)))
		}
		if len(data) > 0 {
			if n := piece(data); n <= 0 || n > maxData || n > len(data) {
				t.Fatalf("piece of %d", n)
			}
		}
		line := fmt.Appendf(nil, `{"t":"2026-02-09T10:15:30.001234Z","d":"stdout",%s}`, value)
		var fast, slow session.Event
		if !decodeStream(line, &fast) || !bytes.Equal(fast.Data, data) {
			t.Fatalf("%q is read as %q", line, fast.Data)
		}
		if err := decodeJSON(line, &slow); err != nil || !bytes.Equal(slow.Data, data) {
			t.Fatalf("%q is read as %q, %v", line, slow.Data, err)
		}
		var byJSON struct {
			S *string
			B []byte
		}
		if err := json.Unmarshal(line, &byJSON); err != nil {
			t.Fatal(err)
		}
		if byJSON.S != nil {
			byJSON.B = []byte(*byJSON.S)
		}
		if !bytes.Equal(byJSON.B, data) {
			t.Fatalf("%q is read as %q by encoding/json", line, byJSON.B)
		}
	})
}

// FuzzDecodeText holds that decodeText takes the strings that encoding/json
// takes, and reads them alike, but for those in which that puts U+FFFD for
// something else.
func FuzzDecodeText(f *testing.F) {
	for _, s := range []string{``, `a\n\u00e9\ud83e\udd55`, `\ud83e`, `\`, `"`, `\u12`, "\x00", "\xff", `\uFFFD\/`, `\ud83e\ud83e\udd55`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := decodeText(nil, text)
		var want string
		jerr := json.Unmarshal(fmt.Appendf(nil, `"%s"`, text), &want)
		if jerr == nil && err != nil {
			if !strings.Contains(want, "\ufffd") {
				t.Fatalf("%q: %v, encoding/json reads %q", text, err, want)
			}
			return
		}
		if (err == nil) != (jerr == nil) || err == nil && string(got) != want {
			t.Fatalf("%q: %q %v, encoding/json %q %v", text, got, err, want, jerr)
		}
	})
}
