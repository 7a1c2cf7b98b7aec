package store

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/session"
)

// Entry is one recording of a list.
type Entry struct {
	recording.Info
}

// Duration returns how long the session took; false where its end is not known.
func (e *Entry) Duration() (time.Duration, bool) {
	if e.EndedAt.IsZero() || e.Meta.StartedAt.IsZero() {
		return 0, false
	}
	return max(e.EndedAt.Sub(e.Meta.StartedAt), 0), true
}

// User returns who acted: the name, or "uid:" and the number, or "".
func (e *Entry) User() string {
	if e.Meta.User == "" && e.Meta.UID != nil {
		return "uid:" + strconv.Itoa(*e.Meta.UID)
	}
	return e.Meta.User
}

// Kept and Lost return the sums over all streams. Lost counts bytes only.
func (e *Entry) Kept() int64 { return e.sum(func(t session.Totals) int64 { return t.Bytes }) }

// Lost returns how many bytes of all streams are known to be missing.
func (e *Entry) Lost() int64 { return e.sum(func(t session.Totals) int64 { return t.Lost }) }

func (e *Entry) sum(of func(session.Totals) int64) (n int64) {
	for _, t := range e.Streams {
		n += of(t)
	}
	return n
}

// read makes the entry of a file.
func read(f file, filter Filter) (Entry, bool, error) {
	if len(filter.Kinds) > 0 && !slices.Contains(filter.Kinds, f.id.Kind()) {
		return Entry{}, false, nil // the kind is part of the ID, which is checked below
	}
	info, err := recording.ReadInfo(f.path)
	if errors.Is(err, recording.ErrTorn) && strings.HasSuffix(f.path, recording.PartSuffix) {
		// A session that has only just begun: its header is not in the file yet.
		info.Meta.ID, info.Meta.Kind, info.Status, err = f.id, f.id.Kind(), session.Open, nil
	}
	if err != nil {
		return Entry{}, false, err
	}
	if info.Meta.ID != f.id {
		return Entry{}, false, fmt.Errorf("the name of the file is not the ID in it, %q", string(info.Meta.ID))
	}
	e := Entry{info}
	return e, filter.Keep(&e), nil
}

// Filter says which recordings a list holds. Fields that are empty keep
// everything. Texts are globs as of path.Match (* ? [a-z]); where a glob is
// malformed it is taken literally.
type Filter struct {
	Kinds     []session.Kind   // any of these
	Statuses  []session.Status // any of these
	User      string           // name, or uid:N
	Peer      string           // address, or address:port
	Node      string
	Namespace string
	Pod       string
	Container string    // name, or ID or a prefix of it
	Since     time.Time // began at this time or later
	Until     time.Time // began before this time
}

// Keep reports whether the filter keeps e.
func (f *Filter) Keep(e *Entry) bool {
	m := &e.Meta
	host, _, err := net.SplitHostPort(m.Peer)
	if err != nil {
		host = m.Peer
	}
	uid := ""
	if m.UID != nil {
		uid = "uid:" + strconv.Itoa(*m.UID)
	}
	return (len(f.Kinds) == 0 || slices.Contains(f.Kinds, m.Kind)) &&
		(len(f.Statuses) == 0 || slices.Contains(f.Statuses, e.Status)) &&
		match(f.User, m.User, uid) &&
		match(f.Peer, m.Peer, host) &&
		match(f.Node, m.Node) &&
		match(f.Namespace, m.Namespace) &&
		match(f.Pod, m.Pod) &&
		(match(f.Container, m.Container, m.ContainerID) || len(f.Container) >= 4 && strings.HasPrefix(m.ContainerID, f.Container)) &&
		(f.Since.IsZero() || !m.StartedAt.Before(f.Since)) &&
		(f.Until.IsZero() || m.StartedAt.Before(f.Until))
}

func match(glob string, values ...string) bool {
	if glob == "" {
		return true
	}
	for _, v := range values {
		if ok, err := path.Match(glob, v); v != "" && (ok || err != nil && v == glob || v == glob) {
			return true
		}
	}
	return false
}

// orders are what a list can be sorted by.
var orders = map[string]func(a, b *Entry) int{
	"start": func(a, b *Entry) int { return a.Meta.StartedAt.Compare(b.Meta.StartedAt) },
	"end":   func(a, b *Entry) int { return a.EndedAt.Compare(b.EndedAt) },
	"duration": func(a, b *Entry) int {
		da, _ := a.Duration()
		db, _ := b.Duration()
		return cmp.Compare(da, db)
	},
	"size":   func(a, b *Entry) int { return cmp.Compare(a.Size, b.Size) },
	"bytes":  func(a, b *Entry) int { return cmp.Compare(a.Kept(), b.Kept()) },
	"lost":   func(a, b *Entry) int { return cmp.Compare(a.Lost(), b.Lost()) },
	"status": func(a, b *Entry) int { return cmp.Compare(a.Status, b.Status) },
	"user":   func(a, b *Entry) int { return cmp.Compare(a.User(), b.User()) },
	"node":   func(a, b *Entry) int { return cmp.Compare(a.Meta.Node, b.Meta.Node) },
	"pod": func(a, b *Entry) int {
		return cmp.Or(cmp.Compare(a.Meta.Namespace, b.Meta.Namespace), cmp.Compare(a.Meta.Pod, b.Meta.Pod))
	},
	"id": func(a, b *Entry) int { return cmp.Compare(a.Meta.ID, b.Meta.ID) },
}

// Orders returns the names that Sort takes, sorted.
func Orders() []string {
	var names []string
	for n := range orders {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Sort sorts entries by the order of that name; equal ones by start and ID. It
// reports false when there is no such order.
func Sort(entries []Entry, order string, reverse bool) bool {
	by, ok := orders[order]
	if !ok {
		return false
	}
	slices.SortStableFunc(entries, func(a, b Entry) int {
		c := cmp.Or(by(&a, &b), orders["start"](&a, &b), orders["id"](&a, &b))
		if reverse {
			return -c
		}
		return c
	})
	return true
}
