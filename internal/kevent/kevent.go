// Package kevent holds what the kernel side of the recorder tells, as plain
// values. No layout of the kernel or of a BPF program gets past internal/probe;
// everything above it works on these.
package kevent

// Type says what an event tells.
type Type uint8

// The types of event.
const (
	Data   Type = 1 + iota // bytes of a stream passed: Stream, Off, Len, Bytes, Term, Holder, FD
	Unseen                 // bytes passed that could not be read: as Data, with Why instead of Bytes
	EOF                    // whoever holds the other end has read to its end: Stream
	Enter                  // a session (Session != 0) or a container began: Exec
	Exec                   // a process inside a session runs a program: Exec, Seq
	Exit                   // such a process ended: PID, Code, First, Seq
	Resize                 // Rows, Cols, Seq
	Hint                   // a session is about to begin
	Unborn                 // pipes that may become a session's are watched: Session
)

// Kind says how an Enter came about.
type Kind uint8

// The kinds of Enter.
const (
	PutIn   Kind = 1 + iota // put into a container that ran already
	First                   // first process of a mount namespace not seen before
	Login                   // session leader on a pseudo-terminal of the node
	Command                 // login without a terminal
)

// FD says what a file descriptor refers to.
type FD uint8

// The kinds of file descriptor.
const (
	FDNone FD = iota
	FDTTY
	FDPipe
	FDSocket
	FDNull
	FDFile
)

// String returns the word that stands in a recording's header.
func (f FD) String() string {
	switch f {
	case FDTTY:
		return "tty"
	case FDPipe:
		return "pipe"
	case FDSocket:
		return "socket"
	case FDNull:
		return "null"
	case FDFile:
		return "file"
	}
	return "none"
}

// Unread says why bytes that passed could not be read.
type Unread uint8

// The reasons.
const (
	Fault  Unread = 1 + iota // the holder's memory could not be read
	Moved                    // moved inside the kernel (splice, sendfile, recvmsg)
	Before                   // lay in the pipe before the session's first process ran
	Large                    // beyond what one call may record
)

// String returns the words that stand in a loss record.
func (u Unread) String() string {
	switch u {
	case Fault:
		return "memory not readable"
	case Moved:
		return "moved inside the kernel"
	case Before:
		return "written before the session began"
	case Large:
		return "call too large"
	}
	return "not readable"
}

// Term is the state of a terminal's slave at the moment of an input.
type Term struct {
	Known           bool // false: not a terminal
	Echo, Canonical bool // now
	PrevEcho        bool // before the last change
	PrevCanonical   bool
	Changed         uint64 // when that was, as Event.At; 0: no change was seen
	Rows, Cols      uint16
}

// Event is one event. Which fields count is said beside the types. Bytes and
// Exec belong to whoever filled the event in and are good until that is done
// again.
type Event struct {
	Type    Type
	At      uint64 // ns of CLOCK_MONOTONIC
	Session uint64 // the kernel's number of the session, 0: none
	Seq     uint64 // number of this event among the session's Exec, Exit and Resize events

	Stream int    // 0 stdin, 1 stdout, 2 stderr
	Off    uint64 // bytes of the stream that passed before
	Len    uint64 // bytes that this event stands for
	Bytes  []byte
	Why    Unread
	Term   Term
	Holder int // process at the other end
	FD     int // its file descriptor

	Program Program

	PID   int
	Code  uint32 // as of wait(2)
	First bool   // the session's first process

	Rows, Cols uint16
}

// Program is a process that runs a program.
type Program struct {
	Kind     Kind // of an Enter
	Outer    uint64
	Shares   bool // a terminal or pipe of it is another session's too
	PID      int
	PPID     int
	UID      uint32
	LoginUID uint32 // NoLogin: not set
	MountNS  uint32 // inode numbers
	PidNS    uint32
	NSPID    int // in its own pid namespace
	Host     bool
	Argv     []byte // NUL after each argument; hostile
	ArgvAll  uint64 // bytes that argv really has
	Written  uint64 // bytes that the process had written by then, to anything
	Cgroup   string // "/a/b/c"; hostile in its last part
	Comm     string // hostile
	Parent   string // comm of the parent; hostile
	FDs      [3]FD
	Rows     uint16
	Cols     uint16
	TTY      int // index of the pseudo-terminal, where there is one
}

// NoLogin is the audit login uid of a process that nobody logged in for.
const NoLogin = ^uint32(0)
