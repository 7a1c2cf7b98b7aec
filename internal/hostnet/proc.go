package hostnet

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func (f Finder) dir(pid int) string {
	return filepath.Join(cmp.Or(f.Proc, "/proc"), strconv.Itoa(pid))
}

// maxFDs bounds how many descriptors of one process are looked at. A login's
// own is among the first.
const maxFDs = 4096

// sockets returns the inodes of the sockets that pid holds, in the order of
// their descriptors.
func (f Finder) sockets(pid int) ([]uint32, error) {
	dir := filepath.Join(f.dir(pid), "fd")
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }() // opened for reading
	names, err := d.Readdirnames(maxFDs)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var fds []int
	for _, name := range names {
		if fd, err := strconv.Atoi(name); err == nil {
			fds = append(fds, fd)
		}
	}
	slices.Sort(fds)
	var inodes []uint32
	for _, fd := range fds {
		target, err := os.Readlink(filepath.Join(dir, strconv.Itoa(fd)))
		if err != nil {
			continue // closed since
		}
		if inode, ok := socketInode(target); ok {
			inodes = append(inodes, inode)
		}
	}
	return inodes, nil
}

// socketInode reads "socket:[<inode>]".
func socketInode(target string) (uint32, bool) {
	s, ok := strings.CutPrefix(target, "socket:[")
	if !ok {
		return 0, false
	}
	s, ok = strings.CutSuffix(s, "]")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}

// errStat is returned for a stat file that is none.
var errStat = errors.New("not a process's stat file")

// parent returns the parent of pid.
func (f Finder) parent(pid int) (int, error) {
	stat, err := os.ReadFile(filepath.Join(f.dir(pid), "stat"))
	if err != nil {
		return 0, err
	}
	return parentIn(stat)
}

// parentIn reads the parent from a stat file (proc_pid_stat(5)): "pid (name)
// state ppid …". The name is the process's to choose: it may hold anything, so
// the last bracket counts.
func parentIn(stat []byte) (int, error) {
	i := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[i+1:])
	if i < 0 || len(fields) < 2 {
		return 0, errStat
	}
	ppid, err := strconv.Atoi(string(fields[1]))
	if err != nil || ppid < 0 {
		return 0, errStat
	}
	return ppid, nil
}
