package providertest

import (
	"fmt"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// fullMetadata has every field set.
func fullMetadata() nebula.Metadata {
	m := metadata("team", "payments", "env", "prod")
	m.LastAccessed = created().Add(2 * time.Hour)
	m.CreatedBy = "alice"
	m.Scope = "backend"
	m.RotationPolicy.IntervalDays = 90
	return m
}

// metadataFields: every field comes back unchanged, and so do the first and last
// time of the format.
func metadataFields(r *rig) {
	e := r.seal("full", "value", fullMetadata())
	r.store(e)
	r.holds(e)
	for id, at := range map[string]time.Time{
		"oldest": time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
		"latest": time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
	} {
		m := fullMetadata()
		m.CreatedAt, m.LastModified, m.RotationPolicy.IntervalDays = at, at, 1<<32-1
		e := r.seal(id, "value", m)
		r.store(e)
		r.holds(e)
		r.wantList(nebula.Filter{CreatedAfter: at.Add(-time.Second), CreatedBefore: at.Add(time.Second)}, id)
	}
}

// unusualTags are valid tags that a careless encoding would break.
func unusualTags() [][2]string {
	return [][2]string{
		{"empty", ""}, {"k", "v"}, {"unicode", "Zoë – 秘密 🔑"}, {"schlüssel", "x"}, {"秘", "密"},
		{"with space", "a value with spaces"}, {" edge ", "  two  "}, {"quote'\"`", `'"` + "`"},
		{"back\\slash", `\`}, {"sla/sh", "a/b/c"}, {"dot.ted", "."}, {"colon:", "a:b"}, {"comma,", "a,b;c"},
		{"value", "k=v=w"}, {"<html>", "<script>&amp;"}, {"%41", "%00%2f"}, {"$HOME", "$(id) `id` ${x}"},
		{"-lead", "-x"}, {"--tag", "--"}, {"_", "_"}, {"name", "x"}, {"nebula", "x"}, {"Nebula-Id", "x"},
		{"created_at", "never"}, {"aws:x", "x"}, {"app.kubernetes.io/name", "x"}, {"e\u0301", "\u00e9"},
		{"json", `{"a":[1,null]}`}, {"null", "null"}, {"true", "true"}, {"0", "007"}, {"\u2028", "\u2029"},
		{strings.Repeat("k", nebula.MaxTagKeyLength), strings.Repeat("v", nebula.MaxTagValueLength)},
		{strings.Repeat("ü", nebula.MaxTagKeyLength), strings.Repeat("ü", nebula.MaxTagValueLength)},
	}
}

func (r *rig) accepts(tag [2]string) bool {
	return r.h.AcceptsTag == nil || r.h.AcceptsTag(tag[0], tag[1])
}

// metadataTags: every valid tag that the provider accepts comes back unchanged
// and works in a filter. The others are refused before anything is written.
func metadataTags(r *rig) {
	for i, tag := range unusualTags() {
		if i >= r.h.MaxStores {
			break
		}
		r.ok(nebula.ValidateTag(tag[0], tag[1]), "the suite's own tag")
		e := r.record(fmt.Sprint("tag", i), tag[0], tag[1])
		if !r.accepts(tag) {
			_, err := r.tryStore(e, nebula.Precondition{})
			r.fails(err, nebula.ErrInvalidMetadata, provider.OpStore, e.name)
			r.absent(e.name)
			continue
		}
		r.store(e)
		r.holds(e)
		r.wantList(nebula.Filter{Prefix: e.name.String(), Tags: e.Metadata().Tags}, e.name.String())
	}
}

// metadataTagsRefused: if a tag is refused, the record that was stored before
// does not change.
func metadataTagsRefused(r *rig) {
	for _, tag := range unusualTags() {
		if r.accepts(tag) {
			continue
		}
		old := r.record("old", "plain", "x")
		version := r.store(old)
		_, err := r.tryStore(r.record("old", tag[0], tag[1]), nebula.Precondition{})
		r.fails(err, nebula.ErrInvalidMetadata, provider.OpStore, old.name)
		if got := r.holds(old); got != version {
			r.Errorf("the refused record left version %q, want %q", got, version)
		}
		return
	}
	r.Skip("the provider accepts every valid tag")
}

// metadataManyTags: the provider keeps the maximum number of tags, and refuses
// one more.
func metadataManyTags(r *rig) {
	tags := func(n int) []string {
		var pairs []string
		for i := range n {
			pairs = append(pairs, fmt.Sprintf("tag%02d", i), fmt.Sprint("value ", i))
		}
		return pairs
	}
	limit := r.h.MaxTags
	if limit == 0 {
		limit = 50
	}
	e := r.record("many", tags(limit)...)
	version := r.store(e)
	r.holds(e)
	last := fmt.Sprintf("tag%02d", limit-1)
	r.wantList(nebula.Filter{Tags: map[string]string{last: fmt.Sprint("value ", limit-1)}}, "many")
	if r.h.MaxTags > 0 {
		_, err := r.tryStore(r.record("many", tags(limit+1)...), nebula.Precondition{})
		r.fails(err, nebula.ErrInvalidMetadata, provider.OpStore, e.name)
		if got := r.holds(e); got != version {
			r.Errorf("the refused record left version %q, want %q", got, version)
		}
	}
	none := r.record("many")
	r.store(none)
	r.holds(none)
	r.wantList(nebula.Filter{Tags: map[string]string{last: fmt.Sprint("value ", limit-1)}})
}
