// Package compare holds recordings against what the clients of the sessions
// saw. A session is found by its bytes: the one recording whose streams are the
// client's, and no other.
package compare

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/internal/store"
	"github.com/kubetape/kubetape/testenv/client"
)

// Held is a session that a client held.
type Held struct {
	Name      string // for messages
	Kind      session.Kind
	TTY       bool
	Container string // its ID, where the session was in one
	Argv      string // a part of what the session ran; "" fits everything
	Peer      string // beginning of the other end's address; "" fits everything
	Result    client.Result
	// Unseen streams are not compared: the client program has them (scp's stdin is
	// its own protocol).
	Unseen []session.Stream
	// AnyExit leaves the exit status out.
	AnyExit bool
}

// Find returns the entry that is the recording of h: complete, verified by its
// own digests, and the same bytes on each stream. The error says how near the
// nearest came.
func Find(entries []store.Entry, h Held) (store.Entry, error) {
	var found []store.Entry
	var near []string
	for _, e := range entries {
		if !fits(e, h) {
			continue
		}
		if diff := differs(e, h); diff != "" {
			near = append(near, fmt.Sprintf("%s: %s", e.Meta.ID, diff))
			continue
		}
		found = append(found, e)
	}
	switch {
	case len(found) == 0 && len(near) == 0:
		return store.Entry{}, fmt.Errorf("%s: no recording of its kind among %d:%s", h.Name, len(entries), listed(entries))
	case len(found) == 0:
		return store.Entry{}, fmt.Errorf("%s: no recording has its bytes:\n  %s", h.Name, strings.Join(near[:min(len(near), 10)], "\n  "))
	case len(found) > 1:
		return store.Entry{}, fmt.Errorf("%s: %d recordings have its bytes:%s", h.Name, len(found), listed(found))
	}
	return found[0], verified(found[0])
}

// Account returns the entry that is the recording of h where bytes may have been
// lost: on each stream what is kept, masked and declared lost must make the sum
// that the client saw. Several may fit h's description, and then one must.
func Account(entries []store.Entry, h Held) (store.Entry, error) {
	var near []string
	for _, e := range entries {
		if !fits(e, h) {
			continue
		}
		diff := unaccounted(e, h)
		if diff == "" {
			return e, verified(e)
		}
		near = append(near, fmt.Sprintf("%s: %s", e.Meta.ID, diff))
	}
	return store.Entry{}, fmt.Errorf("%s: no recording accounts for its bytes:\n  %s", h.Name, strings.Join(near, "\n  "))
}

func unaccounted(e store.Entry, h Held) string {
	var parts []string
	sides := h.sides()
	lost := int64(0)
	for _, s := range session.Streams {
		if h.TTY && s == session.Stderr || unseen(h, s) {
			continue
		}
		t := e.Streams[s]
		lost += t.Lost
		if sum := t.Bytes + t.Masked + t.Lost; sum != sides[s].Bytes {
			parts = append(parts, fmt.Sprintf("%s has %d kept, %d masked, %d lost, together %d; the client %d",
				s, t.Bytes, t.Masked, t.Lost, sum, sides[s].Bytes))
		}
		if t.Lost == 0 && t.Masked == 0 && t.Bytes == sides[s].Bytes && t.Bytes > 0 && t.SHA256 != sides[s].SHA256 {
			parts = append(parts, fmt.Sprintf("%s has %d other bytes than the client", s, t.Bytes))
		}
	}
	// Lossy without a lost byte is one that lacks process events, and says so.
	if e.Status == session.Complete && lost != 0 {
		parts = append(parts, fmt.Sprintf("status is %q with %d bytes lost", e.Status, lost))
	}
	return strings.Join(parts, "; ")
}

func (h Held) sides() map[session.Stream]client.Sum {
	return map[session.Stream]client.Sum{
		session.Stdin: h.Result.Sent, session.Stdout: h.Result.Received, session.Stderr: h.Result.Errors,
	}
}

// fits reports whether e is of h's kind at all.
func fits(e store.Entry, h Held) bool {
	var argv []string
	for _, a := range e.Meta.Argv {
		argv = append(argv, string(a))
	}
	return e.Meta.Kind == h.Kind && e.Meta.TTY == h.TTY &&
		(h.Container == "" || e.Meta.ContainerID == h.Container) &&
		strings.HasPrefix(e.Meta.Peer, h.Peer) &&
		strings.Contains(strings.Join(argv, " "), h.Argv)
}

// differs says what of e is not as the client saw it, or nothing.
func differs(e store.Entry, h Held) string {
	var parts []string
	if e.Status != session.Complete {
		parts = append(parts, fmt.Sprintf("status is %q (%s)", e.Status, e.Why))
	}
	sides := h.sides()
	for _, s := range session.Streams {
		if h.TTY && s == session.Stderr || unseen(h, s) {
			continue
		}
		if d := streamDiffers(e.Streams[s], sides[s]); d != "" {
			parts = append(parts, string(s)+" "+d)
		}
	}
	if !h.AnyExit && (e.ExitCode == nil || *e.ExitCode != h.Result.ExitCode) {
		parts = append(parts, fmt.Sprintf("exit code is %s, the client's %d", number(e.ExitCode), h.Result.ExitCode))
	}
	return strings.Join(parts, "; ")
}

func streamDiffers(t session.Totals, want client.Sum) string {
	switch {
	case t.Lost != 0:
		return fmt.Sprintf("lost %d bytes", t.Lost)
	case t.Bytes+t.Masked != want.Bytes:
		return fmt.Sprintf("has %d bytes and %d masked, the client %d", t.Bytes, t.Masked, want.Bytes)
	case t.Masked == 0 && t.Bytes > 0 && t.SHA256 != want.SHA256:
		return fmt.Sprintf("has %d other bytes than the client", t.Bytes)
	}
	return ""
}

func unseen(h Held, s session.Stream) bool {
	for _, u := range h.Unseen {
		if u == s {
			return true
		}
	}
	return false
}

func verified(e store.Entry) error {
	report, err := recording.Verify(e.Path, nil)
	if err != nil {
		return fmt.Errorf("verify %s: %w", e.Meta.ID, err)
	}
	var faults []error
	for _, f := range report.Faults {
		faults = append(faults, fmt.Errorf("verify %s: %s", e.Meta.ID, f))
	}
	return errors.Join(faults...)
}

func listed(entries []store.Entry) string {
	var b strings.Builder
	for _, e := range entries[:min(len(entries), 10)] {
		fmt.Fprintf(&b, "\n  %s tty=%v container=%q peer=%q argv=%q %s", e.Meta.ID, e.Meta.TTY, e.Meta.ContainerID, e.Meta.Peer, e.Meta.Argv, e.Status)
	}
	return b.String()
}

func number(p *int) string {
	if p == nil {
		return "unknown"
	}
	return fmt.Sprint(*p)
}
