// Package session holds the words that every other part of kubetape shares: the
// identity of a session, the header of its recording, the events in it and the
// way it ended. It has no behaviour beyond validation and text forms, imports
// nothing but the standard library, and its values are safe to copy.
//
// A session is one stream of terminal or pipe I/O with one beginning and one
// end. A recording is what one observer saw of one session: one file.
package session
