//go:build !race

package recording

// step is how far apart the bytes are that a test tries in turn.
const step = 1
