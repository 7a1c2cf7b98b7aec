// Package image makes a container image without a registry and without a
// builder: one layer with a static busybox, our own static test programs and
// the few files that a shell expects, in the tar form that `ctr images import`
// (and `docker load`) reads.
//
// The form is Docker's image archive, version 1.2:
// https://github.com/moby/moby/blob/master/image/spec/v1.2.md
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sort"
	"strings"
	"time"
)

// Spec says what goes into an image.
type Spec struct {
	Name    string            // reference with tag, such as "kubetape.test/box:1"
	Busybox string            // path of a static busybox; "" leaves it out
	Files   map[string]string // path in the image -> path of a program on this machine (mode 0755)
}

// epoch is the time of every file, so that the same input gives the same image.
var epoch = time.Unix(0, 0).UTC()

// Write writes the image to w. It reads every named file; an unreadable one is
// an error before anything useful was written.
func Write(w io.Writer, s Spec) error {
	layer, err := layerOf(s)
	if err != nil {
		return err
	}
	digest := sum(layer)
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"created":      epoch,
		"config": map[string]any{
			"Env": []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			"Cmd": []string{"/bin/workload", "sleep-forever"},
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest}},
	})
	if err != nil {
		return fmt.Errorf("encode image config: %w", err)
	}
	configName, layerName := sum(config)+".json", digest+"/layer.tar"
	manifest, err := json.Marshal([]map[string]any{{
		"Config": configName, "RepoTags": []string{s.Name}, "Layers": []string{layerName},
	}})
	if err != nil {
		return fmt.Errorf("encode image manifest: %w", err)
	}
	t := archive{tar.NewWriter(w)}
	for _, f := range []struct {
		name string
		data []byte
	}{{layerName, layer}, {configName, config}, {"manifest.json", manifest}} {
		if err := t.file(f.name, 0o644, f.data); err != nil {
			return err
		}
	}
	return t.Close()
}

// layerOf returns the file system of the image as an uncompressed tar.
func layerOf(s Spec) ([]byte, error) {
	var b bytes.Buffer
	t := archive{tar.NewWriter(&b)}
	for _, d := range []struct {
		name string
		mode int64
	}{
		{"bin", 0o755}, {"dev", 0o755}, {"etc", 0o755}, {"proc", 0o755},
		{"root", 0o700}, {"sys", 0o755}, {"tmp", 0o1777}, {"usr", 0o755}, {"usr/bin", 0o755},
	} {
		if err := t.dir(d.name, d.mode); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{
		"etc/group":  "root:x:0:\nnobody:x:65534:\n",
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
	} {
		if err := t.file(name, 0o644, []byte(text)); err != nil {
			return nil, err
		}
	}
	if s.Busybox != "" {
		if err := t.busybox(s.Busybox); err != nil {
			return nil, err
		}
	}
	names := make([]string, 0, len(s.Files))
	for name := range s.Files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		data, err := os.ReadFile(s.Files[name])
		if err != nil {
			return nil, fmt.Errorf("read %s for the image: %w", name, err)
		}
		if err := t.file(strings.TrimPrefix(name, "/"), 0o755, data); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, fmt.Errorf("end layer: %w", err)
	}
	return b.Bytes(), nil
}

// archive adds the three kinds of entry that an image needs.
type archive struct{ *tar.Writer }

func (t archive) file(name string, mode int64, data []byte) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data)), ModTime: epoch}
	if err := t.WriteHeader(h); err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	if _, err := t.Write(data); err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	return nil
}

func (t archive) dir(name string, mode int64) error {
	h := &tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, ModTime: epoch}
	if err := t.WriteHeader(h); err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	return nil
}

// busybox adds the program and a link for each of its applets.
func (t archive) busybox(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read busybox: %w", err)
	}
	if err := t.file("bin/busybox", 0o755, data); err != nil {
		return err
	}
	list, err := exec.Command(path, "--list").Output()
	if err != nil {
		return fmt.Errorf("list applets of %s: %w", path, err)
	}
	for _, applet := range strings.Fields(string(list)) {
		if applet == "busybox" {
			continue
		}
		h := &tar.Header{
			Typeflag: tar.TypeSymlink, Name: "bin/" + applet, Linkname: "busybox", Mode: 0o777, ModTime: epoch,
		}
		if err := t.WriteHeader(h); err != nil {
			return fmt.Errorf("add applet %s: %w", applet, err)
		}
	}
	return nil
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
