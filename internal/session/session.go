package session

import (
	"time"
)

// Kind says how a session came about. It is also the prefix of its ID.
type Kind string

// The kinds of session.
const (
	Exec   Kind = "exec"   // a process put into a running container from outside
	Attach Kind = "attach" // a container whose first process has a terminal or an open stdin
	Shell  Kind = "shell"  // a login on the node itself
)

// Valid reports whether k is one of the known kinds.
func (k Kind) Valid() bool { return k == Exec || k == Attach || k == Shell }

// Observer says who saw a session.
type Observer string

// The observers.
const (
	Node Observer = "node" // the kernel of the node, by eBPF
	API  Observer = "api"  // the proxy in front of the API server
)

// Status says how a recording ended.
type Status string

// A recording ends in exactly one of these.
const (
	Complete Status = "complete" // every byte that passed is in the recording (or is counted as masked)
	Lossy    Status = "lossy"    // bytes are known to be missing; each loss stands in the recording
	Torn     Status = "torn"     // the observer stopped before the session did; what is there is good
	// Open is not an ending: the recording is still being written. It is never
	// found in a file, only in lists.
	Open Status = "open"
)

// Stream names one direction of a session's data.
type Stream string

// The streams. A terminal session has no stderr of its own.
const (
	Stdin  Stream = "stdin"
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Streams lists all streams in their fixed order.
var Streams = [...]Stream{Stdin, Stdout, Stderr}

// Index returns 0, 1 or 2 for a known stream and -1 for any other.
func (s Stream) Index() int {
	for i, k := range Streams {
		if s == k {
			return i
		}
	}
	return -1
}

// Policy says what is kept of what was typed.
type Policy string

// The stdin policies.
const (
	Masked Policy = "masked" // what a terminal does not echo is counted, not kept (the default)
	Full   Policy = "full"   // everything is kept
	Off    Policy = "off"    // nothing of stdin is kept; all of it is counted as masked
)

// Valid reports whether p is a known policy.
func (p Policy) Valid() bool { return p == Masked || p == Full || p == Off }

// Meta is the header of a recording: its first line. Text that came from a
// session, a container or a cluster is of type Text, since it may hold any byte.
type Meta struct {
	V         int       `json:"v"` // version of the format, FormatVersion
	ID        ID        `json:"id"`
	Kind      Kind      `json:"kind"`
	Observer  Observer  `json:"observer"`
	StartedAt time.Time `json:"started_at"` // UTC

	Node        string `json:"node,omitempty"`
	Namespace   string `json:"namespace,omitempty"`
	Pod         string `json:"pod,omitempty"`
	PodUID      string `json:"pod_uid,omitempty"`
	Container   string `json:"container,omitempty"`
	ContainerID string `json:"container_id,omitempty"`
	Runtime     string `json:"runtime,omitempty"` // containerd, cri-o, docker, podman; empty when not known
	Image       string `json:"image,omitempty"`

	Argv       []Text `json:"argv,omitempty"`
	ArgvCut    int    `json:"argv_cut,omitempty"` // bytes of argv that were not captured
	TTY        bool   `json:"tty"`
	Cols       int    `json:"cols,omitempty"`
	Rows       int    `json:"rows,omitempty"`
	PID        int    `json:"pid,omitempty"` // of the session's first process, as the node sees it
	UID        *int   `json:"uid,omitempty"`
	User       string `json:"user,omitempty"`        // name behind UID on the node, or the API user
	LoginUID   *int   `json:"loginuid,omitempty"`    // audit login uid, where one is set
	Peer       string `json:"peer,omitempty"`        // address:port of the remote end of a login
	StdinKind  string `json:"stdin_kind,omitempty"`  // tty, pipe, socket, file, null or none
	StdoutKind string `json:"stdout_kind,omitempty"` // as StdinKind
	StderrKind string `json:"stderr_kind,omitempty"` // as StdinKind
	Stdin      Policy `json:"stdin,omitempty"`       // what was kept of stdin
	Flavour    string `json:"flavour,omitempty"`     // capture flavour of the node observer
	Origin     []Proc `json:"origin,omitempty"`      // parents of the first process at its start, nearest first
	// Key identifies the session in the kernel that saw it ("<boot id>/<number>"),
	// so that a restarted recorder finds its way back.
	Key string `json:"key,omitempty"`
	// AuditID is the API server's audit ID of the request behind the session,
	// where the observer knows it.
	AuditID string `json:"audit_id,omitempty"`
}

// FormatVersion is the version of the recording format that this package
// describes. Readers refuse a higher one.
const FormatVersion = 1

// Proc is one process in a session's origin.
type Proc struct {
	PID  int    `json:"pid"`
	Comm Text   `json:"comm"`
	Exe  string `json:"exe,omitempty"`
}

// Type is the "d" of a line in a recording.
type Type string

// The types of line. The first three are the streams.
const (
	TypeStdin  Type = "stdin"
	TypeStdout Type = "stdout"
	TypeStderr Type = "stderr"
	TypeResize Type = "resize" // Cols, Rows
	TypeExec   Type = "exec"   // a process inside the session was started: PID, PPID, UID, Argv, ArgvCut
	TypeExit   Type = "exit"   // such a process ended: PID, ExitCode or Signal
	TypeLoss   Type = "loss"   // Stream, Bytes, Why
	TypeResume Type = "resume" // a restarted recorder went on with this recording: Why
	TypeEnd    Type = "end"    // last line: Status, ExitCode or Signal, Streams, Why
)

// Stream returns the stream whose data an event of type t carries, or "".
func (t Type) Stream() Stream {
	switch t {
	case TypeStdin, TypeStdout, TypeStderr:
		return Stream(t)
	}
	return ""
}

// Event is one line of a recording after the header. Which fields count is
// said beside the types. Data belongs to the reader that made it and is good
// until its next call.
type Event struct {
	T    time.Time // UTC; microseconds are kept
	Type Type

	Data   []byte // stdin, stdout, stderr: the bytes as they passed
	Masked int    // stdin: that many bytes passed and were not kept; Data is empty then

	Cols, Rows int

	PID, PPID, UID int
	Argv           []Text
	ArgvCut        int // bytes of argv that were not captured

	Stream Stream
	// Bytes is the number of bytes (or, for Stream "", of process events) known
	// to have passed and not recorded. -1: not known how many.
	Bytes int64
	Why   string

	Status   Status
	ExitCode *int // nil when not known
	Signal   int  // number of the signal that ended the process, or 0
	Streams  map[Stream]Totals
}

// Totals sums up one stream at the end of a recording. What passed is
// Bytes + Masked + Lost.
type Totals struct {
	Bytes  int64  `json:"bytes"`            // kept, and covered by SHA256
	Masked int64  `json:"masked,omitempty"` // seen, counted, not kept
	Lost   int64  `json:"lost,omitempty"`   // known to be missing
	SHA256 string `json:"sha256"`           // lower-case hex over the bytes kept
}
