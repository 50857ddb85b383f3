package provider_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// batchDriver returns these failures, by attempt and name; nil for the others.
type batchDriver struct {
	driver
	attempts [][]string
	fails    func(attempt int, id string) error
}

func (d *batchDriver) RetrieveBatch(_ context.Context, names []nebula.Name) ([]nebula.BatchResult, error) {
	var ids []string
	results := make([]nebula.BatchResult, len(names))
	for i, n := range names {
		ids = append(ids, n.String())
		results[i] = nebula.BatchResult{Record: nebula.Record{Version: "1"}, Err: d.fails(len(d.attempts), n.String())}
	}
	d.attempts = append(d.attempts, ids)
	return results, nil
}

// Only names that failed for a while are read again, and the failure of some is no
// failure of the others.
func TestBatchRepeatsWhatWasUnavailable(t *testing.T) {
	unavailable := &nebula.Error{Kind: nebula.ErrUnavailable, Message: "busy"}
	missing := &nebula.Error{Kind: nebula.ErrNotFound, Message: "none"}
	d := &batchDriver{fails: func(attempt int, id string) error {
		switch {
		case id == "missing":
			return missing
		case id == "never", id == "late" && attempt < 2:
			return unavailable
		}
		return nil
	}}
	retries := provider.DefaultRetryPolicy()
	retries.MaxRetries = 3
	p := shelled(t, d, provider.Policy{Retry: retries}, provider.WithClock(&fakeClock{random: 0.5}))
	var names []nebula.Name
	for _, id := range []string{"good", "late", "missing", "never"} {
		names = append(names, name(t, id))
	}
	results, err := p.(nebula.BatchRetriever).RetrieveBatch(t.Context(), names)
	if err != nil || len(results) != 4 {
		t.Fatalf("%v, %v", results, err)
	}
	for i, want := range []nebula.Kind{"", "", nebula.ErrNotFound, nebula.ErrUnavailable} {
		if got := nebula.KindOf(results[i].Err); got != want {
			t.Errorf("%s: %v, want %q", names[i], results[i].Err, want)
		}
		if want == "" && results[i].Record.Version != "1" {
			t.Errorf("%s: %+v", names[i], results[i])
		}
	}
	var located *nebula.Error
	if !errors.As(results[3].Err, &located) || located.ID != "never" || located.Op != provider.OpRetrieveBatch {
		t.Errorf("not located: %+v", located)
	}
	if got := d.attempts; len(got) != 4 || len(got[0]) != 4 || len(got[1]) != 2 || len(got[2]) != 2 || len(got[3]) != 1 {
		t.Errorf("asked for %q", got)
	}
}
