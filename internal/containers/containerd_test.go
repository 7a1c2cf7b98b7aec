package containers

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kubetape/kubetape/internal/require"
)

const image = "example.org/kubetape/pause:test"

// daemon is a real containerd with directories and a socket of its own.
type daemon struct {
	t      *testing.T
	bin    string
	dir    string
	socket string
	cmd    *exec.Cmd
	cri    cri.RuntimeServiceClient
}

func newDaemon(t *testing.T) *daemon {
	t.Helper()
	require.Root(t)
	bin := require.Tool(t, "containerd")
	require.Tool(t, "runc")
	require.Tool(t, "ctr")
	require.Tool(t, "go")
	// The path of a socket may have 107 bytes: t.TempDir's is longer.
	dir, err := os.MkdirTemp("", "kt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d := &daemon{t: t, bin: bin, dir: dir, socket: filepath.Join(dir, "c.sock")}
	t.Cleanup(d.end)
	config := fmt.Sprintf(`version = 2
root = %[1]q
state = %[2]q
[grpc]
  address = %[3]q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %[4]q
  restrict_oom_score_adj = true
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = %[1]q
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
[plugins."io.containerd.internal.v1.opt"]
  path = %[1]q
`, filepath.Join(dir, "root"), filepath.Join(dir, "state"), d.socket, image)
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("unix:"+d.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	d.cri = cri.NewRuntimeServiceClient(conn)
	return d
}

// start starts the daemon. Whoever calls it waits for the socket to answer.
func (d *daemon) start() {
	d.t.Helper()
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(d.bin, "-c", filepath.Join(d.dir, "config.toml"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.cmd = cmd
}

// end stops the daemon at the end of the test, after the pods were removed.
func (d *daemon) end() {
	if d.cmd != nil {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
	}
	if d.t.Failed() {
		text, _ := os.ReadFile(filepath.Join(d.dir, "log"))
		d.t.Logf("containerd: %s", text[max(0, len(text)-4000):])
	}
}

func (d *daemon) stop() {
	d.t.Helper()
	if err := d.cmd.Process.Kill(); err != nil {
		d.t.Fatal(err)
	}
	_ = d.cmd.Wait() // it was killed
	d.cmd = nil
}

// load builds the image and imports it.
func (d *daemon) load() {
	d.t.Helper()
	bin := filepath.Join(d.dir, "pause")
	build := exec.Command("go", "build", "-o", bin, "./testdata/pause")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		d.t.Fatalf("%v: %s", err, out)
	}
	program, err := os.ReadFile(bin)
	if err != nil {
		d.t.Fatal(err)
	}
	layer := tarOf(d.t, map[string][]byte{"pause": program})
	config := toJSON(d.t, map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Entrypoint": []string{"/pause"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	manifest := toJSON(d.t, []map[string]any{{"Config": "config.json", "RepoTags": []string{image}, "Layers": []string{"layer.tar"}}})
	file := filepath.Join(d.dir, "image.tar")
	all := tarOf(d.t, map[string][]byte{"config.json": config, "layer.tar": layer, "manifest.json": manifest})
	if err := os.WriteFile(file, all, 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.ctr("images", "import", "--snapshotter", "native", file)
}

func (d *daemon) ctr(args ...string) {
	d.t.Helper()
	out, err := exec.Command("ctr", append([]string{"-a", d.socket, "-n", "k8s.io"}, args...)...).CombinedOutput()
	if err != nil {
		d.t.Fatalf("ctr %v: %v: %s", args, err, out)
	}
}

// pod runs a pod on the host's network with one container, labelled as the
// kubelet would or not.
func (d *daemon) pod(name string, labels map[string]string) (sandbox, container string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	config := &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Uid: "uid-of-" + name, Namespace: "payments"},
		LogDirectory: d.dir,
		Linux: &cri.LinuxPodSandboxConfig{SecurityContext: &cri.LinuxSandboxSecurityContext{
			NamespaceOptions: &cri.NamespaceOption{Network: cri.NamespaceMode_NODE},
		}},
	}
	s, err := d.cri.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, err := range []error{
			second(d.cri.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: s.PodSandboxId})),
			second(d.cri.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: s.PodSandboxId})),
		} {
			if err != nil {
				d.t.Errorf("remove the pod: %v", err)
			}
		}
	})
	c, err := d.cri.CreateContainer(ctx, &cri.CreateContainerRequest{
		PodSandboxId:  s.PodSandboxId,
		SandboxConfig: config,
		Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: "app"},
			Image:    &cri.ImageSpec{Image: image},
			Labels:   labels,
			Linux:    &cri.LinuxContainerConfig{},
			LogPath:  name + ".log",
		},
	})
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.cri.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: c.ContainerId}); err != nil {
		d.t.Fatal(err)
	}
	return s.PodSandboxId, c.ContainerId
}

func second[T any](_ T, err error) error { return err }

func toJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tarOf(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
