package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

// Keys that ask nobody are tried first, and a person last.
func TestOrderOfKeys(t *testing.T) {
	path, line := newKeyFile(t)
	c, err := load(t, "[storage]\nprovider = \"memory\"\n[key]\nkeychain = true\n[key.aws_kms]\nkey = \"alias/a\"\n[key.vault_transit]\nkey = \"a\"\n[key.azure_key]\nurl = \"https://a.vault.azure.net/keys/k\"", "NEBULA_KEY_FILE="+path, "NEBULA_KEY="+line)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Open(t.Context(), "", OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, key := range s.Keys.opening {
		for _, kind := range []string{nebula.SlotKeyFile, nebula.SlotKeychain, nebula.SlotRecipient, nebula.SlotAWSKMS, nebula.SlotVaultTransit, nebula.SlotAzureKey, nebula.SlotArgon2id} {
			if key.Opens(kind) {
				kinds = append(kinds, kind)
			}
		}
	}
	want := []string{nebula.SlotKeyFile, nebula.SlotKeyFile, nebula.SlotKeychain, nebula.SlotRecipient, nebula.SlotAWSKMS, nebula.SlotVaultTransit, nebula.SlotAzureKey, nebula.SlotArgon2id}
	if !slices.Equal(kinds, want) {
		t.Errorf("the order is %v", kinds)
	}
}

func TestIdentities(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	quoted := func(path string) string { return "'" + path + "'" }
	text := "[key]\nidentities = [" + quoted(a) + "]\n[stores.work.key]\nidentities = [" + quoted(b) + "]\nplugins = [\"yubikey\"]\nkeychain = true\nstrict = true\nagent = false"
	for name, test := range map[string]struct {
		environ []string
		want    []string
	}{
		"file":     {want: []string{a}},
		"variable": {environ: []string{"NEBULA_IDENTITIES=" + b + string(os.PathListSeparator) + a}, want: []string{b, a}},
	} {
		c, err := load(t, text, test.environ...)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.stores[DefaultStore].key.Identities; !slices.Equal(got, test.want) {
			t.Errorf("%s: %v", name, got)
		}
		work := c.stores["work"].key
		if !slices.Equal(work.Identities, []string{b}) || !slices.Equal(work.Plugins, []string{"yubikey"}) || !work.Keychain || !work.Strict || work.Agent {
			t.Errorf("%s: the other store has %+v", name, work)
		}
		if main := c.stores[DefaultStore].key; main.Keychain || main.Strict || !main.Agent {
			t.Errorf("%s: the default store has %+v", name, main)
		}
	}
	for variable, want := range map[string]string{
		"NEBULA_IDENTITIES=":                             "must name a file",
		"NEBULA_IDENTITIES=AGE-SECRET-KEY-1CANARY":       "must be a path, and looks like a key",
		"NEBULA_IDENTITIES=" + a + ":AGE-SECRET-KEY-1":   "looks like a key",
		"NEBULA_KEY_IDENTITIES=" + a:                     "unknown variable",
		"NEBULA_KEY_PLUGINS=a/b":                         "must be names of plugins",
		"NEBULA_KEY_PLUGINS=" + strings.Repeat("a", 33):  "must be names of plugins",
		"NEBULA_AGENT_SOCK=agent.sock":                   "absolute path",
		"NEBULA_AGENT_SOCK=/" + strings.Repeat("a", 103): "absolute path of at most 103",
	} {
		_, err := load(t, "", variable)
		if !errors.Is(err, nebula.ErrInvalidConfig) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", variable, err)
		}
	}
}

// If an identity were in the directory of the store, it would be copied with it.
func TestIdentityWithinTheStore(t *testing.T) {
	dir := t.TempDir()
	c, err := load(t, "[storage.local]\nbase_path = '"+dir+"'\n[key]\nidentities = ['"+filepath.Join(dir, "id")+"']")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open(t.Context(), "", OpenOptions{}); !errors.Is(err, nebula.ErrInvalidConfig) || !strings.Contains(err.Error(), "lies within base_path") {
		t.Errorf("got %v", err)
	}
}

func TestAgentSocket(t *testing.T) {
	root := filepath.VolumeName(t.TempDir()) + string(filepath.Separator)
	run, state, home := filepath.Join(root, "run"), filepath.Join(root, "state"), filepath.Join(root, "home")
	for _, test := range []struct {
		environ []string
		want    string
	}{
		{[]string{"NEBULA_AGENT_SOCK=" + filepath.Join(root, "s"), "XDG_RUNTIME_DIR=" + run}, filepath.Join(root, "s")},
		{[]string{"NEBULA_AGENT_SOCK=~/s", "HOME=" + home, "USERPROFILE=" + home}, filepath.Join(home, "s")},
		{[]string{"XDG_RUNTIME_DIR=" + run, "XDG_STATE_HOME=" + state}, filepath.Join(run, "nebula", "agent.sock")},
		{[]string{"XDG_RUNTIME_DIR=run", "XDG_STATE_HOME=" + state}, filepath.Join(state, "nebula", "agent.sock")},
		{nil, ""},
	} {
		if got := newEnvironment(test.environ).agentSocket(); got != test.want {
			t.Errorf("%v: %q", test.environ, got)
		}
	}
}

