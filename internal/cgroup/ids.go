package cgroup

import "strings"

// isHexID reports whether s is the ID that every runtime but ctr gives: 64
// lower-case hexadecimal digits.
func isHexID(s string) bool { return len(s) == 64 && isHex(s) }

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// isUID reports whether s is a pod's UID: a UUID, or the 32 digits that the
// kubelet makes up for a static pod.
func isUID(s string) bool {
	if len(s) == 32 {
		return isHex(s)
	}
	if len(s) != 36 {
		return false
	}
	for _, i := range []int{8, 13, 18, 23} {
		if s[i] != '-' {
			return false
		}
	}
	digits := strings.ReplaceAll(s, "-", "")
	return len(digits) == 32 && isHex(digits)
}

// isBuildKitID reports whether s is an ID of BuildKit: 25 digits in base 36.
func isBuildKitID(s string) bool {
	if len(s) != 25 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// maxName is the longest name of a container that containerd takes
// (pkg/identifiers).
const maxName = 76

// isName reports whether containerd takes s as the name of a container: letters
// and digits, single ones of ".", "_" and "-" between them.
func isName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	alnum := false // whether the byte before was a letter or digit
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			alnum = true
		case (c == '.' || c == '_' || c == '-') && alnum:
			alnum = false
		default:
			return false
		}
	}
	return alnum
}

// isUnit reports whether s is spelled as a systemd unit that has a cgroup.
func isUnit(s string) bool {
	for _, kind := range []string{".slice", ".scope", ".service", ".socket", ".mount", ".swap"} {
		if strings.HasSuffix(s, kind) {
			return true
		}
	}
	return false
}
