//go:build unix

package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

func newQuickstart(t *testing.T, section string) *walk {
	t.Helper()
	return &walk{document: newDocument(t, "quickstart.md").section(section)}
}

// goCaches says where Go keeps modules and build results, whatever the home.
func goCaches(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GONOSUMDB", "GOTOOLCHAIN", "GOFLAGS").Output()
	caches := map[string]string{}
	if err == nil {
		err = json.Unmarshal(out, &caches)
	}
	if err != nil {
		t.Fatal(err)
	}
	return caches
}

// README's first command, in a clone, with an empty home.
func TestReadmeCommand(t *testing.T) {
	d := newDocument(t, filepath.Join("..", "README.md"))
	maps.Copy(d.env, goCaches(t))
	d.write("", "empty", "")
	cmd := d.typing(d.block("sh", "go install"))
	clone, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Dir = clone
	if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "s3cret") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestJSONPage(t *testing.T) {
	d := newDocument(t, "json.md")
	// The first put makes the store and says so, which the page does not show.
	d.write("", "value", "v")
	if out, err := d.run("", "nebula put other < value"); err != nil {
		t.Fatal(out)
	}
	(&walk{document: d}).follow(5)
}

// A new user installs from a clone, and uses the installed command.
func TestQuickstartFiles(t *testing.T) {
	d := newDocument(t, "quickstart.md")
	maps.Copy(d.env, goCaches(t))
	clone, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	(&walk{document: d.section("Install"), dir: clone}).follow(3)
	installed := filepath.Join(d.home(""), "go", "bin")
	if _, err := os.Stat(filepath.Join(installed, "nebula")); err != nil {
		t.Fatal(err)
	}
	d.env["PATH"] = installed + ":" + os.Getenv("PATH")
	(&walk{document: d.section("Files")}).follow(11)
}

func TestLiveQuickstartAWS(t *testing.T) {
	server := livetest.NewAWS(t)
	s := newQuickstart(t, "AWS Secrets Manager")
	maps.Copy(s.env, map[string]string{"AWS_ENDPOINT_URL_SECRETS_MANAGER": server.Endpoint, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": server.AccessKeyID, "AWS_SECRET_ACCESS_KEY": server.SecretAccessKey})
	s.follow(7)
}

// The user has logged in with az: it prints a token of the vault's tenant.
func TestLiveQuickstartAzure(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newQuickstart(t, "Azure Key Vault")
	p := newAzurePage(t, s.document)
	p.Allow(secretsOfficer()...)
	p.SetDelays(azureserver.Delays{Delete: 100 * time.Millisecond, Recover: 100 * time.Millisecond})
	client := &http.Client{Transport: p.server.Transport()}
	answer, err := client.PostForm("https://login.microsoftonline.com/"+azureserver.TenantID+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {azureserver.ClientID}, "client_secret": {p.server.ClientSecret()},
		"scope": {"https://vault.azure.net/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var token struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&token); err != nil || token.Access == "" {
		t.Fatal(err)
	}
	line, err := json.Marshal(map[string]any{"accessToken": token.Access, "expires_on": time.Now().Add(time.Hour).Unix(), "tokenType": "Bearer"})
	if err != nil {
		t.Fatal(err)
	}
	s.write("", "bin/az", "#!/bin/sh\ncat <<'END'\n"+string(line)+"\nEND\n")
	if err := os.Chmod(filepath.Join(s.home(""), "bin", "az"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.env["PATH"] = filepath.Join(s.home(""), "bin") + ":" + os.Getenv("PATH")
	s.follow(8)
}

// secretsOfficer has the data actions that Nebula calls. Azure's role Key Vault Secrets
// Officer allows all data actions of secrets ("Azure built-in roles for Security" by
// Microsoft).
func secretsOfficer() (actions []string) {
	for _, action := range []string{"getSecret/action", "readMetadata/action", "setSecret/action", "delete", "recover/action", "purge/action"} {
		actions = append(actions, "Microsoft.KeyVault/vaults/secrets/"+action)
	}
	return actions
}

// Ada has only what the page's administrator gives her.
func TestLiveQuickstartKubernetes(t *testing.T) {
	server := livetest.NewKubernetes(t)
	s := newQuickstart(t, "Kubernetes Secrets")
	s.env["KUBECONFIG"] = server.Kubeconfig(t, map[string]any{"token": server.AdminToken, "as": "ada"}, "")
	s.typed = func(_, command string) { kubectl(t, server, command) }
	s.follow(8)
}

// kubectl does what a line with Kubernetes' own command does.
func kubectl(t *testing.T, server *livetest.KubernetesServer, line string) {
	t.Helper()
	words := strings.Fields(line)
	flags := map[string]string{}
	for _, word := range words {
		if name, value, ok := strings.Cut(strings.TrimPrefix(word, "--"), "="); ok {
			flags[name] = value
		}
	}
	meta := map[string]any{"name": words[min(3, len(words)-1)]}
	const group = "rbac.authorization.k8s.io"
	rules := "apis/" + group + "/v1/namespaces/" + flags["namespace"]
	switch strings.Join(words[:min(3, len(words))], " ") {
	case "kubectl create namespace":
		server.API(t, http.MethodPost, "api/v1/namespaces", map[string]any{"metadata": meta})
	case "kubectl create role":
		server.API(t, http.MethodPost, rules+"/roles", map[string]any{"metadata": meta, "rules": []any{map[string]any{
			"apiGroups": []string{""}, "resources": []string{flags["resource"]}, "verbs": strings.Split(flags["verb"], ",")}}})
	case "kubectl create rolebinding":
		server.API(t, http.MethodPost, rules+"/rolebindings", map[string]any{"metadata": meta,
			"roleRef":  map[string]any{"apiGroup": group, "kind": "Role", "name": flags["role"]},
			"subjects": []any{map[string]any{"apiGroup": group, "kind": "User", "name": flags["user"]}}})
	default:
		t.Fatalf("unknown command: %s", line)
	}
}

// The token may do only what the page's administrator allows.
func TestLiveQuickstartVault(t *testing.T) {
	server := livetest.NewVault(t, livetest.VaultOptions{TLS: true})
	s := newQuickstart(t, "HashiCorp Vault")
	const address = "https://vault.example.com:8200"
	s.before = strings.NewReplacer(address, server.Address).Replace
	s.alike = strings.NewReplacer(server.Address, address).Replace
	s.env["NEBULA_STORAGE_VAULT_CA_CERT"] = server.CAFile
	s.typed = func(_, command string) {
		switch command {
		case "vault policy write nebula nebula.hcl":
			policy := newDocument(t, filepath.Join("providers", "vault.md")).block("hcl", "path")
			server.API(t, http.MethodPut, "sys/policies/acl/nebula", map[string]any{"policy": policy})
		case "vault token create -policy=nebula":
			s.write("", ".vault-token", server.Token(t, map[string]any{"policies": []string{"nebula"}}))
		default:
			t.Fatalf("unknown command: %s", command)
		}
	}
	s.follow(9)
}
