// Package stage sets up everything that a session needs on one machine: our
// programs, a private containerd with a running container, a private sshd. The
// tests, the demo and the benchmarks play on it, and it leaves nothing behind.
package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/kubetape/kubetape/testenv/binaries"
	"github.com/kubetape/kubetape/testenv/containerd"
	"github.com/kubetape/kubetape/testenv/image"
	"github.com/kubetape/kubetape/testenv/recorder"
	"github.com/kubetape/kubetape/testenv/sshd"
)

// Image is the name of the image of every container here.
const Image = "kubetape.test/box:1"

// Needs are the programs that a stage is made of.
var Needs = []string{"containerd", "ctr", "runc", "busybox", "sshd", "ssh", "ssh-keygen", "scp", "nsenter"}

// Stage is a set-up stage.
type Stage struct {
	Dir        string
	Programs   binaries.Set
	Containerd *containerd.Daemon
	SSHD       *sshd.Server
	// Box is the ID of the container that runs from the start: it has no terminal
	// and no stdin, so it is no session itself. Like every ID here it holds the
	// stage's name, so that two stages on one machine are not mixed up.
	Box string

	recorders []*recorder.Recorder
}

// Raise sets everything up, telling say of each step. Close takes it down.
func Raise(ctx context.Context, say func(string)) (_ *Stage, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("needs root")
	}
	s := &Stage{}
	if s.Dir, err = os.MkdirTemp("", "kubetape-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"build the programs", s.build},
		{"make an image, start containerd and a container", s.containers},
		{"start an ssh server", s.logins},
	} {
		say(step.what)
		if err := step.do(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Stage) build(ctx context.Context) error {
	dir, err := s.subdir("bin")
	if err != nil {
		return err
	}
	s.Programs, err = binaries.Build(ctx, dir)
	return err
}

func (s *Stage) containers(ctx context.Context) error {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return fmt.Errorf("find busybox: %w", err)
	}
	dir, err := s.subdir("c")
	if err != nil {
		return err
	}
	archive := filepath.Join(dir, "image.tar")
	f, err := os.Create(archive)
	if err != nil {
		return err
	}
	spec := image.Spec{Name: Image, Busybox: busybox, Files: map[string]string{"/bin/workload": s.Programs.Workload}}
	if err := errors.Join(image.Write(f, spec), f.Close()); err != nil {
		return err
	}
	if s.Containerd, err = containerd.Start(ctx, dir); err != nil {
		return err
	}
	if err := s.Containerd.Import(ctx, archive); err != nil {
		return err
	}
	s.Box = s.ID("box")
	box := containerd.Container{ID: s.Box, Image: Image, Argv: []string{"/bin/workload", "sleep-forever"}}
	return s.Containerd.Run(ctx, box)
}

func (s *Stage) logins(ctx context.Context) error {
	dir, err := s.subdir("sshd")
	if err != nil {
		return err
	}
	s.SSHD, err = sshd.Start(ctx, dir)
	return err
}

// ID returns an ID for a container that no other stage gives.
func (s *Stage) ID(name string) string { return name + "-" + s.Containerd.Namespace }

// Recorder prepares a recorder with directories of its own, named after name.
// It is closed with the stage.
func (s *Stage) Recorder(name string, o recorder.Options) (*recorder.Recorder, error) {
	if s.Programs.Node == "" {
		return nil, errors.New("this checkout has no cmd/kubetape-node")
	}
	dir, err := s.subdir(name)
	if err != nil {
		return nil, err
	}
	r, err := recorder.New(s.Programs.Node, dir, o)
	if err != nil {
		return nil, err
	}
	s.recorders = append(s.recorders, r)
	return r, nil
}

// Close takes down what stands, latest first, and removes the directory.
func (s *Stage) Close() error {
	var errs []error
	for _, r := range s.recorders {
		errs = append(errs, r.Close())
	}
	if s.SSHD != nil {
		errs = append(errs, s.SSHD.Close())
	}
	if s.Containerd != nil {
		errs = append(errs, s.Containerd.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.Dir))...)
}

func (s *Stage) subdir(name string) (string, error) {
	dir := filepath.Join(s.Dir, name)
	return dir, os.Mkdir(dir, 0o700)
}
