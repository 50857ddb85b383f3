package providertest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// storeRetrieve: Retrieve returns exactly the bytes that were stored, whatever
// the value.
func storeRetrieve(r *rig) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	values := map[string]string{
		"empty": "", "one": "x", "zero": "\x00", "newline": "\n",
		"every": string(every), "kib": strings.Repeat("k", 1024),
		"text": `{"user":"Zoë","password":"'\"\\ \u2028"}`,
	}
	for id, value := range values {
		e := r.seal(id, value, metadata())
		version := r.store(e)
		if got := r.holds(e); got != version {
			r.Errorf("%s: Store gave version %q, Retrieve %q", id, version, got)
		}
	}
}

// storeSizes: records of many sizes are kept, also around the sizes of buffers.
func storeSizes(r *rig) {
	for _, around := range []int{1024, 4096, 16384} {
		for i := range 3 {
			size := around - 1 + i
			if r.h.MaxRecordSize > 0 && size > r.h.MaxRecordSize {
				r.Skipf("records of %d bytes are too large", size)
			}
			e := r.sized("size", size)
			r.store(e)
			r.holds(e)
		}
	}
}

// storeLargest: a record of the maximum size is kept.
func storeLargest(r *rig) {
	size := r.h.MaxRecordSize
	if size == 0 {
		size = 1 << 20
	}
	e := r.sized("largest", size)
	r.store(e)
	r.holds(e)
}

// storeTooLarge: a record with one byte more is refused before anything is
// written, and the error gives size and limit.
func storeTooLarge(r *rig) {
	limit := r.h.MaxRecordSize
	if limit == 0 {
		r.Skip("the provider has no known limit")
	}
	for _, size := range []int{limit + 1, limit + limit/3} {
		e := r.sized("large", size)
		_, err := r.tryStore(e, nebula.Precondition{})
		r.fails(err, nebula.ErrTooLarge, provider.OpStore, e.name)
		for _, number := range []int{size, limit} {
			if !strings.Contains(err.Error(), strconv.Itoa(number)) {
				r.Errorf("the error does not say %d: %v", number, err)
			}
		}
		r.absent(e.name)
	}
	old := r.record("large")
	version := r.store(old)
	_, err := r.tryStore(r.sized("large", limit+1), nebula.Precondition{})
	r.fails(err, nebula.ErrTooLarge, provider.OpStore, old.name)
	if got := r.holds(old); got != version {
		r.Errorf("the refused record left version %q, want %q", got, version)
	}
}

// storeReplaces: Store replaces value and metadata, also if the new record is
// smaller, and changes no other credential.
func storeReplaces(r *rig) {
	other := r.record("other")
	r.store(other)
	for _, length := range []int{3000, 1, 500, 0} {
		e := r.seal("replaced", strings.Repeat("v", length), metadata("length", strconv.Itoa(length)))
		r.store(e)
		r.holds(e)
	}
	r.holds(other)
}

// storeVersions: each change makes a new version, and Store and Retrieve return the
// same one. Without a change the version stays.
func storeVersions(r *rig) {
	seen := make(map[nebula.Version]int)
	for i := range 4 {
		e := r.seal("versions", fmt.Sprint("value ", i), metadata())
		version := r.store(e)
		for range 2 {
			if got := r.holds(e); got != version {
				r.Errorf("change %d: Store gave version %q, Retrieve %q", i, version, got)
			}
		}
		if before, twice := seen[version]; twice {
			r.Errorf("changes %d and %d have the same version %q", before, i, version)
		}
		seen[version] = i
	}
	// A change of only the metadata also makes a new version.
	e := r.seal("versions", "value 3", metadata("tag", "new"))
	if version := r.store(e); seen[version] != 0 {
		r.Errorf("a change of the tags kept version %q", version)
	}
}

// storeTwice: storing the same record again succeeds.
func storeTwice(r *rig) {
	e := r.record("again")
	r.store(e)
	version := r.store(e)
	if got := r.holds(e); got != version {
		r.Errorf("the second Store gave version %q, Retrieve %q", version, got)
	}
}

// storeIndependent: changing the buffer of a stored record, or a retrieved
// record, does not change what the provider holds.
func storeIndependent(r *rig) {
	e := r.record("shared", "tag", "value")
	r.store(e)
	first, err := r.p.Retrieve(r.ctx, e.name)
	r.ok(err, "retrieve")
	next := r.record("shared", "tag", "other")
	r.store(next)
	r.same(first, e)
	if got := first.Envelope.Metadata().Tags["tag"]; got != "value" {
		r.Errorf("the tag of a retrieved record became %q", got)
	}
	r.holds(next)
}

// retrieveMissing: a credential that was never stored is not found, and does not
// exist.
func retrieveMissing(r *rig) {
	r.absent(r.named("missing"))
	r.store(r.record("missing2"))
	r.absent(r.named("missing"))
	r.absent(nebula.KeyringName())
}

// deleteRemoves: a deleted credential is not found, does not exist and is not
// listed. Others stay.
func deleteRemoves(r *rig) {
	gone, stays := r.record("gone", "tag", "x"), r.record("stays", "tag", "x")
	r.store(gone)
	r.store(stays)
	r.wantList(nebula.Filter{}, "gone", "stays")
	r.remove(gone.name)
	r.absent(gone.name)
	r.wantList(nebula.Filter{}, "stays")
	r.wantList(nebula.Filter{Tags: map[string]string{"tag": "x"}}, "stays")
	r.holds(stays)
}

// deleteTwice: deleting a credential that does not exist succeeds.
func deleteTwice(r *rig) {
	r.remove(r.named("never"))
	e := r.record("twice")
	r.store(e)
	r.remove(e.name)
	r.remove(e.name)
	r.absent(e.name)
}

// storeAfterDelete: a deleted name can be stored again at once, and repeatedly.
func storeAfterDelete(r *rig) {
	for i := range 3 {
		e := r.seal("reborn", fmt.Sprint("life ", i), metadata("life", strconv.Itoa(i)))
		r.store(e)
		r.holds(e)
		r.remove(e.name)
		r.absent(e.name)
	}
	last := r.record("reborn")
	r.store(last)
	r.holds(last)
	r.wantList(nebula.Filter{}, "reborn")
	r.wantList(nebula.Filter{Tags: map[string]string{"life": "2"}})
}
