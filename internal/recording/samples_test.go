package recording

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kubetape/kubetape/internal/session"
)

// sampleSet is what measurements are taken on. The samples are made, not
// recorded, so that everybody gets the same; each imitates one kind of session
// in size, in rhythm and in how well it compresses.
type sampleSet struct {
	name string
	// flush is how many events pass between two flushes a second apart; 0: the
	// session is so fast that frames fill up in between.
	flush  int
	events []session.Event
}

func samples() []sampleSet {
	return []sampleSet{
		{"shell", 12, shellSample()},
		{"top", 1, topSample()},
		{"build", 30, chunked(buildText(4<<20), 1<<10, time.Second/30)},
		{"listing", 0, chunked(listingText(32<<20), 4096, 200*time.Microsecond)},
		{"random", 0, chunked(randomText(32<<20), 32<<10, time.Millisecond)},
	}
}

var words = strings.Fields(`api auth backup cache client config controller core data default deploy
	docs driver etc export fetch gateway handler image index ingest internal job kernel kube legacy lib
	local log main manager metric mount net node object payment pkg pod policy proxy queue release
	report router rule scheduler schema script secret server service session share signal spec stats
	storage stream sync system table task template test token trace usr util vendor version watch worker`)

func word(r *rand.Rand) string { return words[r.IntN(len(words))] }

func name(r *rand.Rand) string {
	ext := []string{"", ".go", ".yaml", ".conf", ".so.1", ".h", ".json", ".md"}
	return fmt.Sprintf("%s-%s%s", word(r), word(r), ext[r.IntN(len(ext))])
}

func listing(r *rand.Rand) string {
	modes := []string{"-rw-r--r--", "-rwxr-xr-x", "drwxr-xr-x", "lrwxrwxrwx", "-rw-------"}
	months := []string{"Jan", "Feb", "Mar", "Jun", "Aug", "Nov"}
	return fmt.Sprintf("%s %2d root root %8d %s %2d %02d:%02d %s\r\n", modes[r.IntN(5)], 1+r.IntN(4),
		r.IntN(1<<(4+r.IntN(20))), months[r.IntN(6)], 1+r.IntN(28), r.IntN(24), r.IntN(60), name(r))
}

func listingText(n int) []byte {
	r := rand.New(rand.NewPCG(1, 1))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "\r\n/usr/%s/%s/%s:\r\ntotal %d\r\n", word(r), word(r), name(r), r.IntN(4000))
		for range 3 + r.IntN(30) {
			b.WriteString(listing(r))
		}
	}
	return b.Bytes()[:n]
}

func buildText(n int) []byte {
	r := rand.New(rand.NewPCG(2, 2))
	var b bytes.Buffer
	for b.Len() < n {
		switch r.IntN(12) {
		case 0:
			fmt.Fprintf(&b, "%s/%s.c:%d:%d: \x1b[01;35mwarning: \x1b[0munused variable '%s_%s' [-Wunused-variable]\r\n",
				word(r), name(r), r.IntN(3000), r.IntN(80), word(r), word(r))
		case 1:
			fmt.Fprintf(&b, "2026-02-09T10:%02d:%02d.%03dZ INFO %s: reconciled object=%s/%s generation=%d took=%dms\r\n",
				r.IntN(60), r.IntN(60), r.IntN(1000), word(r), word(r), name(r), r.IntN(90), r.IntN(900))
		default:
			fmt.Fprintf(&b, "  CC [M]  %s/%s/%s_%s.o\r\n", word(r), word(r), word(r), word(r))
		}
	}
	return b.Bytes()[:n]
}

func randomText(n int) []byte {
	b := make([]byte, n)
	var seed [32]byte
	rand.NewChaCha8(seed).Read(b)
	return b
}

func chunked(text []byte, size int, every time.Duration) (evs []session.Event) {
	for t := start; len(text) > 0; t = t.Add(every + every/7) {
		n := min(size, len(text))
		evs = append(evs, session.Event{T: t.Truncate(time.Microsecond), Type: session.TypeStdout, Data: text[:n]})
		text = text[n:]
	}
	return evs
}

