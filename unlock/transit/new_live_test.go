package transit_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/unlock/transit"
)

// If the policy allows it, Vault makes a key for a name that it does not know. So Nebula
// reads the key before it encrypts.
func TestLiveMistypedKeyIsNotMade(t *testing.T) {
	v := newVault(t)
	everything := fmt.Sprintf(`path "%s/*" { capabilities = ["create", "read", "update", "delete", "list"] }`, v.mount)
	_, _, err := newKey(t, v.config(t, everything, "nebula")).NewSlot(t.Context(), "abcdefgh", [16]byte{})
	wants(t, err, nebula.ErrInvalidConfig, "no such key", "vault write -f "+v.mount+"/keys/nebula")
	wantCalls(t, v, "GET keys/nebula")

	// Without that, Vault does make one.
	v.API(t, http.MethodPost, v.mount+"/encrypt/nebula", map[string]any{"plaintext": "AAAA"})
	newSlot(t, newKey(t, v.config(t, everything, "nebula")), "abcdefgh")
}

func TestLiveUnfitKeys(t *testing.T) {
	for name, test := range map[string]struct {
		key  map[string]any
		says string
	}{
		"derived": {map[string]any{"derived": true}, "derived"},
		"signs":   {map[string]any{"type": "ed25519"}, "ed25519"},
		"hmac":    {map[string]any{"type": "hmac", "key_size": 32}, "hmac"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t)
			v.API(t, http.MethodPost, v.mount+"/keys/nebula", test.key)
			key := newKey(t, v.config(t, policy(v.mount, "nebula"), "nebula"))
			_, _, err := key.NewSlot(t.Context(), "abcdefgh", [16]byte{})
			wants(t, err, nebula.ErrNotSupported, test.says, v.mount+"/nebula", "vault write -f")
			wantCalls(t, v, "GET keys/nebula")
		})
	}
}

// The error names the path of what a token may not do. A token that may only encrypt
// makes slots for others.
func TestLiveLeastPolicies(t *testing.T) {
	v := newVault(t, "nebula")
	lines := map[string]string{}
	for line := range strings.Lines(policy(v.mount, "nebula")) {
		for _, what := range []string{"decrypt", "encrypt", "keys"} {
			if strings.Contains(line, "/"+what+"/") {
				lines[what] = line
			}
		}
	}
	for _, lacks := range []string{"keys", "encrypt"} {
		c := v.config(t, strings.ReplaceAll(policy(v.mount, "nebula"), lines[lacks], ""), "nebula")
		_, _, err := newKey(t, c).NewSlot(t.Context(), "abcdefgh", [16]byte{})
		wants(t, err, nebula.ErrPermissionDenied, v.mount+"/"+lacks+"/nebula", strings.TrimSpace(lines[lacks]))
	}
	var told []string
	c := v.config(t, strings.ReplaceAll(policy(v.mount, "nebula"), lines["decrypt"], ""), "nebula")
	c.Tell = func(text string) { told = append(told, text) }
	slot, secret := newSlot(t, newKey(t, c), "abcdefgh")
	if len(told) != 1 || !strings.Contains(told[0], "not tried") || !strings.Contains(told[0], "/decrypt/nebula") {
		t.Errorf("it told %q", told)
	}
	got, err := newKey(t, v.config(t, lines["decrypt"], "nebula")).Secret(t.Context(), slot)
	if err != nil || !bytes.Equal(got, secret) {
		t.Errorf("the token that may decrypt: %v", err)
	}
}

// Vault is not called for a slot whose key is not configured, wherever that key is. The
// content of a slot is compared, never followed.
func TestLiveSlotsOfOthers(t *testing.T) {
	v := newVault(t, "nebula", "other")
	slot, _ := newSlot(t, newKey(t, v.config(t, "", "nebula")), "abcdefgh")
	data, err := slotdata.ParseVaultTransit(slot.Data)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := data
	elsewhere.Mount = v.mount + "/../" + v.mount
	v.wire.since()
	for name, c := range map[string]transit.Config{
		"another key":    v.config(t, "", "other", "third"),
		"another engine": func() transit.Config { c := v.config(t, "", "nebula"); c.MountPath = "transit"; return c }(),
		"no key":         v.config(t, "", ""),
	} {
		key := newKey(t, c)
		_, err := key.Secret(t.Context(), slot)
		wants(t, err, nebula.ErrUnauthenticated, v.mount+"/nebula", "not configured")
		_, _, err = key.Renew(t.Context(), slot, [16]byte{})
		wants(t, err, nebula.ErrNotSupported, v.mount+"/nebula", "not configured")
		if c.MayOpen(slot) {
			t.Errorf("%s: the key says that it may open the slot", name)
		}
	}
	c := v.config(t, "", "other", "nebula")
	if !c.MayOpen(slot) || !c.MayOpen(nebula.Slot{Data: slot.Data}) || c.MayOpen(nebula.Slot{Data: elsewhere.Bytes()}) {
		t.Error("the key does not try the slot of a configured key")
	}
	_, err = newKey(t, c).Secret(t.Context(), nebula.Slot{ID: "abcdefgh", Kind: nebula.SlotVaultTransit, Data: elsewhere.Bytes()})
	wants(t, err, nebula.ErrUnauthenticated)
	wantCalls(t, v)
	if _, err := newKey(t, c).Secret(t.Context(), slot); err != nil {
		t.Error(err)
	}
	wantCalls(t, v, "POST decrypt/nebula")
}

