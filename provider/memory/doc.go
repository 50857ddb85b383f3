// Package memory keeps records in the memory of the process: for tests of
// programs that use nebula, and as the reference of what a provider does. It
// has every ability and passes the suite of package providertest with no
// allowance. To write a new provider, begin with a copy of it.
//
// Nothing survives the process. Providers can share a [Backend].
//
// # What it promises
//
// Everything happens under one lock: preconditions are atomic, and lists,
// which look at each record at the time of its page, are never late. A version
// is the first 16 bytes, in hex, of the record's SHA-256, so that the same
// bytes stored again are the same version.
//
// A deletion can be undone until something is stored under the name or it is
// purged. What is stored over a deleted credential begins a new history. Older
// versions are kept up to [Config].MaxVersions, the current one included.
//
// A credential that is not sealed under the key of the keyring is refused with
// [nebula.ErrKeyChanged], as long as there is a keyring that can be read.
package memory
