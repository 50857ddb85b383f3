package azurekey_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
)

// newStore makes a store that the key "team" opens, with a credential, and returns
// the id of its data key.
func newStore(t *testing.T, w *world) (string, nebula.KeyID) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	key := w.key(t)
	s := open(t, dir, nebula.Options{Keys: []nebula.Key{key}})
	id, err := s.Init(t.Context(), key)
	if err == nil {
		_, err = s.Put(t.Context(), "x", nebula.NewSecret([]byte("v")), nebula.PutOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	w.calls()
	return dir, id
}

func wantValue(t *testing.T, s *nebula.Store) {
	t.Helper()
	if c, err := s.Get(t.Context(), "x"); err != nil || string(c.Secret.Reveal()) != "v" {
		t.Errorf("got %v", err)
	}
}

// If the store has no other key, a process opens it with one call to the key, however
// much it reads.
func TestStoreAlone(t *testing.T) {
	w := newWorld(t)
	dir, id := newStore(t, w)
	s := open(t, dir, nebula.Options{Keys: []nebula.Key{w.key(t)}, TrustedKey: &id})
	wantValue(t, s)
	wantValue(t, s)
	if got, want := w.calls(), (calls{logins: 2, unwraps: 1, all: 3}); got != want {
		t.Errorf("the calls are %+v", got)
	}
}

// A rotation gives the slots of both keys a new secret, wrapped by the current versions.
func TestRotateTwoKeys(t *testing.T) {
	w := newWorld(t)
	w.AddKey("other", azureserver.KeySeed{Size: 3072})
	dir, id := newStore(t, w)
	s := open(t, dir, nebula.Options{Keys: []nebula.Key{w.key(t, w.url("other"))}, TrustedKey: &id})
	c := w.config()
	c.URL = w.url("other")
	if _, err := s.AddKey(t.Context(), newKey(t, c), "other"); err != nil {
		t.Fatal(err)
	}
	before := slotsOf(t, s)
	current := w.AddKey("team", azureserver.KeySeed{})
	w.calls()
	result, err := s.Rotate(t.Context(), nebula.RotateOptions{})
	if err != nil || result.Sealed != 1 {
		t.Fatalf("the rotation: %+v, %v", result, err)
	}
	if got := w.calls(); got.wraps != 2 || got.unwraps != 2 {
		t.Errorf("the calls of the rotation are %+v", got)
	}
	after := slotsOf(t, s)
	for i := range before {
		if after[i].ID != before[i].ID || after[i].Salt == before[i].Salt || string(after[i].Data) == string(before[i].Data) {
			t.Errorf("slot %d was %+v and is %+v", i, before[i], after[i])
		}
	}
	if got := parse(t, after[0]).URL.String(); got != current {
		t.Errorf("the slot is for %s, not for %s", got, current)
	}
	for _, url := range []string{w.url("team"), w.url("other")} {
		c.URL = url
		wantValue(t, open(t, dir, nebula.Options{Keys: []nebula.Key{newKey(t, c)}, TrustedKey: &result.KeyID}))
	}
}

// If only wrapping is denied, the slot keeps its secret. If nothing is allowed, the
// rotation changes nothing, and says why.
func TestRotateDenied(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		want   nebula.Kind
		kept   bool
		text   string
	}{
		"wrap denied":         {func(w *world) { w.Inject(azureserver.ForbiddenByRbac(azureserver.WrapKey)) }, "", true, ""},
		"unwrap denied":       {func(w *world) { w.Inject(azureserver.ForbiddenByRbac(azureserver.UnwrapKey)) }, "", false, ""},
		"both denied":         {func(w *world) { w.Inject(azureserver.ForbiddenByRbac("")) }, nebula.ErrUsage, true, "lacks the action Microsoft.KeyVault/vaults/keys/wrap/action"},
		"disabled":            {func(w *world) { _ = w.ChangeKey("team", "", false, time.Time{}) }, nebula.ErrUsage, true, "is disabled"},
		"expired":             {func(w *world) { _ = w.ChangeKey("team", "", true, time.Now().Add(-time.Hour)) }, "", true, ""},
		"deleted":             {func(w *world) { w.DeleteKey("team") }, nebula.ErrUsage, true, "or it was deleted"},
		"away":                {func(w *world) { w.Inject(azureserver.Unavailable(503)) }, nebula.ErrUnavailable, true, "503"},
		"not to unwrap, ever": {func(w *world) { w.AddKey("team", azureserver.KeySeed{Operations: []string{"wrapKey"}}) }, "", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			dir, id := newStore(t, w)
			s := open(t, dir, nebula.Options{Keys: []nebula.Key{w.key(t)}, TrustedKey: &id})
			wantValue(t, s) // it holds the data key
			fresh := w.key(t)
			s = open(t, dir, nebula.Options{Keys: []nebula.Key{fresh}, DataKeys: kept(t, dir, w, id), TrustedKey: &id})
			before := slotsOf(t, s)
			c.change(w)
			result, err := s.Rotate(t.Context(), nebula.RotateOptions{})
			wantKind(t, err, c.want, c.text)
			after := slotsOf(t, s)
			if same := string(after[0].Data) == string(before[0].Data) && after[0].Salt == before[0].Salt; same != c.kept {
				t.Errorf("the slot was %+v and is %+v", before, after)
			}
			if c.want != "" && result.KeyID != (nebula.KeyID{}) && result.KeyID != id {
				t.Errorf("the data key is %s", result.KeyID)
			}
		})
	}
}

