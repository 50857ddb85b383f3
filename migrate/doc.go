// Package migrate takes over records of encrypted_data.version 1 into a
// [nebula.Store].
//
// Version 1 is plain AES-256-GCM without additional data, as the Rust
// implementation of the same data model writes it: files of JSON, bytes as
// arrays of numbers, in a directory of their own. Neither the id, which is the
// file's name, nor the metadata is authenticated, and a tag that fits proves
// little, since that implementation repeats nonces. So a store refuses such
// records, and only this package reads them. It seals the credentials under the
// store's data key, which authenticates all of each from then on. The version 1
// key opens the old records and is never a key of the store.
//
// [Dir] takes over a directory, to which it never writes. If it was stopped,
// run it again: it does the rest. [Open] reads one record.
//
// Times may have up to nine digits of fraction and are kept as they are. A leap
// second becomes the second after it. A rotation policy of 0 days is none, as
// in [nebula.RotationPolicy].
package migrate
