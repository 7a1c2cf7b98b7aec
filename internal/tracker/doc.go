// Package tracker turns what the kernel tells into sessions. It is a state
// machine: it has no goroutine, no clock and opens nothing. One goroutine feeds
// it events in the order of the ring and the time; what comes out goes to a
// Recorder.
//
// The life of a session here: Enter begins it, data and process events fill it,
// the end of its first process and of its streams make it due. The caller then
// takes its streams out of the kernel, waits until all that was captured has
// come through the ring, and closes it with Final, which accounts for every byte
// that the kernel counted and the ring did not deliver.
package tracker
