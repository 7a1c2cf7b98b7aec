// Package sshd runs a private OpenSSH server on a loopback port, with keys and
// configuration of its own under one directory, and makes the client commands
// that log in to it. It needs root (a login needs a user to become) and the
// Debian packages openssh-server and openssh-client. The machine's own sshd and
// the user's own keys and known hosts are neither read nor changed.
package sshd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 15 * time.Second
)

// Server is a running sshd. Its methods are safe for concurrent use.
type Server struct {
	dir, user string
	port      int
	cmd       *exec.Cmd
	ended     chan struct{} // closed when the server ended and its log is whole
	closing   sync.Once
	closed    error
}

// config is the server's configuration. PAM and login records are off, so that
// nothing is written outside the directory. StrictModes is off because the
// directory lies in a place that others may write to.
const config = `ListenAddress 127.0.0.1:%[2]d
HostKey %[1]s/host_key
AuthorizedKeysFile %[1]s/user_key.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
PrintLastLog no
UseDNS no
MaxStartups 100
MaxSessions 100
LogLevel VERBOSE
Subsystem sftp /usr/lib/openssh/sftp-server
`

// Start starts a server with its files under dir, which must exist and be
// absolute, and waits until it listens.
func Start(ctx context.Context, dir string) (_ *Server, err error) {
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("find out who runs this: %w", err)
	}
	if me.Uid != "0" {
		return nil, errors.New("start sshd: needs root")
	}
	path, err := find("sshd") // it wants to be called by its full path
	if err != nil {
		return nil, err
	}
	// sshd's privilege separation goes here, and only the service's unit makes it.
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		return nil, err
	}
	s := &Server{dir: dir, user: me.Username, ended: make(chan struct{})}
	for _, key := range []string{"host_key", "user_key"} {
		out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key, "-f", s.path(key)).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("make %s: %w: %s", key, err, out)
		}
	}
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.path("sshd_config"), fmt.Appendf(nil, config, dir, s.port), 0o600); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(path, "-D", "-e", "-f", s.path("sshd_config"))
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s, s.trust()
}

// start runs the server and waits for its word that it listens.
func (s *Server) start(ctx context.Context) error {
	log, err := os.Create(s.path("sshd.log"))
	if err != nil {
		return err
	}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		log.Close()
		return err
	}
	if err := s.cmd.Start(); err != nil {
		log.Close()
		return fmt.Errorf("start sshd: %w", err)
	}
	listening := make(chan struct{})
	go func() {
		defer close(s.ended)
		defer log.Close()
		said := false
		lines := bufio.NewReader(io.TeeReader(stderr, log))
		for {
			line, err := lines.ReadString('\n')
			if !said && strings.HasPrefix(line, "Server listening on ") {
				said = true
				close(listening)
			}
			if err != nil {
				break
			}
		}
		_ = s.cmd.Wait()
	}()
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-listening:
		return nil
	case <-s.ended:
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("start sshd: it ended: %s", strings.TrimSpace(string(text)))
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("start sshd: %w", context.Cause(ctx)), s.Close())
	case <-timeout.C:
		return errors.Join(errors.New("start sshd: it does not say that it listens"), s.Close())
	}
}

// trust writes the known-hosts file of the clients.
func (s *Server) trust() error {
	key, err := os.ReadFile(s.path("host_key.pub"))
	if err == nil {
		line := fmt.Appendf(nil, "[127.0.0.1]:%d %s", s.port, key)
		err = os.WriteFile(s.path("known_hosts"), line, 0o600)
	}
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// Port is the TCP port on 127.0.0.1.
func (s *Server) Port() int { return s.port }

// PID is the server's process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Close stops the server and the logins that are still open.
func (s *Server) Close() error {
	s.closing.Do(func() { s.closed = s.close() })
	return s.closed
}

func (s *Server) close() error {
	// The logins first: they are children of the server while it lives. Each ends
	// its own shell by hanging up.
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", s.PID(), s.PID()))
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	for _, field := range strings.Fields(string(children)) {
		if pid, err := strconv.Atoi(field); err == nil {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		}
	}
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case <-s.ended:
		return nil
	case <-timeout.C:
		_ = s.cmd.Process.Kill()
		return errors.New("stop sshd: killed, it did not end by itself")
	}
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// options are what every client command needs: this server's key, no
// configuration and no agent of the user's, no questions.
func (s *Server) options() []string {
	var all []string
	for _, o := range []string{
		"UserKnownHostsFile=" + s.path("known_hosts"),
		"GlobalKnownHostsFile=/dev/null",
		"StrictHostKeyChecking=yes",
		"IdentityFile=" + s.path("user_key"),
		"IdentitiesOnly=yes",
		"BatchMode=yes",
		"LogLevel=ERROR",
	} {
		all = append(all, "-o", o)
	}
	return append([]string{"-F", "none"}, all...)
}

// SSH returns a login: with a terminal when tty is set, and with a command of
// its own when one is given.
func (s *Server) SSH(tty bool, command ...string) *exec.Cmd {
	args := append(s.options(), "-p", strconv.Itoa(s.port))
	if tty {
		args = append(args, "-tt")
	} else {
		args = append(args, "-T")
	}
	args = append(args, s.user+"@127.0.0.1")
	cmd := exec.Command("ssh", append(args, command...)...)
	// A terminal's type and the user's language would change what programs print.
	cmd.Env = append(os.Environ(), "TERM=xterm", "LC_ALL=C")
	return cmd
}

// Upload returns a copy of the file from to the path to on the server's side:
// by the old protocol of scp (a command on the server) or, with sftp set, by SFTP.
func (s *Server) Upload(sftp bool, from, to string) *exec.Cmd {
	args := append(s.options(), "-P", strconv.Itoa(s.port), "-q")
	if sftp {
		args = append(args, "-s")
	} else {
		args = append(args, "-O")
	}
	return exec.Command("scp", append(args, from, s.user+"@127.0.0.1:"+to)...)
}

// find looks in the places for administrators' programs too.
func find(name string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("find %s: install openssh-server", name)
}

// freePort returns a port that was free a moment ago; sshd cannot be handed a
// socket that listens.
func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
