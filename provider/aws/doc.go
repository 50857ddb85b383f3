// Package aws keeps records in AWS Secrets Manager.
//
// # What stands where
//
// A credential is the secret PREFIX + ID, the keyring PREFIX + ".keyring". The
// record is the secret string. AWS takes every character of an id and tells
// upper from lower case, so ids stand there as they are.
//
// Tags of a credential are tags of the secret, one to one where AWS takes their
// characters and escaped where it does not. The tag "nebula=" holds the times
// and names that lists are filtered by, and says which of the secret's other
// tags are the credential's: tags of others, and those of default_tags, are
// neither listed nor removed. A secret without it is nobody's of ours: it is not
// listed, and not deleted nor written over without having been read.
//
// # What is promised
//
// A version is AWS's version id, which is chosen here, for each write anew: AWS
// does a write that is repeated under the same id once. [nebula.IfAbsent] is a
// CreateSecret, which AWS refuses where there is one. For [nebula.IfVersion] the
// version is put under a stage of its own, and AWSCURRENT moved to it from the
// version that was expected, which AWS refuses where that is not the current
// one.
//
// Delete schedules a deletion at the end of the recovery window, Restore undoes
// it, Purge deletes at once and waits until the name is free. A condition of a
// deletion is checked in the call before it: AWS has no deletion that compares.
//
// # What is not atomic
//
// Value and tags are separate calls. After a crash between them lists show the
// tags of before until the credential is stored again without
// StoreOptions.Previous; the record has its own, which are right.
//
// Storing over a deleted credential restores it first: AWS refuses to write to a
// deleted secret. Until the write that follows, the old value can be read again.
// Where that write fails the secret is deleted again, if nobody wrote to it
// meanwhile. IfAbsent there asks that the old version is still the current one:
// who restores it in that very moment is overwritten.
//
// A conditional write that loses against another one leaves its record among the
// old versions. One that crashes, or is given up after its first call was lost,
// leaves it under a stage that begins with NEBULA_PENDING, which History does not
// show.
//
// Lists may be late by minutes. Reads are not.
package aws
