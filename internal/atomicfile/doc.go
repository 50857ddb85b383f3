// Package atomicfile writes files in one directory so that they appear whole
// and stay.
//
// It provides two things:
//
//   - Atomicity: nobody ever sees part of a file. It comes from writing a
//     temporary file in the same directory and renaming it over the target. A
//     reader needs no lock: the name leads to the old file or to the new one.
//   - Durability: an acknowledged change is still there after a power cut. It
//     comes from flushing the file before the rename, and the directory after
//     it.
//
// [Dir.Stage] does the slow part, [Staged.Commit] the rename, [Dir.Flush] the
// directory. A caller that must check something before it replaces a file
// holds a [Lock] during check and Commit only. [Dir.StageAll] does the slow part
// for many files in few steps.
//
// After a failed flush the kernel may mark the lost pages as clean, so that a
// second flush of the same descriptor would succeed. So there is no second one:
// the temporary file is removed and the failure reported.
//
// A writer locks its temporary file for as long as it lives. If a temporary
// file can be locked, it was left behind: [Dir.Sweep] removes only those.
//
// File systems may lack locks, modes, links, or a rename that replaces nothing.
// [ErrNoLocks], [Dir.StageAll] and [Staged.CommitNew] say what happens then.
//
// On unix everything goes through the descriptor of the directory, and no
// symbolic link inside it is followed. os.Root would follow links that stay
// inside the root.
//
// Windows does not flush directories. The rename is written through instead.
// New files and directories have from the beginning an access list that names
// the user and the system only, and inherit nothing. A file that somebody has
// open cannot be replaced. Readers through the same Dir are kept apart from
// writers, and for others a writer tries again for a second.
package atomicfile
