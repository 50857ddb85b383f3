package livetest

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestLiveVaultIsShared(t *testing.T) {
	server := Vault(t)
	if again := Vault(t); again != server {
		t.Errorf("there are two servers: %s and %s", server.Address, again.Address)
	}
	mount := server.Mount(t, 2)
	server.API(t, http.MethodPost, mount+"/data/a b?c%", map[string]any{"data": map[string]any{"k": "v"}})
	got := server.API(t, http.MethodGet, mount+"/data/a b?c%", nil)
	if value := got["data"].(map[string]any)["k"]; value != "v" {
		t.Errorf("read %v", got)
	}
	keys := server.API(t, "LIST", mount+"/metadata", nil)["keys"]
	if fmt.Sprint(keys) != "[a b?c%]" {
		t.Errorf("listed %v", keys)
	}
}

func TestLiveVaultHasBothVersions(t *testing.T) {
	server := NewVault(t, VaultOptions{})
	for mount, version := range map[string]string{"secret": "2", "kv1": "1"} {
		options := server.API(t, http.MethodGet, "sys/mounts/"+mount, nil)["options"]
		if fmt.Sprint(options) != "map[version:"+version+"]" {
			t.Errorf("%s has options %v", mount, options)
		}
	}
}

func TestLiveVaultAppRole(t *testing.T) {
	server := Vault(t)
	policy := server.Policy(t, `path "auth/token/lookup-self" { capabilities = ["read"] }`)
	mount, roleID, secretID := server.AppRole(t, map[string]any{"token_policies": policy, "token_ttl": "20m"})
	login := server.API(t, http.MethodPost, "auth/"+mount+"/login", map[string]any{"role_id": roleID, "secret_id": secretID})
	if login["client_token"] == "" || login["lease_duration"] != float64(20*60) {
		t.Errorf("login: %v", login)
	}
	token := server.Token(t, map[string]any{"policies": []string{policy}, "ttl": "1m"})
	other := &VaultServer{Address: server.Address, RootToken: token, client: server.client}
	if _, err := other.call(http.MethodGet, "sys/mounts", nil); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("the token may do more than its policy: %v", err)
	}
}

func TestLiveVaultStopsAndStarts(t *testing.T) {
	for _, o := range []VaultOptions{{}, {TLS: true}} {
		t.Run(fmt.Sprintf("TLS=%v", o.TLS), func(t *testing.T) {
			server := NewVault(t, o)
			if strings.HasPrefix(server.Address, "https://") != o.TLS {
				t.Errorf("the address is %s", server.Address)
			}
			address := server.Address
			server.API(t, http.MethodPost, "secret/data/x", map[string]any{"data": map[string]any{"k": "v"}})
			server.Stop(t)
			if _, err := server.call(http.MethodGet, "secret/data/x", nil); err == nil {
				t.Error("the server answers after Stop")
			}
			server.Start(t)
			if server.Address != address {
				t.Errorf("the server was at %s and is at %s", address, server.Address)
			}
			got := server.API(t, http.MethodGet, "secret/data/x", nil)
			if value := got["data"].(map[string]any)["k"]; value != "v" {
				t.Errorf("read %v", got)
			}
		})
	}
}

func TestLiveExistingVault(t *testing.T) {
	server := NewVault(t, VaultOptions{})
	out, err := rerun(t, "TestLiveVaultAppRole",
		"NEBULA_TEST_VAULT_ADDR="+server.Address, "NEBULA_TEST_VAULT_TOKEN="+server.RootToken,
		"NEBULA_TESTSERVER_CACHE="+t.TempDir(), "NEBULA_REQUIRE_LIVE=1").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	// The objects that the test made there are gone.
	for path := range server.API(t, http.MethodGet, "sys/auth", nil) {
		if strings.HasPrefix(path, "approle-") {
			t.Errorf("%s is left", path)
		}
	}
}

func TestWithoutServerSkippedAndSaysHow(t *testing.T) {
	out, err := rerun(t, "TestLiveVaultIsShared",
		"NEBULA_TEST_VAULT_ADDR=", "NEBULA_TESTSERVER_CACHE="+t.TempDir(), "NEBULA_REQUIRE_LIVE=").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"--- SKIP: TestLiveVaultIsShared", "go -C testservers run . build"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// A cache that cannot be written stands in for a server that cannot be built.
func TestWithoutServerFailsWhereRequired(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := rerun(t, "TestLiveVaultIsShared",
		"NEBULA_TEST_VAULT_ADDR=", "NEBULA_TESTSERVER_CACHE="+file, "NEBULA_REQUIRE_LIVE=1").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--- FAIL: TestLiveVaultIsShared") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestLiveVaultEndsWithTheTestBinary(t *testing.T) {
	endsWithTheTestBinary(t, func() string { return Vault(t).Address })
}
