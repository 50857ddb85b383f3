// Package aws keeps records in AWS Secrets Manager.
//
// # What is stored where
//
// A credential is the secret PREFIX + ID, the keyring PREFIX + ".keyring". The
// record is the secret string. AWS allows every character of an id and tells
// upper from lower case, so ids are used as they are.
//
// Tags of a credential are tags of the secret, one to one if AWS allows their
// characters, and escaped if it does not. The tag "nebula=" holds the times and
// names by which lists are filtered, and says which of the secret's other tags are
// the credential's. Tags of others, and those of default_tags, are neither listed
// nor removed. The tag names prefix and id too: if the prefix of one store is the
// beginning of another's, each store knows its own secrets.
//
// If others took the tag away, the value decides. If it is a record, the secret is
// a credential: it is found by its place, and the next operation that sees it puts
// its tags back. Anything else belongs to somebody else, and is neither listed nor
// touched. If this cannot be found out, the secret is listed with the reason.
//
// # What is promised
//
// A version is AWS's version id. The driver chooses a new one for each write:
// AWS carries out a write once, even if it is repeated under the same id. The
// id ends with a link to the version that it replaces, so that a repetition can
// tell whether the write was done, even if others wrote since.
// [nebula.IfAbsent] is a CreateSecret, which AWS refuses if there is one. For
// [nebula.IfVersion] the version is added under the stage NEBULA_PENDING, which
// all writers share, and AWSCURRENT is moved to it from the expected version.
// AWS refuses the move if that version is not the current one. A failure of
// such a write carries how long to wait before the next attempt.
//
// Delete schedules a deletion at the end of the recovery window, Restore undoes
// it, Purge deletes at once and waits until the name is free. A condition of a
// deletion is checked in the call before it: AWS has no deletion that compares.
//
// # What is not atomic
//
// Value and tags are separate calls. After a crash between them lists show the
// earlier tags until the next write, which sees by the version's id that tags
// were to change. The record has its own tags, which are right.
//
// Storing over a deleted credential restores it first: AWS refuses to write to
// a deleted secret. Until the write that follows, the old value can be read
// again. If that write fails the secret is deleted again, unless somebody wrote
// to it meanwhile. IfAbsent then requires that the old version is still the
// current one. If somebody restores it at that very moment, it is overwritten.
//
// If a conditional write loses against another one, its record stays among the old
// versions. If the writer is killed, the record stays under NEBULA_PENDING, and
// History does not show it until another write takes the stage.
//
// Lists may be late by minutes. Reads are not.
package aws
