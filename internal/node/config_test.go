package node

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/session"
)

func TestDefaultsAreWhatTheCommentedFileSaysAndAreValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if c.Stdin != session.Masked || !c.Record.Exec || !c.Record.Attach || !c.Record.Shell {
		t.Errorf("defaults are %+v", c)
	}
	if c.Listen != "127.0.0.1:9733" || c.Procfs != "/proc" || c.KeepCapabilities || len(c.Capture.Starters) != 16 {
		t.Errorf("defaults are %+v", c)
	}
}

func TestPrintedConfigIsReadBackAsItself(t *testing.T) {
	c := Default()
	c.Node, c.Capture.Ring, c.Capture.IdleDetach = "nöde: [x] # \"1\"", 1<<20+1<<18, 90*time.Second
	c.RuntimeSockets = []string{"/a b", "- c"}
	b, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load(put(t, "c.yaml", string(b)))
	if err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("read back\n\t%+v, %v\nwant\n\t%+v", got, err, c)
	}
}

func put(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFileThatCannotBeReadSaysWhereItIsWrong(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"an unknown key":            {"a: 1", "line 1: field a not found"},
		"an unknown key below":      {"capture:\n  rings: 1MiB", "line 2: field rings not found"},
		"a list for a text":         {"node: [a]", "line 1"},
		"a text for a yes or no":    {"record: {exec: maybe}", "line 1"},
		"a size of another unit":    {"capture: {ring: 1MB}", `size "1MB"`},
		"a negative size":           {"capture: {ring: -1}", `size "-1"`},
		"a size beyond all bounds":  {"capture: {ring: 9999999999GiB}", "want a number of bytes"},
		"a time without a unit":     {"capture: {idle_detach: 5}", "line 1: cannot unmarshal"},
		"two documents":             {"node: a\n---\nnode: b", "more than one document"},
		"a tab":                     {"capture:\n\tring: 1", "line 2"},
		"bytes that are no text":    {"node: \xff\xfe", "c.yaml"},
		"an alias that grows":       {"a: &a [x,x]\nb: &b [*a,*a]\nnode: *b", "c.yaml"},
		"a list for the whole file": {"- a", "c.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(put(t, "c.yaml", c.text))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error is %v, want one with %q", err, c.says)
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("read a file that is not there")
	}
}

func TestConfigThatMakesNoSenseIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"no directory":            {func(c *Config) { c.Recordings = "" }, "recordings: a directory is needed"},
		"a stdin policy":          {func(c *Config) { c.Stdin = "some" }, `stdin "some"`},
		"a negative wait":         {func(c *Config) { c.Capture.IdleDetach = -1 }, "must not be negative"},
		"kept without pins":       {func(c *Config) { c.Capture.KeepOnStop, c.Capture.Pins = true, "" }, "keep_on_stop: needs pins"},
		"an address without port": {func(c *Config) { c.Listen = "localhost" }, "want address:port"},
		"no address":              {func(c *Config) { c.Listen = "" }, "want address:port"},
		"a log level":             {func(c *Config) { c.Log.Level = "loud" }, "log level"},
		"a log format":            {func(c *Config) { c.Log.Format = "xml" }, "log format"},
		"a ring":                  {func(c *Config) { c.Capture.Ring = 5 }, "ring size 5"},
		"a flavour":               {func(c *Config) { c.Capture.Flavour = "x" }, "flavour"},
	} {
		t.Run(name, func(t *testing.T) {
			conf := Default()
			c.change(&conf)
			if err := conf.Validate(); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error is %v, want one with %q", err, c.says)
			}
		})
	}
}

func TestSizeIsWrittenAndReadTheSame(t *testing.T) {
	for text, n := range map[string]Size{"0": 0, "1": 1, "1023": 1023, "1KiB": 1 << 10, "1025": 1025, "32MiB": 32 << 20, "3GiB": 3 << 30, "1536KiB": 1536 << 10} {
		if got, err := ParseSize(text); err != nil || got != n {
			t.Errorf("ParseSize(%q) = %d, %v", text, got, err)
		}
		if got := n.String(); got != text {
			t.Errorf("%d is written %q, want %q", int64(n), got, text)
		}
	}
	if got, err := ParseSize("32 MiB"); err != nil || got != 32<<20 {
		t.Errorf("with a space: %d, %v", got, err)
	}
	for _, bad := range []string{"", "KiB", "1kb", "1.5MiB", "-1KiB", "0x10", "9223372036854775807GiB", "1MiBMiB", "99999999999999999999"} {
		if n, err := ParseSize(bad); err == nil {
			t.Errorf("ParseSize(%q) = %d", bad, n)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	f.Add("32MiB")
	f.Add("9007199254740992GiB")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseSize(s)
		if err != nil {
			return
		}
		if n < 0 {
			t.Fatalf("ParseSize(%q) = %d", s, n)
		}
		if again, err := ParseSize(n.String()); err != nil || again != n {
			t.Errorf("%q is %d, written %q, read %d, %v", s, n, n, again, err)
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add(DefaultYAML)
	f.Add([]byte("node: &a [*a]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := Default()
		if decode(b, &c) != nil {
			return
		}
		_ = c.Validate() // must not panic, whatever it says
		out, err := c.YAML()
		if err != nil {
			t.Fatal(err)
		}
		var again Config
		if err := decode(out, &again); err != nil {
			t.Errorf("what was printed is not read: %v\n%s", err, out)
		}
	})
}

func TestLogWritesFromItsLevelOnInItsFormat(t *testing.T) {
	var b bytes.Buffer
	log := Log{Level: "warn", Format: "json"}.New(&b)
	log.Info("not this")
	log.Warn("this", "key", "a\nb")
	if got := b.String(); strings.Contains(got, "not this") || !strings.Contains(got, `"msg":"this","key":"a\nb"`) || strings.Count(got, "\n") != 1 {
		t.Errorf("logged %q", got)
	}
	b.Reset()
	Log{Level: "debug", Format: "text"}.New(&b).Debug("this", "key", "a\nb")
	if got := b.String(); !strings.Contains(got, `msg=this key="a\nb"`) || strings.Count(got, "\n") != 1 {
		t.Errorf("logged %q", got)
	}
}
