package providertest

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
)

// pages calls visit with each page until the end, and fails if the list does not
// end.
func (r *rig) pages(p nebula.Provider, filter nebula.Filter, visit func([]nebula.Entry)) {
	r.Helper()
	pager := p.List(r.ctx, filter)
	defer pager.Close()
	for range maxPages {
		entries, err := pager.NextPage(r.ctx)
		if errors.Is(err, io.EOF) {
			if len(entries) > 0 {
				r.Errorf("%d entries come with io.EOF", len(entries))
			}
			return
		}
		r.ok(err, "list")
		visit(entries)
	}
	r.Fatal("the list does not end")
}

// entries returns all entries of a list.
func (r *rig) entries(p nebula.Provider, filter nebula.Filter) []nebula.Entry {
	r.Helper()
	var all []nebula.Entry
	r.pages(p, filter, func(page []nebula.Entry) { all = append(all, page...) })
	return all
}

// wantList checks that exactly these ids are listed, each once and readable.
func (r *rig) wantList(filter nebula.Filter, ids ...string) {
	r.Helper()
	ids = slices.Sorted(slices.Values(ids))
	r.eventually(func() error {
		var got []string
		for _, entry := range r.entries(r.p, filter) {
			if entry.Err != nil {
				return fmt.Errorf("list: %s: %w", entry.ID, entry.Err)
			}
			got = append(got, string(entry.ID))
		}
		slices.Sort(got)
		if !slices.Equal(got, ids) {
			return fmt.Errorf("list with %+v gave\n%s\nwant\n%s", filter, brief(got), brief(ids))
		}
		return nil
	})
}

// brief shows the ids of a list, or the first of them.
func brief(ids []string) string {
	const maxShown = 40
	text := strings.Join(ids[:min(len(ids), maxShown)], " ")
	if len(ids) > maxShown {
		text += " …"
	}
	return fmt.Sprintf("%d: %s", len(ids), text)
}

// listEmpty: the list of an empty store ends at once, and each further call reports
// the end.
func listEmpty(r *rig) {
	for _, filter := range []nebula.Filter{{}, {Prefix: "x"}, {Tags: map[string]string{"a": "b"}}} {
		pager := r.p.List(r.ctx, filter)
		r.ends(pager)
		r.ok(pager.Close(), "close")
	}
}

// ends reads to the end, then checks that further calls report the end again.
func (r *rig) ends(pager nebula.Pager) {
	r.Helper()
	l := &reader{Pager: pager, counts: make(map[nebula.ID]int)}
	r.ok(l.rest(r.ctx), "list")
	for range 3 {
		if entries, err := pager.NextPage(r.ctx); !errors.Is(err, io.EOF) || len(entries) > 0 {
			r.Fatalf("after the end: %d entries and %v, want io.EOF", len(entries), err)
		}
	}
}

// listMany: each of several hundred records is listed exactly once, without a
// filter and with every kind of filter.
func listMany(r *rig) {
	n := r.many(400)
	r.fill("one_", n/2, "half", "first")
	r.fill("two_", n-n/2, "half", "second")
	var first, second []string
	for i := range n / 2 {
		first = append(first, fmt.Sprintf("one_%04d", i))
	}
	for i := range n - n/2 {
		second = append(second, fmt.Sprintf("two_%04d", i))
	}
	r.wantList(nebula.Filter{}, slices.Concat(first, second)...)
	r.wantList(nebula.Filter{Prefix: "one_"}, slices.Clone(first)...)
	r.wantList(nebula.Filter{Tags: map[string]string{"half": "second"}}, slices.Clone(second)...)
	pager := r.p.List(r.ctx, nebula.Filter{})
	defer pager.Close()
	r.ends(pager)
}

// listPrefix: a prefix is compared with the id byte by byte. It is not a pattern.
func listPrefix(r *rig) {
	ids := []string{"app", "app_1", "app_2", "app-1", "ap", "xapp_1", "apple"}
	if !r.h.FoldsCase {
		ids = append(ids, "App_1", "APP")
	}
	for _, id := range ids {
		r.store(r.record(id))
	}
	for _, prefix := range []string{"", "a", "app", "app_", "app_1", "app_11", "App", "x", "z", "app-", "_", "*", "%", "..", ".keyring"} {
		var want []string
		for _, id := range ids {
			if strings.HasPrefix(id, prefix) {
				want = append(want, id)
			}
		}
		r.wantList(nebula.Filter{Prefix: prefix}, want...)
	}
}

// listEntries: everything that an entry says in addition to its id is true.
func listEntries(r *rig) {
	e := r.seal("entry", "value", fullMetadata())
	version := r.store(e)
	want := e.Metadata()
	for _, filter := range []nebula.Filter{{}, {Prefix: "entry"}, {Tags: map[string]string{"team": "payments"}}, {Scope: want.Scope}} {
		r.eventually(func() error {
			all := r.entries(r.p, filter)
			if len(all) != 1 {
				return fmt.Errorf("list with %+v gave %d entries, want 1", filter, len(all))
			}
			return sameEntry(all[0], version, want)
		})
	}
}

func sameEntry(got nebula.Entry, version nebula.Version, want nebula.Metadata) error {
	if got.ID != "entry" || got.Err != nil {
		return fmt.Errorf("entry %q: %v", got.ID, got.Err)
	}
	if got.Version != "" && got.Version != version {
		return fmt.Errorf("the entry's version is %q, want %q", got.Version, version)
	}
	m := got.Metadata
	if m == nil {
		return nil
	}
	if !m.CreatedAt.Equal(want.CreatedAt) {
		return fmt.Errorf("the entry was created at %v, want %v", m.CreatedAt, want.CreatedAt)
	}
	if len(m.Tags) != len(want.Tags) {
		return fmt.Errorf("the entry's tags are %v, want %v", m.Tags, want.Tags)
	}
	for key, value := range want.Tags {
		if m.Tags[key] != value {
			return fmt.Errorf("the entry's tags are %v, want %v", m.Tags, want.Tags)
		}
	}
	return nil
}

// listEntriesHold: a page is valid until the next one, whatever else is called in the
// meantime.
func listEntriesHold(r *rig) {
	all := r.fill("hold", r.many(150))
	r.eventually(func() error {
		seen := make(map[nebula.ID]bool)
		r.pages(r.p, nebula.Filter{}, func(page []nebula.Entry) {
			before := slices.Clone(page)
			if len(page) > 0 {
				_, err := r.p.Retrieve(r.ctx, all[page[0].ID].name)
				r.ok(err, "retrieve while listing")
				r.entries(r.p, nebula.Filter{Prefix: "hold000"})
			}
			for i, entry := range page {
				if entry.ID != before[i].ID || entry.Version != before[i].Version {
					r.Fatalf("an entry changed from %q to %q", before[i].ID, entry.ID)
				}
				seen[entry.ID] = true
			}
		})
		if len(seen) != len(all) {
			return fmt.Errorf("%d were listed, want %d", len(seen), len(all))
		}
		return nil
	})
}
