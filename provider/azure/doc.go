// Package azure keeps records in Azure Key Vault, as secrets.
//
// # What is stored where
//
// A credential is the secret PREFIX and its id, in which a-z and 0-9 stand for
// themselves and any other character is a hyphen and two hex digits: Key Vault
// allows letters, digits and hyphens, and does not tell upper from lower case.
// A name that would be longer than 127 characters ends in a hash. The record is
// the secret's value.
//
// Tags are projected one to one. The tag "nebula-" holds the id, and the times
// and names by which lists are filtered. If that is more than 256 characters,
// "nebula-2-" and so on hold the rest. There are at most 15 tags in all. The
// date on which a credential is due for rotation is the secret's expiry. An
// expired secret can still be read.
//
// # Secrets of others
//
// A secret is ours if its tag names an id whose record belongs under that name.
// Without such a tag it is ours if its value is a record: others may have
// removed the tags, and the next write puts them back. A secret that belongs to
// a certificate, or is tagged as another store's, is not ours. It is not
// listed, and everything else refuses it: a write or a deletion reads first,
// unless its caller or this driver read or wrote that name a moment ago. Tags
// of others stay.
//
// # What is not atomic
//
// Key Vault compares nothing when it writes. A precondition is checked by a read
// before the write, or by the caller's read, if that was less than 2 s before.
// If a second writer comes between this read and the write, both succeed. Both
// versions are kept, and the later one is current. A deletion on condition of a
// version reads it immediately before, in the same way and with the same gap. A
// keyring is read back ten seconds after it was written on condition.
//
// If the answer to a write is lost, the next attempt reads the secret. If another
// writer wrote or deleted it in between, the write is made again. It then comes
// after theirs, though its value may have been read before.
//
// # Deletion
//
// Delete is Key Vault's soft deletion. From then on the credential is not
// found, but for some seconds its name is busy. Store, Restore and Purge wait
// for that, asking once a second, as long as the deadline allows and ten minutes
// at most.
//
// A deleted secret keeps its name. A Store over it recovers it first. For the
// seconds from then until the new version is written, others can read the old
// one. If a Store fails after it recovered a secret, the secret is deleted
// again: see deleteAgain. Purge ends when Key Vault has purged. Key Vault
// refuses the name to others for some seconds more. Store waits for that too.
package azure
