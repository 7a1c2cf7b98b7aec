package containers

import (
	"maps"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kubetape/kubetape/internal/cgroup"
)

// Info is what is known of a container. Fields that are not known are empty.
type Info struct {
	ID        string
	Runtime   string // one of package cgroup's constants, or the runtime's own name
	Namespace string // of the pod
	Pod       string
	PodUID    string
	Name      string // of the container within its pod; empty for the pod's sandbox
	Image     string // as the pod asked for it, or else its digest
	Labels    map[string]string
}

// The labels that the kubelet puts on containers
// (k8s.io/kubelet/pkg/types/labels.go).
const (
	labelPod       = "io.kubernetes.pod.name"
	labelNamespace = "io.kubernetes.pod.namespace"
	labelUID       = "io.kubernetes.pod.uid"
	labelContainer = "io.kubernetes.container.name"
)

// Limits of what is kept of one container, in bytes and in labels. Kubernetes's
// own are 253 for names and 63 for the values of labels.
const (
	maxText   = 1024
	maxLabels = 64
)

func infoOf(c *runtime.Container, rt string) Info {
	labels := c.GetLabels()
	image := c.GetImage().GetUserSpecifiedImage()
	if image == "" {
		image = c.GetImage().GetImage()
	}
	name := c.GetMetadata().GetName()
	if name == "" {
		name = labels[labelContainer]
	}
	return Info{
		ID:        cut(c.GetId()),
		Runtime:   rt,
		Namespace: cut(labels[labelNamespace]),
		Pod:       cut(labels[labelPod]),
		PodUID:    cut(labels[labelUID]),
		Name:      cut(name),
		Image:     cut(image),
		Labels:    cutLabels(labels),
	}
}

func infoOfSandbox(s *runtime.PodSandbox, rt string) Info {
	m := s.GetMetadata()
	return Info{
		ID:        cut(s.GetId()),
		Runtime:   rt,
		Namespace: cut(m.GetNamespace()),
		Pod:       cut(m.GetName()),
		PodUID:    cut(m.GetUid()),
		Labels:    cutLabels(s.GetLabels()),
	}
}

// inPod fills in from the pod's sandbox what the container does not say itself:
// only the kubelet labels containers.
func (i Info) inPod(s *runtime.PodSandbox) Info {
	m := s.GetMetadata()
	i.Namespace, i.Pod, i.PodUID = cut(m.GetNamespace()), cut(m.GetName()), cut(m.GetUid())
	return i
}

func cut(s string) string { return s[:min(len(s), maxText)] }

func cutLabels(labels map[string]string) map[string]string {
	kept := make(map[string]string, min(len(labels), maxLabels))
	for k, v := range labels {
		if len(kept) == maxLabels {
			break
		}
		if len(k) <= maxText && len(v) <= maxText {
			kept[k] = v
		}
	}
	return kept
}

// clone gives a caller a map of its own.
func (i Info) clone() Info {
	i.Labels = maps.Clone(i.Labels)
	return i
}

// runtimeNames are the names that runtimes give themselves over CRI.
var runtimeNames = map[string]string{
	"containerd": cgroup.Containerd,
	"cri-o":      cgroup.CRIO,
	"docker":     cgroup.Docker,
}
