package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kubetape/kubetape/internal/containers"
	"github.com/kubetape/kubetape/internal/probe"
	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/internal/tracker"
)

// metrics is the recorder's state as others see it. The loop writes a snapshot
// about once a second; HTTP handlers read it.
type metrics struct {
	flavour probe.Flavour
	cri     *containers.Client

	mu    sync.Mutex // guards what follows
	track tracker.Stats
	kern  probe.Counters
	tapes tapeStats
	ring  int
	bad   uint64
	armed bool

	ready atomic.Bool
	seen  atomic.Int64 // unix time of the last snapshot
}

func (m *metrics) update(l *loop) {
	kern, err := l.probe.Counters()
	if err != nil {
		l.log.Error("read counters", "error", err)
	}
	_, armed := l.probe.ArmedSince()
	l.tapes.mu.Lock()
	tapes := l.tapes.stats
	l.tapes.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.track, m.kern, m.tapes, m.ring, m.bad, m.armed = l.tracker.Stats(), kern, tapes, l.probe.Waiting(), l.bad, armed
	m.seen.Store(time.Now().Unix())
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("kubetape_"+name, help, labels, nil)
}

var (
	descOpen     = desc("sessions_open", "Sessions that are being recorded.")
	descBegun    = desc("sessions_begun_total", "Sessions that began, by kind.", "kind")
	descEnded    = desc("sessions_ended_total", "Sessions that ended, by status.", "status")
	descRejected = desc("sessions_rejected_total", "Beginnings that turned out not to be sessions, or are not recorded by configuration.")
	descBytes    = desc("stream_bytes_total", "Bytes recorded, by stream.", "stream")
	descMasked   = desc("stream_masked_bytes_total", "Typed bytes that were counted and not kept.")
	descLost     = desc("stream_lost_bytes_total", "Bytes known to have passed and not recorded.")
	descUnsaved  = desc("stream_unsaved_bytes_total", "Bytes that could not be written to disk.")
	descFailed   = desc("recording_failures_total", "Failures to write a recording.")
	descWait     = desc("recording_wait_seconds_total", "Time for which the reader of the ring waited for the disk.")
	descDisk     = desc("recording_file_bytes_total", "Size of finished recordings.")
	descRing     = desc("ring_waiting_bytes", "Bytes in the ring that are not read yet.")
	descDrops    = desc("ring_dropped_records_total", "Records that did not fit into the ring.")
	descFull     = desc("kernel_table_full_total", "Entries that did not fit into a table of the kernel side, by table.", "table")
	descBad      = desc("ring_bad_records_total", "Records of the ring that made no sense.")
	descOrphans  = desc("events_orphaned_total", "Events of sessions that are not known.")
	descArmed    = desc("capture_attached", "1 while streams are seen (the hook on system calls is attached).")
	descFlavour  = desc("capture_flavour_info", "Flavour of capture in use.", "flavour")
	descCRI      = desc("runtime_calls_total", "Questions to container runtimes, by result.", "result")
)

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(descOpen, float64(m.track.Open))
	for _, k := range []session.Kind{session.Exec, session.Attach, session.Shell} {
		count(descBegun, m.track.Begun[k], string(k))
	}
	for _, s := range []session.Status{session.Complete, session.Lossy, session.Torn} {
		count(descEnded, m.track.Ended[s], string(s))
	}
	for i, s := range session.Streams {
		count(descBytes, m.track.Bytes[i], string(s))
	}
	count(descRejected, m.track.Rejected)
	count(descMasked, m.track.Masked)
	count(descLost, m.track.Lost)
	count(descUnsaved, m.tapes.unsaved)
	count(descFailed, m.tapes.failed)
	ch <- prometheus.MustNewConstMetric(descWait, prometheus.CounterValue, m.tapes.waited.Seconds())
	count(descDisk, m.tapes.onDisk)
	gauge(descRing, float64(m.ring))
	count(descDrops, m.kern.RingDrops)
	count(descFull, m.kern.TasksFull, "processes")
	count(descFull, m.kern.SessionsFull, "sessions")
	count(descFull, m.kern.StreamsFull, "streams")
	count(descBad, m.bad)
	count(descOrphans, m.track.Orphans)
	armed := 0.0
	if m.armed {
		armed = 1
	}
	gauge(descArmed, armed)
	gauge(descFlavour, 1, string(m.flavour))
	if m.cri != nil {
		s := m.cri.Stats()
		count(descCRI, s.Calls-s.Failures, "ok")
		count(descCRI, s.Failures, "failed")
	}
}

// healthy reports whether the loop has shown itself lately.
func (m *metrics) healthy() bool {
	return time.Since(time.Unix(m.seen.Load(), 0)) < 30*time.Second
}

// serve answers on a local address until ctx is done.
func (m *metrics) serve(ctx context.Context, addr string, log *slog.Logger) (wait func(), err error) {
	if addr == "off" {
		return func() {}, nil
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(m)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	answer := func(ok func() bool) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if !ok() {
				http.Error(w, "no", http.StatusServiceUnavailable)
				return
			}
			fmt.Fprintln(w, "ok")
		}
	}
	mux.HandleFunc("GET /healthz", answer(m.healthy))
	mux.HandleFunc("GET /readyz", answer(func() bool { return m.ready.Load() && m.healthy() }))
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w", err)
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("serve metrics", "error", err)
		}
	})
	return func() {
		end, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := srv.Shutdown(end); err != nil {
			log.Warn("stop serving metrics", "error", err)
		}
		wg.Wait()
	}, nil
}
