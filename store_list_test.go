package nebula_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/nebula-credential/nebula"
)

// stocked returns a store of n credentials that works on at most atOnce at a time.
func (r *remote) stocked(t *testing.T, n, atOnce int) *nebula.Store {
	t.Helper()
	s, key := r.initialised(t)
	for i := range n {
		put(t, s, nebula.ID(fmt.Sprintf("id%03d", i)), "v", nebula.PutOptions{})
	}
	return r.open(t, nebula.Options{Keys: []nebula.Key{key}, MaxConcurrency: atOnce})
}

// As many credentials are read at once as the limit allows, and each is listed once.
func TestListReadsSomeAtOnce(t *testing.T) {
	const n, atOnce = 40, 4
	for _, options := range []nebula.ListOptions{{Details: true}, {Verify: true}} {
		r := newRemote()
		s := r.stocked(t, n, atOnce)
		var mu sync.Mutex
		reading, most := 0, 0
		full := make(chan struct{})
		r.retrieved = func(name nebula.Name, _ *nebula.Record) error {
			if name.IsKeyring() {
				return nil
			}
			mu.Lock()
			if reading++; reading == atOnce && most < atOnce {
				close(full) // the others wait for this one
			}
			most = max(most, reading)
			mu.Unlock()
			<-full
			mu.Lock()
			reading--
			mu.Unlock()
			return nil
		}
		var ids []nebula.ID
		for e, err := range s.List(t.Context(), options) {
			if err != nil || e.Err != nil || e.Metadata == nil {
				t.Fatalf("%+v, %v", e, err)
			}
			ids = append(ids, e.ID)
		}
		slices.Sort(ids)
		if len(slices.Compact(ids)) != n || most != atOnce {
			t.Errorf("%+v: %d ids, %d at once", options, len(ids), most)
		}
	}
}

// If the backend keeps failing, the list ends. If it refuses one record, or fails to
// read it, the list goes on.
func TestListEndsWhenTheBackendKeepsFailing(t *testing.T) {
	const n, atOnce = 100, 4
	for kind, steadily := range map[nebula.Kind]bool{nebula.ErrUnavailable: true, nebula.ErrUnauthenticated: true,
		nebula.ErrTimeout: true, nebula.ErrPermissionDenied: false, nebula.ErrCorrupted: false} {
		for _, all := range []bool{true, false} {
			r := newRemote()
			s := r.stocked(t, n, atOnce)
			r.retrieved = func(name nebula.Name, _ *nebula.Record) error {
				if !name.IsKeyring() && (all || name.ID() == "id007") {
					return &nebula.Error{Kind: kind}
				}
				return nil
			}
			listed, failed := 0, 0
			var end error
			for e, err := range s.List(t.Context(), nebula.ListOptions{Details: true}) {
				switch {
				case err != nil:
					end = err
					continue
				case e.Err != nil:
					failed++
				}
				listed++
			}
			switch {
			case all && steadily:
				wantKind(t, end, kind)
				if listed < atOnce || listed > 3*atOnce {
					t.Errorf("%s: %d credentials were listed", kind, listed)
				}
			case end != nil || listed != n || failed != map[bool]int{true: n, false: 1}[all]:
				t.Errorf("%s: %d listed, %d failed, %v", kind, listed, failed, end)
			}
		}
	}
}

// A caller who leaves the loop leaves no call behind, not even that for the next page.
func TestListThatIsLeft(t *testing.T) {
	r := newRemote()
	s := r.stocked(t, 40, 4)
	pages, waits := 0, make(chan struct{})
	under := false // read here only after the list has ended
	r.listed = func(ctx context.Context) error {
		if pages++; pages < 3 {
			return nil
		}
		under = true
		close(waits)
		<-ctx.Done()
		under = false
		return ctx.Err()
	}
	for e, err := range s.List(t.Context(), nebula.ListOptions{Details: true}) {
		if err != nil || e.Metadata == nil {
			t.Fatalf("%+v, %v", e, err)
		}
		<-waits
		break
	}
	if under {
		t.Error("the call for a page is still under way")
	}
}

// A cancelled rotation finishes the records under way, counts them, and goes on later.
func TestRotationFinishesWhatIsUnderWay(t *testing.T) {
	const n, atOnce = 40, 4
	r := newRemote()
	s := r.stocked(t, n, atOnce)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	written, refused := 0, 0
	r.storeCtx = func(ctx context.Context) {
		mu.Lock()
		defer mu.Unlock()
		if written++; written == 10 {
			cancel()
		}
		if ctx.Err() != nil {
			refused++
		}
	}
	result, err := s.Rotate(ctx, nebula.RotateOptions{})
	wantKind(t, err, nebula.ErrInterrupted)
	// One of the writes was the keyring's.
	if refused > 0 || result.Sealed != written-1 || written < 10 || written > 10+atOnce || len(result.Left) > 0 {
		t.Errorf("%d written, %d refused, %+v", written, refused, result)
	}
	r.storeCtx = nil
	rest, err := s.Rotate(t.Context(), nebula.RotateOptions{})
	if err != nil || result.Sealed+rest.Sealed != n || rest.KeyID != result.KeyID {
		t.Errorf("%+v, %v", rest, err)
	}
}

// If a record cannot be written for a moment, the others are sealed nevertheless. If the
// backend keeps failing, the pass ends.
func TestRotationStopsWhenTheBackendKeepsFailing(t *testing.T) {
	const n, atOnce = 40, 4
	for _, all := range []bool{false, true} {
		r := newRemote()
		s := r.stocked(t, n, atOnce)
		var mu sync.Mutex
		tries := 0
		r.store = func(name nebula.Name, _ nebula.StoreOptions) error {
			mu.Lock()
			defer mu.Unlock()
			if name.IsKeyring() {
				return nil
			}
			if tries++; all || name.ID() == "id003" {
				return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "down"}
			}
			return nil
		}
		result, err := s.Rotate(t.Context(), nebula.RotateOptions{})
		wantKind(t, err, nebula.ErrUnavailable)
		if !all && result.Sealed != n-1 || all && (tries < atOnce || tries > 2*atOnce) {
			t.Errorf("%d tries, %+v", tries, result)
		}
	}
}
