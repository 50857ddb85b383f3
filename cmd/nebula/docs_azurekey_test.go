//go:build unix

package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// azurePage is a server for a page on which the vault is called my-vault.
type azurePage struct {
	*azureserver.Vault
	server *azureserver.Server
}

// newAzurePage directs the commands of a page to a server of its own.
func newAzurePage(t *testing.T, d *document) *azurePage {
	t.Helper()
	server, err := azureserver.New(azureserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	ca := filepath.Join(d.root, "ca.pem")
	if err := os.WriteFile(ca, server.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	d.env["HTTPS_PROXY"], d.env["SSL_CERT_FILE"] = server.ProxyURL(), ca
	return &azurePage{server.Vault("my-vault"), server}
}

// az does what a line of Azure's own command does.
func (p *azurePage) az(t *testing.T, line string) {
	t.Helper()
	words := strings.Fields(line)
	flags := map[string][]string{}
	flag := ""
	for _, word := range words {
		if name, ok := strings.CutPrefix(word, "--"); ok {
			flag = name
		} else if flag != "" {
			flags[flag] = append(flags[flag], word)
		}
	}
	only := func(name string) string {
		if len(flags[name]) != 1 {
			t.Fatalf("%s: no --%s", line, name)
		}
		return flags[name][0]
	}
	switch command := strings.Join(words[:min(4, len(words))], " "); {
	case command == "az keyvault key create" && only("vault-name") == "my-vault":
		size, err := strconv.Atoi(only("size"))
		if err != nil {
			t.Fatal(err)
		}
		p.AddKey(only("name"), azureserver.KeySeed{Type: only("kty"), Size: size, Operations: flags["ops"]})
	case command == "az keyvault key rotate" && only("vault-name") == "my-vault":
		p.AddKey(only("name"), azureserver.KeySeed{Operations: []string{"wrapKey", "unwrapKey"}})
	case strings.HasPrefix(line, "az keyvault update ") && only("name") == "my-vault" && only("enable-purge-protection") == "true":
		p.SetPurgeProtection(true)
	default:
		t.Fatalf("unknown command: %s", line)
	}
}

// used returns the rights that the operations since the last time needed: those of a
// role and those of an access policy, both sorted.
func (p *azurePage) used() (actions, permissions []string) {
	a, b := map[string]bool{}, map[string]bool{}
	for _, r := range p.Requests() {
		a[r.Operation.Action()], b[r.Operation.Permission()] = true, true
	}
	p.server.ForgetRequests()
	return slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b))
}

// rights returns the rights that the page grants: to open a store, and to manage it.
func (d *document) rights() (role []string, open, keep []string) {
	d.t.Helper()
	var custom struct{ DataActions []string }
	if err := json.Unmarshal([]byte(d.block("json", "{")), &custom); err != nil {
		d.t.Fatal(err)
	}
	policies := regexp.MustCompile(`--key-permissions (.*)`).FindAllStringSubmatch(d.text, -1)
	if len(policies) != 2 {
		d.t.Fatalf("%d access policies", len(policies))
	}
	return custom.DataActions, sortedFields(policies[0][1]), sortedFields(policies[1][1])
}

func sortedFields(s string) []string {
	fields := strings.Fields(s)
	slices.Sort(fields)
	return fields
}

// cryptoServiceEncryptionUser has the data actions of that role of Azure, from "Azure
// built-in roles for Security" by Microsoft.
func cryptoServiceEncryptionUser() []string {
	const keys = "Microsoft.KeyVault/vaults/keys/"
	return []string{keys + "read", keys + "unwrap/action", keys + "wrap/action"}
}

// Everybody runs their commands of docs/keys/azure-key.md with the role that the page
// gives them. The roles allow exactly the operations that are called.
func TestAzureKeyPage(t *testing.T) {
	d := newDocument(t, filepath.Join("keys", "azure-key.md"))
	p := newAzurePage(t, d)
	opener, openPolicy, keepPolicy := d.rights()
	roles := map[string][]string{"ada": cryptoServiceEncryptionUser(), "pod": opener}
	maps.Copy(d.env, map[string]string{
		"NEBULA_STORAGE_LOCAL_BASE_PATH": filepath.Join(d.root, "store"),
		"AZURE_TENANT_ID":                azureserver.TenantID, "AZURE_CLIENT_ID": azureserver.ClientID, "AZURE_CLIENT_SECRET": p.server.ClientSecret(),
	})
	for _, who := range []string{"ada", "pod"} {
		text := "[key.azure_key]\nurl = \"https://my-vault.vault.azure.net/keys/nebula\"\n[key.azure_key.credential]\ntype = \"service_principal\"\n"
		for _, place := range []string{".config/nebula", "Library/Application Support/nebula"} {
			d.write(who, place+"/config.toml", text)
		}
	}
	commands := d.commands()
	if len(commands) != 9 {
		t.Fatalf("%d commands", len(commands))
	}
	for _, c := range commands {
		who, command := c[0], c[1]
		if who == "admin" {
			p.az(t, command)
			continue
		}
		if strings.Contains(command, sampleID) {
			if text, err := d.run(who, "nebula get db_password"); err == nil || !strings.Contains(text, "anyone could have made") {
				t.Errorf("%s reads before the key is named: %v, %s", who, err, text)
			}
			command = strings.Replace(command, sampleID, d.keyring("ada").KeyID, 1)
		}
		p.Allow(roles[who]...)
		p.used()
		if text, err := d.run(who, command); err != nil {
			t.Fatalf("%s: %s: %v\n%s", who, command, err, text)
		} else if who == "pod" && text != "s3cret" {
			t.Errorf("the pod gets %q", text)
		}
		if who == "pod" {
			if actions, permissions := p.used(); !slices.Equal(actions, roles[who]) || !slices.Equal(permissions, openPolicy) {
				t.Errorf("the pod used %v and %v, and is given %v and %v", actions, permissions, roles[who], openPolicy)
			}
		}
	}
	p.used()
	for _, command := range []string{"nebula doctor", "nebula key rotate --yes"} {
		if text, err := d.run("ada", "NEBULA_KEY_FILE=recovery.key "+command); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, text)
		}
	}
	if actions, permissions := p.used(); !slices.Equal(actions, roles["ada"]) || !slices.Equal(permissions, keepPolicy) {
		t.Errorf("ada used %v and %v, and is given %v and %v", actions, permissions, roles["ada"], keepPolicy)
	}
}

