package e2e_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/require"
	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/internal/store"
	"github.com/kubetape/kubetape/testenv/client"
	"github.com/kubetape/kubetape/testenv/compare"
	"github.com/kubetape/kubetape/testenv/stage"
)

// What is typed at prompts: one must never be found, the other always.
const (
	secret = "correct-horse-7391"
	spoken = "said-aloud-4482"
)

// reaction is how long a person takes to answer a prompt. Faster than that is
// another test: a shell prints its prompt before it turns the echo off, and shows
// what is typed in between; what comes within 50 ms of the echo's return is
// masked, as it may have been typed before (package mask, Fresh).
const reaction = 100 * time.Millisecond

// asks is a program that asks for a secret and then for something else.
type asks struct {
	name  string
	cmd   func(*stage.Stage) *exec.Cmd
	ctr   bool                      // the client is ctr
	line  func(*stage.Stage) string // typed first, where not nil
	steps []stage.Step
	held  compare.Held
}

var prompts = []asks{
	{
		"a program that turns echo off, in a container",
		func(s *stage.Stage) *exec.Cmd { return s.Containerd.Exec(s.Box, true, "workload", "prompt") }, true, nil,
		[]stage.Step{
			{Expect: "Password: ", Pause: reaction, Type: secret + "\n"},
			{Expect: "Name: ", Pause: reaction, Type: spoken + "\n"},
			{Expect: "letters"},
		},
		compare.Held{Kind: session.Exec, TTY: true, Argv: "workload prompt"},
	},
	{
		"read -s in a shell, in a container",
		func(s *stage.Stage) *exec.Cmd { return s.Containerd.Exec(s.Box, true, "/bin/sh") }, true, nil,
		[]stage.Step{
			{Expect: "# ", Type: "read -s -p 'Secret? ' x; echo; echo got ${#x} letters\n"},
			{Expect: "\nSecret? ", Pause: reaction, Type: secret + "\n"},
			{Expect: "got 18 letters\r\n"},
			{Expect: "# ", Type: "echo " + spoken + "\n"},
			{Expect: spoken + "\r\n" + spoken},
			{Expect: "# ", Type: "exit\n"},
		},
		compare.Held{Kind: session.Exec, TTY: true, Argv: "/bin/sh"},
	},
	{
		"read -s in a login shell",
		func(s *stage.Stage) *exec.Cmd { return s.SSHD.SSH(true, "exec bash --norc --noprofile -i") }, false, nil,
		[]stage.Step{
			{Expect: "# ", Type: "read -s -p 'Sec''ret? ' x; echo; echo got ${#x} letters\n"},
			{Expect: "Secret? ", Pause: reaction, Type: secret + "\n"},
			{Expect: "got 18 letters\r\n"},
			{Expect: "# ", Type: "echo " + spoken + "\n"},
			{Expect: spoken},
			{Expect: spoken},
			{Expect: "# ", Type: "exit\n"},
		},
		compare.Held{Kind: session.Shell, TTY: true, Peer: "127.0.0.1:"},
	},
}

// real are programs of the node that ask for secrets, run in a login shell.
func real(name string, run func(*stage.Stage) string, prompt string, after ...stage.Step) asks {
	steps := []stage.Step{
		{Expect: "# ", Pause: reaction},
		{Expect: prompt, Pause: reaction, Type: secret + "\n"},
	}
	steps = append(append(steps, after...),
		stage.Step{Expect: "# ", Pause: reaction, Type: "echo " + spoken + "\n"},
		stage.Step{Expect: spoken}, stage.Step{Expect: spoken},
		stage.Step{Expect: "# ", Type: "exit\n"},
	)
	return asks{
		name: name,
		cmd:  func(s *stage.Stage) *exec.Cmd { return s.SSHD.SSH(true, "exec bash --norc --noprofile -i") },
		line: run, steps: steps, held: compare.Held{Kind: session.Shell, TTY: true, Peer: "127.0.0.1:"},
	}
}

