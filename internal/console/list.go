package console

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/internal/store"
)

// ListOptions say what List shows, and how.
type ListOptions struct {
	Filter  store.Filter
	Sort    string // one of store.Orders
	Reverse bool
	Limit   int    // 0: all
	Format  string // table, wide, json, jsonl
}

// record is a recording in JSON: its header and how it ended.
type record struct {
	session.Meta
	Status   session.Status                    `json:"status,omitempty"`
	EndedAt  *time.Time                        `json:"ended_at,omitempty"`
	Seconds  *float64                          `json:"duration_seconds,omitempty"`
	ExitCode *int                              `json:"exit_code,omitempty"`
	Signal   int                               `json:"signal,omitempty"`
	Why      string                            `json:"why,omitempty"`
	Damage   string                            `json:"damage,omitempty"`
	Streams  map[session.Stream]session.Totals `json:"streams,omitempty"`
	Size     int64                             `json:"size_bytes"`
	Path     string                            `json:"path"`
}

func recordOf(e *store.Entry) record {
	r := record{Meta: e.Meta, Status: e.Status, ExitCode: e.ExitCode, Signal: e.Signal, Why: e.Why,
		Damage: e.Damage, Streams: e.Streams, Size: e.Size, Path: e.Path}
	if !e.EndedAt.IsZero() {
		r.EndedAt = &e.EndedAt
	}
	if d, ok := e.Duration(); ok {
		s := d.Seconds()
		r.Seconds = &s
	}
	return r
}

// List prints the recordings of the store. A file that cannot be read is a line on
// Err, and ErrReported at the end.
func (c *Console) List(ctx context.Context, o ListOptions) error {
	bar := c.progress("reading", false)
	entries, faults, err := c.Store.List(ctx, o.Filter, func(done, total int) { bar.at(int64(done), int64(total)) })
	bar.end()
	if err != nil {
		return err
	}
	if !store.Sort(entries, o.Sort, o.Reverse) {
		return Usage("cannot sort by %q: use %s", o.Sort, strings.Join(store.Orders(), ", "))
	}
	if o.Limit > 0 && len(entries) > o.Limit {
		entries = entries[:o.Limit]
	}
	if err := c.printList(entries, o.Format); err != nil {
		return err
	}
	for _, f := range faults {
		c.Say("%s: %v", f.Path, f.Err)
	}
	if len(faults) > 0 {
		return ErrReported
	}
	return nil
}

func (c *Console) printList(entries []store.Entry, format string) error {
	switch format {
	case "json":
		all := make([]record, 0, len(entries))
		for i := range entries {
			all = append(all, recordOf(&entries[i]))
		}
		return printJSON(c.Out, all, true)
	case "jsonl":
		for i := range entries {
			if err := printJSON(c.Out, recordOf(&entries[i]), false); err != nil {
				return err
			}
		}
		return nil
	case "table", "wide":
		rows := [][]string{{"ID", "STARTED", "DURATION", "STATUS", "WHERE", "USER", "COMMAND"}}
		if format == "wide" {
			rows[0] = []string{"ID", "STARTED", "DURATION", "STATUS", "EXIT", "KEPT", "LOST", "SIZE", "TTY", "OBSERVER",
				"NODE", "RUNTIME", "WHERE", "IMAGE", "USER", "PEER", "COMMAND"}
		}
		for i := range entries {
			rows = append(rows, row(&entries[i], format == "wide"))
		}
		return table(c.Out, rows)
	}
	return Usage("output format %q is not known: use table, wide, json or jsonl", format)
}

func row(e *store.Entry, wide bool) []string {
	m := &e.Meta
	duration := "-"
	if d, ok := e.Duration(); ok {
		duration = span(d)
	}
	if !wide {
		return []string{cell(string(m.ID), 80), stamp(m.StartedAt), duration, cell(string(e.Status), 10),
			cell(where(m), 60), cell(e.User(), 30), cell(command(m.Argv, m.ArgvCut), 80)}
	}
	tty := "no"
	if m.TTY {
		tty = "yes"
	}
	return []string{cell(string(m.ID), 80), stamp(m.StartedAt), duration, cell(string(e.Status), 10), exit(e.ExitCode, e.Signal),
		bytesOf(e.Kept()), bytesOf(e.Lost()), bytesOf(e.Size), tty, cell(string(m.Observer), 10),
		cell(m.Node, 60), cell(m.Runtime, 20), cell(where(m), 200), cell(m.Image, 100), cell(e.User(), 60), cell(m.Peer, 60),
		cell(command(m.Argv, m.ArgvCut), 200)}
}

// exit writes how a process ended: its code, or the signal.
func exit(code *int, signal int) string {
	switch {
	case signal != 0:
		return "signal " + strconv.Itoa(signal)
	case code != nil:
		return strconv.Itoa(*code)
	}
	return "-"
}
