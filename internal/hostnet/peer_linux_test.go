package hostnet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/require"
)

// connected makes a TCP connection to this process and returns both ends.
func connected(t *testing.T, network, listen, dial string) (server, client *net.TCPConn) {
	t.Helper()
	l, err := net.Listen(network, listen)
	if err != nil {
		require.Skip(t, "needs to listen on %s: %v", listen, err)
	}
	t.Cleanup(func() { l.Close() }) // a server goes on listening
	_, port, _ := net.SplitHostPort(l.Addr().String())
	c, err := net.Dial("tcp", net.JoinHostPort(dial, port))
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); c.Close() })
	return s.(*net.TCPConn), c.(*net.TCPConn)
}

// holding starts a process that holds conn as its descriptor 3, and waits until
// the program runs.
func holding(t *testing.T, conn *net.TCPConn, script string) *exec.Cmd {
	t.Helper()
	f, err := conn.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(require.Tool(t, "sh"), "-c", script)
	cmd.ExtraFiles = []*os.File{f}
	start(t, cmd)
	return cmd
}

// start starts cmd and reads the line that it prints when it is ready.
func start(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	in, err := cmd.StdinPipe() // held open until the end of the test
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var line strings.Builder
	for b := make([]byte, 1); ; {
		if _, err := out.Read(b); err != nil {
			t.Fatalf("%s ended early: %v", cmd.Path, err)
		}
		if b[0] == '\n' {
			return line.String()
		}
		line.Write(b)
	}
}

func want(t *testing.T, pid int, addr net.Addr) {
	t.Helper()
	got, ok, err := Finder{}.Peer(t.Context(), pid)
	wanted := netip.MustParseAddrPort(addr.String())
	wanted = netip.AddrPortFrom(wanted.Addr().Unmap(), wanted.Port())
	if err != nil || !ok || got != wanted {
		t.Errorf("got %v, %v, %v; want %v", got, ok, err, wanted)
	}
}

func TestPeerOfAProcessThatHoldsTheConnection(t *testing.T) {
	for name, c := range map[string]struct{ network, listen, dial string }{
		"IPv4":                   {"tcp4", "127.0.0.1:0", "127.0.0.1"},
		"IPv6":                   {"tcp6", "[::1]:0", "::1"},
		"IPv4 on an IPv6 socket": {"tcp", "[::]:0", "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := connected(t, c.network, c.listen, c.dial)
			cmd := holding(t, server, "echo ready; read x")
			want(t, cmd.Process.Pid, client.LocalAddr())
		})
	}
}

func TestPeerOfADescendantIsThatOfTheAncestor(t *testing.T) {
	server, client := connected(t, "tcp4", "127.0.0.1:0", "127.0.0.1")
	f, err := server.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// The outer shell keeps descriptor 3, the inner two do not have it.
	cmd := exec.Command("sh", "-c", `sh -c 'sh -c "echo \$\$; read x; true"; true' 3>&-; true`)
	cmd.ExtraFiles = []*os.File{f}
	var pid int
	if _, err := fmt.Sscan(start(t, cmd), &pid); err != nil {
		t.Fatal(err)
	}
	if inodes, err := (Finder{}).sockets(pid); err != nil || len(inodes) != 0 {
		t.Fatalf("the descendant holds sockets itself: %v, %v", inodes, err)
	}
	want(t, pid, client.LocalAddr())
}

func TestPeerIsThatOfTheLowestDescriptor(t *testing.T) {
	login, client := connected(t, "tcp4", "127.0.0.1:0", "127.0.0.1")
	forwarded, _ := connected(t, "tcp4", "127.0.0.1:0", "127.0.0.1")
	a, _ := login.File()
	b, _ := forwarded.File()
	defer a.Close()
	defer b.Close()
	cmd := exec.Command("sh", "-c", "echo ready; read x")
	cmd.ExtraFiles = []*os.File{a, b}
	start(t, cmd)
	want(t, cmd.Process.Pid, client.LocalAddr())
}

func TestConnectionThatAProcessMadeItselfIsNoLogin(t *testing.T) {
	_, client := connected(t, "tcp4", "127.0.0.1:0", "127.0.0.1")
	cmd := holding(t, client, "echo ready; read x")
	// Not Peer: this process, its parent, holds the accepted end.
	if peer, ok, err := (Finder{}).peerOf(t.Context(), cmd.Process.Pid, map[string]map[uint32]netip.AddrPort{}); ok || err != nil {
		t.Errorf("got %v, %v, %v; want none: that is an ssh client's own connection", peer, ok, err)
	}
}

func TestProcessWithoutAConnectionHasNoPeer(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command("sh", "-c", "echo ready; read x")
	cmd.ExtraFiles = []*os.File{f}
	start(t, cmd)
	peers, err := (Finder{}).sockets(cmd.Process.Pid)
	if err != nil || len(peers) != 1 {
		t.Fatalf("sockets %v, %v; want the listening one", peers, err)
	}
	_, ok, err := Finder{}.peerOf(t.Context(), cmd.Process.Pid, map[string]map[uint32]netip.AddrPort{})
	if ok || err != nil {
		t.Errorf("got a peer: %v, %v", ok, err)
	}
}

