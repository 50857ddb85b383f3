// Package transfer moves credentials between stores, and between a store and a
// file, as they are: sealed.
//
// [Copy] copies between two stores, and loses nothing. It plans everything before
// it writes anything. It writes each credential on condition that the destination
// is as planned, and reads it back. Only then it deletes a source, on condition
// that the source has not changed. If a copy was stopped, run it again: it skips
// credentials that are there already. [Rename] gives a credential another id
// within a store.
//
// [Export] writes the keyring and the records of a store to a file, for which it
// needs no key. [OpenBackup] reads such a file to its end before it uses any of
// it, and [Import] stores its credentials.
package transfer
