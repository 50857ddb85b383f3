// Package nebula stores credentials (API keys, tokens, passwords,
// certificates), encrypted on the client under the user's own key, in a
// backend that need not be trusted with them.
//
// # Model
//
// A [Store] seals a [Secret] into an [Envelope] and hands it to a [Provider],
// which keeps it: on files, in memory, in a cloud's secret manager. Every
// provider keeps the same bytes under the same names, so that an application
// changes its backend by one line of configuration (package config) and a
// record moves between backends without being decrypted.
//
// A store has one random data key. It is kept in the backend beside the
// credentials, in the keyring: wrapped once for each [Key] that opens the
// store, a [Passphrase] or a [KeyFile]. [Store.Init] makes it.
//
//	provider, err := local.New(local.DefaultConfig())
//	…
//	store, err := nebula.Open(ctx, provider, nebula.Options{
//		Keys: []nebula.Key{&nebula.KeyFile{Path: path}},
//		Pins: nebula.NewPinFile(filepath.Join(state, "known_stores")),
//	})
//	…
//	credential, err := store.Get(ctx, "github_token")
//	use(credential.Secret.Reveal())
//
// # Guarantees
//
// Nobody who runs the backend can read a value. If they edit a record, its tags or
// its times, or put one record in the place of another, [Store.Get] fails with
// [ErrCorrupted]. If the key is wrong, it fails with [ErrWrongKey].
//
// The data key of a store is remembered by [Pins], as SSH remembers the keys of
// hosts: somebody who puts another keyring in the place of the store's is then
// noticed before anything is read or written. [PinFile] keeps them; without, a
// process notices only what happens while it runs.
//
// In clear for the backend are ids, tags, scopes, authors, times, the length
// of each value, and the kinds and number of keys. Not detected are an older
// authentic record in the place of a newer one, unless there is a
// [RollbackGuard], a deletion, and a record that is hidden. Lists, and the filters on them, come from what the backend shows
// and are not authenticated, unless [ListOptions] asks for it.
//
// A write either stands whole or not at all; no reader sees part of it. Of
// concurrent writers of one credential none loses what another one
// acknowledged, on backends that can compare before they write.
//
// # Errors
//
// Operations fail with an [*Error]: its [Kind] says what class of failure it
// is, for errors.Is, and its text what failed, for which credential and
// provider, what is missing and what to do. No error, log or metric of this
// module holds a secret.
//
// # Abilities
//
// A provider has five methods. What some have besides, soft deletion and
// versions for example, are interfaces of one method ([Restorer], [Historian],
// …) that [As] finds under wrappers. A [Store] that is asked for what its
// provider lacks fails with [ErrNotSupported]; nothing is imitated.
//
// # Compatibility
//
// Records are of the format in docs/format.md, which has a version of its own:
// whatever a release of this module wrote, later ones read.
package nebula