// Anyone can make a slot for the key. So somebody else's keyring is refused, for reading
// and for writing, with a pin and without, and from an agent that holds its data key.
func TestStrangersKeyring(t *testing.T) {
	w := newWorld(t)
	_, mine := newStore(t, w)
	theirs, evil := newStore(t, w)
	for name, options := range map[string]nebula.Options{
		"nothing is known":             {},
		"the id is configured":         {TrustedKey: &mine},
		"an agent, and nothing known":  {DataKeys: kept(t, theirs, w, evil)},
		"an agent, and the configured": {DataKeys: kept(t, theirs, w, evil), TrustedKey: &mine},
	} {
		options.Keys = []nebula.Key{w.key(t)}
		s := open(t, theirs, options)
		_, get := s.Get(t.Context(), "x")
		_, put := s.Put(t.Context(), "y", nebula.NewSecret([]byte("mine")), nebula.PutOptions{})
		for what, err := range map[string]error{"get": get, "put": put} {
			if nebula.KindOf(err) != nebula.ErrUntrustedKey || strings.Contains(err.Error(), evil.String()) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
	s := open(t, theirs, nebula.Options{Keys: []nebula.Key{w.key(t)}, TrustedKey: &evil})
	if exists, err := s.Exists(t.Context(), "y"); exists || err != nil {
		t.Errorf("it was written under the stranger's key: %t, %v", exists, err)
	}
}

// keptKeys is an agent that holds one data key, which was not compared with a pin.
type keptKeys struct{ key nebula.KeptKey }

func (k *keptKeys) Get(context.Context, string) (nebula.KeptKey, bool) {
	return nebula.KeptKey{Secret: k.key.Secret}, true
}

func (k *keptKeys) Keep(_ context.Context, _ string, key nebula.KeptKey) { k.key = key }

// kept returns the data key of a store as an agent keeps it.
func kept(t *testing.T, dir string, w *world, id nebula.KeyID) nebula.DataKeys {
	t.Helper()
	keys := &keptKeys{}
	s := open(t, dir, nebula.Options{Keys: []nebula.Key{w.key(t)}, TrustedKey: &id, DataKeys: noKeys{keys}})
	wantValue(t, s)
	if keys.key.Secret == [32]byte{} {
		t.Fatal("no data key was kept")
	}
	return keys
}

// noKeys is an agent that keeps a key and gives none.
type noKeys struct{ *keptKeys }

func (noKeys) Get(context.Context, string) (nebula.KeptKey, bool) { return nebula.KeptKey{}, false }

func slotsOf(t *testing.T, s *nebula.Store) []nebula.Slot {
	t.Helper()
	info, err := s.Keys(t.Context())
	if err != nil || !info.Authentic {
		t.Fatalf("keys: %+v, %v", info, err)
	}
	return info.Slots
}
