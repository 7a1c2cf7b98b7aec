// Package store finds recordings in directories. It opens each file anew for each
// list and keeps no index: what it says is what is on the disk.
//
// Names of files are only where to look. What a list says of a recording comes
// from its own header and end line.
//
// A Store is safe for concurrent use.
package store

import (
	"errors"
	"fmt"

	"github.com/kubetape/kubetape/internal/session"
)

// ErrNotFound says that no recording has an ID with the prefix.
var ErrNotFound = errors.New("no such recording")

// AmbiguousError says that a prefix fits several recordings.
type AmbiguousError struct {
	Prefix string
	IDs    []session.ID // all that fit, sorted; an ID is there twice when two files have it
}

func (e *AmbiguousError) Error() string {
	s := fmt.Sprintf("%q fits %d recordings", e.Prefix, len(e.IDs))
	for i, id := range e.IDs {
		if i == 3 {
			return s + ", …"
		}
		s += []string{": ", ", ", ", "}[i] + string(id)
	}
	return s
}

// Fault is a file that cannot be listed.
type Fault struct {
	Path string
	Err  error
}
