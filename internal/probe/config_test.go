package probe

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

func TestConfigSaysWhatIsWrongWithIt(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		says   string // "": nothing is wrong
	}{
		"the smallest ring":        {func(c *Config) { c.RingBytes = MinRing }, ""},
		"the largest ring":         {func(c *Config) { c.RingBytes = 1 << 30 }, ""},
		"a ring below the least":   {func(c *Config) { c.RingBytes = MinRing / 2 }, "ring size"},
		"a ring beyond the most":   {func(c *Config) { c.RingBytes = 1 << 31 }, "ring size"},
		"a ring of no power":       {func(c *Config) { c.RingBytes = MinRing + 4096 }, "power of two"},
		"no ring":                  {func(c *Config) { c.RingBytes = 0 }, "ring size"},
		"a negative ring":          {func(c *Config) { c.RingBytes = -MinRing }, "ring size"},
		"four login programs":      {func(c *Config) { c.Logins = []string{"a", "b", "c", "d"} }, ""},
		"five login programs":      {func(c *Config) { c.Logins = []string{"a", "b", "c", "d", "e"} }, "at most 4"},
		"seventeen starters":       {func(c *Config) { c.Starters = slices.Repeat([]string{"a"}, 17) }, "at most 16"},
		"a name of fifteen bytes":  {func(c *Config) { c.Starters = []string{strings.Repeat("x", 15)} }, ""},
		"a name of sixteen bytes":  {func(c *Config) { c.Starters = []string{strings.Repeat("x", 16)} }, "1 to 15 bytes"},
		"a name of no bytes":       {func(c *Config) { c.Logins = []string{""} }, "1 to 15 bytes"},
		"a flavour that exists":    {func(c *Config) { c.Flavour = Syscall }, ""},
		"a flavour that does not":  {func(c *Config) { c.Flavour = "telepathy" }, `flavour "telepathy"`},
		"an escape in the flavour": {func(c *Config) { c.Flavour = "\x1b[2J" }, `\x1b[2J`},
	} {
		t.Run(name, func(t *testing.T) {
			conf := Config{RingBytes: MinRing}
			c.change(&conf)
			err := conf.Validate()
			if c.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error is %v, want one with %q", err, c.says)
			}
		})
	}
}

func TestOpenRefusesABadConfigBeforeItTouchesTheKernel(t *testing.T) {
	if p, err := Open(Config{PinDir: "/nowhere"}, nil); err == nil || p != nil {
		t.Errorf("Open = %v, %v", p, err)
	}
}

func TestFindingTellsNoFromCouldNotTell(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Answer
	}{
		{nil, Yes},
		{fmt.Errorf("no such thing: %w", ebpf.ErrNotSupported), No},
		{errors.New("permission denied"), CantTell},
	} {
		if got := finding("x", true, c.err).Answer; got != c.want {
			t.Errorf("answer to %v is %q, want %q", c.err, got, c.want)
		}
	}
}

func TestFlavourIsChosenOnlyWhereAllThatItNeedsIsThere(t *testing.T) {
	for name, c := range map[string]struct {
		found []Finding
		says  string
	}{
		"all there":                       {[]Finding{{Name: "a", Need: true, Answer: Yes}}, ""},
		"something that is not needed":    {[]Finding{{Name: "a", Answer: No}, {Name: "b", Answer: CantTell}}, ""},
		"something needed is missing":     {[]Finding{{Name: "a", Need: true, Answer: No, Detail: "why"}}, "a: not available: why"},
		"something needed cannot be told": {[]Finding{{Name: "a", Need: true, Answer: CantTell, Detail: "why"}}, "a: could not tell: why"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := chooseFrom("", c.found)
			if c.says == "" {
				if err != nil || f != Syscall {
					t.Errorf("flavour %q, %v", f, err)
				}
				return
			}
			if err == nil || err.Error() != c.says || f != "" {
				t.Errorf("flavour %q, %v; want %q", f, err, c.says)
			}
		})
	}
}

func TestNameMatchesAllThatBeginSo(t *testing.T) {
	var text, mask [2]uint64
	setName(&text, &mask, "containerd-shi-longer than the kernel's")
	if mask[1]>>56 != 0 {
		t.Error("the sixteenth byte counts: the kernel's name ends there with a zero")
	}
	setName(&text, &mask, "sh")
	if mask[0] != 0xffff || mask[1] != 0 || text[0] != 's'|'h'<<8 || text[1] != 0 {
		t.Errorf("text %x, mask %x", text, mask)
	}
}

func TestStatIsReadBehindAHostileName(t *testing.T) {
	for name, c := range map[string]struct {
		stat string
		want uint64
		ok   bool
	}{
		"a plain name":              {"7 (sh) S 5 1 1", 5, true},
		"a name that looks like it": {"7 (a) R 9 9 (b) S 5 1 1", 5, true},
		"no name":                   {"7 sh S 5", 0, false},
		"nothing":                   {"", 0, false},
		"nothing behind the name":   {"7 (sh)", 0, false},
		"no number":                 {"7 (sh) S x", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			proc := t.TempDir()
			write(t, proc+"/7/stat", c.stat)
			if v, ok := statField(proc, 7, 4); v != c.want || ok != c.ok {
				t.Errorf("statField = %d, %v", v, ok)
			}
		})
	}
}

func FuzzStatField(f *testing.F) {
	f.Add("7 (sh) S 5 1 1", 4)
	f.Fuzz(func(t *testing.T, stat string, field int) {
		if field < 4 || field > 60 {
			return // of callers' choice, not of the file's
		}
		proc := t.TempDir()
		write(t, proc+"/7/stat", stat)
		statField(proc, 7, field)
	})
}
