package providertest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// damages returns damaged forms of the bytes of a record.
func damages(whole []byte) map[string][]byte {
	flipped := bytes.Clone(whole)
	flipped[1] ^= 1
	return map[string][]byte{
		"one byte":   {'{'},
		"garbage":    []byte("\x00\xff not a record, and longer than eight bytes"),
		"truncated":  whole[:len(whole)-1],
		"half":       whole[:len(whole)/2],
		"longer":     append(bytes.Clone(whole), '\n'),
		"flipped":    flipped,
		"other JSON": []byte(`{"password":"in the clear"}`),
		"null":       []byte("null"),
	}
}

// damageRetrieve: a damaged record is reported as corrupted and still exists, and
// the error shows none of its bytes.
func damageRetrieve(r *rig) {
	e := r.record("damaged")
	for what, raw := range damages(e.Bytes()) {
		r.store(e)
		r.corrupt(e.name, raw)
		_, err := r.p.Retrieve(r.ctx, e.name)
		r.fails(err, nebula.ErrCorrupted, provider.OpRetrieve, e.name)
		if found, err := r.p.Exists(r.ctx, e.name); err != nil || !found {
			r.Errorf("%s: exists: %v, %v, want true", what, found, err)
		}
	}
}

// damageMended: a damaged record can be replaced and deleted.
func damageMended(r *rig) {
	e := r.record("mended")
	r.store(e)
	r.corrupt(e.name, []byte("damaged record"))
	r.store(e)
	r.holds(e)
	r.corrupt(e.name, []byte("damaged record"))
	r.remove(e.name)
	r.absent(e.name)
}

// damageNotAbsent: a damaged record exists: IfAbsent does not overwrite it.
func damageNotAbsent(r *rig) {
	r.needPreconditions()
	e := r.record("there")
	r.store(e)
	r.corrupt(e.name, []byte("damaged record"))
	_, err := r.tryStore(r.record("there"), nebula.IfAbsent())
	r.fails(err, nebula.ErrAlreadyExists, provider.OpStore, e.name)
	_, err = r.p.Retrieve(r.ctx, e.name)
	r.fails(err, nebula.ErrCorrupted, provider.OpRetrieve, e.name)
}

// damageListed: a list shows a damaged record. If a filter has to read it, the
// entry says what is wrong with it. The other records are listed as usual.
func damageListed(r *rig) {
	for _, id := range []string{"damaged", "good", "other"} {
		r.store(r.record(id, "tag", id[:1]))
	}
	r.corrupt(r.named("damaged"), []byte("damaged record"))
	r.eventually(func() error {
		if got := r.entries(r.p, nebula.Filter{}); len(got) != 3 {
			return fmt.Errorf("list gave %d entries, want 3", len(got))
		}
		return nil
	})
	for _, filter := range []nebula.Filter{
		{Tags: map[string]string{"tag": "d"}},
		{CreatedAfter: created().Add(-1), Prefix: "d"},
		{CreatedBefore: created().Add(1e9), Prefix: "damaged"},
	} {
		r.eventually(func() error {
			all := r.entries(r.p, filter)
			if len(all) != 1 || all[0].ID != "damaged" {
				return fmt.Errorf("list with %+v gave %d entries, want the damaged one", filter, len(all))
			}
			r.saysWhy(all[0], filter)
			return nil
		})
	}
	r.wantList(nebula.Filter{Prefix: "g", Tags: map[string]string{"tag": "g"}}, "good")
}

// saysWhy checks the entry of a damaged record that a filter selected: either
// the provider read the record and says that it is damaged, or it knew the
// metadata from elsewhere.
func (r *rig) saysWhy(entry nebula.Entry, filter nebula.Filter) {
	r.Helper()
	if entry.Err != nil {
		r.fails(entry.Err, nebula.ErrCorrupted, provider.OpList, r.named(string(entry.ID)))
		return
	}
	if entry.Metadata == nil || !filter.Matches(entry.ID, *entry.Metadata) {
		r.Errorf("the damaged record is listed with %+v, without saying why", filter)
	}
}

// damageOthers: a damaged record does not affect others.
func damageOthers(r *rig) {
	damaged, good := r.record("damaged"), r.record("good")
	r.store(damaged)
	r.store(good)
	r.corrupt(damaged.name, []byte("damaged record"))
	r.holds(good)
	b, ok := nebula.As[nebula.BatchRetriever](r.p)
	if !ok {
		return
	}
	results, err := b.RetrieveBatch(r.ctx, []nebula.Name{damaged.name, good.name})
	r.ok(err, "retrieve a batch")
	if len(results) != 2 {
		r.Fatalf("%d results, want 2", len(results))
	}
	r.fails(results[0].Err, nebula.ErrCorrupted, provider.OpRetrieveBatch, damaged.name)
	r.ok(results[1].Err, "the good one of the batch")
	r.same(results[1].Record, good)
}

// damageForeign: a record of another format version is listed, and not reported
// as damaged.
func damageForeign(r *rig) {
	e := r.record("foreign")
	whole := string(e.Bytes())
	for _, raw := range []string{
		strings.Replace(whole, `{"version":1,`, `{"version":2,`, 1),
		strings.Replace(whole, `"encrypted_data":{"version":2,`, `"encrypted_data":{"version":3,`, 1),
		`{"version":7,"encrypted_data":{"version":1,"something":"else"}}`,
		`{ "version": 1, "encrypted_data": {"version": 1, "nonce": [1,2,3]}, "metadata": {}, "salt": "" }`,
	} {
		r.store(e)
		r.corrupt(e.name, []byte(raw))
		_, err := r.p.Retrieve(r.ctx, e.name)
		r.fails(err, nebula.ErrUnsupportedVersion, provider.OpRetrieve, e.name)
		r.wantList(nebula.Filter{}, "foreign")
		if found, err := r.p.Exists(r.ctx, e.name); err != nil || !found {
			r.Errorf("exists: %v, %v, want true", found, err)
		}
	}
}

// damageKeyring: a damaged keyring is reported as such, and can be replaced.
func damageKeyring(r *rig) {
	first, second := keyrings()
	r.store(first)
	for _, raw := range damages(first.Bytes()) {
		r.corrupt(first.name, raw)
		_, err := r.p.Retrieve(r.ctx, first.name)
		r.fails(err, nebula.ErrCorrupted, provider.OpRetrieve, first.name)
		r.wantList(nebula.Filter{})
		r.store(second)
		r.holds(second)
	}
}
