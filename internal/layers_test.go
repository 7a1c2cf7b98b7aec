// Package internal_test holds the layers of ARCHITECTURE.md: what each package
// may import. A package that is not in the table fails the test, so that nobody
// adds one without saying where it stands.
package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/kubetape/kubetape/"

// layers gives each package its layer. A package may import those of lower
// layers and of its own.
var layers = map[string]int{
	"internal/session": 0, "internal/kevent": 0, "internal/chain": 0, "internal/tier": 0,
	"internal/policy": 0, "internal/durable": 0, "internal/cgroup": 0, "internal/mask": 0,
	"internal/termsafe": 0, "internal/spdy": 0, "internal/wsframe": 0, "internal/require": 0,

	"internal/recording": 1, "internal/tracker": 1, "internal/correlate": 1, "internal/replay": 1,

	"internal/probe": 2, "internal/hostnet": 2, "internal/containers": 2, "internal/store": 2,
	"internal/index": 2, "internal/k8saudit": 2,

	"internal/node": 3, "internal/console": 3, "internal/proxy": 3, "internal/hub": 3, "internal/web": 3,

	"cmd/kubetape": 4, "cmd/kubetape-node": 4, "cmd/kubetape-proxy": 4, "cmd/kubetape-hub": 4,
}

// doors gives each heavy dependency the packages that may import it, by prefix
// of the import path. What is in no line here may be imported by nobody.
var doors = []struct {
	dependency string
	packages   []string
}{
	{"golang.org/x/", []string{"internal/", "cmd/"}},
	{"github.com/cilium/ebpf", []string{"internal/probe"}},
	{"github.com/klauspost/compress", []string{"internal/recording"}},
	{"github.com/vishvananda/netlink", []string{"internal/hostnet"}},
	{"github.com/mdlayher/netlink", []string{"internal/hostnet"}},
	{"google.golang.org/grpc", []string{"internal/containers"}},
	{"k8s.io/cri-api", []string{"internal/containers"}},
	{"github.com/prometheus/", []string{"internal/node"}},
	{"go.yaml.in/yaml", []string{"internal/node", "internal/policy"}},
	{"gopkg.in/yaml", []string{"internal/node", "internal/policy"}},
	{"github.com/urfave/cli/v2", []string{"cmd/"}},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestLayers(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	for dec, seen := json.NewDecoder(strings.NewReader(string(out))), 0; ; seen++ {
		var p listed
		err := dec.Decode(&p)
		if err == io.EOF {
			if seen == 0 {
				t.Fatal("go list named no package")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		check(t.Errorf, p)
	}
}

// check complains about each import of p that its layer or the doors forbid.
func check(complain func(string, ...any), p listed) {
	name, ok := strings.CutPrefix(p.ImportPath, module)
	if !ok || name == "internal" || strings.HasPrefix(name, "scripts/") {
		return
	}
	layer, known := layers[name]
	if !known {
		complain("%s has no layer: give it one in this test and in ARCHITECTURE.md", name)
		return
	}
	for _, imported := range p.Imports {
		first, _, _ := strings.Cut(imported, "/")
		own, isOwn := strings.CutPrefix(imported, module)
		switch {
		case isOwn && own == "internal/require":
			complain("%s imports internal/require, which is for tests only", name)
		case isOwn && layers[own] > layer:
			complain("%s (layer %d) imports %s (layer %d)", name, layer, own, layers[own])
		case !isOwn && strings.Contains(first, ".") && !mayImport(name, imported):
			complain("%s imports %s, which has another door or none", name, imported)
		}
	}
}

func mayImport(name, dependency string) bool {
	for _, d := range doors {
		if !strings.HasPrefix(dependency, d.dependency) {
			continue
		}
		for _, p := range d.packages {
			if name == p || strings.HasSuffix(p, "/") && strings.HasPrefix(name, p) {
				return true
			}
		}
	}
	return false
}

func TestCheckFindsWhatIsForbidden(t *testing.T) {
	for _, c := range []struct {
		name, pkg, imports string
		bad                bool
	}{
		{"a domain package may import the vocabulary", "internal/recording", module + "internal/session", false},
		{"the vocabulary may not import a domain package", "internal/session", module + "internal/recording", true},
		{"only the probe may import the BPF library", "internal/node", "github.com/cilium/ebpf/link", true},
		{"the probe may", "internal/probe", "github.com/cilium/ebpf/link", false},
		{"the standard library is for all", "internal/session", "encoding/json", false},
		{"a dependency without a door is for nobody", "internal/node", "example.com/thing", true},
		{"what is for tests is not for programs", "internal/node", module + "internal/require", true},
		{"a package without a layer is found", "internal/surprise", "io", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := false
			check(func(string, ...any) { bad = true }, listed{ImportPath: module + c.pkg, Imports: []string{c.imports}})
			if bad != c.bad {
				t.Errorf("complained: %v, want %v", bad, c.bad)
			}
		})
	}
}
