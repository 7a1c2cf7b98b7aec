// Package durable creates, appends to, renames and removes files so that what
// was reported as done is still there after a crash of the process or of the
// machine.
//
// What it guarantees, on a Linux file system that honours fsync (ext4, xfs,
// btrfs, zfs): after Sync the content of the file, and after a nil error from
// CreateNew, WriteFile, Rename or Remove also its name, survive a power cut.
//
// What it does not guarantee:
//   - Nothing is known of a page after fsync has once returned an error (Linux
//     marks it clean: "Can Applications Recover from fsync Failures?", USENIX
//     ATC 2020). A caller that sees an error from Sync must not go on with that
//     file as if a second Sync could repair it.
//   - A disk that lies about its cache lies to this package too.
//   - On Windows directories cannot be synced and there is no lock; those parts
//     do nothing there. The recorder runs on Linux only; the command line that
//     reads its files runs anywhere.
package durable
