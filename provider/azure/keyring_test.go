package azure_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/provider"
)

// busy is a clock that calls a function in the first long sleep.
type busy struct {
	*clock
	meanwhile *func()
}

func (c busy) Sleep(ctx context.Context, d time.Duration) error {
	if call := *c.meanwhile; call != nil && d >= 10*time.Second {
		*c.meanwhile = nil
		call()
	}
	return c.clock.Sleep(ctx, d)
}

// Key Vault lets two processes make a store at once. The one that wrote first finds
// the other's keyring.
func TestLiveTwoKeyrings(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	made := func(p nebula.Provider) (*nebula.Store, nebula.Key) {
		t.Helper()
		key := &nebula.KeyFile{Path: filepath.Join(t.TempDir(), "key")}
		if err := nebula.CreateKeyFile(key.Path); err != nil {
			t.Fatal(err)
		}
		s, err := nebula.Open(ctx, p, nebula.Options{Keys: []nebula.Key{key}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s, key
	}
	_ = r.store(t)
	other, err := r.Latest("nebula-credentials---keyring")
	if err != nil {
		t.Fatal(err)
	}
	r = newRig(t)
	meanwhile := func() { r.Add(other) }
	s, key := made(r.made(t, r.principal(), provider.WithClock(busy{r.clock, &meanwhile})))
	_, err = s.Init(ctx, key)
	wants(t, err, nebula.ErrAlreadyExists)
	if value, err := r.Value("nebula-credentials---keyring"); err != nil || value != other.Value {
		t.Errorf("another keyring is there, %v", err)
	}
}

// If another change of the keyring overtook one, that is a conflict. If the keyring
// could not be read back at once, the next attempt does it.
func TestLiveKeyringReadBack(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	_ = r.store(t)
	p := r.open(t, r.principal())
	name := nebula.KeyringName()
	first, err := p.Retrieve(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	began := r.clock.Now()
	r.Inject(azureserver.Fault{Operation: azureserver.GetSecret, Status: 429, Code: "Throttled", Times: 1})
	v, err := p.Store(ctx, name, first.Envelope, nebula.StoreOptions{Precondition: nebula.IfVersion(first.Version), Previous: first.Envelope})
	if err != nil || v == first.Version {
		t.Fatalf("%q, %v", v, err)
	}
	if waited := r.clock.Now().Sub(began); waited < 10*time.Second {
		t.Errorf("it was read back after %v", waited)
	}
	if history, err := p.(full).History(ctx, name); err != nil || len(history) != 2 {
		t.Errorf("%d versions, %v", len(history), err)
	}
	latest, err := r.Latest("nebula-credentials---keyring")
	if err != nil {
		t.Fatal(err)
	}
	meanwhile := func() { r.Add(latest) }
	q := r.open(t, r.principal(), provider.WithClock(busy{r.clock, &meanwhile}))
	_, err = q.Store(ctx, name, first.Envelope, nebula.StoreOptions{Precondition: nebula.IfVersion(v)})
	wants(t, err, nebula.ErrConflict, "the version is")
}
