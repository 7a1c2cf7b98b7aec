package cgroup

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// Sizes, in bytes, of what FromProc reads. The kernel writes one line for each
// hierarchy, about 15 of them, each with a path below PATH_MAX; the limits
// leave room and bound the work for a file that is something else.
const (
	maxLine = 8 << 10
	maxFile = 256 << 10
)

// FromProc reads the content of /proc/<pid>/cgroup and returns the container of
// the process: the best answer over all hierarchies, since not each of them has
// a cgroup for each container. The best is the most deeply nested one, then the
// one that names a pod, then the one that names a runtime, then the first.
//
// It reads no more than 256 KiB. A read error ends the reading like an end of
// file: what was read until then is used.
func FromProc(r io.Reader) (Container, bool) {
	var best Container
	bestScore := 0
	b := bufio.NewReaderSize(io.LimitReader(r, maxFile), maxLine)
	for {
		line, err := readLine(b)
		if path, ok := procPath(line); ok {
			c, depth := parse(path, nil)
			if s := score(c, depth); s > bestScore {
				best, bestScore = c, s
			}
		}
		if err != nil {
			break
		}
	}
	return best, bestScore > 0
}

// readLine returns the next line without its end. Of one that is too long it
// returns what can be read, up to the last whole name: the outer cgroups say
// more than the inner ones. The line is good until the next call.
func readLine(b *bufio.Reader) ([]byte, error) {
	line, err := b.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return bytes.TrimSuffix(line, []byte("\n")), err
	}
	kept := bytes.Clone(line[:bytes.LastIndexByte(line, '/')+1])
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = b.ReadSlice('\n')
	}
	return kept, err
}

// procPath takes the path from "<number>:<controllers>:<path>". A path may hold
// colons itself. The kernel marks that of a removed cgroup.
func procPath(line []byte) (string, bool) {
	number, rest, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(number) == 0 {
		return "", false
	}
	_, path, ok := bytes.Cut(rest, []byte(":"))
	if !ok || len(path) == 0 || path[0] != '/' {
		return "", false
	}
	return strings.TrimSuffix(string(path), " (deleted)"), true
}

func score(c Container, depth int) int {
	s := depth * 4
	if depth > 0 && c.PodUID != "" {
		s += 2
	}
	if depth > 0 && c.Runtime != "" {
		s++
	}
	return s
}
