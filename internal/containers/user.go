package containers

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// maxPasswd bounds what is read of a passwd file, in bytes.
const maxPasswd = 4 << 20

// User returns the name behind a user ID in a passwd file (passwd(5)), "" where
// there is none. It reads the file each time, and no name service: users of
// LDAP and the like are not found. The file must be the node's own: a
// container's could be a pipe that never ends or a link out of the container.
func User(file string, uid int) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("read user names: %w", err)
	}
	defer func() { _ = f.Close() }() // opened for reading
	return userIn(f, uid)
}

func userIn(r io.Reader, uid int) (string, error) {
	s := bufio.NewScanner(io.LimitReader(r, maxPasswd))
	for s.Scan() {
		fields := strings.SplitN(s.Text(), ":", 4)
		if len(fields) < 4 {
			continue
		}
		n, err := strconv.ParseUint(fields[2], 10, 32)
		if err == nil && uid >= 0 && n == uint64(uid) {
			return cut(fields[0]), nil
		}
	}
	if err := s.Err(); err != nil {
		return "", fmt.Errorf("read user names: %w", err)
	}
	return "", nil
}
