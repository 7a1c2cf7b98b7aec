package containers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// maxAnswer bounds an answer of a runtime, in bytes: a list of all containers
// of a node that holds several thousand.
const maxAnswer = 16 << 20

// endpoint is one runtime's socket.
type endpoint struct {
	c       *Client
	socket  string
	log     *slog.Logger
	runtime atomic.Pointer[answering] // nil while nobody answers
}

// answering is a runtime that answers.
type answering struct {
	name string
	cri  runtime.RuntimeServiceClient
}

func newEndpoint(c *Client, socket string) *endpoint {
	return &endpoint{c: c, socket: socket, log: c.cfg.Log.With("socket", socket)}
}

// run keeps asking whether the runtime is there, until ctx ends.
func (e *endpoint) run(ctx context.Context) {
	conn, err := grpc.NewClient("unix:"+e.socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()), // the socket's owner is the credential
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithNoProxy(),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: e.c.cfg.MinRetry, Multiplier: 1.6, Jitter: 0.2, MaxDelay: e.c.cfg.MaxRetry},
		}))
	if err != nil {
		e.log.Warn("cannot use the runtime's socket", "error", err)
		return
	}
	defer func() {
		e.set(nil)
		_ = conn.Close() // nothing is in it any more
	}()
	cri := runtime.NewRuntimeServiceClient(conn)
	wait := e.c.cfg.MinRetry
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if e.check(ctx, cri) {
			wait = e.c.cfg.MinRetry
			timer.Reset(e.c.cfg.Interval)
			continue
		}
		timer.Reset(wait)
		wait = min(2*wait, e.c.cfg.MaxRetry)
		conn.ResetConnectBackoff() // the waiting is done here
	}
}

// check asks the runtime for its name, and a new one for its containers.
func (e *endpoint) check(ctx context.Context, cri runtime.RuntimeServiceClient) bool {
	var name string
	err := e.call(ctx, func(ctx context.Context) error {
		v, err := cri.Version(ctx, &runtime.VersionRequest{})
		name = cut(v.GetRuntimeName())
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			e.log.Debug("runtime does not answer", "error", err)
			e.set(nil)
		}
		return false
	}
	if now := e.runtime.Load(); now != nil {
		return true
	}
	a := &answering{name: cmp.Or(runtimeNames[name], name), cri: cri}
	if err := e.fill(ctx, a); err != nil {
		e.log.Debug("runtime does not list its containers", "error", err)
		return false
	}
	e.set(a)
	return true
}

// set notes who answers, or that nobody does.
func (e *endpoint) set(a *answering) {
	before := e.runtime.Swap(a)
	switch {
	case before == nil && a != nil:
		e.log.Info("runtime answers", "runtime", a.name)
		e.c.cfg.Changed(e.socket, a.name, true)
	case before != nil && a == nil:
		e.log.Info("runtime has stopped to answer", "runtime", before.name)
		e.c.cfg.Changed(e.socket, before.name, false)
	}
}

// call makes one call within the time for it, and counts.
func (e *endpoint) call(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, e.c.cfg.Timeout)
	defer cancel()
	e.c.calls.Add(1)
	err := f(ctx)
	if err != nil && !isAnswer(err) {
		e.c.failures.Add(1)
	}
	return err
}

// isAnswer reports whether an error says "not found" or "no CRI here".
func isAnswer(err error) bool {
	code := status.Code(err)
	return errors.Is(err, ErrNotFound) || code == codes.NotFound || code == codes.Unimplemented
}

// fill remembers what runs at present, as far as there is room.
func (e *endpoint) fill(ctx context.Context, a *answering) error {
	var pods []*runtime.PodSandbox
	var list []*runtime.Container
	err := e.call(ctx, func(ctx context.Context) error {
		p, err := a.cri.ListPodSandbox(ctx, &runtime.ListPodSandboxRequest{})
		if err != nil {
			return err
		}
		l, err := a.cri.ListContainers(ctx, &runtime.ListContainersRequest{
			Filter: &runtime.ContainerFilter{State: &runtime.ContainerStateValue{State: runtime.ContainerState_CONTAINER_RUNNING}},
		})
		pods, list = p.GetItems(), l.GetContainers()
		return err
	})
	if err != nil {
		return err
	}
	byID := make(map[string]*runtime.PodSandbox, len(pods))
	for _, p := range pods {
		byID[p.GetId()] = p
	}
	for _, c := range list[:min(len(list), e.c.cfg.MaxEntries)] {
		i := infoOf(c, a.name)
		if p := byID[c.GetPodSandboxId()]; p != nil {
			i = i.inPod(p)
		}
		e.c.cache.put(i)
	}
	return nil
}

// find asks for one container, or a pod's sandbox, by ID. asked is false where
// there is nobody to ask.
func (e *endpoint) find(ctx context.Context, id string) (i Info, asked bool, err error) {
	a := e.runtime.Load()
	if a == nil {
		return Info{}, false, nil
	}
	err = e.call(ctx, func(ctx context.Context) error {
		i, err = a.find(ctx, id)
		return err
	})
	return i, true, err
}

func (a *answering) find(ctx context.Context, id string) (Info, error) {
	l, err := a.cri.ListContainers(ctx, &runtime.ListContainersRequest{Filter: &runtime.ContainerFilter{Id: id}})
	if err != nil && status.Code(err) != codes.NotFound {
		return Info{}, fmt.Errorf("list containers: %w", err)
	}
	for _, c := range l.GetContainers() {
		if c.GetId() != id { // runtimes take the beginning of an ID, too
			continue
		}
		i := infoOf(c, a.name)
		p, err := a.sandbox(ctx, c.GetPodSandboxId())
		if err != nil {
			return Info{}, err
		}
		if p != nil {
			i = i.inPod(p)
		}
		return i, nil
	}
	p, err := a.sandbox(ctx, id)
	if err != nil {
		return Info{}, err
	}
	if p == nil {
		return Info{}, ErrNotFound
	}
	return infoOfSandbox(p, a.name), nil
}

// sandbox returns a pod's sandbox, or nil where there is none by this ID.
func (a *answering) sandbox(ctx context.Context, id string) (*runtime.PodSandbox, error) {
	if id == "" {
		return nil, nil
	}
	l, err := a.cri.ListPodSandbox(ctx, &runtime.ListPodSandboxRequest{Filter: &runtime.PodSandboxFilter{Id: id}})
	if err != nil && status.Code(err) != codes.NotFound {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	for _, p := range l.GetItems() {
		if p.GetId() == id {
			return p, nil
		}
	}
	return nil, nil
}
