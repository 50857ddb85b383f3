package config

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

// If a variable is meant for Nebula and nothing reads it, that is an error. Otherwise
// another store would be used than the one that was named.
func TestVariablesThatNothingReads(t *testing.T) {
	for name, meant := range map[string]string{
		"NEBULA_STORGE_PROVIDER":       "NEBULA_STORAGE_PROVIDER",
		"NEBULA_STROAGE_PROVIDER":      "NEBULA_STORAGE_PROVIDER",
		"NEBULA_STORAGE_PROVIDE":       "NEBULA_STORAGE_PROVIDER",
		"NEBULA_STORAGEPROVIDER":       "NEBULA_STORAGE_PROVIDER",
		"NEBULA_STORAGE":               "",
		"NEBULA_STORAGE_LOCAL_BASEPTH": "NEBULA_STORAGE_LOCAL_BASE_PATH",
		"NEBULA_STRG_LOCAL_BASE_PATH":  "", // three letters are missing: too far from the name
		"NEBULA_KYE_FILE":              "NEBULA_KEY_FILE",
		"NEBULA_KEYFILE":               "NEBULA_KEY_FILE",
		"NEBULA_KEYRING":               "",
		"NEBULA_PASPHRASE":             "NEBULA_PASSPHRASE",
		"NEBULA_PASSPHRASE_FIEL":       "NEBULA_PASSPHRASE_FILE",
		"NEBULA_PASSPHRASES":           "NEBULA_PASSPHRASE",
		"NEBULA_NEW_PASPHRASE_FILE":    "NEBULA_NEW_PASSPHRASE_FILE",
		"NEBULA_AGENT_SOCKET":          "",
		"NEBULA_AGNET":                 "",
		"NEBULA_SERVER_LISTEN":         "NEBULA_SERVE_LISTEN",
		"NEBULA_SERV_LISTEN":           "NEBULA_SERVE_LISTEN",
		"NEBULA_CONFG":                 "NEBULA_CONFIG",
		"NEBULA_STORES":                "NEBULA_STORE",
		"NEBULA_TIME_OUT":              "NEBULA_TIMEOUT",
		"NEBULA_storage_provider":      "NEBULA_STORAGE_PROVIDER",
		"nebula_storage_provider":      "NEBULA_STORAGE_PROVIDER",
		"Nebula_Key_File":              "NEBULA_KEY_FILE",
		"NEBUAL_STORAGE_PROVIDER":      "NEBULA_STORAGE_PROVIDER",
		"NEBULASTORAGE_PROVIDER":       "NEBULA_STORAGE_PROVIDER",
		"NEBULAR_KEY_FILE":             "NEBULA_KEY_FILE",
	} {
		_, err := load(t, "", name+"=canary")
		if name == "NEBULA_STRG_LOCAL_BASE_PATH" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.Is(err, nebula.ErrInvalidConfig) || !strings.Contains(err.Error(), name+": unknown variable") ||
			strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
		if meant != "" && (err == nil || !strings.Contains(err.Error(), "did you mean "+meant+"?")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Variables that others set are left alone. If a name is far from all of ours, doctor
// reports it.
func TestVariablesOfOthers(t *testing.T) {
	foreign := []string{
		"NEBULA_TEST_KEY", "NEBULA_TESTSERVER_VAULT_UNSEAL_KEY",
		"NEBULA_SERVICE_HOST", "NEBULA_SERVICE_PORT", "NEBULA_SERVICE_PORT_HTTPS", "NEBULA_PORT",
		"NEBULA_PORT_8443_TCP", "NEBULA_PORT_8443_TCP_ADDR", "NEBULA_PORT_8443_TCP_PROTO", "NEBULA_PORT_53_UDP_PORT",
		"nebula_service_host_of_mine", "NEBULOUS_KEY_FILE", "NEB_KEY_FILE", "NETRC", "no_proxy",
		"NEBULA_AGENT_SERVICE_HOST", "NEBULA_AGENT_PORT", "NEBULA_AGENT_PORT_80_TCP", "NEBULA_SERVE_SERVICE_PORT",
	}
	others := []string{"NEBULA_DEBUG", "NEBULA_HOME", "NEBULA_PASSWORD", "NEBULA_VERSION"}
	var environ []string
	for _, name := range append(slices.Clone(foreign), others...) {
		environ = append(environ, name+"=x")
	}
	c, err := load(t, "", environ...)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Strangers(); !slices.Equal(got, others) {
		t.Errorf("strangers: %v, want %v", got, others)
	}
}
