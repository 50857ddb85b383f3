// Package nebula stores credentials (API keys, tokens, passwords,
// certificates), encrypted on the client under the user's own key, in a
// backend that need not be trusted with them.
//
// # Model
//
// A [Store] seals a [Secret] into an [Envelope] and hands it to a [Provider],
// which keeps it: on files, in memory, in a cloud's secret manager. Every
// provider keeps the same bytes under the same names. So an application changes
// its backend by one line of configuration (package config), and a record moves
// between backends without being decrypted.
//
// A store has one random data key. The backend keeps it in the keyring, beside
// the credentials, wrapped once for each [Key] that opens the store, such as a
// [Passphrase] or a [KeyFile]. [Store.Init] makes it.
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
// its times, or put one record in place of another, [Store.Get] fails with
// [ErrCorrupted]. If the key is wrong, it fails with [ErrWrongKey].
//
// [Pins] remember the data key of a store, as SSH remembers the keys of hosts.
// If somebody puts another keyring in place of the store's, that is noticed
// before anything is read or written. [PinFile] keeps pins in a file. Without
// pins, a process notices only changes that happen while it runs.
//
// The backend sees ids, tags, scopes, authors, times, the length of each value, and the kinds and
// number of keys. A store does not detect a deletion, a hidden record, or, unless it has a
// [RollbackGuard], an older authentic record in place of a newer one. Lists, and the filters on
// them, rely on what the backend shows and are not authenticated, unless [ListOptions] asks for it.
//
// A write is stored whole or not at all, and no reader sees part of it. If the
// backend can compare before it writes, concurrent writers of one credential
// lose nothing that was acknowledged.
//
// # Errors
//
// Operations fail with an [*Error]. Its [Kind] is the class of the failure, for
// errors.Is. Its text says what failed, for which credential and provider, what
// is missing and what to do. No error, log or metric of this module holds a
// secret.
//
// # Abilities
//
// A provider has five methods. Further abilities, soft deletion and versions
// for example, are interfaces of one method ([Restorer], [Historian], …) that
// [As] finds under wrappers. If the provider lacks an ability, the [Store]
// fails with [ErrNotSupported] and imitates nothing.
//
// # Compatibility
//
// Records have the format of docs/format.md, which has a version of its own.
// Later releases of this module read what earlier ones wrote.
package nebula
