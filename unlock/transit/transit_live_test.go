package transit_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/unlock/transit"
)

// With the policy of the documentation, making a slot takes three calls and opening it
// takes one, for each type of key that encrypts.
func TestLiveSlots(t *testing.T) {
	for _, kind := range []string{"aes256-gcm96", "aes128-gcm96", "chacha20-poly1305", "rsa-2048", "rsa-4096"} {
		t.Run(kind, func(t *testing.T) {
			v := newVault(t)
			v.API(t, http.MethodPost, v.mount+"/keys/nebula", map[string]any{"type": kind})
			c := v.config(t, policy(v.mount, "nebula"), "nebula")
			maker := newKey(t, c)
			slot, secret := newSlot(t, maker, "abcdefgh")
			wantCalls(t, v, "GET keys/nebula", "POST encrypt/nebula", "POST decrypt/nebula")
			if slot.ID != "abcdefgh" || slot.Kind != nebula.SlotVaultTransit || slot.Salt != [16]byte{1} || len(secret) != 32 ||
				slotdata.Check(slot.Kind, slot.ID, slot.Data) != nil || bytes.Contains(slot.Data, secret) {
				t.Fatalf("the slot is %+v", slot)
			}
			if again, err := maker.Secret(t.Context(), slot); err != nil || !bytes.Equal(again, secret) {
				t.Errorf("the key that made the slot gets %x, %v", again, err)
			}
			wantCalls(t, v)
			opener := newKey(t, c)
			for range 3 {
				got, err := opener.Secret(t.Context(), slot)
				if err != nil || !bytes.Equal(got, secret) {
					t.Fatalf("the slot did not open: %v", err)
				}
			}
			wantCalls(t, v, "POST decrypt/nebula")

			data, err := slotdata.ParseVaultTransit(slot.Data)
			if err != nil {
				t.Fatal(err)
			}
			data.Ciphertext = damage(data.Ciphertext)
			slot.Data = data.Bytes()
			_, err = opener.Secret(t.Context(), slot)
			wants(t, err, nebula.ErrCorrupted, "abcdefgh", "nebula")
		})
	}
}

// damage changes one byte in the middle of a ciphertext.
func damage(ciphertext string) string {
	at := len(ciphertext) / 2
	other := "A"
	if ciphertext[at] == 'A' {
		other = "B"
	}
	return ciphertext[:at] + other + ciphertext[at+1:]
}

// Opening a slot has its own error for each state of a key or a token.
func TestLiveRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		make func(t *testing.T, v *vault, c *transit.Config)
		kind nebula.Kind
		says []string
	}{
		"version too low": {func(t *testing.T, v *vault, _ *transit.Config) {
			v.API(t, http.MethodPost, v.mount+"/keys/nebula/rotate", nil)
			v.API(t, http.MethodPost, v.mount+"/keys/nebula/config", map[string]any{"min_decryption_version": 2})
		}, nebula.ErrPermissionDenied, []string{"version 1", "min_decryption_version=1"}},
		"key deleted": {func(t *testing.T, v *vault, _ *transit.Config) {
			v.API(t, http.MethodPost, v.mount+"/keys/nebula/config", map[string]any{"deletion_allowed": true})
			v.API(t, http.MethodDelete, v.mount+"/keys/nebula", nil)
		}, nebula.ErrPermissionDenied, []string{"no such key", "nebula key remove"}},
		"key made anew": {func(t *testing.T, v *vault, _ *transit.Config) {
			v.API(t, http.MethodPost, v.mount+"/keys/nebula/config", map[string]any{"deletion_allowed": true})
			v.API(t, http.MethodDelete, v.mount+"/keys/nebula", nil)
			v.API(t, http.MethodPost, v.mount+"/keys/nebula", nil)
		}, nebula.ErrCorrupted, []string{"made anew"}},
		"engine gone": {func(t *testing.T, v *vault, c *transit.Config) {
			c.Auth.Token = nebula.NewSecret([]byte(v.RootToken))
			v.API(t, http.MethodPost, "sys/remount", map[string]any{"from": v.mount, "to": v.mount + "-moved"})
			t.Cleanup(func() {
				v.API(t, http.MethodPost, "sys/remount", map[string]any{"from": v.mount + "-moved", "to": v.mount})
			})
			awaitMount(t, v)
		}, nebula.ErrPermissionDenied, []string{"no secrets engine of type transit"}},
		"policy taken away": {func(t *testing.T, v *vault, c *transit.Config) {
			c.Auth.Token = nebula.NewSecret([]byte(v.Token(t, map[string]any{"policies": []string{"default"}})))
		}, nebula.ErrPermissionDenied, []string{"update", "/decrypt/nebula"}},
		"token revoked": {func(t *testing.T, v *vault, c *transit.Config) {
			token := v.Token(t, map[string]any{"policies": []string{"default"}})
			v.API(t, http.MethodPost, "auth/token/revoke", map[string]any{"token": token})
			c.Auth.Token = nebula.NewSecret([]byte(token))
		}, nebula.ErrUnauthenticated, []string{"the token is not valid"}},
		"nothing listens": {func(_ *testing.T, _ *vault, c *transit.Config) { c.Address = "http://127.0.0.1:1" },
			nebula.ErrUnavailable, []string{"vault_transit.address"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t, "nebula")
			c := v.config(t, policy(v.mount, "nebula"), "nebula")
			slot, _ := newSlot(t, newKey(t, c), "abcdefgh")
			test.make(t, v, &c)
			_, err := newKey(t, c).Secret(t.Context(), slot)
			wants(t, err, test.kind, test.says...)
			if text := fmt.Sprint(err); !strings.Contains(text, "nebula") || strings.Contains(text, string(c.Auth.Token.Reveal())) {
				t.Errorf("the error is %s", text)
			}
		})
	}
}

// awaitMount waits until a mount is gone: Vault moves it in the background.
func awaitMount(t *testing.T, v *vault) {
	t.Helper()
	for range 100 {
		mounts := v.API(t, http.MethodGet, "sys/mounts", nil)
		if _, there := mounts[v.mount+"-moved/"]; there {
			return
		}
	}
	t.Fatal("the engine was not moved")
}
