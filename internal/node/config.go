package node

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/kubetape/kubetape/internal/probe"
	"github.com/kubetape/kubetape/internal/session"
)

// Config is the recorder's configuration. config.yaml beside this file is its
// commented form and its defaults.
type Config struct {
	// Node is this machine's name in recordings. Empty: $NODE_NAME, else the
	// host name.
	Node string `yaml:"node"`
	// Recordings is the directory for recordings; it is made with mode 0700.
	Recordings string `yaml:"recordings"`
	// Record says which kinds of session are recorded.
	Record Record `yaml:"record"`
	// Stdin says what is kept of typed input: masked, full or off.
	Stdin session.Policy `yaml:"stdin"`
	// Capture says how to capture.
	Capture Capture `yaml:"capture"`
	// RuntimeSockets are the container runtimes' own sockets (CRI), asked for
	// the names of pods and containers. Those that do not exist are passed over.
	RuntimeSockets []string `yaml:"runtime_sockets"`
	// Listen is the local address for metrics and health, or "off".
	Listen string `yaml:"listen"`
	// Log says how to log.
	Log Log `yaml:"log"`
	// KeepCapabilities keeps all capabilities after start.
	KeepCapabilities bool `yaml:"keep_capabilities"`
	// Procfs is where the node's /proc is mounted.
	Procfs string `yaml:"procfs"`
}

// Record says which kinds of session are recorded.
type Record struct {
	Exec   bool `yaml:"exec"`
	Attach bool `yaml:"attach"`
	Shell  bool `yaml:"shell"`
}

// Capture says how to capture.
type Capture struct {
	// Flavour forces a flavour. Empty: the best that this kernel allows.
	Flavour probe.Flavour `yaml:"flavour"`
	// Ring is the size of the buffer between kernel and recorder: a power of two.
	Ring Size `yaml:"ring"`
	// Pins is a directory on a bpffs. Empty: nothing is pinned.
	Pins string `yaml:"pins"`
	// KeepOnStop leaves the capture in the kernel when the recorder is asked to
	// stop, for its successor.
	KeepOnStop bool `yaml:"keep_on_stop"`
	// IdleDetach is after how long without a session the hook on system calls
	// is taken away. 0: never.
	IdleDetach time.Duration `yaml:"idle_detach"`
	// Logins are programs whose children without a terminal are logins.
	Logins []string `yaml:"logins"`
	// Starters are programs that are about to start a session.
	Starters []string `yaml:"starters"`
}

// Log says how to log.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // text or json
}

// Size is a number of bytes, written plainly or with KiB, MiB or GiB.
type Size int64

// UnmarshalYAML reads a Size.
func (s *Size) UnmarshalYAML(n *yaml.Node) error {
	v, err := ParseSize(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	*s = v
	return nil
}

// MarshalYAML writes a Size with the largest unit that fits.
func (s Size) MarshalYAML() (any, error) { return s.String(), nil }

var units = []struct {
	name string
	n    int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// String is the inverse of ParseSize.
func (s Size) String() string {
	for _, u := range units {
		if s != 0 && int64(s)%u.n == 0 {
			return strconv.FormatInt(int64(s)/u.n, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// ParseSize reads a number of bytes.
func ParseSize(s string) (Size, error) {
	num, unit := s, int64(1)
	for _, u := range units {
		if r, ok := strings.CutSuffix(s, u.name); ok {
			num, unit = strings.TrimSpace(r), u.n
		}
	}
	v, err := strconv.ParseInt(num, 10, 64)
	if err != nil || v < 0 || v > (1<<62)/unit {
		return 0, fmt.Errorf("size %q: want a number of bytes, or one with KiB, MiB or GiB", s)
	}
	return Size(v * unit), nil
}

// DefaultYAML is the commented configuration with the defaults.
//
//go:embed config.yaml
var DefaultYAML []byte

// Default returns the defaults, as config.yaml has them.
func Default() Config {
	var c Config
	if err := decode(DefaultYAML, &c); err != nil {
		panic("embedded config.yaml: " + err.Error()) // a test reads it
	}
	return c
}

func decode(b []byte, c *Config) error {
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return errors.New("more than one document")
	}
	return nil
}

// Load returns the defaults with what the file says instead. Unknown keys are
// errors.
func Load(path string) (Config, error) {
	c := Default()
	b, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read configuration: %w", err)
	}
	if err := decode(b, &c); err != nil {
		return c, fmt.Errorf("read configuration %s: %w", path, err)
	}
	return c, nil
}

// Validate returns everything that is wrong with c.
func (c Config) Validate() error {
	errs := []error{c.probe().Validate()}
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if c.Recordings == "" {
		bad("recordings: a directory is needed")
	}
	if !c.Stdin.Valid() {
		bad("stdin %q: must be masked, full or off", c.Stdin)
	}
	if c.Capture.IdleDetach < 0 {
		bad("idle_detach %v: must not be negative", c.Capture.IdleDetach)
	}
	if c.Capture.KeepOnStop && c.Capture.Pins == "" {
		bad("keep_on_stop: needs pins")
	}
	if c.Listen != "off" {
		if _, _, err := net.SplitHostPort(c.Listen); err != nil {
			bad("listen %q: want address:port, or off", c.Listen)
		}
	}
	if _, err := c.Log.level(); err != nil {
		errs = append(errs, err)
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		bad("log format %q: must be text or json", c.Log.Format)
	}
	return errors.Join(errs...)
}

func (c Config) probe() probe.Config {
	return probe.Config{
		PinDir: c.Capture.Pins, RingBytes: int(c.Capture.Ring), Flavour: c.Capture.Flavour,
		Logins: c.Capture.Logins, Starters: c.Capture.Starters, Procfs: c.Procfs,
	}
}

// YAML writes c in the form that Load reads.
func (c Config) YAML() ([]byte, error) { return yaml.Marshal(c) }
