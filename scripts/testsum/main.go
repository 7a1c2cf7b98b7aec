// Command testsum runs `go test -json` one or more times, prints a line for each
// package and the output of what failed, and ends with the one line
//
//	N passed, N failed, N skipped
//
// that counts tests and subtests of all runs. A package that failed without a
// failing test (it did not build, it timed out, it panicked) counts as one. It
// exits with status 1 when anything failed or when no test ran.
//
//	testsum [-summary FILE] -- DIR ARGUMENT... [-- DIR ARGUMENT...]...
//
// runs `go test -json ARGUMENT...` in each DIR, one after the other.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sort"
	"strings"
)

func main() {
	summary := flag.String("summary", "", "file that gets the last line too")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: testsum [-summary FILE] -- DIR ARGUMENT... [-- DIR ARGUMENT...]...")
	}
	flag.Parse()
	t := newTally(os.Stdout)
	for _, group := range groups(flag.Args()) {
		if err := goTest(t, group[0], group[1:]); err != nil {
			fmt.Fprintf(os.Stderr, "testsum: %v\n", err)
			t.failed++
		}
	}
	line := fmt.Sprintf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	for _, s := range t.skips {
		fmt.Println("skipped:", s)
	}
	fmt.Print(line)
	if *summary != "" {
		if err := os.WriteFile(*summary, []byte(line), 0o644); err != nil {
			fmt.Fprintf(os.Stderr, "testsum: %v\n", err)
			os.Exit(1)
		}
	}
	if t.failed > 0 || t.passed == 0 {
		os.Exit(1)
	}
}

// groups cuts args at each "--". Empty groups are dropped.
func groups(args []string) [][]string {
	var all [][]string
	start := 0
	for i := 0; i <= len(args); i++ {
		if i < len(args) && args[i] != "--" {
			continue
		}
		if i > start {
			all = append(all, args[start:i])
		}
		start = i + 1
	}
	return all
}

// goTest runs one `go test` and feeds its events to t. That tests failed is in
// the tally and no error here.
func goTest(t *tally, dir string, args []string) error {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start go test: %w", err)
	}
	before := t.failed
	readErr := t.read(out)
	err = cmd.Wait()
	if readErr != nil {
		return readErr
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && t.failed > before {
		return nil
	}
	if err != nil {
		return fmt.Errorf("go test in %s: %w", dir, err)
	}
	return nil
}

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

// tally counts results and keeps the output of what still runs.
type tally struct {
	w                       io.Writer
	passed, failed, skipped int
	skips                   []string
	output                  map[string][]string // by package and test
	failedIn                map[string]int      // failed tests of a package
}

func newTally(w io.Writer) *tally {
	return &tally{w: w, output: map[string][]string{}, failedIn: map[string]int{}}
}

func (t *tally) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprintf(t.w, "%s", line) // not an event: a message of the go command
			} else {
				t.add(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read go test's output: %w", err)
		}
	}
}

func (t *tally) add(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(t.w, e.Output)
	case "output":
		t.output[key] = append(t.output[key], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.endPackage(e)
		} else {
			t.endTest(e, key)
		}
		delete(t.output, key)
	}
}

func (t *tally) endTest(e event, key string) {
	switch e.Action {
	case "pass":
		t.passed++
	case "skip":
		t.skipped++
		t.skips = append(t.skips, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(t.output[key])))
	case "fail":
		t.failed++
		t.failedIn[e.Package]++
		fmt.Fprintf(t.w, "--- FAIL: %s %s\n%s", e.Package, e.Test, strings.Join(t.output[key], ""))
	}
}

func (t *tally) endPackage(e event) {
	switch {
	case e.Action == "fail" && t.failedIn[e.Package] == 0:
		t.failed++
		t.printRest(e.Package)
		fmt.Fprintf(t.w, "FAIL %s (the package, not a test)\n", e.Package)
	case e.Action != "skip": // a package without tests says skip
		fmt.Fprintf(t.w, "%-4s %s %.1fs\n", e.Action, e.Package, e.Elapsed)
	}
}

// printRest prints what a package and its unfinished tests said.
func (t *tally) printRest(pkg string) {
	var keys []string
	for key := range t.output {
		if strings.HasPrefix(key, pkg+" ") {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	for _, key := range keys {
		fmt.Fprint(t.w, strings.Join(t.output[key], ""))
	}
}

// reason returns the last line that a skipped test printed before its result.
func reason(output []string) string {
	for i := len(output) - 1; i >= 0; i-- {
		line := strings.TrimSpace(output[i])
		if line != "" && !strings.HasPrefix(line, "--- SKIP") && !strings.HasPrefix(line, "=== ") {
			return line
		}
	}
	return "no reason given"
}