var reals = []asks{
	real("sudo", func(*stage.Stage) string {
		return "setpriv --reuid 65534 --regid 65534 --clear-groups sudo -k id"
	}, "password for nobody: ", stage.Step{Expect: "again", Pause: reaction, Type: "\x03"}),
	real("a key's passphrase, asked for by ssh", func(s *stage.Stage) string {
		return "ssh-keygen -y -f " + s.Dir + "/locked | cut -c1-11"
	}, "passphrase: ", stage.Step{Expect: "ssh-ed25519"}),
	real("mysql -p", func(*stage.Stage) string { return "mariadb --no-defaults -h 127.0.0.1 -P 1 -p" }, "password: ",
		stage.Step{Expect: "ERROR"}),
}

// TestSecretsOfRealPrograms has sudo, ssh's key and the MariaDB client ask.
func TestSecretsOfRealPrograms(t *testing.T) {
	ctx, s := set(t, 2*time.Minute)
	for _, name := range []string{"sudo", "setpriv", "mariadb", "ssh-keygen"} {
		require.Tool(t, name)
	}
	key := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", secret, "-f", s.Dir+"/locked")
	if out, err := key.CombinedOutput(); err != nil {
		t.Fatalf("make a key: %v: %s", err, out)
	}
	r := record(t, ctx, s, "")
	held := make([]compare.Held, len(reals))
	for i, p := range reals {
		p.steps[0].Type = p.line(s) + "\n"
		held[i] = ask(t, ctx, s, p)
	}
	entries := recorded(t, ctx, r, len(reals))
	for i, p := range reals {
		t.Run(p.name, func(t *testing.T) {
			if e, ok := find(t, entries, held[i]); ok {
				judgeInput(t, e, session.Masked)
			}
		})
	}
	for _, e := range entries {
		if text := textOf(t, e); bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s (%q) holds the secret", e.Meta.ID, e.Meta.Argv)
		}
	}
}

// TestSecrets types a secret at prompts of several kinds under each policy. With
// masked, the default, it is nowhere and the rest is there; full keeps both, and
// off neither.
func TestSecrets(t *testing.T) {
	for _, policy := range []session.Policy{session.Masked, session.Full, session.Off} {
		t.Run(string(policy), func(t *testing.T) {
			ctx, s := set(t, 2*time.Minute)
			config := "stdin: " + string(policy) + "\n"
			if policy == session.Masked {
				config = "" // the default
			}
			r := record(t, ctx, s, config)
			held := make([]compare.Held, len(prompts))
			for i, p := range prompts {
				held[i] = ask(t, ctx, s, p)
			}
			entries := recorded(t, ctx, r, len(prompts))
			for i, p := range prompts {
				t.Run(p.name, func(t *testing.T) {
					if e, ok := find(t, entries, held[i]); ok {
						judgeInput(t, e, policy)
					}
				})
			}
			if policy == session.Full {
				return
			}
			for _, e := range entries { // those of the clients' own terminals too
				if text := textOf(t, e); bytes.Contains(text, []byte(secret)) {
					t.Errorf("%s (%q) holds the secret", e.Meta.ID, e.Meta.Argv)
				}
			}
		})
	}
}

func ask(t *testing.T, ctx context.Context, s *stage.Stage, p asks) compare.Held {
	t.Helper()
	res, err := stage.Play(ctx, p.cmd(s), client.Window{Cols: 80, Rows: 24, Raw: p.ctr}, p.steps)
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	h := p.held
	h.Name, h.Result = p.name, res
	if p.ctr {
		h.Container = s.Box
	}
	return h
}

// judgeInput looks at what was kept of stdin.
func judgeInput(t *testing.T, e store.Entry, policy session.Policy) {
	t.Helper()
	var in bytes.Buffer
	events(t, e, session.TypeStdin, func(ev session.Event) { in.Write(ev.Data) })
	hasSecret, hasSpoken := strings.Contains(in.String(), secret), strings.Contains(in.String(), spoken)
	if want := policy == session.Full; hasSecret != want {
		t.Errorf("secret kept: %v, want %v", hasSecret, want)
	}
	if want := policy != session.Off; hasSpoken != want {
		t.Errorf("what was typed with echo is kept: %v, want %v", hasSpoken, want)
	}
	if masked := e.Streams[session.Stdin].Masked; (masked > 0) != (policy != session.Full) {
		t.Errorf("%d bytes masked under %s", masked, policy)
	}
}

