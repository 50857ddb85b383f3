package transit_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/unlock/transit"
)

// findings returns the findings of a check, one a line.
func findings(t *testing.T, c transit.Config) (text string) {
	t.Helper()
	checker, ok := newKey(t, c).(nebula.Checker)
	if !ok {
		t.Fatal("the key has no check")
	}
	for _, f := range checker.Check(t.Context()) {
		if f.Check != nebula.SlotVaultTransit && f.Check != "clock" {
			t.Errorf("the check is called %q", f.Check)
		}
		text += fmt.Sprintf("%s: %s → %s\n", f.Severity, f.Message, f.Fix)
	}
	return text
}

func TestLiveCheck(t *testing.T) {
	v := newVault(t, "nebula", "second")
	says := func(c transit.Config, want ...string) {
		t.Helper()
		text := findings(t, c)
		for _, line := range want {
			if !strings.Contains(text, line) {
				t.Errorf("it does not say %q:\n%s", line, text)
			}
		}
		if want == nil && (strings.Contains(text, "warning: ") || strings.Contains(text, "error: ")) {
			t.Errorf("all is well, and it says:\n%s", text)
		}
	}
	full := policy(v.mount, "nebula") + policy(v.mount, "second")
	says(v.config(t, full, "nebula", "second"))
	says(v.config(t, policy(v.mount, "nebula"), "nebula"), "ok: ", "Vault 1.", "aes256-gcm96, version 1", "slots can be made for ", "agrees with the server's")
	wantCalls := len(v.wire.since())
	if says(v.config(t, full, "nebula")); len(v.wire.since()) != 3 || wantCalls == 0 {
		t.Error("a check of one key does not make three calls")
	}
	says(v.config(t, without(full, "/encrypt/nebula"), "nebula"), "ok: no slot can be made for ")
	says(v.config(t, without(full, "/keys/nebula"), "nebula"), "ok: no slot can be made for ")
	says(v.config(t, without(full, "/decrypt/nebula"), "nebula"),
		"error: the token lacks update on "+v.mount+"/decrypt/nebula", `capabilities = ["update"]`)
	creates := strings.ReplaceAll(full, `["update"]`, `["create", "update"]`)
	says(v.config(t, creates, "nebula"), "warning: the token has create on "+v.mount+"/encrypt/nebula")
	says(v.config(t, "", "missing"), "error: ", "there is no such key")
	c := v.config(t, full, "nebula")
	c.Namespace = "team-a"
	says(c, "warning: vault_transit.namespace is team-a", "community")
	c = v.config(t, full, "nebula")
	c.Auth.Token = nebula.NewSecret([]byte("hvs.wrong"))
	says(c, "error: ", "the token is not valid")
	c.Auth = transit.Auth{Method: "token", TokenFile: "/nowhere/token"}
	says(c, "error: ", "vault_transit.auth.token_file")
	c.Address = "http://127.0.0.1:1"
	c.Auth.Token, c.Auth.TokenFile = nebula.NewSecret([]byte("x")), ""
	says(c, "error: ", "refuses the connection")

	v.API(t, http.MethodPost, v.mount+"/keys/second/config", map[string]any{"deletion_allowed": true})
	v.API(t, http.MethodPost, v.mount+"/keys/second/rotate", nil)
	v.API(t, http.MethodPost, v.mount+"/keys/second/config", map[string]any{"min_decryption_version": 2})
	says(v.config(t, full, "second"), "version 2, which opens slots from version 2 on", "warning: "+v.mount+"/second may be deleted", "deletion_allowed=false")
	v.API(t, http.MethodPost, v.mount+"/keys/derived", map[string]any{"derived": true})
	says(v.config(t, "", "derived"), "error: ", "derived")
}

// The key can tell whether its Vault also holds the store.
func TestLiveSameVault(t *testing.T) {
	s := livetest.Vault(t)
	c := transit.DefaultConfigIn(func(string) string { return "" })
	c.Address = s.Address
	for address, want := range map[string]bool{
		s.Address + "/secret/nebula":           true,
		s.Address + "/team-a/secret":           true,
		s.Address + "0/secret/nebula":          false,
		"https://vault.example.com:443/secret": false,
	} {
		if c.IsAt(nebula.Description{Provider: "vault", Address: address}) != want {
			t.Errorf("%s: want %v", address, want)
		}
	}
	if c.IsAt(nebula.Description{Provider: "local", Address: s.Address}) {
		t.Error("a store of files counts as one in this Vault")
	}
}
