package cgroup

import (
	"slices"
	"strings"
)

// The runtimes a path can name.
const (
	Containerd = "containerd"
	CRIO       = "cri-o"
	Docker     = "docker"
	Podman     = "podman"
)

// Container is what a cgroup's path says of the container it belongs to.
type Container struct {
	// ID is the container's ID as its runtime knows it: 64 lower-case
	// hexadecimal digits, or a name (ctr), or 25 letters and digits (BuildKit).
	// Of nested containers it is the innermost one's.
	ID string
	// Runtime is one of this package's constants, or "" where the path does not
	// tell.
	Runtime string
	// PodUID is the UID of the Kubernetes pod, in the API's spelling (static
	// pods have 32 digits without hyphens), or "".
	PodUID string
	// Outer is the ID of the outermost container where containers are nested
	// (docker in docker, kind, a container engine in a pod), else "". It is
	// the one that the node's own runtime knows.
	Outer string
}

// namespaces are the containerd namespaces whose containers Parse knows by
// "/<namespace>/<id>" where the ID is not 64 hexadecimal digits. A namespace
// can have any name, and so can a cgroup that has nothing to do with
// containers: see [ParseWith] for others.
var namespaces = []string{"default", "k8s.io", "moby", "nerdctl", "buildkit"}

// Parse reads the container out of a cgroup's path. The path may begin anywhere
// above the container: it is read as the names between slashes.
func Parse(path string) (Container, bool) { return ParseWith(path, nil) }

// ParseWith is Parse on a machine where containerd has further namespaces.
func ParseWith(path string, extra []string) (Container, bool) {
	c, depth := parse(path, extra)
	return c, depth > 0
}

// parse returns the container and how many containers the path nests, 0 for
// none.
func parse(path string, extra []string) (c Container, depth int) {
	var pod, parent string
	free := true // nothing but the beginning, or a container, stands before this name
	for rest := path; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if name == "" || name == "." || name == ".." {
			continue
		}
		if uid, ok := podUID(name); ok {
			pod = uid
		}
		id, runtime, ok := containerName(name, parent)
		if !ok && free && rest != "" {
			id, runtime, ok = namespaced(name, rest, extra)
			if ok {
				_, rest, _ = strings.Cut(strings.TrimLeft(rest, "/"), "/")
			}
		}
		parent, free = name, ok
		if !ok {
			continue
		}
		depth++
		outer := c.Outer
		if depth == 2 {
			outer = c.ID
		}
		c = Container{ID: id, Runtime: runtime, PodUID: pod, Outer: outer}
	}
	return c, depth
}

// prefixes are what runtimes put before the ID: "<prefix>-<id>.scope",
// "<prefix>-<id>" and "<slice>:<prefix>:<id>".
var prefixes = map[string]string{
	"cri-containerd": Containerd,
	"nerdctl":        Containerd,
	"crio":           CRIO,
	"docker":         Docker,
	"libpod":         Podman,
	"libpod-payload": Podman, // podman run --cgroups=split
}

// containerName reads one name of a path whose parent is named parent.
func containerName(name, parent string) (id, runtime string, ok bool) {
	if isHexID(name) {
		return name, parents[parent], !slices.Contains(notContainers, parent)
	}
	if parent == "buildkit" && isBuildKitID(name) {
		return name, Docker, true
	}
	// The systemd driver's own form, left as it is by a runtime that was told
	// to use the other driver.
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		slice, prefix, two := strings.Cut(name[:i], ":")
		id = name[i+1:]
		if !two || slice == "" && prefix == "" || !isHexID(id) || isHelper(prefix) {
			return "", "", false
		}
		return id, prefixes[prefix], true
	}
	name, scope := strings.CutSuffix(name, ".scope")
	i := strings.LastIndexByte(name, '-')
	if i <= 0 || !isHexID(name[i+1:]) {
		return "", "", false
	}
	prefix := name[:i]
	runtime, known := prefixes[prefix]
	if !known && (!scope || isHelper(prefix)) {
		return "", "", false
	}
	return name[i+1:], runtime, true
}

// isHelper reports whether a scope with this prefix is that of a process beside
// the container.
func isHelper(prefix string) bool {
	return prefix == "conmon" || strings.HasSuffix(prefix, "-conmon")
}

// parents names the runtime by the parent of a cgroup that is named by nothing
// but the ID.
var parents = map[string]string{
	"docker":  Docker,
	"moby":    Docker,
	"default": Containerd,
	"k8s.io":  Containerd,
	"nerdctl": Containerd,
}

// notContainers are parents of cgroups that are named by an ID and are not
// that container: podman's pods and the sandboxes of Kata's virtual machine
// monitors.
var notContainers = []string{"libpod_parent", "kata_overhead"}

// namespaced reads "/<namespace>/<id>".
func namespaced(ns, rest string, extra []string) (id, runtime string, ok bool) {
	if !slices.Contains(namespaces, ns) && !slices.Contains(extra, ns) {
		return "", "", false
	}
	id, _, _ = strings.Cut(strings.TrimLeft(rest, "/"), "/")
	if !isName(id) || isUnit(id) || id == "buildkit" {
		return "", "", false
	}
	if ns == "moby" {
		return id, Docker, true
	}
	return id, Containerd, true
}

// podUID reads a kubelet's pod cgroup: "pod<uid>" (cgroupfs) or
// "kubepods[-<qos>]-pod<uid with _ for ->.slice" (systemd), the latter also as
// the head of "slice:prefix:name".
func podUID(name string) (string, bool) {
	name, _, _ = strings.Cut(name, ":")
	uid, ok := strings.CutPrefix(name, "pod")
	if !ok {
		s, slice := strings.CutSuffix(name, ".slice")
		i := strings.LastIndex(s, "-pod")
		if !slice || i < 0 || !strings.Contains(s[:i], "kubepods") {
			return "", false
		}
		uid = strings.ReplaceAll(s[i+len("-pod"):], "_", "-")
	}
	return uid, isUID(uid)
}
