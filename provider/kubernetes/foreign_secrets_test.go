package kubernetes_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
)

// A Secret of others is read as it is. No list is requested.
func TestLiveForeignSecret(t *testing.T) {
	s := livetest.Kubernetes(t)
	p, wire, c := liveOpen(t)
	path := strings.TrimPrefix(secretsOf(c), "/")
	for _, secret := range []map[string]any{
		{"metadata": map[string]any{"name": "app.tls"}, "type": "example.com/tls", "data": map[string]any{"key": "AP8="}, "stringData": map[string]any{"ca": "c\n"}},
		{"metadata": map[string]any{"name": "empty"}},
	} {
		s.API(t, http.MethodPost, path, secret)
	}
	ctx := t.Context()
	f, ok := nebula.As[provider.ForeignReader](p)
	if !ok {
		t.Fatal("the provider is not a ForeignReader")
	}
	wire.since()
	names, err := f.ForeignNames(ctx, "app.tls")
	if err != nil || len(names) != 1 || names[0] != "app.tls" {
		t.Fatalf("%q, %v", names, err)
	}
	got, err := f.Foreign(ctx, "app.tls")
	if err != nil || len(got.Keys) != 2 || string(got.Keys["key"]) != "\x00\xff" || string(got.Keys["ca"]) != "c\n" {
		t.Errorf("%d keys, %v", len(got.Keys), err)
	}
	if calls, _ := wire.since(); len(calls) != 1 {
		t.Errorf("calls: %q", calls)
	}
	if got, err := f.Foreign(ctx, "empty"); err != nil || got.Keys == nil || len(got.Keys) != 0 {
		t.Errorf("%v, %v", got.Keys, err)
	}
	if _, err := f.Foreign(ctx, "none"); nebula.KindOf(err) != nebula.ErrNotFound {
		t.Error(err)
	}
	for _, name := range []string{"", "a/b", "..", "A", "a..b", "-a", "a?x", strings.Repeat("a", 254)} {
		_, err := f.ForeignNames(ctx, name)
		wants(t, err, nebula.ErrUsage, "not the name of a Secret")
	}
	name, e := record(t, "own", "v", nil)
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Foreign(ctx, "nebula-cred-own"); err != nil || !got.IsRecord() {
		t.Errorf("a record is not recognised: %v", err)
	}
}
