package vault_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
)

// Secrets of others can be read with the rights that the documentation lists, and
// with fewer as far as they allow.
func TestLiveForeignSecrets(t *testing.T) {
	s := livetest.Vault(t)
	mount := s.Mount(t, 2)
	for path, data := range map[string]map[string]any{"app": {"a": "1"}, "app/db": {"u": "x", "p": 5}, "app/deep/er": {"é ?%": "y"}, "apple": {"no": "no"}, "app/od d?%2F*": {"k": "v"}} {
		s.API(t, http.MethodPost, mount+"/data/"+path, map[string]any{"data": data})
	}
	reader := func(rules string) provider.ForeignReader {
		c := liveConfig(s, mount)
		c.Auth.Token = nebula.NewSecret([]byte(s.Token(t, map[string]any{"policies": []string{s.Policy(t, fmt.Sprintf(rules, mount))}})))
		f, ok := nebula.As[provider.ForeignReader](open(t, c, provider.OneShot()))
		if !ok {
			t.Fatal("the provider is not a ForeignReader")
		}
		return f
	}
	all := reader(`
path "%[1]s/data/app" { capabilities = ["read"] }
path "%[1]s/data/app/*" { capabilities = ["read"] }
path "%[1]s/metadata/app/" { capabilities = ["list"] }
path "%[1]s/metadata/app/*" { capabilities = ["list"] }
`)
	ctx := t.Context()
	for place, want := range map[string][]string{
		"app": {"app", "app/db", "app/deep/er", "app/od d?%2F*"}, "app/": {"app/db", "app/deep/er", "app/od d?%2F*"}, "app/deep": {"app/deep/er"}, "app/db": {"app/db"}, "app/none": nil,
	} {
		names, err := all.ForeignNames(ctx, place)
		slices.Sort(names)
		if err != nil || !slices.Equal(names, want) {
			t.Errorf("%s: %q, %v", place, names, err)
		}
	}
	for path, want := range map[string]string{"app/db": `{"p":5,"u":"x"}`, "app/deep/er": `{"é ?%":"y"}`, "app/od d?%2F*": `{"k":"v"}`} {
		got, err := all.Foreign(ctx, path)
		if err != nil || string(got.Value) != want {
			t.Errorf("%s: %s, %v", path, got.Value, err)
		}
	}
	if _, err := all.Foreign(ctx, "app/none"); nebula.KindOf(err) != nebula.ErrNotFound {
		t.Error(err)
	}
	for _, place := range []string{"app/../apple", "/app", "app//db", ".", "app/."} {
		_, err := all.ForeignNames(ctx, place)
		wants(t, err, nebula.ErrUsage, "empty, . or ..")
	}
	_, err := all.ForeignNames(ctx, "")
	wants(t, err, nebula.ErrPermissionDenied, mount+"/metadata/", `"list"`)
	_, err = all.Foreign(ctx, "apple")
	wants(t, err, nebula.ErrPermissionDenied, mount+"/data/apple", `"read"`)

	// A token that may not list can still read one secret.
	one := reader(`path "%s/data/app/db" { capabilities = ["read"] }`)
	if names, err := one.ForeignNames(ctx, "app/db"); err != nil || !slices.Equal(names, []string{"app/db"}) {
		t.Errorf("%q, %v", names, err)
	}
	// The error names KV version 1.
	c := liveConfig(s, s.Mount(t, 1))
	s.API(t, http.MethodPost, c.MountPath+"/data/app", map[string]any{"a": "b"})
	f, _ := nebula.As[provider.ForeignReader](open(t, c, provider.OneShot()))
	_, err = f.ForeignNames(ctx, "app")
	wants(t, err, nebula.ErrInvalidConfig, "KV version 2")
}
