// Package kubernetes keeps records in Secrets of a Kubernetes cluster.
//
// # What is kept
//
// A credential is the Secret PREFIX and its id as internal/dnsname writes it,
// of type Opaque; the keyring is PREFIX--keyring. The record is the value of the
// one key "record".
//
// Two annotations are ours: nebula-credential/id has the true id, which is
// compared on each read and write, and nebula-credential/metadata has what lists
// show and filter by, all tags among it, with the digest of the record and of those
// before it, by which a writer that lost an answer knows its record. The label
// nebula-credential/store selects the Secrets of one prefix, nebula-credential/key
// is a short hash of the id, by which several are read at once. A tag that fits a
// label is the label tag.nebula-credential/KEY besides, so that the server can
// select by it. No other label has that prefix, and no default label may.
//
// # What is promised
//
// Record, labels and annotations are written in one request, a JSON patch or a
// creation; those of others stay. The patch tests, in the moment of the write,
// that the Secret is that credential's, of type Opaque, and not being deleted. So
// what others put in a credential's place is never written over. Labels of tags
// that the record before had, and of which the writer did not know, are taken
// away by a second request.
//
// Others may take our marks away. A Secret without the annotation is a
// credential's if it is in its place and holds a record; the next write marks it
// again. Lists go by the names of all Secrets of the namespace. A hashed name
// without its annotation is listed with an error.
//
// A version is the resource version: the revision of the cluster's database, one
// counter for all objects, which does not come back for a name. It also changes
// when somebody else changes a label. Preconditions are checked in the moment of
// the write.
//
// Lists and Exists ask for metadata alone: no record leaves the server. A list
// is read in pages of 500. When the server's snapshot has expired, it goes on
// after the last name in a newer one, so that nothing is listed twice or passed
// over.
//
// # What is refused
//
// Immutable Secrets, Secrets of others, and those that wait for a finalizer are
// not written. Kubeconfigs with insecure-skip-tls-verify are not used.
//
// # What the platform cannot give
//
// There is no soft deletion and no history. A deletion first reads whose the
// Secret is, and deletes on condition that it has not changed since: one that
// was given up and arrives late removes nothing that was written later.
//
// # Why not client-go
//
// Linking client-go's loader of kubeconfigs costs a process 1.5 ms at its start
// and 4 MB. What is needed of it is here. The module bench compares the two.
package kubernetes
