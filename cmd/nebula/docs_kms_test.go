//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// kmsPage is a server for a page, with the key that the page names.
type kmsPage struct {
	*awsserver.KMS
	arn   string
	stops []func()
}

// newKMSPage directs the commands of a page to a server of its own.
func newKMSPage(t *testing.T, d *document) *kmsPage {
	t.Helper()
	s, err := awsserver.NewKMS()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	maps.Copy(d.env, map[string]string{"AWS_ENDPOINT_URL_KMS": s.URL(), "AWS_REGION": kmsRegion, "AWS_EC2_METADATA_DISABLED": "true"})
	return &kmsPage{KMS: s, arn: s.CreateKey(kmsRegion)}
}

// allow makes the server refuse every other action.
func (p *kmsPage) allow(actions []string) {
	for _, stop := range p.stops {
		stop()
	}
	p.stops = nil
	for _, operation := range []string{"Encrypt", "Decrypt", "DescribeKey"} {
		if !slices.Contains(actions, "kms:"+operation) {
			p.stops = append(p.stops, p.Inject(awsserver.Fault{Operation: operation, Deny: true}))
		}
	}
}

// used returns the actions that were called since the last time, sorted.
func (p *kmsPage) used() []string {
	seen := map[string]bool{}
	for _, r := range p.Requests() {
		seen["kms:"+r.Operation] = true
	}
	p.ResetLog()
	return slices.Sorted(maps.Keys(seen))
}

// iamPolicies returns the actions of the policies of a page: to open a store, and to
// manage it.
func (d *document) iamPolicies() (open, keep []string) {
	d.t.Helper()
	var all [][]string
	for _, m := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(d.text, -1) {
		var policy struct {
			Version   string
			Statement []struct {
				Effect, Resource string
				Action           []string
			}
		}
		if err := json.Unmarshal([]byte(m[1]), &policy); err != nil {
			d.t.Fatal(err)
		}
		if policy.Version == "" {
			continue // a condition
		}
		if len(policy.Statement) != 1 || policy.Statement[0].Effect != "Allow" {
			d.t.Fatalf("a policy has the statements %+v", policy.Statement)
		}
		slices.Sort(policy.Statement[0].Action)
		all = append(all, policy.Statement[0].Action)
	}
	if len(all) != 2 {
		d.t.Fatalf("%d policies", len(all))
	}
	return all[0], all[1]
}

// Everybody runs their commands of docs/keys/aws-kms.md with the policy that the page
// gives them. The policies allow exactly the actions that are called.
func TestAWSKMSPage(t *testing.T) {
	d := newDocument(t, filepath.Join("keys", "aws-kms.md"))
	p := newKMSPage(t, d)
	open, keep := d.iamPolicies()
	policies := map[string][]string{"ada": keep, "pod": open}
	maps.Copy(d.env, map[string]string{
		"NEBULA_STORAGE_LOCAL_BASE_PATH": filepath.Join(d.root, "store"),
		"NEBULA_KEY_AWS_KMS_KEY":         p.arn, "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
	})
	for _, who := range []string{"ada", "pod"} {
		d.write(who, "empty", "")
	}
	commands := d.commands()
	if len(commands) != 9 {
		t.Fatalf("%d commands", len(commands))
	}
	for _, c := range commands {
		who, command := c[0], c[1]
		if name, ok := strings.CutPrefix(command, "aws kms create-alias --alias-name "); ok {
			name, _, _ = strings.Cut(name, " ")
			p.SetAlias(kmsRegion, name, p.arn)
		}
		if who == "admin" {
			continue // newKMSPage has made the key
		}
		if strings.Contains(command, sampleID) {
			if text, err := d.run(who, "nebula get db_password"); err == nil || !strings.Contains(text, "anyone could have made") {
				t.Errorf("%s reads before the key is named: %v, %s", who, err, text)
			}
			command = strings.Replace(command, sampleID, d.keyring("ada").KeyID, 1)
		}
		p.allow(policies[who])
		p.used()
		text, err := d.run(who, command)
		if err != nil || who == "pod" && text != "s3cret" {
			t.Fatalf("%s: %s: %v\n%s", who, command, err, text)
		}
		if used := p.used(); who == "pod" && !slices.Equal(used, open) {
			t.Errorf("the pod used %v, and is given %v", used, open)
		}
	}
	for _, command := range []string{"nebula doctor", "nebula key rotate --yes"} {
		if text, err := d.run("ada", "NEBULA_KEY_FILE=recovery.key "+command); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, text)
		}
	}
	if used := p.used(); !slices.Equal(used, keep) {
		t.Errorf("ada used %v, and is given %v", used, keep)
	}
	condition := regexp.MustCompile(`kms:EncryptionContext:([^"]+)"`).FindStringSubmatch(d.text)
	if text, err := d.run("ada", "nebula get db_password"); err != nil || p.Requests()[0].Context[condition[1]] != d.keyring("ada").Slots[0].ID {
		t.Errorf("the context is %v, and the page names %s: %v, %s", p.Requests(), condition[1], err, text)
	}
}

