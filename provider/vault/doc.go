// Package vault keeps records in HashiCorp Vault, in a secrets engine of type
// KV version 2.
//
// # What is where
//
// A credential is the secret MOUNT/PREFIX/ID, the keyring MOUNT/PREFIX/.keyring.
// The record is one string under the key "record". Ids hold nothing that a path
// of Vault would change, so they are used as they are.
//
// Tags are projected into the secret's custom metadata, one to one. Beside them
// is the key "nebula=", with the times and names by which lists are filtered,
// and with a list of the keys that are tags. Other keys belong to others, and
// stay. No tag can have that key.
//
// # What is promised
//
// A version is Vault's number and the time of its creation, since after a purge
// Vault counts from 1 again. Vault checks [nebula.IfAbsent] and the number of
// [nebula.IfVersion] at the moment of the write. A deletion is Vault's soft
// deletion of the current version. A newer one stays. Restore undeletes it,
// Purge deletes the metadata and with it every version.
//
// # What is not atomic
//
// Value and custom metadata are two calls. After a crash between the two, lists
// filter by the earlier tags until the credential is stored again. The record
// has its own tags, which are right.
//
// The time in a version is checked by a read before the write, or by an earlier
// read if that was less than 2 s before. If somebody then purges the
// credential, and stores it so often that it reaches the same number, their
// version is overwritten.
//
// IfAbsent over a deleted credential writes on condition that no other version
// was written. If somebody restores it at that very moment, it is overwritten.
//
// Vault does not say which call deleted a version: if several deletions on
// condition of one version run at the same time, more than one may succeed.
// IfVersion needs the capability "patch" on the data. Without it a separate call
// before the write checks that the version was not deleted.
//
// # Engines that delete by themselves
//
// A version that Vault is to delete at a later time (delete_version_after)
// exists until then, but Vault leaves it out of plain lists. Writes warn of it.
// If the keyring was deleted, every operation that needs it fails with
// [nebula.ErrCorrupted] and says how to undelete it.
package vault
