package kevent

import "testing"

// These words stand in recordings: a reader of an old one relies on them.
func TestWordsOfARecordingStay(t *testing.T) {
	for f, want := range map[FD]string{FDNone: "none", FDTTY: "tty", FDPipe: "pipe", FDSocket: "socket", FDNull: "null", FDFile: "file", 200: "none"} {
		if got := f.String(); got != want {
			t.Errorf("descriptor kind %d is %q, want %q", f, got, want)
		}
	}
	for u, want := range map[Unread]string{
		Fault: "memory not readable", Moved: "moved inside the kernel", Before: "written before the session began",
		Large: "call too large", 0: "not readable", 200: "not readable",
	} {
		if got := u.String(); got != want {
			t.Errorf("reason %d is %q, want %q", u, got, want)
		}
	}
}
