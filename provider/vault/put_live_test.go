package vault_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// These are the calls of a whole operation in a new process, with the keyring: the
// table of docs/providers/vault.md.
func TestLiveCallsOfAProcess(t *testing.T) {
	_, wire, c := liveOpen(t)
	ctx := t.Context()
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := nebula.CreateKeyFile(keyFile); err != nil {
		t.Fatal(err)
	}
	key := &nebula.KeyFile{Path: keyFile}
	process := func() *nebula.Store {
		t.Helper()
		store, err := nebula.Open(ctx, open(t, c, provider.OneShot()), nebula.Options{Keys: []nebula.Key{key}})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	if _, err := process().Init(ctx, key); err != nil {
		t.Fatal(err)
	}
	put := func(value string, o nebula.PutOptions) func(context.Context, *nebula.Store) error {
		return func(ctx context.Context, s *nebula.Store) error {
			_, err := s.Put(ctx, "a", nebula.NewSecret([]byte(value)), o)
			return err
		}
	}
	read, write := []string{"GET keyring", "GET data"}, []string{"PATCH data"}
	for _, step := range []struct {
		what string
		call func(context.Context, *nebula.Store) error
		want []string
	}{
		{"put new", put("1", nebula.PutOptions{}), append(slices.Clone(read), "POST data", "POST metadata")},
		{"put again", put("2", nebula.PutOptions{}), append(slices.Clone(read), write...)},
		{"put with other tags", put("3", nebula.PutOptions{Tags: map[string]string{"a": "b"}}), append(slices.Clone(read), "PATCH data", "POST metadata")},
		{"get", func(ctx context.Context, s *nebula.Store) error { _, err := s.Get(ctx, "a"); return err }, read},
		{"delete", func(ctx context.Context, s *nebula.Store) error {
			_, err := s.Delete(ctx, "a", nebula.DeleteOptions{})
			return err
		}, []string{"GET metadata", "POST delete"}},
		{"put if absent over a deleted one", put("4", nebula.PutOptions{IfAbsent: true}),
			[]string{"GET keyring", "POST data", "GET metadata", "POST data", "POST metadata"}},
	} {
		store := process()
		wire.since()
		err := step.call(ctx, store)
		var got []string
		for _, call := range wire.since() {
			method, path, _ := strings.Cut(call, " ")
			tree, id, _ := strings.Cut(strings.TrimPrefix(path, "/v1/"+c.MountPath+"/"), "/")
			if strings.HasSuffix(id, "/.keyring") {
				tree = "keyring"
			}
			got = append(got, method+" "+tree)
		}
		slices.Sort(got)
		slices.Sort(step.want)
		if err != nil || !slices.Equal(got, step.want) {
			t.Errorf("%s: %v, calls\n%q, want\n%q", step.what, err, got, step.want)
		}
	}
}