// A service has a section of its own in [key], and in the [key] of other stores.
func TestServices(t *testing.T) {
	text := "[key.aws_kms]\nkey = 'alias/a'\nalso = ['alias/b']\nregion = 'eu-central-1'\n[stores.work.key.aws_kms]\nkey = 'alias/c'\nendpoint_url = 'http://127.0.0.1:1'"
	c, err := load(t, text, "NEBULA_KEY_AWS_KMS_KEY=alias/d", "NEBULA_KEY_AWS_KMS_ALSO=alias/e,alias/f", "AWS_REGION=us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	mine, work := c.stores[DefaultStore].key.AWSKMS, c.stores["work"].key.AWSKMS
	if mine.Key != "alias/d" || !slices.Equal(mine.Also, []string{"alias/e", "alias/f"}) || mine.Region != "eu-central-1" {
		t.Errorf("the default store has %+v", mine)
	}
	if work.Key != "alias/c" || work.Also != nil || work.Region != "us-east-1" || work.EndpointURL != "http://127.0.0.1:1" {
		t.Errorf("the other store has %+v", work)
	}
	var shown []string
	for _, s := range c.Settings() {
		if strings.Contains(s.Key, "aws_kms") {
			shown = append(shown, s.Key)
		}
		if s.Key == "stores.work.key.aws_kms.region" && s.Source != "AWS_REGION" {
			t.Errorf("the region comes from %s", s.Source)
		}
	}
	if len(shown) != 8 {
		t.Errorf("shown are %v", shown)
	}
	if c, err = load(t, ""); err != nil || slices.ContainsFunc(c.Settings(), func(s Setting) bool { return strings.Contains(s.Key, "aws_kms") }) {
		t.Errorf("the settings of an unused service are shown: %v", err)
	}
	_, err = load(t, "[key.aws_kms]\nalso = ['alias/b', 'x']\nregion = 'Mars'\nendpoint_url = 'http://example.com'\nurl = 1")
	for _, problem := range []string{"[key.aws_kms]: key is not set", "region \"Mars\"", "endpoint_url must begin with https://", "key.aws_kms.url: unknown key"} {
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%v does not say %q", err, problem)
		}
	}
	if _, err = load(t, "", "NEBULA_KEY_AWS_KMS_KEY=x"); err == nil || !strings.Contains(err.Error(), `key "x" is neither`) {
		t.Errorf("with an invalid key: %v", err)
	}
}

// The section of Vault's transit engine, and the source of its defaults.
func TestVaultTransit(t *testing.T) {
	text := "[key.vault_transit]\nkey = 'a'\nmount_path = 'x/transit'\n[key.vault_transit.auth]\nrole_id = 'r'\n[stores.work.key.vault_transit]\nkey = 'b'\naddress = 'http://127.0.0.1:1'"
	c, err := load(t, text, "NEBULA_KEY_VAULT_TRANSIT_ALSO=c,d", "NEBULA_KEY_VAULT_TRANSIT_AUTH_METHOD=token",
		"VAULT_ADDR=https://vault.example.com", "VAULT_TOKEN=hvs.CANARY", "VAULT_NAMESPACE=team")
	if err != nil {
		t.Fatal(err)
	}
	mine, work := c.stores[DefaultStore].key.VaultTransit, c.stores["work"].key.VaultTransit
	if mine.Key != "a" || !slices.Equal(mine.Also, []string{"c", "d"}) || mine.MountPath != "x/transit" || mine.Address != "https://vault.example.com" ||
		mine.Namespace != "team" || mine.Auth.Method != "token" || mine.Auth.RoleID != "r" || string(mine.Auth.Token.Reveal()) != "hvs.CANARY" {
		t.Errorf("the default store has %+v", mine)
	}
	if work.Key != "b" || work.Also != nil || work.MountPath != "transit" || work.Address != "http://127.0.0.1:1" {
		t.Errorf("the other store has %+v", work)
	}
	if text := fmt.Sprint(c.Settings()); !strings.Contains(text, "key.vault_transit.auth.role_id") || strings.Contains(text, "CANARY") {
		t.Errorf("shown is %s", text)
	}
	for variable, want := range map[string]string{
		"NEBULA_KEY_VAULT_TRANSIT_KEY=a/b":                        "belongs in mount_path",
		"NEBULA_KEY_VAULT_TRANSIT_AUTH_TOKEN_FILE=hvs.CANARY":     "must be an absolute path",
		"NEBULA_KEY_VAULT_TRANSIT_AUTH_SECRET_ID_FILE=hvs.CANARY": "must be an absolute path",
		"NEBULA_KEY_VAULT_TRANSIT_AUTH_TOKEN=hvs.CANARY":          "unknown variable",
		"NEBULA_KEY_VAULT_TRANSIT_CA_CERT=/nowhere":               "ca_cert \"/nowhere\"",
	} {
		_, err := load(t, "[key.vault_transit]\nkey = 'a'", variable)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", variable, err)
		}
	}
	// Without such a key, an invalid namespace is not an error.
	if _, err := load(t, "", "VAULT_ADDR=http://vault.internal:8200", "VAULT_NAMESPACE=a//b"); err != nil {
		t.Error(err)
	}
}
