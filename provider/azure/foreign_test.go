package azure_test

import (
	"slices"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/provider"
)

// Others keep secrets beside the records, over pages of which some are empty.
func TestForeignSecrets(t *testing.T) {
	r := newRig(t)
	c := r.principal()
	p := r.open(t, c)
	ctx := t.Context()
	name, e := record(t, "own", "v", nil)
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []azureserver.Seed{{Name: "App-Db", Value: "pässword\n"}, {Name: "app-token", Value: `{"a":"b"}`}, {Name: "app-off", Value: "x", Disabled: true}, {Name: "other", Value: "y", Managed: true}} {
		r.Add(s)
	}
	r.SetPages(1, 0, 2)
	f, ok := nebula.As[provider.ForeignReader](p)
	if !ok {
		t.Fatal("the provider is not a ForeignReader")
	}
	names, err := f.ForeignNames(ctx, "APP-")
	slices.Sort(names)
	if err != nil || !slices.Equal(names, []string{"App-Db", "app-off", "app-token"}) {
		t.Errorf("%q, %v", names, err)
	}
	if all, err := f.ForeignNames(ctx, ""); err != nil || len(all) != 5 {
		t.Errorf("%q, %v", all, err)
	}
	got, err := f.Foreign(ctx, "App-Db")
	if err != nil || string(got.Value) != "pässword\n" || got.IsRecord() {
		t.Errorf("%v, %v", got.IsRecord(), err)
	}
	if _, err = f.Foreign(ctx, "app-off"); nebula.KindOf(err) == nebula.ErrNotFound || err == nil {
		t.Errorf("a disabled secret: %v", err)
	}
	if _, err = f.Foreign(ctx, "app-none"); nebula.KindOf(err) != nebula.ErrNotFound {
		t.Errorf("a secret that does not exist: %v", err)
	}
	if got, err = f.Foreign(ctx, "other"); err != nil || got.Note == "" {
		t.Errorf("the secret of a certificate: %q, %v", got.Note, err)
	}
	records := 0
	all, _ := f.ForeignNames(ctx, "nebula")
	for _, name := range all {
		if got, err := f.Foreign(ctx, name); err == nil && got.IsRecord() {
			records++
		}
	}
	if records != 1 {
		t.Errorf("%d records in %q", records, all)
	}
}
