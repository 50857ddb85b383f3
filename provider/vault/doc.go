// Package vault keeps records in HashiCorp Vault, in a secrets engine of type
// KV version 2.
//
// # What is where
//
// A credential is the secret MOUNT/PREFIX/ID, the keyring MOUNT/PREFIX/.keyring.
// The record is one string under the key "record". Ids hold nothing that a path
// of Vault would change, so they are used as they are.
//
// Tags are projected into the secret's custom metadata, one to one, beside the
// key "nebula=" with the times and names that lists are filtered by, and with
// which keys are of tags: the others are of others, and stay. No tag can have
// that key.
//
// # What is promised
//
// A version is Vault's number and the time of its creation: after a purge Vault
// counts from 1 again. [nebula.IfAbsent] and the number of [nebula.IfVersion]
// are checked by Vault in the moment of the write. A deletion is Vault's soft
// deletion of the version that is the current one; a newer one stays. Restore
// undeletes it, Purge deletes the metadata and with it every version.
//
// # What is not atomic
//
// Value and custom metadata are two calls. After a crash between the two, lists
// filter by the tags of before until the credential is stored again; the record
// has its own, which are right.
//
// The time in a version is read before the write, in a call of its own, or when
// the version was read less than 2 s before. Anyone who purges a credential
// after that, and stores it again as often as it takes to reach the same
// number, is overwritten.
//
// IfAbsent over a deleted credential writes on condition that no other version
// was written: anyone who restores it in that very moment is overwritten.
//
// Vault does not say which call deleted a version: of several deletions on
// condition of one version, at the same time, more than one may succeed. IfVersion
// needs the capability "patch" on the data; without it the check that the
// version was not deleted is a call of its own, before the write.
//
// # Engines that delete by themselves
//
// A version that Vault is to delete at a later time (delete_version_after)
// exists until then, but Vault leaves it out of plain lists. Writes warn of it.
// Everything that needs a keyring which was deleted fails with
// [nebula.ErrCorrupted] and says how to undelete it.
package vault
