// Package mask decides which bytes typed into a terminal session may be kept.
// Under the policy "masked" a typed password must not reach the recording, and
// what else was typed should.
//
// The terminal's state at the time of each input decides first:
//
//   - ECHO on: the terminal shows what is typed. Kept at once.
//   - ICANON on, ECHO off: getpass, read -s, ssh, sudo. Masked at once, all of it.
//   - Both off: shells with line editing, editors, pagers, but password prompts
//     too that read raw and show nothing or stars. Control bytes and complete
//     escape sequences (keys) are kept. Printable bytes are held back until the
//     program itself shows them: the next output must begin with them. Anything
//     else, or nothing within [Timeout], and they are masked, and so is what
//     follows on that line.
//
// Whatever is in doubt is masked. So the keys of an editor's or pager's commands
// come out masked (they are not echoed), and so does what was pasted behind an
// Enter and read by the shell only later. Bytes that are kept in the raw state
// are bytes that the output showed as well, except for control bytes and keys.
//
// A [Mask] is driven by its caller alone: it has no clock and no goroutine, and
// it is not safe for concurrent use. Its memory is bounded by [MaxHeld].
package mask
