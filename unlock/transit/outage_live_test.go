package transit_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// If the server is sealed, refuses calls for now, or cannot be reached, the key is
// unavailable, and a key file opens the store in its place.
func TestLiveOutage(t *testing.T) {
	s := livetest.NewVault(t, livetest.VaultOptions{TLS: true})
	v := &vault{VaultServer: s, mount: s.Transit(t, "nebula"), wire: &recorder{}}
	c := v.config(t, policy(v.mount, "nebula"), "nebula")
	c.Transport = nil // it trusts the system's authorities
	slot, _ := newSlot(t, newKey(t, c), "abcdefgh")
	p := newPlace(t, newKey(t, c))
	file := &nebula.KeyFile{Path: t.TempDir() + "/key"}
	if err := nebula.CreateKeyFile(file.Path); err != nil {
		t.Fatal(err)
	}
	if _, err := p.open(t, newKey(t, c)).AddKey(t.Context(), file, ""); err != nil {
		t.Fatal(err)
	}
	refuses := func(says ...string) {
		t.Helper()
		began := time.Now()
		_, err := newKey(t, c).Secret(t.Context(), slot)
		wants(t, err, nebula.ErrUnavailable, append(says, v.mount+"/nebula")...)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		if err := get(t, p.open(t, newKey(t, c), file)); err != nil {
			t.Errorf("with a key file: %v", err)
		}
		wants(t, get(t, p.open(t, newKey(t, c))), nebula.ErrUnavailable)
	}
	s.API(t, http.MethodPost, "sys/quotas/rate-limit/none", map[string]any{"path": v.mount, "rate": 0.01, "interval": "1h"})
	newKeyOpens := func() bool { _, err := newKey(t, c).Secret(t.Context(), slot); return err == nil }
	for newKeyOpens() {
	}
	refuses("429")
	s.API(t, http.MethodDelete, "sys/quotas/rate-limit/none", nil)
	if !newKeyOpens() {
		t.Error("the quota is gone, and the slot does not open")
	}

	s.API(t, http.MethodPost, "sys/seal", nil)
	refuses("sealed")
	s.Stop(t)
	refuses("vault_transit.address")
	s.Start(t)
	if !newKeyOpens() {
		t.Error("the server is back, and the slot does not open")
	}

	c.CACert = ""
	_, err := newKey(t, c).Secret(t.Context(), slot)
	wants(t, err, nebula.ErrUnavailable, "certificate", "vault_transit.ca_cert")
}

// If the caller stops waiting, the error says so, and the key does not remember it.
func TestLiveCancelled(t *testing.T) {
	v := newVault(t, "nebula")
	c := v.config(t, "", "nebula")
	slot, _ := newSlot(t, newKey(t, c), "abcdefgh")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	key := newKey(t, c)
	_, err := key.Secret(ctx, slot)
	wants(t, err, nebula.ErrInterrupted)
	if _, err := key.Secret(t.Context(), slot); err != nil {
		t.Error(err)
	}
}
