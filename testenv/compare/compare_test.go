package compare_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/internal/store"
	"github.com/kubetape/kubetape/testenv/client"
	"github.com/kubetape/kubetape/testenv/compare"
)

// write makes a finished recording of a session without terminal in container
// "box": what it said, and how many bytes of it were lost.
func write(t *testing.T, dir, said string, lost int64) {
	t.Helper()
	now := time.Now()
	w, err := recording.Create(dir, session.Meta{
		ID: session.NewID(session.Exec, now), Kind: session.Exec, Observer: session.Node,
		StartedAt: now, ContainerID: "box", Argv: []session.Text{"say", "it"},
	}, recording.Options{})
	if err != nil {
		t.Fatal(err)
	}
	events := []session.Event{{T: now, Type: session.TypeStdout, Data: []byte(said)}}
	if lost > 0 {
		events = append(events, session.Event{T: now, Type: session.TypeLoss, Stream: session.Stdout, Bytes: lost, Why: "test"})
	}
	for _, ev := range events {
		if err := w.Write(ev); err != nil {
			t.Fatal(err)
		}
	}
	zero := 0
	if _, err := w.End(session.Event{T: now, Type: session.TypeEnd, Status: session.Complete, ExitCode: &zero}); err != nil {
		t.Fatal(err)
	}
}

func TestFindAndAccount(t *testing.T) {
	type made struct {
		said string
		lost int64
	}
	for _, c := range []struct {
		name          string
		recordings    []made
		argv, got     string
		find, account string // a part of the error; "" for none
	}{
		{"the recording with the client's bytes is found among others", []made{{"yes", 0}, {"no", 0}}, "say it", "yes", "", ""},
		{"other bytes of the same length are no match", []made{{"abc", 0}}, "say it", "xyz", "other bytes", "other bytes"},
		{"missing bytes are no match", []made{{"ab", 0}}, "say it", "abc", "the client 3", "the client 3"},
		{"declared loss is no match but accounts for the bytes", []made{{"ab", 1}}, "say it", "abc", "lost 1 bytes", ""},
		{"declared loss of the wrong size accounts for nothing", []made{{"ab", 2}}, "say it", "abc", "lost 2 bytes", "together 4"},
		{"two recordings of one session are one too many", []made{{"yes", 0}, {"yes", 0}}, "say it", "yes", "2 recordings", ""},
		{"no recording of the kind", []made{{"yes", 0}}, "say that", "yes", "no recording of its kind", "no recording"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, m := range c.recordings {
				write(t, dir, m.said, m.lost)
			}
			entries, faults, err := store.Open(dir).List(t.Context(), store.Filter{}, nil)
			if err != nil || len(faults) > 0 {
				t.Fatal(err, faults)
			}
			h := compare.Held{Name: "it", Kind: session.Exec, Container: "box", Argv: c.argv,
				Result: client.Result{Sent: client.SumOf(nil), Received: client.SumOf([]byte(c.got)), Errors: client.SumOf(nil)}}
			_, err = compare.Find(entries, h)
			expect(t, "Find", err, c.find)
			_, err = compare.Account(entries, h)
			expect(t, "Account", err, c.account)
		})
	}
}

func expect(t *testing.T, what string, err error, part string) {
	t.Helper()
	switch {
	case part == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case part != "" && (err == nil || !strings.Contains(err.Error(), part)):
		t.Errorf("%s: got %v, want an error with %q", what, err, part)
	}
}
