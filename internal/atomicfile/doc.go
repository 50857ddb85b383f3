// Package atomicfile writes files in one directory so that they appear whole
// and stay.
//
// Two things are told apart:
//
//   - Atomicity: nobody ever sees part of a file. It comes from writing a
//     temporary file in the same directory and renaming it over the target. A
//     reader needs no lock: the name leads to the old file or to the new one.
//   - Durability: what was acknowledged is there after a power cut. It comes
//     from flushing the file before the rename, and the directory after it.
//
// [Dir.Stage] does the slow part, [Staged.Commit] the rename, [Dir.Flush] the
// directory. A caller that must check something before it replaces a file
// holds a [Lock] around check and Commit, and around nothing else.
//
// After a failed flush the kernel may call the lost pages clean, so that a
// second flush of the same descriptor would succeed. It is never tried: the
// temporary file is thrown away and the failure reported.
//
// A temporary file is locked by its writer for as long as that lives. The ones
// that can be locked were left behind: [Dir.Sweep] removes them and no others.
//
// Everything on unix goes through the descriptor of the directory and follows
// no symbolic link inside it. os.Root is not enough for that: it follows links
// that stay inside the root.
//
// On Windows there is no flushing of directories; the rename is written
// through instead. What is made there has from the beginning an access list of
// the user and the system alone, and inherits nothing. A file that somebody has
// open cannot be replaced: readers through the same Dir are kept apart from
// writers, and for others a writer tries again for a second.
package atomicfile