// textOf is all that a recording holds, decoded.
func textOf(t *testing.T, e store.Entry) []byte {
	t.Helper()
	var all bytes.Buffer
	for _, s := range session.Streams {
		events(t, e, session.Type(s), func(ev session.Event) { all.Write(ev.Data) })
	}
	events(t, e, session.TypeExec, func(ev session.Event) {
		for _, a := range ev.Argv {
			all.WriteString(string(a) + "\n")
		}
	})
	if _, err := recording.Verify(e.Path, nil); err != nil {
		t.Error(err)
	}
	return all.Bytes()
}

// TestHostile runs what a container may do to hide, confuse or take the auditor's
// terminal.
func TestHostile(t *testing.T) {
	ctx, s := set(t, 3*time.Minute)
	r := record(t, ctx, s, everything)
	const red = "\x1b]0;owned\a\x1b[31m"
	rows := []struct {
		name string
		tty  bool
		argv []string
	}{
		{"escapes in its output", true, []string{"workload", "escapes"}},
		{"escapes in its arguments", false, []string{"/bin/echo", red + "argument"}},
		{"escapes in its name", true, []string{"workload", "rename", "\x1b[2J\x1b]0;x\a", "emit", "-text", "5000", "61"}},
		{"a bounded fork bomb", false, []string{"workload", "forkbomb", "500"}},
		{"a program that outlives its shell", true, []string{"workload", "doublefork", "emit", "-text", "60000", "62"}},
	}
	held := make([]compare.Held, len(rows))
	for i, row := range rows {
		cmd := s.Containerd.Exec(s.Box, row.tty, row.argv...)
		var res client.Result
		var err error
		if row.tty {
			res, err = stage.Play(ctx, cmd, client.Window{Cols: 80, Rows: 24, Raw: true}, nil)
		} else {
			res, err = client.Pipe(ctx, cmd, client.Streams{})
		}
		if err != nil || res.ExitCode != 0 {
			t.Fatalf("%s: %v, exit code %d", row.name, err, res.ExitCode)
		}
		held[i] = compare.Held{Name: row.name, Kind: session.Exec, TTY: row.tty, Container: s.Box, Argv: strings.Join(row.argv, " "), Result: res}
	}
	entries := recorded(t, ctx, r, len(rows))
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			e, ok := find(t, entries, held[i])
			if !ok {
				return
			}
			shown := tape(t, ctx, s, r.Recordings(), "replay", "--speed", "max", "--id", string(e.Meta.ID)) +
				tape(t, ctx, s, r.Recordings(), "show", "--id", string(e.Meta.ID))
			for _, bad := range []string{"\x1b]", "\x1bP", "\x1b_", "\x1b^", "\x1b[6n", "\x1b[c", "\x1b[5i", "\x1bc"} {
				if strings.Contains(shown, bad) {
					t.Errorf("what an auditor is shown holds %q", bad)
				}
			}
		})
	}
	if list := tape(t, ctx, s, r.Recordings(), "ls", "-o", "wide"); strings.ContainsAny(list, "\x1b\a") {
		t.Error("the list holds a control character of a session")
	}
	t.Run("every process of the fork bomb is in the recording", func(t *testing.T) {
		e, ok := find(t, entries, held[3])
		if !ok {
			return
		}
		seen := 0
		events(t, e, session.TypeExec, func(session.Event) { seen++ })
		lost := int64(0)
		events(t, e, session.TypeLoss, func(ev session.Event) { lost += ev.Bytes })
		if seen < 499 && lost == 0 { // the first is the session's own, in the header
			t.Errorf("%d processes of 499, and no loss declared", seen)
		}
	})
}

// tape runs `kubetape session` and returns what it printed.
func tape(t *testing.T, ctx context.Context, s *stage.Stage, dir, what string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, s.Programs.CLI, append([]string{"session", what, "--dir", dir}, args...)...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("kubetape session %s: %v\n%s", what, err, out)
	}
	return string(out)
}
