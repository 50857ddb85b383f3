package config

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/reference"
)

// twoStores is a configuration with two stores of files, each with a key.
func twoStores(t *testing.T) *Config {
	t.Helper()
	dir := t.TempDir()
	text := "[storage.local]\nbase_path = " + strconv.Quote(filepath.Join(dir, "a")) + "\n[key]\nfile = " + strconv.Quote(filepath.Join(dir, "a.key")) +
		"\n[stores.work.local]\nbase_path = " + strconv.Quote(filepath.Join(dir, "b")) + "\n[stores.work.key]\nfile = " + strconv.Quote(filepath.Join(dir, "b.key")) +
		"\n[stores.gone.local]\nbase_path = " + strconv.Quote(filepath.Join(dir, "none")) + "\ncreate_dir = false\n"
	c, err := load(t, text)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"": "a.key", "work": "b.key"} {
		if err := nebula.CreateKeyFile(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
		s, err := c.Open(t.Context(), name, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Init(t.Context(), &nebula.KeyFile{Path: filepath.Join(dir, file)}); err != nil {
			t.Fatal(err)
		}
		for id, value := range map[nebula.ID]string{"plain": "of " + orDefault(name), "json": `{"user":"ann","n":7}`} {
			if _, err := s.Put(t.Context(), id, nebula.NewSecret([]byte(value)), nebula.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return c
}

func TestResolve(t *testing.T) {
	c := twoStores(t)
	var refs []reference.Reference
	want := []string{"of default", "ann", "of work", "7", "of default", `{"user":"ann","n":7}`}
	for _, text := range []string{"nebula://plain", "nebula://json#user", "nebula://work/plain", "nebula://work/json#n",
		"nebula://default/plain", "nebula://work/json"} {
		r, err := reference.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, r)
	}
	var mu sync.Mutex
	var connected, read []string
	count := provider.WithInterceptors(func(ctx context.Context, call provider.Call, next func(context.Context) error) error {
		mu.Lock()
		switch call.Op {
		case provider.OpConnect:
			connected = append(connected, call.Op)
		case provider.OpRetrieve:
			read = append(read, call.Name.String())
		}
		mu.Unlock()
		return next(ctx)
	})
	results, err := c.Resolve(t.Context(), refs, OpenOptions{Provider: []provider.Option{count}})
	if err != nil || len(results) != len(want) {
		t.Fatalf("%v, %v", results, err)
	}
	for i, r := range results {
		if r.Err != nil || string(r.Value.Reveal()) != want[i] || r.Reference != refs[i] {
			t.Errorf("%s: %q, %v, want %q", refs[i], r.Value.Reveal(), r.Err, want[i])
		}
	}
	if len(connected) != 2 {
		t.Errorf("opened %d stores", len(connected))
	}
	slices.Sort(read)
	if got := strings.Join(read, " "); got != ".keyring .keyring json json plain plain" {
		t.Errorf("read %s", got)
	}
}

// A failure affects only its own references.
func TestResolveFailures(t *testing.T) {
	c := twoStores(t)
	refs := []reference.Reference{{ID: "missing"}, {Store: "gone", ID: "plain"}, {Store: "nowhere", ID: "plain"}, {ID: "json", Field: "none"},
		{ID: "plain", Version: "1"}, {ID: "plain"}}
	wants := []nebula.Kind{nebula.ErrNotFound, nebula.ErrInvalidConfig, nebula.ErrUsage, nebula.ErrNotFound, nebula.ErrNotSupported, ""}
	results, err := c.Resolve(t.Context(), refs, OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if got := nebula.KindOf(r.Err); got != wants[i] || (r.Err == nil) != (r.Value.Len() > 0) {
			t.Errorf("%s: %v, want %q", refs[i], r.Err, wants[i])
		}
	}
}
