// Package containers knows which pod and container a container ID belongs to.
// It asks the container runtime itself over its CRI socket
// (k8s.io/cri-api, runtime.v1: containerd, CRI-O, cri-dockerd), so it needs
// neither the API server nor the kubelet.
//
// Nothing here is for the capture path: [Client.Lookup] and [Client.Describe]
// only read a cache, and [Client.Resolve], which asks, has a time limit. A
// runtime that is absent, restarts or has no CRI (docker, podman, ctr) costs
// the names, not the sessions: what is known then is the runtime and the ID.
//
// Names, images and labels were chosen by users of the cluster. They are cut to
// a size, not cleaned: whoever shows them filters them.
package containers