// shellSample is half an hour of somebody typing: each key and its echo is an
// event, then the command's output and a prompt.
func shellSample() (evs []session.Event) {
	r := rand.New(rand.NewPCG(3, 3))
	t := start
	out := func(format string, args ...any) {
		t = t.Add(time.Duration(200+r.IntN(900)) * time.Microsecond)
		evs = append(evs, session.Event{T: t, Type: session.TypeStdout, Data: fmt.Appendf(nil, format, args...)})
	}
	prompt := "\x1b[?2004h\x1b]0;root@api-7d4b8f6c9: /srv\a\x1b[01;32mroot@api-7d4b8f6c9\x1b[00m:\x1b[01;34m/srv\x1b[00m# "
	commands := []string{"ls -la", "cat %s", "grep -r %s /etc", "kubectl get pods -n %s", "cd /srv/%s", "tail -n 20 %s", "ps aux"}
	out("%s", prompt)
	for range 200 {
		t = t.Add(time.Duration(1+r.IntN(8)) * time.Second)
		c := commands[r.IntN(len(commands))]
		if strings.Contains(c, "%s") {
			c = fmt.Sprintf(c, name(r))
		}
		for _, key := range []byte(c) {
			t = t.Add(time.Duration(60+r.IntN(200)) * time.Millisecond)
			evs = append(evs, session.Event{T: t, Type: session.TypeStdin, Data: []byte{key}})
			out("%c", key)
		}
		evs = append(evs, session.Event{T: t.Add(90 * time.Millisecond), Type: session.TypeStdin, Data: []byte("\r")})
		t = t.Add(91 * time.Millisecond)
		out("\r\n\x1b[?2004l\r")
		for range r.IntN(3) {
			var b strings.Builder
			for range r.IntN(25) {
				b.WriteString(listing(r))
			}
			out("%s", b.String())
		}
		out("%s", prompt)
	}
	return evs
}

// topSample is ten minutes of a screen that is drawn again each second.
func topSample() (evs []session.Event) {
	r := rand.New(rand.NewPCG(4, 4))
	var procs []string
	for range 40 {
		procs = append(procs, name(r))
	}
	for i := range 600 {
		var b bytes.Buffer
		fmt.Fprintf(&b, "\x1b[H\x1b[mtop - 10:%02d:%02d up 12 days,  load average: %d.%02d, 1.%02d, 0.%02d\x1b[m\x1b[39;49m\x1b[K\r\n",
			15+i/60, i%60, r.IntN(3), r.IntN(100), r.IntN(100), r.IntN(100))
		for k, p := range procs {
			fmt.Fprintf(&b, "%7d root      20   0 %7d %6d %6d S  %2d.%d   0.%d   %d:%02d.%02d %s\x1b[m\x1b[39;49m\x1b[K\r\n",
				1000+k*37, 100000+k*991, 4000+k*77+r.IntN(8), 3000+k, r.IntN(30), r.IntN(10), k%10, i/60, i%60, r.IntN(100), p)
		}
		evs = append(evs, session.Event{T: start.Add(time.Duration(i) * time.Second), Type: session.TypeStdout, Data: b.Bytes()})
	}
	return evs
}

// asciicast returns the size of the same session as asciicast v2, which holds
// text only, through gzip -6.
func asciicast(evs []session.Event) int {
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, 6)
	fmt.Fprintf(z, `{"version": 2, "width": 120, "height": 40, "timestamp": %d}`+"\n", start.Unix())
	for _, ev := range evs {
		kind := "o"
		if ev.Type == session.TypeStdin {
			kind = "i"
		}
		text := string(ev.Data)
		if !utf8.ValidString(text) { // as recorders do: what is not UTF-8 is replaced
			text = strings.ToValidUTF8(text, "\uFFFD")
		}
		quoted, _ := json.Marshal(text)
		fmt.Fprintf(z, "[%.6f, %q, %s]\n", ev.T.Sub(start).Seconds(), kind, quoted)
	}
	z.Close()
	return out.Len()
}

func dataLen(evs []session.Event) (n int64) {
	for _, ev := range evs {
		n += int64(len(ev.Data))
	}
	return n
}
