// Package transfer moves credentials between stores, and between a store and a
// file, as they are: sealed.
//
// [Export] writes the keyring and the records of a store to a file, for which it
// needs no key. [OpenBackup] reads such a file to its end before anything is
// believed of it, and [Import] stores what it holds.
package transfer
