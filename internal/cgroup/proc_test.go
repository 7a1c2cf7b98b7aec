package cgroup

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

func TestFromProcTakesTheBestHierarchy(t *testing.T) {
	v1 := func(path string) string {
		return "12:pids:" + path + "\n11:cpu,cpuacct:" + path + "\n1:name=systemd:" + path + "\n"
	}
	cases := []struct {
		name, file string
		want       Container
	}{
		{"v2", "0::/system.slice/docker-" + idA + ".scope\n", Container{idA, Docker, "", ""}},
		{"v2 without a newline at the end", "0::/docker/" + idA, Container{idA, Docker, "", ""}},
		{"v2, cgroup removed since", "0::/docker/" + idA + " (deleted)\n", Container{idA, Docker, "", ""}},
		{"v1", v1("/kubepods/pod" + uid + "/" + idA), Container{idA, "", uid, ""}},
		{"hybrid, v2 hierarchy empty", v1("/docker/"+idA) + "0::/\n", Container{idA, Docker, "", ""}},
		{"hybrid, v2 hierarchy names the daemon", v1("/docker/"+idA) + "0::/system.slice/containerd.service\n", Container{idA, Docker, "", ""}},
		{"hybrid, only v2 names the container", v1("/") + "0::/docker/" + idA + "\n", Container{idA, Docker, "", ""}},
		{"one controller has the container only", "3:cpu:/\n2:memory:/default/mybox\n0::/\n", Container{"mybox", Containerd, "", ""}},
		{"nested deeper in one hierarchy", "2:memory:/docker/" + idA + "\n1:name=systemd:/docker/" + idA + "/docker/" + idB + "\n", Container{idB, Docker, "", idA}},
		{"one hierarchy names the pod", "2:memory:/docker/" + idA + "\n1:pids:/kubepods/pod" + uid + "/" + idA + "\n", Container{idA, "", uid, ""}},
		{"one hierarchy names the runtime", "2:memory:/x/" + idA + "\n1:pids:/docker/" + idA + "\n", Container{idA, Docker, "", ""}},
		{"path with colons", "4:cpu:/system.slice:docker:" + idA + "\n", Container{idA, Docker, "", ""}},
		{"a process of the node", v1("/user.slice/user-0.slice/session-1.scope"), Container{}},
		{"empty", "", Container{}},
		{"no colons", "docker/" + idA + "\n", Container{}},
		{"one colon", "0:/docker/" + idA + "\n", Container{}},
		{"path that is not absolute", "0::docker/" + idA + "\n", Container{}},
		{"a line too long: what leads it counts", "0::/docker/" + idA + strings.Repeat("/x", maxLine) + "\n", Container{idA, Docker, "", ""}},
		{"a line too long before a good one", strings.Repeat("y", 3*maxLine) + "\n0::/docker/" + idA + "\n", Container{idA, Docker, "", ""}},
		{"a name cut in the middle is not used", "0::/" + strings.Repeat("x", maxLine-4-1-len("docker/")-len(idA)) + "/docker/" + idA + "ffff\n", Container{}},
		{"an ID of a container behind a file without end", strings.Repeat("0::/\n", maxFile/5) + "0::/docker/" + idA + "\n", Container{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for how, r := range map[string]io.Reader{
				"whole":       strings.NewReader(c.file),
				"byte a time": iotest.OneByteReader(strings.NewReader(c.file)),
			} {
				got, ok := FromProc(r)
				if got != c.want || ok != (c.want != Container{}) {
					t.Errorf("%s: got %+v, %v\nwant %+v", how, got, ok, c.want)
				}
			}
		})
	}
}

func TestFromProcUsesWhatWasReadBeforeAnError(t *testing.T) {
	r := io.MultiReader(strings.NewReader("2:cpu:/docker/"+idA+"\n1:pids:/"), iotest.ErrReader(errors.New("no such process")))
	if got, ok := FromProc(r); !ok || got.ID != idA {
		t.Errorf("got %+v, %v", got, ok)
	}
}

// endless is a file that never ends.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.read += len(p)
	return len(p), nil
}

func TestFromProcStopsReadingAFileWithoutEnd(t *testing.T) {
	var e endless
	if _, ok := FromProc(&e); ok {
		t.Error("found a container")
	}
	if e.read > maxFile {
		t.Errorf("read %d bytes", e.read)
	}
}

func FuzzFromProc(f *testing.F) {
	f.Add([]byte("12:pids:/docker/" + idA + "\n0::/\n"))
	f.Add([]byte("0::/default/mybox (deleted)\n"))
	if own, err := os.ReadFile("/proc/self/cgroup"); err == nil {
		f.Add(own)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		whole, ok := FromProc(strings.NewReader(string(file)))
		if ok != (whole.ID != "") {
			t.Fatalf("%v with ID %q", ok, whole.ID)
		}
		if split, _ := FromProc(iotest.OneByteReader(strings.NewReader(string(file)))); split != whole {
			t.Fatalf("whole %+v, byte by byte %+v", whole, split)
		}
	})
}
