package cgroup

import (
	"strings"
	"testing"
)

const (
	idA   = "7b2c0a4c5d4f3e2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a"
	idB   = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	idC   = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
	uid   = "1f0b6c1e-2d3c-4b5a-9687-a5b4c3d2e1f0"
	uid_  = "1f0b6c1e_2d3c_4b5a_9687_a5b4c3d2e1f0"
	uid2  = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
	uid2_ = "aaaaaaaa_bbbb_4ccc_8ddd_eeeeeeeeeeee"
	ustat = "3bd0f6e7a3b2cc4d3b6b9e4f4e6e2c10"
	bkID  = "ajhfnmg2e6mw8r1b5iq5zpvcc"
)

var spellings = []struct {
	name, path string
	want       Container // the zero one: no container
}{
	// containerd under the kubelet
	{"containerd, systemd driver, burstable", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uid_ + ".slice/cri-containerd-" + idA + ".scope", Container{idA, Containerd, uid, ""}},
	{"containerd, systemd driver, best effort", "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + uid_ + ".slice/cri-containerd-" + idA + ".scope", Container{idA, Containerd, uid, ""}},
	{"containerd, systemd driver, guaranteed", "/kubepods.slice/kubepods-pod" + uid_ + ".slice/cri-containerd-" + idA + ".scope", Container{idA, Containerd, uid, ""}},
	{"containerd, systemd driver, static pod", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + ustat + ".slice/cri-containerd-" + idA + ".scope", Container{idA, Containerd, ustat, ""}},
	{"containerd, cgroupfs driver, burstable", "/kubepods/burstable/pod" + uid + "/" + idA, Container{idA, "", uid, ""}},
	{"containerd, cgroupfs driver, best effort", "/kubepods/besteffort/pod" + uid + "/" + idA, Container{idA, "", uid, ""}},
	{"containerd, cgroupfs driver, guaranteed", "/kubepods/pod" + uid + "/" + idA, Container{idA, "", uid, ""}},
	{"containerd, cgroupfs driver, static pod", "/kubepods/burstable/pod" + ustat + "/" + idA, Container{idA, "", ustat, ""}},
	{"containerd told cgroupfs, kubelet told systemd, v1", "/system.slice/containerd.service/kubepods-burstable-pod" + uid_ + ".slice:cri-containerd:" + idA, Container{idA, Containerd, uid, ""}},
	{"containerd told cgroupfs, kubelet told systemd, v2", "/kubepods-besteffort-pod" + uid_ + ".slice:cri-containerd:" + idA, Container{idA, Containerd, uid, ""}},
	{"containerd, sandbox outside any pod cgroup", "/system.slice:cri-containerd:" + idA, Container{idA, Containerd, "", ""}},
	{"containerd, no pod cgroup at all", "/k8s.io/" + idA, Container{idA, Containerd, "", ""}},
	{"kubelet with a cgroup root of its own, cgroupfs", "/myroot/kubepods/burstable/pod" + uid + "/" + idA, Container{idA, "", uid, ""}},
	{"kubelet with a cgroup root of its own, systemd", "/my.slice/my-kubepods.slice/my-kubepods-pod" + uid_ + ".slice/cri-containerd-" + idA + ".scope", Container{idA, Containerd, uid, ""}},
	{"systemd as the first process of a pod's container", "/kubepods.slice/kubepods-pod" + uid_ + ".slice/cri-containerd-" + idA + ".scope/init.scope", Container{idA, Containerd, uid, ""}},
	{"a service of systemd inside a container", "/kubepods/pod" + uid + "/" + idA + "/system.slice/cron.service", Container{idA, "", uid, ""}},
	{"a login's session inside a container", "/system.slice/docker-" + idA + ".scope/user.slice/user-1000.slice/session-3.scope", Container{idA, Docker, "", ""}},

	// ctr and nerdctl
	{"ctr, default namespace", "/default/mybox", Container{"mybox", Containerd, "", ""}},
	{"ctr, name with separators", "/default/my-box_2.a", Container{"my-box_2.a", Containerd, "", ""}},
	{"ctr, Kubernetes's namespace", "/k8s.io/debugging", Container{"debugging", Containerd, "", ""}},
	{"ctr, name of hexadecimal digits", "/default/" + idA, Container{idA, Containerd, "", ""}},
	{"ctr, container has cgroups of its own", "/default/mybox/init.scope", Container{"mybox", Containerd, "", ""}},
	{"nerdctl, systemd driver", "/system.slice/nerdctl-" + idA + ".scope", Container{idA, Containerd, "", ""}},
	{"nerdctl, rootless", "/user.slice/user-1000.slice/user@1000.service/user.slice/nerdctl-" + idA + ".scope", Container{idA, Containerd, "", ""}},
	{"nerdctl, driver's form left as it is", "/user.slice:nerdctl:" + idA, Container{idA, Containerd, "", ""}},

	// CRI-O
	{"CRI-O, systemd driver", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uid_ + ".slice/crio-" + idA + ".scope", Container{idA, CRIO, uid, ""}},
	{"CRI-O with crun's sub-group", "/kubepods.slice/kubepods-pod" + uid_ + ".slice/crio-" + idA + ".scope/container", Container{idA, CRIO, uid, ""}},
	{"CRI-O, cgroupfs driver", "/kubepods/burstable/pod" + uid + "/crio-" + idA, Container{idA, CRIO, uid, ""}},
	{"CRI-O, outside any pod", "/system.slice/crio-" + idA + ".scope", Container{idA, CRIO, "", ""}},
	{"CRI-O, driver's form left as it is", "/kubepods-pod" + uid_ + ".slice:crio:" + idA, Container{idA, CRIO, uid, ""}},
	{"CRI-O's conmon beside the pod", "/system.slice/crio-conmon-" + idA + ".scope", Container{}},
	{"CRI-O's conmon in the pod, systemd driver", "/kubepods.slice/kubepods-pod" + uid_ + ".slice/crio-conmon-" + idA + ".scope", Container{}},
	{"CRI-O's conmon in the pod, cgroupfs driver", "/kubepods/burstable/pod" + uid + "/crio-conmon-" + idA, Container{}},

	// docker
	{"docker, systemd driver", "/system.slice/docker-" + idA + ".scope", Container{idA, Docker, "", ""}},
	{"docker, cgroupfs driver", "/docker/" + idA, Container{idA, Docker, "", ""}},
	{"docker, driver's form left as it is", "/system.slice:docker:" + idA, Container{idA, Docker, "", ""}},
	{"docker, driver's form under a service", "/system.slice/docker.service/system.slice:docker:" + idA, Container{idA, Docker, "", ""}},
	{"docker, rootless", "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + idA + ".scope", Container{idA, Docker, "", ""}},
	{"docker, a parent of the user's choice", "/build/" + idA, Container{idA, "", "", ""}},
	{"docker, a slice of the user's choice", "/build.slice/docker-" + idA + ".scope", Container{idA, Docker, "", ""}},
	{"docker under Amazon's ECS", "/ecs/1f0b6c1e2d3c4b5a9687a5b4c3d2e1f0/" + idA, Container{idA, "", "", ""}},
	{"docker as the kubelet's runtime", "/kubepods.slice/kubepods-pod" + uid_ + ".slice/docker-" + idA + ".scope", Container{idA, Docker, uid, ""}},
	{"BuildKit inside docker", "/docker/buildkit/" + bkID, Container{bkID, Docker, "", ""}},

	// podman
	{"podman, systemd driver", "/machine.slice/libpod-" + idA + ".scope", Container{idA, Podman, "", ""}},
	{"podman with crun's sub-group", "/machine.slice/libpod-" + idA + ".scope/container", Container{idA, Podman, "", ""}},
	{"podman, in a pod, systemd driver", "/machine.slice/machine-libpod_pod_" + idB + ".slice/libpod-" + idA + ".scope", Container{idA, Podman, "", ""}},
	{"podman, cgroupfs driver", "/libpod_parent/libpod-" + idA, Container{idA, Podman, "", ""}},
	{"podman, in a pod, cgroupfs driver", "/libpod_parent/" + idB + "/libpod-" + idA, Container{idA, Podman, "", ""}},
	{"podman, rootless", "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + idA + ".scope/container", Container{idA, Podman, "", ""}},
	{"podman in a unit with split cgroups", "/system.slice/web.service/libpod-payload-" + idA, Container{idA, Podman, "", ""}},
	{"podman, driver's form left as it is", "/machine.slice:libpod:" + idA, Container{idA, Podman, "", ""}},
	{"podman's conmon, systemd driver", "/machine.slice/libpod-conmon-" + idA + ".scope", Container{}},
	{"podman's conmon, rootless", "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-" + idA + ".scope", Container{}},
	{"podman's conmon, cgroupfs driver", "/libpod_parent/conmon", Container{}},
	{"podman's conmon with split cgroups", "/system.slice/web.service/supervisor", Container{}},
	{"podman's pod itself", "/libpod_parent/" + idB, Container{}},
	{"podman's pod slice itself", "/machine.slice/machine-libpod_pod_" + idB + ".slice", Container{}},

	// nested
	{"docker in docker, cgroupfs driver", "/docker/" + idA + "/docker/" + idB, Container{idB, Docker, "", idA}},
	{"docker in docker, systemd driver outside", "/system.slice/docker-" + idA + ".scope/docker/" + idB, Container{idB, Docker, "", idA}},
	{"three deep", "/docker/" + idA + "/docker/" + idB + "/docker/" + idC, Container{idC, Docker, "", idA}},
	{"docker in a pod", "/kubepods/burstable/pod" + uid + "/" + idA + "/docker/" + idB, Container{idB, Docker, uid, idA}},
	{"kind, cgroupfs driver", "/docker/" + idA + "/kubelet/kubepods/burstable/pod" + uid + "/" + idB, Container{idB, "", uid, idA}},
	{"kind, systemd driver", "/system.slice/docker-" + idA + ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod" + uid_ + ".slice/cri-containerd-" + idB + ".scope", Container{idB, Containerd, uid, idA}},
	{"kind under podman", "/machine.slice/libpod-" + idA + ".scope/container/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" + uid_ + ".slice/cri-containerd-" + idB + ".scope", Container{idB, Containerd, uid, idA}},
	{"a cluster in a pod: the inner pod counts", "/kubepods/pod" + uid + "/" + idA + "/kubepods/pod" + uid2 + "/" + idB, Container{idB, "", uid2, idA}},
	{"a cluster in a pod, systemd driver inside", "/kubepods/pod" + uid + "/" + idA + "/kubepods.slice/kubepods-pod" + uid2_ + ".slice/crio-" + idB + ".scope", Container{idB, CRIO, uid2, idA}},
	{"ctr in docker", "/docker/" + idA + "/default/mybox", Container{"mybox", Containerd, "", idA}},
	{"conmon in docker belongs to the outer container", "/docker/" + idA + "/libpod_parent/conmon", Container{idA, Docker, "", ""}},
	{"the kubelet of kind belongs to the outer container", "/docker/" + idA + "/system.slice/kubelet.service", Container{idA, Docker, "", ""}},
	{"the pod cgroup of kind belongs to the outer container", "/docker/" + idA + "/kubelet/kubepods/pod" + uid, Container{idA, Docker, "", ""}},

	// as a cgroup namespace shows them
	{"relative to another container", "/../" + idA, Container{idA, "", "", ""}},
	{"relative to another container, systemd driver", "/../cri-containerd-" + idA + ".scope", Container{idA, Containerd, "", ""}},
	{"relative, far away", "/../../pod" + uid + "/" + idA, Container{idA, "", uid, ""}},
	{"with the mount point before it", "/sys/fs/cgroup/system.slice/docker-" + idA + ".scope", Container{idA, Docker, "", ""}},
	{"slashes doubled", "//docker///" + idA + "//", Container{idA, Docker, "", ""}},

	// an unknown tool that follows the systemd driver's custom
	{"unknown prefix before an ID", "/system.slice/newthing-" + idA + ".scope", Container{idA, "", "", ""}},
	{"unknown prefix in the driver's form", "/system.slice:newthing:" + idA, Container{idA, "", "", ""}},

	// no containers
	{"the root", "/", Container{}},
	{"nothing", "", Container{}},
	{"a service", "/system.slice/foo.service", Container{}},
	{"something in system.slice", "/system.slice/foo", Container{}},
	{"user.slice", "/user.slice", Container{}},
	{"a login", "/user.slice/user-1000.slice/session-3.scope", Container{}},
	{"a user's service", "/user.slice/user-1000.slice/user@1000.service/app.slice/dbus.service", Container{}},
	{"init", "/init.scope", Container{}},
	{"containerd itself", "/system.slice/containerd.service", Container{}},
	{"docker itself", "/system.slice/docker.service", Container{}},
	{"docker's parent", "/docker", Container{}},
	{"a namespace without an ID", "/default", Container{}},
	{"a namespace with an empty ID", "/default/", Container{}},
	{"a unit in a slice named like a namespace", "/default/foo.service", Container{}},
	{"a namespace further down", "/foo/default/bar", Container{}},
	{"a namespace nobody told of", "/mine/mybox", Container{}},
	{"a virtual machine", "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", Container{}},
	{"a machine of nspawn", "/machine.slice/systemd-nspawn@web.service/payload", Container{}},
	{"a pod without a container", "/kubepods/burstable/pod" + uid, Container{}},
	{"a pod's slice without a container", "/kubepods.slice/kubepods-pod" + uid_ + ".slice", Container{}},
	{"the kubelet's own", "/kubepods.slice/kubepods-burstable.slice", Container{}},
	{"an ID one digit short", "/docker/" + idA[1:], Container{}},
	{"an ID one digit long", "/docker/" + idA + "0", Container{}},
	{"an ID in upper case", "/docker/" + strings.ToUpper(idA), Container{}},
	{"an ID with a letter that is no digit", "/docker/g" + idA[1:], Container{}},
	{"a session scope", "/user.slice/session-c1.scope", Container{}},
	{"a prefix without an ID", "/system.slice/docker-.scope", Container{}},
	{"an ID without a prefix", "/system.slice/-" + idA + ".scope", Container{}},
	{"unknown prefix without the scope", "/system.slice/newthing-" + idA, Container{}},
	{"Kata's machine monitor", "/kata_overhead/" + idA, Container{}},
	{"a name longer than containerd takes", "/default/" + strings.Repeat("a", 77), Container{}},
	{"a name with bytes that containerd refuses", "/default/my box", Container{}},
	{"a name with a terminal escape", "/default/\x1b[2J", Container{}},
}

func TestParseKnowsEverySpelling(t *testing.T) {
	for _, c := range spellings {
		t.Run(c.name, func(t *testing.T) {
			got, ok := Parse(c.path)
			if got != c.want || ok != (c.want != Container{}) {
				t.Errorf("Parse(%q)\n got %+v, %v\nwant %+v", c.path, got, ok, c.want)
			}
		})
	}
}

func TestParseWithKnowsFurtherNamespaces(t *testing.T) {
	got, ok := ParseWith("/mine/mybox", []string{"mine"})
	if want := (Container{ID: "mybox", Runtime: Containerd}); !ok || got != want {
		t.Errorf("got %+v, %v; want %+v", got, ok, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range spellings {
		f.Add(c.path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		c, ok := Parse(path)
		if ok != (c.ID != "") {
			t.Fatalf("%v with ID %q", ok, c.ID)
		}
		if !ok && c != (Container{}) {
			t.Fatalf("no container, but %+v", c)
		}
		if ok && !isHexID(c.ID) && !isBuildKitID(c.ID) && !isName(c.ID) {
			t.Fatalf("ID %q", c.ID)
		}
		if c.PodUID != "" && !isUID(c.PodUID) {
			t.Fatalf("pod UID %q", c.PodUID)
		}
		if !strings.Contains(path, c.ID) || !strings.Contains(path, c.Outer) {
			t.Fatalf("%+v is not in the path", c)
		}
		// What a container makes below its own cgroup, by a name of no
		// runtime, does not change whose it is.
		if inner, _ := Parse(path + "/x y"); ok && inner != c {
			t.Fatalf("below it: %+v, itself: %+v", inner, c)
		}
	})
}
