// Package cgroup reads the container out of a cgroup's path: its ID, its
// runtime and its pod. It knows how containerd, CRI-O, docker, podman, nerdctl,
// BuildKit and the kubelet spell their cgroups, with the systemd and the
// cgroupfs driver, in cgroup v1, v2 and both at once, nested and not.
//
// It is pure: it opens no file, and its functions may be called at the same
// time. Paths are not trusted. A path that is no container's gives false, never
// a guess: "/system.slice/cron.service" and "/user.slice" are none, and neither
// is a runtime's own helper (conmon) that stands beside the container.
//
// What a path cannot tell: whether the ID is that of a pod's sandbox, and, under
// the kubelet's cgroupfs driver, which runtime made it. A container that may
// write to its cgroup file system (a privileged one) can make cgroups inside
// its own and spell them as it likes: [Container].Outer is what it cannot forge.
//
// Spellings are those of the runtimes' sources: containerd's CRI plugin
// (getCgroupsPath), CRI-O (CgroupfsManager, SystemdManager), podman (libpod,
// "cgroups=split" too), moby (daemon/oci_linux.go), the kubelet's
// pod_container_manager, and runc's and crun's systemd drivers, which turn
// "slice:prefix:name" into "slice/prefix-name.scope".
package cgroup
