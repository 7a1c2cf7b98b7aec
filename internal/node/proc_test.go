package node

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubetape/kubetape/internal/session"
)

// procfs makes a /proc with the files given, by "<pid>/<name>".
func procfs(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if to, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(to, path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOriginIsTheLineOfParentsWhateverTheirNames(t *testing.T) {
	id := &identity{log: slog.New(slog.DiscardHandler), procfs: procfs(t, map[string]string{
		"30/stat": "30 (sh) S 20 1 1", "30/exe": "-> /bin/dash",
		"20/stat": "20 (a) R 1 (\x1b[2J\xff)) S 10 1 1",
		"10/stat": "10 (sshd) S 1 1 1", "10/exe": "-> /usr/sbin/\xffsshd",
		"1/stat": "1 (init) S 0 1 1",
	})}
	got := id.origin(30)
	want := []session.Proc{{PID: 30, Comm: "sh", Exe: "/bin/dash"}, {PID: 20, Comm: "a) R 1 (\x1b[2J\xff)"}, {PID: 10, Comm: "sshd", Exe: "/usr/sbin/\uFFFDsshd"}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("origin is %+v, want %+v", got, want)
	}
}

func TestOriginEndsWhereAStatMakesNoSense(t *testing.T) {
	for name, stat := range map[string]string{
		"nothing":                "",
		"no name":                "5 S 1",
		"brackets the wrong way": "5 )x( S 1",
		"no parent":              "5 (x) S",
		"a parent of no number":  "5 (x) S x",
		"its own parent":         "5 (x) S 5 1",
	} {
		t.Run(name, func(t *testing.T) {
			id := &identity{log: slog.New(slog.DiscardHandler), procfs: procfs(t, map[string]string{"5/stat": stat})}
			if got := id.origin(5); len(got) > 16 {
				t.Errorf("%d parents", len(got))
			}
		})
	}
}

func FuzzOrigin(f *testing.F) {
	f.Add("5 (x) S 4 1")
	f.Add("5 )( S 4 1")
	f.Fuzz(func(t *testing.T, stat string) {
		id := &identity{log: slog.New(slog.DiscardHandler), procfs: procfs(t, map[string]string{"5/stat": stat})}
		if got := id.origin(5); len(got) > 16 {
			t.Errorf("%d parents", len(got))
		}
	})
}

func TestHolderIsGoneOnlyWhenItsDescriptorIsAnother(t *testing.T) {
	w := &world{procfs: procfs(t, map[string]string{
		"7/fd/3": "-> pipe:[1]", "7/fd/4": "-> socket:[1]", "7/fd/5": "-> /dev/ptmx", "7/fdinfo/5": "pos:\t0\ntty-index:\t12\n",
		"7/fd/6": "-> anon_inode:[eventpoll]", "7/fd/8": "-> /dev/ptmx", "7/fdinfo/8": "pos:\t0\ntty-index:\tx\n", "7/fd/9": "-> /etc/passwd", "7/fdinfo/9": "pos:\t0\n",
	})}
	for name, c := range map[string]struct {
		pid, fd, tty int
		terminal     bool
		want         bool
	}{
		"a pipe":                              {7, 3, 0, false, true},
		"a socket":                            {7, 4, 0, false, true},
		"a descriptor of another kind":        {7, 6, 0, false, false},
		"a closed descriptor":                 {7, 30, 0, false, false},
		"a process that has ended":            {8, 3, 0, false, false},
		"the terminal's master":               {7, 5, 12, true, true},
		"another terminal's master":           {7, 5, 13, true, false},
		"a master whose number is not read":   {7, 8, 12, true, true},
		"a file where the master was":         {7, 9, 12, true, false},
		"a closed descriptor of a terminal":   {7, 31, 12, true, false},
		"a pipe where a master is looked for": {7, 3, 12, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := w.Holds(c.pid, c.fd, c.tty, c.terminal); got != c.want {
				t.Errorf("Holds = %v", got)
			}
		})
	}
}

func TestWhatAProcessWroteIsReadFromItsCounters(t *testing.T) {
	w := &world{procfs: procfs(t, map[string]string{
		"1/io": "rchar: 1\nwchar: 42\nsyscr: 3\n", "2/io": "rchar: 1\n", "3/io": "wchar: many\n",
	})}
	for pid, want := range map[int]string{1: "42 true", 2: "0 false", 3: "0 false", 4: "0 false"} {
		n, ok := w.Wrote(pid)
		if got := fmt.Sprint(n, ok); got != want {
			t.Errorf("Wrote(%d) = %s, want %s", pid, got, want)
		}
	}
}

func TestNumberInItsOwnNamespaceIsTheLastOne(t *testing.T) {
	w := &world{procfs: procfs(t, map[string]string{
		"1/status": "Name:\tx\nNSpid:\t500\t20\t1\n", "2/status": "NSpid:\n", "3/status": "NSpid:\tx\n", "4/status": "Name:\tNSpid: 7\n", "5/status": "NSpid:\t9\n",
	})}
	for pid, want := range map[int]int{1: 1, 2: 0, 3: 0, 4: 0, 5: 9, 6: 0} {
		if got := w.nspid(pid); got != want {
			t.Errorf("nspid(%d) = %d, want %d", pid, got, want)
		}
	}
}

func TestContainerIsReadFromTheCgroupOfAProcess(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	w := &world{procfs: procfs(t, map[string]string{
		"1/cgroup": "0::/system.slice/docker-" + id + ".scope\n",
		"2/cgroup": "0::/user.slice\n",
		"3/cgroup": "garbage",
		"4/cgroup": "0::/mine/box\n", "4/status": "NSpid:\t4\t1\n",
		"5/cgroup": "0::/mine/box\n", "5/status": "NSpid:\t5\n",
	})}
	for pid, want := range map[int]string{1: id, 2: "", 3: "", 4: "box", 5: "", 6: ""} {
		if got, ok := w.containerOf(pid); got.ID != want || ok != (want != "") {
			t.Errorf("containerOf(%d) = %+v, %v; want %q", pid, got, ok, want)
		}
	}
}

func TestNodeHasTheConfiguredNameThenThatOfItsPodSpecThenItsOwn(t *testing.T) {
	t.Setenv("NODE_NAME", "from-the-pod")
	if n, err := nodeName("configured"); n != "configured" || err != nil {
		t.Errorf("%q, %v", n, err)
	}
	if n, err := nodeName(""); n != "from-the-pod" || err != nil {
		t.Errorf("%q, %v", n, err)
	}
	t.Setenv("NODE_NAME", "")
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := nodeName(""); n != host || err != nil {
		t.Errorf("%q, %v", n, err)
	}
}
