// Package transfer moves credentials between stores, and between a store and a
// file, as they are: sealed.
//
// [Copy] copies between two stores, and loses nothing. Nothing is written before
// all of it is planned; each credential is written on condition of what was
// planned, and read back; and a source is deleted only after that, on condition
// that it is still what was copied. A copy that was stopped is done again: what is
// there already is skipped. [Rename] gives a credential another id within a store.
//
// [Export] writes the keyring and the records of a store to a file, for which it
// needs no key. [OpenBackup] reads such a file to its end before anything is
// believed of it, and [Import] stores what it holds.
package transfer
