package nebula_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

// Results come in the order of the ids, each id is read once, and a new process
// reads the keyring once.
func TestGetMany(t *testing.T) {
	f := newFixture(t)
	for _, id := range []nebula.ID{"a", "b", "c"} {
		put(t, f.Store, id, "value of "+string(id), nebula.PutOptions{Tags: map[string]string{"k": "v"}})
	}
	s := f.open(t, nebula.Options{})
	ids := []nebula.ID{"c", "missing", "a", "not an id", "c", "b"}
	results := s.GetMany(t.Context(), ids)
	if got := f.calls.take(); !slices.Equal(got, []string{"retrieve .keyring", "retrieve_batch"}) {
		t.Errorf("calls: %q", got)
	}
	for i, id := range ids {
		switch r := results[i]; id {
		case "missing":
			wantKind(t, r.Err, nebula.ErrNotFound)
		case "not an id":
			wantKind(t, r.Err, nebula.ErrInvalidID)
		default:
			if r.Err != nil || r.ID != id || string(r.Secret.Reveal()) != "value of "+string(id) || r.Metadata.Tags["k"] != "v" || r.Version == "" {
				t.Errorf("%s: %v, %+v, %q", id, r.Err, r.Credential, r.Secret.Reveal())
			}
		}
	}
	results[0].Secret.Wipe()
	if string(results[4].Secret.Reveal()) != "value of c" {
		t.Error("wiping one result wiped another")
	}
	if got := s.GetMany(t.Context(), nil); len(got) != 0 || len(f.calls.take()) != 0 {
		t.Errorf("without ids: %v", got)
	}
}

// Each result has the error that Get would return.
func TestGetManyFailsAsGet(t *testing.T) {
	ids := []nebula.ID{"ours", "theirs", "swapped", "gone"}
	f := newFixture(t)
	s := f.open(t, nebula.Options{Scope: "red"})
	put(t, s, "ours", "1", nebula.PutOptions{})
	put(t, s, "other", "1", nebula.PutOptions{})
	put(t, f.open(t, nebula.Options{Scope: "blue"}), "theirs", "1", nebula.PutOptions{})
	swap(t, f.memory, "other", "swapped")
	for i, r := range s.GetMany(t.Context(), ids) {
		_, err := s.Get(t.Context(), ids[i])
		if nebula.KindOf(r.Err) != nebula.KindOf(err) || err != nil && !strings.Contains(r.Err.Error(), err.(*nebula.Error).Message) {
			t.Errorf("%s: %v, Get says %v", ids[i], r.Err, err)
		}
	}
	// If there is no store, each result says so, and the keyring is looked for once.
	empty := newEmptyFixture(t)
	for _, r := range empty.GetMany(t.Context(), ids) {
		if !errors.Is(r.Err, nebula.ErrNotInitialised) {
			t.Errorf("%s without a store: %v", r.ID, r.Err)
		}
	}
	if got := empty.calls.take(); !slices.Equal(got, []string{"retrieve .keyring", "retrieve_batch"}) {
		t.Errorf("without a store, calls: %q", got)
	}
}

func TestGetManyObeysItsContext(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "a", "1", nebula.PutOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, r := range f.GetMany(ctx, []nebula.ID{"a"}) {
		wantKind(t, r.Err, nebula.ErrInterrupted)
	}
	scoped := f.open(t, nebula.Options{Scope: "red"})
	for _, r := range scoped.GetMany(nebula.WithCaller(t.Context(), nebula.Caller{Scope: "blue"}), []nebula.ID{"a"}) {
		wantKind(t, r.Err, nebula.ErrPermissionDenied)
	}
}
