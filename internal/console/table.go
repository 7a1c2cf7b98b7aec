package console

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/internal/termsafe"
)

// table writes rows of clean cells in aligned columns. The last column is not
// padded.
func table(w io.Writer, rows [][]string) error {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				b.WriteString("  ")
			}
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cell cleans a text for a table: one line, of at most n characters, never empty.
func cell(s string, n int) string {
	if s == "" {
		return "-"
	}
	return termsafe.Cut(termsafe.Line(s), n)
}

// command writes arguments as one would type them.
func command(argv []session.Text, cut int) string {
	var b strings.Builder
	for i, a := range argv {
		if i > 0 {
			b.WriteByte(' ')
		}
		s := string(a)
		if s == "" || strings.ContainsAny(s, " \t\n'\"`$&|;<>()*?[]{}~#!\\") {
			s = "'" + strings.ReplaceAll(s, "'", `'"'"'`) + "'"
		}
		b.WriteString(s)
	}
	if cut > 0 {
		fmt.Fprintf(&b, " … (%d bytes cut)", cut)
	}
	return b.String()
}

// where names the place of a session: namespace/pod/container, as far as known,
// else the container's ID, else the node.
func where(m *session.Meta) string {
	switch {
	case m.Pod != "":
		s := m.Namespace + "/" + m.Pod
		if m.Container != "" {
			s += "/" + m.Container
		}
		return s
	case m.Container != "":
		return m.Container
	case m.ContainerID != "":
		return m.ContainerID[:min(12, len(m.ContainerID))]
	}
	return m.Node
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// span writes a duration shortly: 350ms, 12.3s, 4m05s, 2h03m.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", float64(d/(time.Second/10))/10)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
}

// bytesOf writes a number of bytes with a binary unit.
func bytesOf(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n)/1024, 0
	for f >= 1023.95 && unit < 4 {
		f /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTP"[unit])
}
