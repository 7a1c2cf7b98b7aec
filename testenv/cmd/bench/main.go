// Command bench measures what recording costs on this machine and prints one
// table. Each line compares the same work with and without the recorder, in
// turns within each run, and gives the median of the runs' ratios: the machine
// may be as busy as it likes, if only it is so for both. `make bench` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"github.com/kubetape/kubetape/testenv/recorder"
	"github.com/kubetape/kubetape/testenv/stage"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	flag.IntVar(&o.runs, "runs", 5, "runs of each measurement, of which the median is shown")
	flag.Int64Var(&o.flood, "flood", 60_000_000, "bytes through a terminal")
	flag.Int64Var(&o.pipe, "pipe", 200_000_000, "bytes through a pipe")
	flag.Int64Var(&o.other, "other", 20_000_000, "bytes through a terminal for the comparison with other recorders")
	flag.Int64Var(&o.calls, "calls", 2_000_000, "pairs of system calls of the unrelated process")
	flag.Parse()
	if o.runs < 1 || o.flood < 1 || o.pipe < 1 || o.other < 1 || o.calls < 1 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := bench(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// options are sizes, in bytes unless said otherwise.
type options struct {
	runs                      int
	flood, pipe, other, calls int64
}

// row is one line of the table. Fields that do not apply are 0.
type row struct {
	work          string
	without, with float64 // seconds, or MB/s where rate is set
	rate          bool
	ratio         float64
	cpuPerGB      float64 // seconds of the recorder's processor time
	diskPerGB     float64
	note          string
}

func bench(ctx context.Context, o options) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("needs root; run: sudo env \"PATH=$PATH\" make bench")
	}
	s, err := stage.Raise(ctx, func(step string) { fmt.Fprintln(os.Stderr, "bench:", step) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	// The clients' own terminals are shells on this node too; they are not the work.
	r, err := s.Recorder("node", recorder.Options{Config: "stdin: full\nrecord: {shell: false}\n"})
	if err != nil {
		return err
	}
	b := &benchmark{options: o, stage: s, recorder: r}
	for _, m := range []func(context.Context) ([]row, error){
		b.unrelated, b.terminal, b.pipes, b.others,
	} {
		rows, err := m(ctx)
		if err != nil {
			return err
		}
		b.rows = append(b.rows, rows...)
	}
	b.print()
	return nil
}

func (b *benchmark) print() {
	kernel, _ := exec.Command("uname", "-rm").Output()
	fmt.Printf("medians of %d runs; ratio: the same work without recording is 1; kernel %s", b.options.runs, kernel)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "work\twithout\twith\tratio\tCPU s/GB\tdisk MB/GB\t")
	for _, r := range b.rows {
		unit := "s"
		if r.rate {
			unit = "MB/s"
		}
		fmt.Fprintf(w, "%s\t%.2f %s\t%.2f %s\t%.3f\t%s\t%s\t\n",
			r.work, r.without, unit, r.with, unit, r.ratio, optional(r.cpuPerGB, "%.2f"), optional(r.diskPerGB/1e6, "%.2f"))
	}
	w.Flush()
	for _, r := range b.rows {
		if r.note != "" {
			fmt.Printf("%s: %s\n", r.work, r.note)
		}
	}
}

func optional(v float64, format string) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}
