//go:build unix

package main

import (
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// vaultCommand does what a line with Vault's own command does.
func vaultCommand(t *testing.T, s *livetest.VaultServer, line string) {
	t.Helper()
	words := slices.DeleteFunc(strings.Fields(line), func(w string) bool { return w == "-f" })
	switch {
	case strings.HasPrefix(line, "vault secrets enable ") && len(words) == 4:
		s.API(t, http.MethodPost, "sys/mounts/"+words[3], map[string]any{"type": words[3]})
	case strings.HasPrefix(line, "vault write "):
		body := map[string]any{}
		for _, pair := range words[3:] {
			name, value, _ := strings.Cut(pair, "=")
			body[name] = value
		}
		s.API(t, http.MethodPost, words[2], body)
	default:
		t.Fatalf("unknown command: %s", line)
	}
}

// vaultPolicies returns the blocks with policies of a page.
func (d *document) vaultPolicies() (blocks []string) {
	for _, m := range regexp.MustCompile("(?s)```hcl\n(path .*?)```").FindAllStringSubmatch(d.text, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// pathsOf returns the paths in policies, sorted.
func pathsOf(policies ...string) (paths []string) {
	for _, m := range regexp.MustCompile(`path "transit/(.*?)"`).FindAllStringSubmatch(strings.Join(policies, ""), -1) {
		paths = append(paths, m[1])
	}
	slices.Sort(paths)
	return paths
}

// Everybody runs their commands of docs/keys/vault-transit.md with the policies that the
// page gives them. The policies allow exactly the paths that are called.
func TestLiveVaultTransitPage(t *testing.T) {
	s := livetest.NewVault(t, livetest.VaultOptions{})
	s.API(t, http.MethodDelete, "sys/mounts/transit", nil)
	v := &scriptTransit{t: t, server: s, mount: "transit"}
	d := newDocument(t, filepath.Join("keys", "vault-transit.md"))
	policies := d.vaultPolicies()
	if len(policies) != 2 {
		t.Fatalf("%d policies", len(policies))
	}
	tokens := map[string]string{
		"ada": s.Token(t, map[string]any{"policies": []string{s.Policy(t, policies[0]+policies[1])}}),
		"pod": s.Token(t, map[string]any{"policies": []string{s.Policy(t, policies[0])}}),
	}
	d.env["NEBULA_STORAGE_LOCAL_BASE_PATH"] = filepath.Join(d.root, "store")
	d.env["VAULT_ADDR"] = v.listen(t)
	called := map[string]map[string]bool{"ada": {}, "pod": {}}
	for _, who := range []string{"ada", "pod"} {
		for _, place := range []string{".config/nebula", "Library/Application Support/nebula"} {
			d.write(who, place+"/config.toml", "[key.vault_transit]\nkey = \"nebula\"\n")
		}
	}
	commands := d.commands()
	if len(commands) != 10 {
		t.Fatalf("%d commands", len(commands))
	}
	for _, c := range commands {
		who, command := c[0], c[1]
		if who == "admin" {
			vaultCommand(t, s, command)
			continue
		}
		d.env["VAULT_TOKEN"] = tokens[who]
		if strings.Contains(command, sampleID) {
			if text, err := d.run(who, "nebula get db_password"); err == nil || !strings.Contains(text, "anyone could have made") {
				t.Errorf("%s reads before the key is named: %v, %s", who, err, text)
			}
			d.env["VAULT_TOKEN"] = tokens["ada"]
			command = strings.Replace(command, sampleID, d.keyring("ada").KeyID, 1)
			d.env["VAULT_TOKEN"] = tokens[who]
			v.calls = nil
		}
		if text, err := d.run(who, command); err != nil {
			t.Fatalf("%s: %s: %v\n%s", who, command, err, text)
		} else if who == "pod" && text != "s3cret" {
			t.Errorf("the pod gets %q", text)
		}
		for _, call := range v.calls {
			called[who][call] = true
		}
		v.calls = nil
	}
	for who, want := range map[string][]string{"ada": pathsOf(policies...), "pod": pathsOf(policies[0])} {
		if got := slices.Sorted(maps.Keys(called[who])); !slices.Equal(got, want) {
			t.Errorf("%s called %v, and the policies allow %v", who, got, want)
		}
	}
	// The last command disabled the first version of the key; the slot has the second.
	d.env["VAULT_TOKEN"] = tokens["ada"]
	if text, err := d.run("ada", "nebula get db_password"); err != nil || text != "s3cret" {
		t.Errorf("ada gets %q, %v", text, err)
	}
}

// The page has all settings, and no others.
func TestVaultTransitPageSettings(t *testing.T) {
	d := newDocument(t, filepath.Join("keys", "vault-transit.md"))
	text := regexp.MustCompile(`(?m)^ca_cert.*\n`).ReplaceAllString(d.block("toml", "[key.vault_transit]"), "")
	d.write("ada", "config.toml", text)
	c, err := config.Load(config.Source{File: filepath.Join(d.home("ada"), "config.toml"), Environ: []string{"HOME=" + d.home("ada")}})
	if err != nil {
		t.Fatal(err)
	}
	set := 0
	for _, setting := range c.Settings() {
		if strings.HasPrefix(setting.Key, "key.vault_transit.") && setting.Source != "default" {
			set++
		}
	}
	if set != 9 {
		t.Errorf("%d settings are set", set)
	}
}

// vaultAgentManifests returns the manifests for Vault Agent in docs/containers.md.
func (d *document) vaultAgentManifests() (configMap, pod map[string]any) {
	d.t.Helper()
	first, second, ok := strings.Cut(d.block("yaml", "apiVersion: v1\nkind: ConfigMap"), "---\n")
	if !ok {
		d.t.Fatal("there is only one manifest")
	}
	for text, into := range map[string]*map[string]any{first: &configMap, second: &pod} {
		if err := yaml.Unmarshal([]byte(text), into); err != nil {
			d.t.Fatal(err)
		}
	}
	return configMap, pod
}

// The real API server accepts the manifests, and knows every field.
func TestLiveVaultAgentContainersPage(t *testing.T) {
	server := livetest.Kubernetes(t)
	configMap, pod := newDocument(t, "containers.md").vaultAgentManifests()
	namespace := server.Namespace(t)
	server.API(t, http.MethodPost, "api/v1/namespaces/"+namespace+"/serviceaccounts", map[string]any{"metadata": map[string]any{"name": "app"}})
	server.API(t, http.MethodPost, "api/v1/namespaces/"+namespace+"/configmaps?fieldValidation=Strict", configMap)
	made := server.API(t, http.MethodPost, "api/v1/namespaces/"+namespace+"/pods?dryRun=All&fieldValidation=Strict", pod)
	agent := made["spec"].(map[string]any)["initContainers"].([]any)[0].(map[string]any)
	if agent["restartPolicy"] != "Always" || agent["startupProbe"] == nil {
		t.Errorf("the agent is %v", agent)
	}
}

// A pod with what docs/containers.md gives it, and with the token in Vault Agent's file,
// opens the store from an empty home. When the token ends, the agent replaces it.
func TestLiveVaultAgentPod(t *testing.T) {
	s := livetest.NewVault(t, livetest.VaultOptions{})
	s.API(t, http.MethodPost, "transit/keys/nebula", nil)
	d := newDocument(t, "containers.md")
	configMap, pod := d.vaultAgentManifests()
	container := pod["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
	env := map[string]string{}
	for _, v := range container["env"].([]any) {
		set := v.(map[string]any)
		env[set["name"].(string)] = set["value"].(string)
	}
	const tokenFile = "NEBULA_KEY_VAULT_TRANSIT_AUTH_TOKEN_FILE"
	if text := configMap["data"].(map[string]any)["agent.hcl"].(string); env["NEBULA_KEY_ID"] != sampleID || !strings.Contains(text, `path = "`+env[tokenFile]+`"`) {
		t.Errorf("the agent does not write where %v says", env)
	}
	d.env["NEBULA_STORAGE_LOCAL_BASE_PATH"] = filepath.Join(d.root, "store")
	d.env["VAULT_ADDR"] = s.Address
	d.env["NEBULA_KEY_VAULT_TRANSIT_KEY"] = env["NEBULA_KEY_VAULT_TRANSIT_KEY"]
	d.env[tokenFile] = filepath.Join(d.home("app"), "token")
	d.write("admin", "value", "s3cret")
	d.write("app", "token", s.RootToken)
	if text, err := d.run("admin", "nebula init && nebula put db_password < value"); err != nil {
		t.Fatal(text)
	}
	opens := newDocument(t, filepath.Join("keys", "vault-transit.md")).vaultPolicies()[0]
	newToken := func() string { return s.Token(t, map[string]any{"policies": []string{s.Policy(t, opens)}}) }
	first := newToken()
	d.write("app", "token", first)
	if text, err := d.run("app", "nebula get db_password"); err == nil || !strings.Contains(text, "anyone could have made") {
		t.Errorf("without the id: %v, %q", err, text)
	}
	d.env["NEBULA_KEY_ID"] = d.keyring("admin").KeyID
	var words []string
	for _, word := range container["command"].([]any) {
		words = append(words, word.(string))
	}
	get := func() (string, error) { return d.run("app", strings.Join(words, " ")) }
	if text, err := get(); err != nil || text != "s3cret" {
		t.Errorf("%v, %q", err, text)
	}
	s.API(t, http.MethodPost, "auth/token/revoke", map[string]any{"token": first})
	if text, err := get(); err == nil || !strings.Contains(text, "the token is not valid") || !strings.Contains(text, "vault_transit.auth.token_file") {
		t.Errorf("with a revoked token: %v, %q", err, text)
	}
	d.write("app", "token", newToken())
	if text, err := get(); err != nil || text != "s3cret" {
		t.Errorf("with the next token: %v, %q", err, text)
	}
}