func TestPeerInAnotherNetworkNamespace(t *testing.T) {
	require.Root(t)
	unshare, py := require.Tool(t, "unshare"), require.Tool(t, "python3")
	cmd := exec.Command(unshare, "--net", py, "-c", `
import socket, fcntl, os, struct, sys
s = socket.socket()
up = struct.pack("16sh14x", b"lo", 0x49)  # IFF_UP | IFF_LOOPBACK | IFF_RUNNING
fcntl.ioctl(s, 0x8914, up)                # SIOCSIFFLAGS
s.bind(("127.0.0.1", 0)); s.listen()
c = socket.create_connection(s.getsockname())
a, addr = s.accept()
client = c.detach()
os.dup2(client, 100); os.close(client)  # so that the server's end is the lower one
print(f"{addr[0]}:{addr[1]}", flush=True)
sys.stdin.read()
`)
	addr := start(t, cmd)
	got, ok, err := Finder{}.Peer(t.Context(), cmd.Process.Pid)
	if err != nil || !ok || got.String() != addr {
		t.Errorf("got %v, %v, %v; want %s", got, ok, err, addr)
	}
}

func TestPeerOfAnSSHLogin(t *testing.T) {
	require.Root(t)
	sshd, ssh, keygen := require.Tool(t, "sshd"), require.Tool(t, "ssh"), require.Tool(t, "ssh-keygen")
	dir := t.TempDir()
	host, user := filepath.Join(dir, "host"), filepath.Join(dir, "user")
	for _, key := range []string{host, user} {
		if out, err := exec.Command(keygen, "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) // a server goes on listening
	_, port, _ := net.SplitHostPort(l.Addr().String())
	// One daemon for one connection, which is given to it as inetd would: no
	// port has to be guessed.
	served := make(chan error, 1)
	var daemon *exec.Cmd
	go func() {
		conn, err := l.Accept()
		if err != nil {
			served <- err
			return
		}
		defer conn.Close()
		f, err := conn.(*net.TCPConn).File()
		if err != nil {
			served <- err
			return
		}
		defer f.Close()
		daemon = exec.Command(sshd, "-i", "-f", "/dev/null", "-o", "HostKey="+host, "-o", "AuthorizedKeysFile="+user+".pub",
			"-o", "StrictModes=no", "-o", "UsePAM=no", "-o", "PermitRootLogin=yes")
		daemon.Stdin, daemon.Stdout = f, f
		served <- daemon.Start()
	}()
	client := exec.Command(ssh, "-F", "none", "-i", user, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
		"-p", port, "root@127.0.0.1", `echo "$$ $SSH_CONNECTION"; read x`)
	line := start(t, client)
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
	})
	var pid, from int
	var addr string
	if _, err := fmt.Sscan(line, &pid, &addr, &from); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	got, ok, err := Finder{}.Peer(t.Context(), pid)
	if err != nil || !ok || got.String() != fmt.Sprintf("%s:%d", addr, from) {
		t.Errorf("got %v, %v, %v; sshd says %s:%d", got, ok, err, addr, from)
	}
}

func TestPeerOfAProcessThatIsGone(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := (Finder{}).Peer(t.Context(), cmd.Process.Pid); ok || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, %v", ok, err)
	}
}

func TestPeerStopsWhenItIsCancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	cancel()
	if _, _, err := (Finder{}).Peer(ctx, os.Getpid()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestPeerEndsInACircleOfParents(t *testing.T) {
	root := t.TempDir()
	for pid, parent := range map[string]string{"10": "11", "11": "10"} {
		if err := os.MkdirAll(filepath.Join(root, pid, "fd"), 0o755); err != nil {
			t.Fatal(err)
		}
		stat := pid + " (x) S " + parent + " 0"
		if err := os.WriteFile(filepath.Join(root, pid, "stat"), []byte(stat), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok, err := (Finder{Proc: root}).Peer(t.Context(), 10); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
}

func TestParentIsReadBehindAnyName(t *testing.T) {
	for stat, parent := range map[string]int{
		"7 (sh) S 5 7 7 0":           5,
		"7 (a) R 1 (b)) S 5 7 7 0":   5,
		"7 (\n) S 3 4 5) S 12 7 7 0": 12,
		"7 (kthreadd) S 0 0 0 0":     0,
	} {
		if got, err := parentIn([]byte(stat)); err != nil || got != parent {
			t.Errorf("%q: got %d, %v; want %d", stat, got, err, parent)
		}
	}
	for _, stat := range []string{"", "7 sh S 5", "7 (sh)", "7 (sh) S", "7 (sh) S x", "7 (sh) S -1"} {
		if got, err := parentIn([]byte(stat)); err == nil {
			t.Errorf("%q: got %d and no error", stat, got)
		}
	}
}

func FuzzProc(f *testing.F) {
	f.Add([]byte("7 (sh) S 5 7 7 0"), "socket:[123]")
	f.Fuzz(func(t *testing.T, stat []byte, target string) {
		if ppid, err := parentIn(stat); ppid < 0 || err != nil && ppid != 0 {
			t.Errorf("parent %d, %v", ppid, err)
		}
		if inode, ok := socketInode(target); ok && !strings.HasPrefix(target, "socket:[") {
			t.Errorf("inode %d of %q", inode, target)
		}
	})
}
