package require

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// recorder stands in for the *testing.T of a test that lacks something: it
// notes how that test would have ended.
type recorder struct {
	testing.TB
	skipped, failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Name() string          { return "TestOfSomething" }
func (r *recorder) Skip(...any)           { r.skipped = true; runtime.Goexit() }
func (r *recorder) Fatalf(string, ...any) { r.failed = true; runtime.Goexit() }

// ended runs f as a test and returns how it ended.
func ended(f func(testing.TB)) *recorder {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	return r
}

func missing(t testing.TB) { Tool(t, "no-such-program-anywhere") }

func TestMissingToolIsASkipThatIsCounted(t *testing.T) {
	skips := filepath.Join(t.TempDir(), "skips")
	t.Setenv(EnvRequire, "")
	t.Setenv(EnvSkips, skips)
	for range 2 {
		if r := ended(missing); !r.skipped || r.failed {
			t.Fatalf("skipped %v, failed %v; want a skip", r.skipped, r.failed)
		}
	}
	got, err := os.ReadFile(skips)
	if err != nil {
		t.Fatal(err)
	}
	line := "kubetape: skip: TestOfSomething: needs the program no-such-program-anywhere\n"
	if string(got) != strings.Repeat(line, 2) {
		t.Errorf("skips file holds %q", got)
	}
}

func TestMissingToolFailsWhereAllIsRequired(t *testing.T) {
	t.Setenv(EnvRequire, "all")
	t.Setenv(EnvSkips, "")
	if r := ended(missing); !r.failed || r.skipped {
		t.Errorf("skipped %v, failed %v; want a failure", r.skipped, r.failed)
	}
}

func TestToolThatIsThereIsReturned(t *testing.T) {
	p := Tool(t, "sh")
	if _, err := os.Stat(p); err != nil {
		t.Error(err)
	}
}
