// Package termsafe makes bytes and text that came from a session safe to show
// on an auditor's terminal.
//
// [Filter] lets through what only draws: text, cursor movement, erasing, colours,
// scroll regions, the alternate screen, character sets. It drops everything that
// acts on the machine of whoever is looking: window titles, clipboards, links,
// file transfers, device control, reports and queries (whose answers would be
// typed into the auditor's shell), modes that change what the keys send, printing,
// and the bell. [Line] does the same for one line of a list. [Transcript] turns a
// terminal's output into plain lines.
//
// What is let through is a list of what is known to be harmless; anything else is
// dropped. Nothing that was shown as text is hidden: where a control is only
// half known (8-bit C1 bytes, which a terminal in UTF-8 mode does not obey) its
// introducer becomes U+FFFD and what follows is shown.
//
// Sources: ECMA-48 (5th edition), the state machine of DEC's VT500 series
// (https://vt100.net/emu/dec_ansi_parser), and xterm's ctlseqs
// (https://invisible-island.net/xterm/ctlseqs/ctlseqs.html).
//
// Nothing here starts a goroutine or keeps more than a few hundred bytes of its
// input. Values are not safe for concurrent use; the functions are.
package termsafe