// A role logs in once for several calls in a row, and its token does not outlive them.
func TestLiveAppRole(t *testing.T) {
	v := newVault(t, "nebula")
	mount, roleID, secretID := v.AppRole(t, map[string]any{"token_policies": []string{v.Policy(t, policy(v.mount, "nebula"))}})
	c := v.config(t, "", "nebula")
	c.Auth = transit.Auth{Method: "approle", MountPath: mount, RoleID: roleID, SecretIDFile: filepath.Join(t.TempDir(), "id")}
	if err := os.WriteFile(c.Auth.SecretIDFile, []byte(secretID+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantAll := func(want ...string) {
		t.Helper()
		if got := v.wire.since(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the calls are %q, want %q", got, want)
		}
	}
	login, revoke := "POST auth/"+mount+"/login", "POST auth/token/revoke-self"
	slot, secret := newSlot(t, newKey(t, c), "abcdefgh")
	wantAll(login, "GET "+v.mount+"/keys/nebula", "POST "+v.mount+"/encrypt/nebula", "POST "+v.mount+"/decrypt/nebula", revoke)
	key := newKey(t, c)
	for range 2 {
		if got, err := key.Secret(t.Context(), slot); err != nil || !bytes.Equal(got, secret) {
			t.Errorf("the slot did not open: %v", err)
		}
	}
	wantAll(login, "POST "+v.mount+"/decrypt/nebula", revoke)

	c.Auth.RoleID = "another"
	_, err := newKey(t, c).Secret(t.Context(), slot)
	wants(t, err, nebula.ErrUnauthenticated, "vault_transit.auth.role_id")
	if err := os.Remove(c.Auth.SecretIDFile); err != nil {
		t.Fatal(err)
	}
	_, err = newKey(t, c).Secret(t.Context(), slot)
	wants(t, err, nebula.ErrUnauthenticated, "vault_transit.auth.secret_id_file")
}

// The token file of an agent is read each time: the agent may have written another token.
func TestLiveTokenFile(t *testing.T) {
	v := newVault(t, "nebula")
	c := v.config(t, "", "nebula")
	c.Auth.TokenFile = filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		t.Helper()
		if err := os.WriteFile(c.Auth.TokenFile, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := newKey(t, c)
	_, _, err := key.NewSlot(t.Context(), "abcdefgh", [16]byte{})
	wants(t, err, nebula.ErrUnauthenticated, "vault_transit.auth.token_file")
	write("hvs.expired")
	_, _, err = key.NewSlot(t.Context(), "abcdefgh", [16]byte{})
	wants(t, err, nebula.ErrUnauthenticated, "vault_transit.auth.token_file")
	write(v.RootToken)
	newSlot(t, key, "abcdefgh")
}

// If many need the secret of a slot at once, one calls Vault.
func TestLiveManyAtOnce(t *testing.T) {
	v := newVault(t, "nebula")
	c := v.config(t, policy(v.mount, "nebula"), "nebula")
	slot, secret := newSlot(t, newKey(t, c), "abcdefgh")
	v.wire.since()
	key := newKey(t, c)
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			if got, err := key.Secret(t.Context(), slot); err != nil || !bytes.Equal(got, secret) {
				t.Errorf("the slot did not open: %v", err)
			}
		})
	}
	all.Wait()
	wantCalls(t, v, "POST decrypt/nebula")
}

// The community edition accepts a namespace and ignores it.
func TestLiveNamespaceOfCommunity(t *testing.T) {
	v := newVault(t, "nebula")
	c := v.config(t, policy(v.mount, "nebula"), "nebula")
	c.Namespace = "team-a"
	var told []string
	c.Tell = func(text string) { told = append(told, text) }
	slot, secret := newSlot(t, newKey(t, c), "abcdefgh")
	if len(told) != 1 || !strings.Contains(told[0], "team-a") || !strings.Contains(told[0], "community") {
		t.Errorf("it told %q", told)
	}
	c.Namespace = "team-b"
	if got, err := newKey(t, c).Secret(t.Context(), slot); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("Vault tells namespaces apart: %v", err)
	}
}
