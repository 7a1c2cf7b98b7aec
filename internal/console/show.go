package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kubetape/kubetape/internal/replay"
	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/internal/store"
	"github.com/kubetape/kubetape/internal/termsafe"
)

// maxShown bounds each list of Show; a hostile session can make any number of
// processes, sizes and losses. What is beyond is counted.
const maxShown = 10000

// details is all of a recording but its streams' bytes, in JSON.
type details struct {
	record
	Events    int64     `json:"events"`
	Processes []process `json:"processes"`
	Resizes   []resize  `json:"resizes"`
	Losses    []loss    `json:"losses"`
	Restarts  []restart `json:"restarts"`
	Omitted   int64     `json:"omitted,omitempty"` // entries beyond the bound of each list
	Error     string    `json:"error,omitempty"`   // where the recording could not be read to its end
}

type process struct {
	At       time.Time      `json:"at"`
	PID      int            `json:"pid"`
	PPID     int            `json:"ppid"`
	UID      int            `json:"uid"`
	Argv     []session.Text `json:"argv"`
	ArgvCut  int            `json:"argv_cut,omitempty"`
	EndedAt  *time.Time     `json:"ended_at,omitempty"`
	ExitCode *int           `json:"exit_code,omitempty"`
	Signal   int            `json:"signal,omitempty"`
	parent   int            // index, or -1
}

type resize struct {
	At   time.Time `json:"at"`
	Cols int       `json:"cols"`
	Rows int       `json:"rows"`
}

type loss struct {
	At     time.Time      `json:"at"`
	Stream session.Stream `json:"stream,omitempty"`
	Bytes  int64          `json:"bytes"`
	Why    string         `json:"why,omitempty"`
}

type restart struct {
	At  time.Time `json:"at"`
	Why string    `json:"why,omitempty"`
}