// The page has all settings, and no others.
func TestAzureKeyPageSettings(t *testing.T) {
	d := newDocument(t, filepath.Join("keys", "azure-key.md"))
	d.write("ada", "config.toml", d.block("toml", "[key.azure_key]"))
	c, err := config.Load(config.Source{File: filepath.Join(d.home("ada"), "config.toml"), Environ: []string{"HOME=" + d.home("ada")}})
	if err != nil {
		t.Fatal(err)
	}
	unset := []string{}
	for _, setting := range c.Settings() {
		if strings.HasPrefix(setting.Key, "key.azure_key.") && setting.Source == "default" {
			unset = append(unset, setting.Key)
		}
	}
	if !slices.Equal(unset, []string{"key.azure_key.credential.federated_token_file"}) {
		t.Errorf("these settings are not on the page: %v", unset)
	}
}

const azureManifests = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: app\n  annotations:\n    azure.workload.identity"

// A pod with what docs/containers.md gives it and what the cluster's webhook adds opens
// the store from an empty home.
func TestLiveAzureContainersPod(t *testing.T) {
	t.Parallel() // it mostly waits
	d := newDocument(t, "containers.md")
	p := newAzurePage(t, d)
	p.AddKey("nebula", azureserver.KeySeed{})
	account, pod := d.manifests(azureManifests)
	annotations := account["metadata"].(map[string]any)["annotations"].(map[string]any)
	client, _ := annotations["azure.workload.identity/client-id"].(string)
	p.server.AddFederatedToken("of-the-cluster")
	d.write("app", "token", "of-the-cluster")
	// The webhook of azure-workload-identity adds this to a pod with that label.
	maps.Copy(d.env, map[string]string{"AZURE_CLIENT_ID": client, "AZURE_TENANT_ID": azureserver.TenantID,
		"AZURE_FEDERATED_TOKEN_FILE": filepath.Join(d.home("app"), "token"), "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/"})
	container := pod["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
	for _, v := range container["env"].([]any) {
		set := v.(map[string]any)
		d.env[set["name"].(string)] = set["value"].(string)
	}
	if d.env["NEBULA_KEY_ID"] != sampleID {
		t.Errorf("the id is %q", d.env["NEBULA_KEY_ID"])
	}
	delete(d.env, "NEBULA_KEY_ID")
	d.write("admin", "value", "s3cret")
	if text, err := d.run("admin", "nebula init && nebula put db_password < value"); err != nil {
		t.Fatal(text)
	}
	if text, err := d.run("app", "nebula get db_password"); err == nil || !strings.Contains(text, "anyone could have made") {
		t.Errorf("without the id: %v, %q", err, text)
	}
	d.env["NEBULA_KEY_ID"] = d.keyring("admin").KeyID
	p.used()
	var words []string
	for _, word := range container["command"].([]any) {
		words = append(words, word.(string))
	}
	if text, err := d.run("app", strings.Join(words, " ")); err != nil || text != "s3cret" {
		t.Errorf("%v, %q", err, text)
	}
	if actions, _ := p.used(); !slices.Equal(actions, []string{"Microsoft.KeyVault/vaults/keys/unwrap/action", "Microsoft.KeyVault/vaults/secrets/getSecret/action"}) {
		t.Errorf("the pod used %v", actions)
	}
}

// The real API server accepts the manifests, and knows every field.
func TestLiveAzureContainersPage(t *testing.T) {
	server := livetest.Kubernetes(t)
	account, pod := newDocument(t, "containers.md").manifests(azureManifests)
	namespace := server.Namespace(t)
	server.API(t, http.MethodPost, "api/v1/namespaces/"+namespace+"/serviceaccounts?fieldValidation=Strict", account)
	made := server.API(t, http.MethodPost, "api/v1/namespaces/"+namespace+"/pods?dryRun=All&fieldValidation=Strict", pod)
	if name := made["spec"].(map[string]any)["serviceAccountName"]; name != "app" {
		t.Errorf("the account is %v", name)
	}
}