// The page has all settings, and no others.
func TestAWSKMSPageSettings(t *testing.T) {
	d := newDocument(t, filepath.Join("keys", "aws-kms.md"))
	d.write("ada", "config.toml", d.block("toml", "[key.aws_kms]"))
	c, err := config.Load(config.Source{File: filepath.Join(d.home("ada"), "config.toml"), Environ: []string{"HOME=" + d.home("ada")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, setting := range c.Settings() {
		if strings.HasPrefix(setting.Key, "key.aws_kms.") && setting.Source == "default" {
			t.Errorf("%s is not on the page", setting.Key)
		}
	}
}

// manifests returns the manifests of a block of docs/containers.md.
func (d *document) manifests(begins string) (account, pod map[string]any) {
	d.t.Helper()
	first, second, ok := strings.Cut(d.block("yaml", begins), "---\n")
	if !ok {
		d.t.Fatal("there is only one manifest")
	}
	for text, into := range map[string]*map[string]any{first: &account, second: &pod} {
		if err := yaml.Unmarshal([]byte(text), into); err != nil {
			d.t.Fatal(err)
		}
	}
	return account, pod
}

const awsManifests = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: app\n  annotations:\n    eks.amazonaws.com"

// A pod with what docs/containers.md gives it and what the cluster adds opens the store
// from an empty home: with the role of its service account, and with EKS Pod Identity.
func TestAWSContainersPod(t *testing.T) {
	d := newDocument(t, "containers.md")
	p := newKMSPage(t, d)
	account, pod := d.manifests(awsManifests)
	role, _ := account["metadata"].(map[string]any)["annotations"].(map[string]any)["eks.amazonaws.com/role-arn"].(string)
	container := pod["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
	env := map[string]string{}
	for _, v := range container["env"].([]any) {
		set := v.(map[string]any)
		env[set["name"].(string)] = set["value"].(string)
	}
	if env["NEBULA_KEY_ID"] != sampleID || env["NEBULA_STORAGE_PROVIDER"] != "kubernetes" || !strings.HasPrefix(env["NEBULA_KEY_AWS_KMS_KEY"], "arn:aws:kms:"+kmsRegion+":") {
		t.Errorf("the page gives %v", env)
	}
	d.env["NEBULA_STORAGE_LOCAL_BASE_PATH"] = filepath.Join(d.root, "store") // instead of the cluster's
	d.write("admin", "value", "s3cret")
	static := "AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=secret-of-the-tests NEBULA_KEY_AWS_KMS_KEY=" + p.arn + " "
	if text, err := d.run("admin", static+"nebula init && "+static+"nebula put db_password < value"); err != nil {
		t.Fatal(text)
	}
	d.env["NEBULA_KEY_AWS_KMS_KEY"] = p.arn
	line, err := d.run("admin", static+"nebula key list -o json 2>/dev/null")
	var ring keysJSON
	if err != nil || json.Unmarshal([]byte(line), &ring) != nil {
		t.Fatal(err, line)
	}
	var words []string
	for _, word := range container["command"].([]any) {
		words = append(words, word.(string))
	}

	sts, err := awsserver.NewSTS()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sts.Close() })
	sts.AddRole(awsserver.Role{ARN: role})
	sts.AddToken("of-the-cluster")
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "of-the-cluster" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprint(w, `{"AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"secret","Token":"session","Expiration":"2099-01-01T00:00:00Z"}`)
	}))
	t.Cleanup(agent.Close)
	for name, added := range map[string]map[string]string{
		// The webhook of EKS adds this for the annotation.
		"role of the service account": {"AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": "token", "AWS_ENDPOINT_URL_STS": sts.URL()},
		// It adds this for an association of EKS Pod Identity, with the address of its agent.
		"pod identity": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.URL + "/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "token"},
	} {
		who := strings.ReplaceAll(name, " ", "-")
		d.write(who, "token", "of-the-cluster")
		set := ""
		for variable, value := range added {
			set += variable + "=" + value + " "
		}
		if text, err := d.run(who, set+strings.Join(words, " ")); err == nil || !strings.Contains(text, "anyone could have made") {
			t.Errorf("%s, without the id: %v, %q", name, err, text)
		}
		p.used()
		if text, err := d.run(who, set+"NEBULA_KEY_ID="+ring.KeyID+" "+strings.Join(words, " ")); err != nil || text != "s3cret" {
			t.Errorf("%s: %v, %q", name, err, text)
		}
		if used := p.used(); !slices.Equal(used, []string{"kms:Decrypt"}) {
			t.Errorf("%s: the pod used %v", name, used)
		}
	}
	if n := sts.Count("AssumeRoleWithWebIdentity"); n != 2 {
		t.Errorf("STS was asked %d times", n)
	}
}

// The real API server accepts the manifests, and knows every field.
func TestLiveAWSContainersPage(t *testing.T) {
	server := livetest.Kubernetes(t)
	account, pod := newDocument(t, "containers.md").manifests(awsManifests)
	namespace := server.Namespace(t)
	server.API(t, http.MethodPost, "api/v1/namespaces/"+namespace+"/serviceaccounts?fieldValidation=Strict", account)
	made := server.API(t, http.MethodPost, "api/v1/namespaces/"+namespace+"/pods?dryRun=All&fieldValidation=Strict", pod)
	if name := made["spec"].(map[string]any)["serviceAccountName"]; name != "app" {
		t.Errorf("the account is %v", name)
	}
}
