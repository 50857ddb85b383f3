package vault_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/providertest"
)

// warnings collects the warnings of a provider.
type warnings struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *warnings) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

// since returns the warnings since it was last called.
func (w *warnings) since() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.text.Reset()
	return w.text.String()
}

func (w *warnings) option() provider.Option {
	return provider.WithWarnings(slog.New(slog.NewTextHandler(w, nil)))
}

// An engine that deletes versions by itself would also delete the keyring, and with
// it the store. Nebula warns of that when the store is made, at each write and in
// doctor, even with a token that may not read the engine's configuration. After the
// keyring is deleted, the error says how to bring it back.
func TestLiveEngineDeletesVersions(t *testing.T) {
	t.Parallel() // it mostly waits
	s := livetest.Vault(t)
	c := liveConfig(s, s.Mount(t, 2))
	s.API(t, http.MethodPost, c.MountPath+"/config", map[string]any{"delete_version_after": "1h"})
	c.Auth.Token = nebula.NewSecret([]byte(s.Token(t, map[string]any{"policies": []string{s.Policy(t, narrow(c.MountPath, c.PathPrefix))}})))
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := nebula.CreateKeyFile(keyFile); err != nil {
		t.Fatal(err)
	}
	key := &nebula.KeyFile{Path: keyFile}
	ctx := t.Context()
	var warned warnings
	reopen := func() *nebula.Store {
		store, err := nebula.Open(ctx, open(t, c, provider.OneShot(), warned.option()), nebula.Options{Keys: []nebula.Key{key}})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	says := func(what, text string, wanted ...string) {
		t.Helper()
		for _, part := range wanted {
			if !strings.Contains(text, part) {
				t.Errorf("%s: %q does not say %q", what, text, part)
			}
		}
	}
	undelete := "vault kv undelete -mount=" + c.MountPath + " -versions=1 " + c.PathPrefix + "/.keyring"
	store := reopen()
	if _, err := store.Init(ctx, key); err != nil {
		t.Fatal(err)
	}
	says("init", warned.since(), "keyring", "no credential of this store can be read", "delete_version_after=0s", undelete)
	if _, err := store.Put(ctx, "x", nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	says("put", warned.since(), "Vault deletes", "x", "delete_version_after")
	if _, err := store.Delete(ctx, "x", nebula.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := store.Restore(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	says("restore", warned.since(), "Vault deletes", "x", "delete_version_after")
	var found string
	for _, f := range reopen().Check(ctx) {
		if f.Check == "lifetimes" {
			found += string(f.Severity) + " " + f.Message + " " + f.Fix
		}
	}
	says("doctor", found, "warning", "keyring", undelete)

	// This is how the keyring ends.
	s.API(t, http.MethodDelete, c.MountPath+"/data/"+c.PathPrefix+"/.keyring", nil)
	_, err := reopen().Get(ctx, "x")
	wants(t, err, nebula.ErrCorrupted, "keyring was deleted", undelete)
	_, err = reopen().Put(ctx, "y", nebula.NewSecret([]byte("v")), nebula.PutOptions{})
	wants(t, err, nebula.ErrCorrupted, "keyring was deleted", undelete)
	_, err = reopen().Init(ctx, key)
	wants(t, err, nebula.ErrCorrupted, "keyring was deleted", undelete)
	p := open(t, c, provider.OneShot())
	_, err = p.Store(ctx, nebula.KeyringName(), providertest.Keyring(), nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	wants(t, err, nebula.ErrCorrupted, "keyring was deleted", undelete)
	_, err = p.Exists(ctx, nebula.KeyringName())
	wants(t, err, nebula.ErrCorrupted, "keyring was deleted", undelete)
	s.API(t, http.MethodPost, c.MountPath+"/config", map[string]any{"delete_version_after": "0s"})
	s.API(t, http.MethodPost, c.MountPath+"/undelete/"+c.PathPrefix+"/.keyring", map[string]any{"versions": []int{1}})
	if got, err := reopen().Get(ctx, "x"); err != nil || string(got.Secret.Reveal()) != "v" {
		t.Errorf("after the undelete: %v", err)
	}
	warned.since()
	if _, err := store.Put(ctx, "z", nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil || warned.since() != "" {
		t.Errorf("a put that stays: %v, or there is a warning", err)
	}
	for _, f := range reopen().Check(ctx) {
		if f.Severity != nebula.SeverityOK {
			t.Errorf("doctor: %+v", f)
		}
	}
}

// The commands of the warning do what they say: an existing version is no longer
// deleted later.
func TestLiveKeepAVersion(t *testing.T) {
	p, _, c := liveOpen(t)
	s, ctx := livetest.Vault(t), t.Context()
	s.API(t, http.MethodPost, c.MountPath+"/config", map[string]any{"delete_version_after": "2s"})
	name, e := record(t, "kept", "v", nil)
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	reader := open(t, c, provider.OneShot()) // another process, which has only read it
	if _, err := reader.Retrieve(ctx, name); err != nil {
		t.Fatal(err)
	}
	if ids := listed(t, reader, nebula.Filter{}); len(ids) != 1 {
		t.Errorf("the list of a process that saw the version is %q", ids)
	}
	s.API(t, http.MethodPost, c.MountPath+"/config", map[string]any{"delete_version_after": "0s"})
	s.API(t, http.MethodPost, c.MountPath+"/undelete/"+c.PathPrefix+"/kept", map[string]any{"versions": []int{1}})
	time.Sleep(2500 * time.Millisecond)
	if _, err := p.Retrieve(ctx, name); err != nil {
		t.Errorf("the version did not stay: %v", err)
	}
}

// If Vault is to delete a keyring, the first reader in the second half of its life
// writes it again, and the store outlives it.
func TestLiveKeyringIsExtended(t *testing.T) {
	t.Parallel() // it mostly waits
	s := livetest.Vault(t)
	c := liveConfig(s, s.Mount(t, 2))
	const life = 8 * time.Second
	s.API(t, http.MethodPost, c.MountPath+"/config", map[string]any{"delete_version_after": life.String()})
	ctx := t.Context()
	begun := time.Now()
	keyring := providertest.Keyring()
	if _, err := open(t, c).Store(ctx, nebula.KeyringName(), keyring, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	versions := func() int {
		p := open(t, c)
		defer p.(nebula.Connector).Close() // waits for the background work of the read
		if _, err := p.Retrieve(ctx, nebula.KeyringName()); err != nil {
			t.Fatal(err)
		}
		history, err := p.(nebula.Historian).History(ctx, nebula.KeyringName())
		if err != nil {
			t.Fatal(err)
		}
		return len(history)
	}
	if n := versions(); n != 1 {
		t.Errorf("%d versions at first", n)
	}
	time.Sleep(time.Until(begun.Add(life/2 + time.Second)))
	versions()
	if n := versions(); n != 2 {
		t.Errorf("%d versions in the second half of its life, want 2: it is written again once", n)
	}
	time.Sleep(time.Until(begun.Add(life + time.Second)))
	got, err := open(t, c).Retrieve(ctx, nebula.KeyringName())
	if err != nil || !bytes.Equal(got.Envelope.Bytes(), keyring.Bytes()) {
		t.Errorf("after the end of the first version: %v", err)
	}
}
