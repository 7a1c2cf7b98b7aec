package containers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kubetape/kubetape/internal/cgroup"
)

// DefaultSockets are where runtimes listen for CRI: containerd, CRI-O,
// cri-dockerd, then the containerd of k3s and RKE2, k0s and MicroK8s.
var DefaultSockets = []string{
	"/run/containerd/containerd.sock",
	"/run/crio/crio.sock",
	"/run/cri-dockerd.sock",
	"/run/k3s/containerd/containerd.sock",
	"/run/k0s/containerd.sock",
	"/var/snap/microk8s/common/run/containerd.sock",
}

// Config is what a Client is made from. The zero Config is good.
type Config struct {
	// Sockets are the runtimes' sockets, each a path; nil is DefaultSockets.
	Sockets []string
	// MaxEntries is how many containers are remembered; 0 is 4096. One takes
	// about 1 KiB.
	MaxEntries int
	// Timeout is how long one question to a runtime may take; 0 is 2 s.
	Timeout time.Duration
	// Interval is how often a runtime that answers is asked whether it still
	// does; 0 is 10 s. One that does not is asked after 1 s, and then after
	// twice as long each time, up to 30 s (MinRetry and MaxRetry, where set).
	Interval, MinRetry, MaxRetry time.Duration
	// Changed is told when a runtime begins to answer and when it stops to, by
	// a goroutine of Run. It may be nil. It must not block.
	Changed func(socket, runtime string, up bool)
	// Log is for the same; nil is none.
	Log *slog.Logger
}

// The errors of Resolve.
var (
	// ErrNotFound: all runtimes that were asked do not know the container.
	ErrNotFound = errors.New("no such container")
	// ErrNoRuntime: no runtime answers over CRI at present.
	ErrNoRuntime = errors.New("no container runtime answers")
)

// Client knows containers. It is safe for concurrent use.
type Client struct {
	cfg       Config
	cache     *cache
	endpoints []*endpoint

	calls, failures atomic.Uint64
}

// Stats are counts since the Client was made, for metrics.
type Stats struct {
	Runtimes int    // that answer at present
	Calls    uint64 // to runtimes
	Failures uint64 // calls without an answer; of an absent runtime too
	Hits     uint64 // of the cache
	Misses   uint64
	Evicted  uint64 // forgotten for want of room
}

// New returns a Client. It opens nothing: Run does.
func New(cfg Config) *Client {
	if cfg.Sockets == nil {
		cfg.Sockets = DefaultSockets
	}
	cfg.MaxEntries = cmp.Or(max(cfg.MaxEntries, 0), 4096)
	cfg.Timeout = cmp.Or(cfg.Timeout, 2*time.Second)
	cfg.Interval = cmp.Or(cfg.Interval, 10*time.Second)
	cfg.MinRetry = cmp.Or(cfg.MinRetry, time.Second)
	cfg.MaxRetry = cmp.Or(cfg.MaxRetry, 30*time.Second)
	if cfg.Changed == nil {
		cfg.Changed = func(string, string, bool) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{cfg: cfg, cache: newCache(cfg.MaxEntries)}
	for _, socket := range cfg.Sockets {
		c.endpoints = append(c.endpoints, newEndpoint(c, socket))
	}
	return c
}

// Run keeps the connections to the runtimes until ctx ends, and returns when
// all of it has stopped. A runtime that is not there is not an error. Each one
// that begins to answer is asked for the containers it has. Run must be called
// once at most.
func (c *Client) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, e := range c.endpoints {
		wg.Go(func() { e.run(ctx) })
	}
	wg.Wait()
	return nil
}

// Lookup returns what is remembered of a container. It asks nobody.
func (c *Client) Lookup(id string) (Info, bool) { return c.cache.get(id) }

// Describe returns the best that is known, without asking anybody, of the
// container that a cgroup belongs to. Of a container inside another one (docker
// in a pod) it is the outer one's pod, name and image. It is false where no
// runtime told: then it is what the cgroup says.
func (c *Client) Describe(g cgroup.Container) (Info, bool) {
	i, ok := c.cache.get(g.ID)
	if !ok && g.Outer != "" {
		i, ok = c.cache.get(g.Outer)
	}
	if !ok {
		return Info{ID: g.ID, Runtime: g.Runtime, PodUID: g.PodUID}, false
	}
	if i.ID != g.ID {
		i.ID, i.Runtime = g.ID, g.Runtime
	}
	return i, true
}

// Resolve returns what the runtimes know of a container, and remembers it. It
// asks only where Lookup would not do, all runtimes that answer one after the
// other, for Config.Timeout each at most.
//
// The error wraps ErrNotFound, ErrNoRuntime, ctx's, or what went wrong with a
// runtime.
func (c *Client) Resolve(ctx context.Context, id string) (Info, error) {
	if i, ok := c.cache.get(id); ok {
		return i, nil
	}
	if !validID(id) {
		return Info{}, fmt.Errorf("resolve container %.80q: %w", id, ErrNotFound)
	}
	err := ErrNoRuntime
	for _, e := range c.endpoints {
		i, asked, found := e.find(ctx, id)
		switch {
		case asked && found == nil:
			c.cache.put(i)
			return i.clone(), nil
		case asked && (errors.Is(err, ErrNoRuntime) || errors.Is(err, ErrNotFound)):
			err = found
		}
		if ctx.Err() != nil {
			err = ctx.Err()
			break
		}
	}
	return Info{}, fmt.Errorf("resolve container %.80q: %w", id, err)
}

// validID reports whether a runtime can know id at all: an empty one would ask
// for all containers, and one that is not UTF-8 cannot be sent.
func validID(id string) bool {
	if id == "" || len(id) > 256 {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}

// Stats returns the counts.
func (c *Client) Stats() Stats {
	s := Stats{Calls: c.calls.Load(), Failures: c.failures.Load()}
	for _, e := range c.endpoints {
		if e.runtime.Load() != nil {
			s.Runtimes++
		}
	}
	c.cache.mu.Lock()
	defer c.cache.mu.Unlock()
	s.Hits, s.Misses, s.Evicted = c.cache.stats.hits, c.cache.stats.misses, c.cache.stats.evicted
	return s
}
