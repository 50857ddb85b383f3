// Package kubernetes keeps records in Secrets of a Kubernetes cluster.
//
// # What is kept
//
// A credential is the Secret PREFIX and its id as internal/dnsname writes it,
// of type Opaque; the keyring is PREFIX--keyring. The record is the value of the
// one key "record".
//
// Two annotations are ours. nebula-credential/id has the true id, which is compared
// on each read and write. nebula-credential/metadata has the metadata that lists
// show and filter by, with all tags. It also has the digests of the record and of
// those before it, by which a writer that lost an answer recognises its record. The
// label nebula-credential/store selects the Secrets of one prefix. The label
// nebula-credential/key is a short hash of the id, by which several are read at
// once. A tag that can be a label is also the label tag.nebula-credential/KEY, so
// that the server can select by it. No other label has that prefix, and no default
// label may have it.
//
// # What is promised
//
// Record, labels and annotations are written in one request, a JSON patch or a
// creation; those of others stay. The patch tests, at the moment of the write,
// that the Secret is that credential's, of type Opaque, and not being deleted. So
// a Secret that others put in a credential's place is never written over. If the
// earlier record had labels of tags that the writer did not know of, a second
// request removes them.
//
// Others may remove our marks. A Secret without the annotation is a credential
// if it is in the place of one and holds a record. The next write marks it
// again. Lists go by the names of all Secrets of the namespace. A Secret with a
// hashed name and without its annotation is listed with an error.
//
// A version is the resource version: the revision of the cluster's database, one
// counter for all objects, which does not come back for a name. It also changes
// when somebody else changes a label. Preconditions are checked at the moment of
// the write.
//
// Lists and Exists ask for metadata alone: no record leaves the server. A list
// is read in pages of 500. If the server's snapshot has expired, the list goes
// on after the last name in a newer one, so that nothing is listed twice or
// missed.
//
// # What is refused
//
// Immutable Secrets, Secrets of others, and those that wait for a finalizer are
// not written. Kubeconfigs with insecure-skip-tls-verify are not used.
//
// # What the platform cannot give
//
// There is no soft deletion and no history. A deletion first reads whose the
// Secret is, and deletes on condition that it has not changed since. If it was
// given up and arrives late, it removes nothing that was written later.
//
// # Why not client-go
//
// Linking client-go's loader of kubeconfigs costs a process 1.5 ms at its start
// and 4 MB. This package has the parts that are needed. The module bench
// compares the two.
package kubernetes
