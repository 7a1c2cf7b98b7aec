package console

import (
	"context"
	"fmt"

	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/internal/termsafe"
)

// verdict is the result of one verification, in JSON.
type verdict struct {
	Path    string                            `json:"path"`
	ID      session.ID                        `json:"id,omitempty"`
	OK      bool                              `json:"ok"`
	Status  session.Status                    `json:"status,omitempty"`
	SHA256  string                            `json:"sha256,omitempty"`
	Events  int64                             `json:"events"`
	Frames  int                               `json:"frames"`
	Streams map[session.Stream]session.Totals `json:"streams,omitempty"`
	Faults  []string                          `json:"faults"`
	Notes   []string                          `json:"notes,omitempty"`
}

// Verify checks the recordings that args name, or all of the store, and prints a
// line for each. ErrReported when one is faulty.
func (c *Console) Verify(ctx context.Context, args []string, all bool, format string) error {
	if format != "table" && format != "json" && format != "jsonl" {
		return Usage("output format %q is not known: use table, json or jsonl", format)
	}
	var paths []string
	if all {
		found, err := c.Store.Paths()
		if err != nil {
			return err
		}
		paths = found
	}
	for _, a := range args {
		p, err := c.Store.Find(a)
		if err != nil {
			return err
		}
		paths = append(paths, p)
	}
	bad := 0
	verdicts := []verdict{}
	for i, p := range paths {
		if err := ctx.Err(); err != nil {
			return err
		}
		v := c.verify(p, i, len(paths))
		if !v.OK {
			bad++
		}
		if format == "json" {
			verdicts = append(verdicts, v)
			continue
		}
		if err := c.printVerdict(&v, format); err != nil {
			return err
		}
	}
	if format == "json" {
		if err := printJSON(c.Out, verdicts, true); err != nil {
			return err
		}
	}
	if len(paths) > 1 && format == "table" {
		c.Say("%d recordings verified, %d faulty", len(paths), bad)
	}
	if bad > 0 {
		return ErrReported
	}
	return nil
}

func (c *Console) verify(path string, i, n int) verdict {
	bar := c.progress(fmt.Sprintf("verifying %d of %d", i+1, n), false)
	rep, err := recording.Verify(path, bar.at)
	bar.end()
	v := verdict{Path: path, ID: rep.Info.Meta.ID, OK: err == nil && rep.OK(), Status: rep.Status, SHA256: rep.SHA256,
		Events: rep.Events, Frames: rep.Frames, Streams: rep.Streams, Faults: rep.Faults, Notes: rep.Notes}
	if err != nil {
		v.Faults = append(v.Faults, err.Error())
	}
	if v.Faults == nil {
		v.Faults = []string{}
	}
	return v
}

func (c *Console) printVerdict(v *verdict, format string) error {
	if format == "jsonl" {
		return printJSON(c.Out, v, false)
	}
	name := string(v.ID)
	if name == "" || !v.OK {
		name = v.Path
	}
	line := "ok     " + termsafe.Line(name)
	if !v.OK {
		line = "FAULTY " + termsafe.Line(name)
	}
	if v.Status != "" {
		line += "  " + termsafe.Line(string(v.Status))
	}
	line += fmt.Sprintf("  %d events", v.Events)
	if v.SHA256 != "" {
		line += "  sha256:" + v.SHA256
	}
	for _, f := range v.Faults {
		line += "; " + termsafe.Line(f)
	}
	for _, n := range v.Notes {
		line += "; note: " + termsafe.Line(n)
	}
	_, err := fmt.Fprintln(c.Out, line)
	return err
}
