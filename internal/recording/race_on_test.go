//go:build race

package recording

// step thins out the tests that try every byte of a file: the race detector
// makes them ten times slower, and has nothing to find in the bytes between.
const step = 9
