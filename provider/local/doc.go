// Package local keeps credentials in files, one each, in a directory of this
// machine.
//
// The record of a credential is the file <id>.<extension>, by default
// .enc.json, of mode 0600. The store's keyring is .keyring.<extension>. The
// directory is made on the first write, of mode 0700; reading commands make
// nothing. Two more kinds of names stand in it: .lock, which is never removed,
// and .tmp-…, what a writer is about to put in place.
//
// # What is promised
//
// A reader sees a record whole: the old one or the new one. When Store or
// Delete returns without an error, the change is on the disk. When they fail,
// or the process or the machine dies meanwhile, the old record stands, or the
// new one: never a part, never neither.
//
// Writers of all processes exclude one another for the check of precondition
// and keyring and the rename that follows, and for nothing else. Readers take
// no lock. Versions are the first 16 bytes of the SHA-256 of the record, in
// hexadecimal: two equal records have the same version. Deletion is final.
//
// The directory may be moved away or replaced while it is in use, also by a
// symbolic link on its path that leads elsewhere then. Store, Delete
// and List go to the directory that the path leads to when they begin; Retrieve
// and Exists to one that it led to within the last millisecond.
//
// # What is refused
//
// A directory that the group or others may write, or that belongs to somebody
// else, is not used. A symbolic link, a named pipe, a device or a directory in
// the place of a record is not followed, opened for long, replaced or removed.
// The path of the directory may lead through symbolic links.
//
// On a file system that folds case, as those of macOS and Windows commonly do,
// two ids that differ by case alone would be one file. There the second is
// refused and the first left alone. It takes reading the names of the
// directory, at every operation on a record that exists.
//
// # What a file system may lack
//
// On network file systems (NFS, SMB, most of FUSE) a lock may not be held
// between machines: use the directory from one machine only. The examination
// of nebula doctor names such file systems.
//
// If files cannot be locked at all, writing fails with ErrNotSupported. With
// EnableLocking false nothing is locked between processes: then preconditions
// and changes of the keyring are not supported, and what writers leave behind
// is not swept. The keyring can be stored on condition that there is none.
//
// If no modes can be set (FAT, SMB), records have the mode that the mount
// gives. Reading needs no right to write.
//
// # On Windows
//
// Files, and directories that are made, have from the beginning an access list
// of the user and the system alone. A directory whose list lets others write
// is not used. Of a list, the entries that allow are looked at; entries that
// deny, conditions, and rights on what will be made later are not.
//
// A file that somebody has open cannot be replaced. A writer waits a
// second for readers of other processes, and then fails with ErrUnavailable;
// readers of the same provider are kept apart from writers. While a provider is
// connected its directory cannot be moved or removed.
package local
