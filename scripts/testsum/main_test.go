package main

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	for _, c := range []struct {
		name, in                string
		passed, failed, skipped int
		shows                   string
	}{
		{
			"tests and subtests are counted, the package is not",
			`{"Action":"pass","Package":"p","Test":"A/b"}
{"Action":"pass","Package":"p","Test":"A"}
{"Action":"pass","Package":"p","Elapsed":0.1}`,
			2, 0, 0, "pass p 0.1s",
		},
		{
			"a failed test shows its output, and its package counts no second time",
			`{"Action":"output","Package":"p","Test":"A","Output":"why it failed\n"}
{"Action":"fail","Package":"p","Test":"A"}
{"Action":"fail","Package":"p"}`,
			0, 1, 0, "why it failed",
		},
		{
			"a package that does not build counts as one failure",
			`{"ImportPath":"p","Action":"build-output","Output":"x.go:1: oh no\n"}
{"Action":"fail","Package":"p","FailedBuild":"p"}`,
			0, 1, 0, "oh no",
		},
		{
			"a test that never ended is shown with its package",
			`{"Action":"output","Package":"p","Test":"A","Output":"panic: test timed out\n"}
{"Action":"fail","Package":"p"}`,
			0, 1, 0, "timed out",
		},
		{
			"a package without tests is no skip",
			`{"Action":"skip","Package":"p"}
{"Action":"skip","Package":"q","Test":"B"}`,
			0, 0, 1, "",
		},
		{"what is not an event is passed on", "go: downloading\n", 0, 0, 0, "go: downloading"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			got := newTally(&b)
			if err := got.read(strings.NewReader(c.in)); err != nil {
				t.Fatal(err)
			}
			if got.passed != c.passed || got.failed != c.failed || got.skipped != c.skipped {
				t.Errorf("got %d, %d, %d", got.passed, got.failed, got.skipped)
			}
			if !strings.Contains(b.String(), c.shows) {
				t.Errorf("printed %q, want %q in it", b.String(), c.shows)
			}
		})
	}
}

func TestGroups(t *testing.T) {
	got := groups(strings.Fields("a -race ./... -- -- b ./x"))
	want := [][]string{{"a", "-race", "./..."}, {"b", "./x"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
