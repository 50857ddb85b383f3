// Package memory keeps records in the memory of the process. It is for tests of
// programs that use nebula, and the reference for other providers. It has every
// ability and passes the suite of package providertest without exceptions. To
// write a new provider, begin with a copy of it.
//
// The records are lost when the process ends. Providers can share a [Backend].
//
// # What it promises
//
// One lock protects everything. Preconditions are atomic. A list reads each
// record when its page is asked for, so it is never late. A version is the first
// 16 bytes of the record's SHA-256 in hex, so the same bytes have the same
// version if they are stored again.
//
// A deletion can be undone until something is stored under the name or the name
// is purged. A store over a deleted credential begins a new history. A history
// keeps [Config].MaxVersions versions, the current one included.
//
// If there is a keyring that can be read, a credential that is not sealed under
// its key is refused with [nebula.ErrKeyChanged].
package memory