// Show prints everything about the recording that arg names but the bytes of its
// streams. format is text or json.
func (c *Console) Show(ctx context.Context, arg, format string) error {
	if format != "text" && format != "json" {
		return Usage("output format %q is not known: use text or json", format)
	}
	t, info, err := c.open(arg)
	if err != nil {
		return err
	}
	defer t.Close()
	d := details{record: recordOf(&store.Entry{Info: info}), Processes: []process{}, Resizes: []resize{}, Losses: []loss{}, Restarts: []restart{}}
	latest := map[int]int{} // pid → index of its latest process
	kept := map[session.Stream]session.Totals{}
	err = walk(ctx, t, &info, c.progress("reading", false), func(ev *session.Event) error {
		d.Events++
		if s := ev.Type.Stream(); s != "" {
			k := kept[s]
			k.Bytes += int64(len(ev.Data))
			k.Masked += int64(ev.Masked)
			kept[s] = k
		}
		if ev.Type == session.TypeLoss && ev.Stream != "" {
			k := kept[ev.Stream]
			k.Lost += max(ev.Bytes, 0)
			kept[ev.Stream] = k
		}
		d.add(ev, latest)
		return nil
	})
	if d.Streams == nil { // no end line: what was counted now
		d.Streams = kept
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	if err = c.ending(&info, err); err != nil {
		d.Error = err.Error()
	}
	var perr error
	if format == "json" {
		perr = printJSON(c.Out, &d, true)
	} else {
		perr = d.print(c.Out)
	}
	if perr != nil {
		return perr
	}
	return err
}

func (d *details) add(ev *session.Event, latest map[int]int) {
	full := false
	switch ev.Type {
	case session.TypeExec:
		if full = len(d.Processes) >= maxShown; full {
			break
		}
		// The same process may start another program: that hangs below the one before.
		parent, ok := latest[ev.PID]
		if !ok {
			if parent, ok = latest[ev.PPID]; !ok {
				parent = -1
			}
		}
		latest[ev.PID] = len(d.Processes)
		argv := make([]session.Text, len(ev.Argv))
		copy(argv, ev.Argv)
		d.Processes = append(d.Processes, process{At: ev.T, PID: ev.PID, PPID: ev.PPID, UID: ev.UID, Argv: argv,
			ArgvCut: ev.ArgvCut, parent: parent})
	case session.TypeExit:
		if i, ok := latest[ev.PID]; ok {
			at := ev.T
			p := &d.Processes[i]
			p.EndedAt, p.ExitCode, p.Signal = &at, ev.ExitCode, ev.Signal
			delete(latest, ev.PID) // the number may be used again
		}
	case session.TypeResize:
		if full = len(d.Resizes) >= maxShown; !full {
			d.Resizes = append(d.Resizes, resize{ev.T, ev.Cols, ev.Rows})
		}
	case session.TypeLoss:
		if full = len(d.Losses) >= maxShown; !full {
			d.Losses = append(d.Losses, loss{ev.T, ev.Stream, ev.Bytes, ev.Why})
		}
	case session.TypeResume:
		if full = len(d.Restarts) >= maxShown; !full {
			d.Restarts = append(d.Restarts, restart{ev.T, ev.Why})
		}
	}
	if full {
		d.Omitted++
	}
}

// sheet prints aligned lines of names and values, and leaves out what is empty.
type sheet struct{ b strings.Builder }

func (s *sheet) line(name, value string) {
	if value != "" {
		fmt.Fprintf(&s.b, "%-12s %s\n", name, termsafe.Line(value))
	}
}

func (d *details) print(w io.Writer) error {
	var s sheet
	m := &d.Meta
	s.line("id", string(m.ID))
	s.line("kind", string(m.Kind)+", seen by "+orUnknown(string(m.Observer)))
	s.line("status", string(d.Status)+because(d.Why))
	s.line("damage", d.Damage)
	s.line("started", stamp(m.StartedAt))
	if d.EndedAt != nil {
		s.line("ended", stamp(*d.EndedAt)+" after "+span(d.EndedAt.Sub(m.StartedAt)))
	}
	if d.ExitCode != nil || d.Signal != 0 {
		s.line("exit", exit(d.ExitCode, d.Signal))
	}
	s.line("command", command(m.Argv, m.ArgvCut))
	s.line("node", m.Node)
	s.line("namespace", m.Namespace)
	s.line("pod", m.Pod)
	s.line("pod uid", m.PodUID)
	s.line("container", m.Container)
	s.line("container id", m.ContainerID)
	s.line("runtime", m.Runtime)
	s.line("image", m.Image)
	s.line("user", userLine(m))
	s.line("peer", m.Peer)
	if m.TTY {
		s.line("terminal", fmt.Sprintf("%dx%d", m.Cols, m.Rows))
	} else {
		s.line("terminal", fmt.Sprintf("none (stdin %s, stdout %s, stderr %s)", orUnknown(m.StdinKind), orUnknown(m.StdoutKind), orUnknown(m.StderrKind)))
	}
	s.line("stdin kept", string(m.Stdin))
	s.line("flavour", m.Flavour)
	s.line("audit id", m.AuditID)
	if m.PID != 0 {
		s.line("pid", fmt.Sprint(m.PID))
	}
	for i, p := range m.Origin {
		name := "started by"
		if i > 0 {
			name = "  below"
		}
		s.line(name, fmt.Sprintf("%s (%d) %s", string(p.Comm), p.PID, p.Exe))
	}
	for _, st := range session.Streams {
		if t, ok := d.Streams[st]; ok {
			s.line(string(st), totals(t))
		}
	}
	s.line("file", fmt.Sprintf("%s (%s, %d events)", d.Path, bytesOf(d.Size), d.Events))
	d.lists(&s)
	s.line("error", d.Error)
	s.line("to check", "kubetape session verify "+string(m.ID))
	_, err := io.WriteString(w, s.b.String())
	return err
}

func (d *details) lists(s *sheet) {
	since := func(t time.Time) string { return replay.Offset(max(t.Sub(d.StartedAt), 0)) }
	for _, r := range d.Resizes {
		s.line("resize", fmt.Sprintf("%s %dx%d", since(r.At), r.Cols, r.Rows))
	}
	for _, l := range d.Losses {
		s.line("loss", since(l.At)+" "+noteText(&session.Event{Type: session.TypeLoss, Stream: l.Stream, Bytes: l.Bytes, Why: l.Why}))
	}
	for _, r := range d.Restarts {
		s.line("restart", since(r.At)+" "+noteText(&session.Event{Type: session.TypeResume, Why: r.Why}))
	}
	if len(d.Processes) > 0 {
		s.b.WriteString("processes\n")
		tree(&s.b, d.Processes, since)
	}
	if d.Omitted > 0 {
		s.line("omitted", fmt.Sprintf("%d more of these, which only the file has", d.Omitted))
	}
}

// maxIndent bounds how far a chain of processes moves to the right.
const maxIndent = 12

// tree prints processes below their parents, in order of time.
func tree(b *strings.Builder, all []process, since func(time.Time) string) {
	children := make(map[int][]int, len(all))
	for i, p := range all {
		children[p.parent] = append(children[p.parent], i)
	}
	type place struct{ i, depth int }
	var stack []place // its own, since a chain may be as long as the list
	push := func(parent, depth int) {
		kids := children[parent]
		for k := len(kids) - 1; k >= 0; k-- {
			stack = append(stack, place{kids[k], depth})
		}
	}
	push(-1, 0)
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		p := &all[at.i]
		end := ""
		if p.ExitCode != nil && *p.ExitCode != 0 || p.Signal != 0 {
			end = " [" + exit(p.ExitCode, p.Signal) + "]"
		}
		fmt.Fprintf(b, "  %s %7d uid %-5d %s%s%s\n", since(p.At), p.PID, p.UID,
			strings.Repeat("  ", min(at.depth, maxIndent)), termsafe.Cut(termsafe.Line(command(p.Argv, p.ArgvCut)), 400), end)
		push(at.i, at.depth+1)
	}
}

func totals(t session.Totals) string {
	s := fmt.Sprintf("%d bytes", t.Bytes)
	if t.Masked > 0 {
		s += fmt.Sprintf(", %d masked", t.Masked)
	}
	if t.Lost > 0 {
		s += fmt.Sprintf(", %d lost", t.Lost)
	}
	if t.SHA256 != "" {
		s += ", sha256:" + t.SHA256
	}
	return s
}

func userLine(m *session.Meta) string {
	s := m.User
	if m.UID != nil {
		s = strings.TrimSpace(fmt.Sprintf("%s (uid %d)", s, *m.UID))
	}
	if m.LoginUID != nil {
		s += fmt.Sprintf(", login uid %d", *m.LoginUID)
	}
	return strings.TrimPrefix(s, ", ")
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
