// Package local keeps credentials in files, one each, in a directory of this
// machine.
//
// The record of a credential is the file <id>.<extension>, by default
// .enc.json, of mode 0600. The store's keyring is .keyring.<extension>. The
// directory is made on the first write, with mode 0700. Reading commands make
// nothing. It has two more kinds of names: .lock, which is never removed, and
// .tmp-…, a file that a writer is about to put in place.
//
// # What is promised
//
// A reader sees a record whole: the old one or the new one. When Store or
// Delete returns without an error, the change is on the disk. If they fail, or
// the process or the machine dies meanwhile, the old record or the new one is
// there, whole.
//
// Writers of all processes exclude one another while they check precondition
// and keyring and rename, and only then. Readers take no lock. Versions are the
// first 16 bytes of the SHA-256 of the record, in hexadecimal: two equal
// records have the same version. Deletion is final.
//
// The directory may be moved away or replaced while it is in use, also if a
// symbolic link on its path is changed. Store, Delete and List use the
// directory to which the path leads when they begin. Retrieve and Exists use
// one to which it led within the last millisecond.
//
// # What is refused
//
// If the group or others may write the directory, or it belongs to somebody
// else, it is not used. If a symbolic link, a named pipe, a device or a
// directory is in the place of a record, it is not followed, opened for long,
// replaced or removed. The path of the directory may lead through symbolic
// links.
//
// On a file system that folds case, as those of macOS and Windows commonly do,
// two ids that differ by case alone would be one file. There the second is
// refused and the first left alone. For that, every operation on an existing
// record reads the names of the directory.
//
// # What a file system may lack
//
// On network file systems (NFS, SMB, most of FUSE) a lock may not be held
// between machines: use the directory from one machine only. The examination
// of nebula doctor names such file systems.
//
// If files cannot be locked at all, writing fails with ErrNotSupported. With
// EnableLocking false nothing is locked between processes. Then preconditions
// and changes of the keyring are not supported, and files that writers leave
// are not removed. The keyring can be stored on condition that there is none.
//
// If no modes can be set (FAT, SMB), records have the mode that the mount
// gives. Reading needs no right to write.
//
// # On Windows
//
// Files, and directories that the provider makes, have from the beginning an
// access list that names the user and the system alone. If the list of a
// directory lets others write, the directory is not used. The provider looks at
// the entries of a list that allow. It does not look at entries that deny,
// conditions, and rights on files to be made later.
//
// A file that somebody has open cannot be replaced. A writer waits a second for
// readers of other processes, and then fails with ErrUnavailable. Readers of
// the same provider are kept apart from writers. While a provider is connected
// its directory cannot be moved or removed.
package local
