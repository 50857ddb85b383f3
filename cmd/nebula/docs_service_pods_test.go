//go:build unix

package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/template"

	"sigs.k8s.io/yaml"

	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// manifest is the part of a container's manifest that the test runs.
type manifest struct {
	Args, Command []string
	Env           []struct{ Name, Value string }
}

// The service runs with the arguments and the environment of the manifests, and with the
// files that Kubernetes mounts. The container that fetches a value with curl works.
func TestServicePods(t *testing.T) {
	for _, begins := range []string{"apiVersion: v1\nkind: Pod", "apiVersion: apps/v1\nkind: Deployment"} {
		p := newServicePage(t)
		containers, move := p.containers(begins), p.mounted()
		for _, name := range []string{"key", "tokens"} {
			if err := os.Chmod(filepath.Join(p.service.home, ".config", "nebula", name), 0o440); err != nil {
				t.Fatal(err)
			}
		}
		var env []string
		for _, e := range containers[0].Env {
			env = append(env, e.Name+"="+move.Replace(e.Value))
		}
		env = append(env, "NEBULA_STORAGE_PROVIDER=local", "NEBULA_STORAGE_LOCAL_BASE_PATH="+p.env["NEBULA_STORAGE_LOCAL_BASE_PATH"])
		ca := certificateFiles(t, p.service.home)
		s := serveWith(t, p.service.home, p.service.token, env, moved(move, containers[0].Args[1:])...)
		if len(containers) > 1 {
			p.fetch(s, moved(move, containers[1].Command))
		} else {
			s.trust(ca, "nebula.default.svc")
			s.want(200, "GET", "/readyz", "")
			s.want(200, "GET", "/v1/store", "")
		}
		s.stop()
	}
}

// containers returns the containers of a manifest on the page.
func (p *servicePage) containers(begins string) []manifest {
	p.t.Helper()
	var object struct {
		Spec struct {
			InitContainers []manifest
			Template       struct {
				Spec struct{ Containers []manifest }
			}
		}
	}
	text, _, _ := strings.Cut(p.block("yaml", begins), "\n---\n")
	if err := yaml.Unmarshal([]byte(text), &object); err != nil {
		p.t.Fatal(err)
	}
	return append(object.Spec.InitContainers, object.Spec.Template.Spec.Containers...)
}

// mounted replaces the files of a pod by those of the test.
func (p *servicePage) mounted() *strings.Replacer {
	dir := p.service.home
	return strings.NewReplacer("/etc/nebula-tokens", filepath.Join(dir, ".config", "nebula", "tokens"), "/etc/nebula/key", filepath.Join(dir, ".config", "nebula", "key"),
		"/etc/tls", dir, "/run/nebula", filepath.Join(dir, "run"), "/etc/api", dir, "/run/app", dir, sampleID, keyID(p.t, dir),
		"0.0.0.0:8443", "0.0.0.0:"+p.port, "0.0.0.0:9443", "0.0.0.0:0")
}

func moved(move *strings.Replacer, list []string) (all []string) {
	for _, text := range list {
		all = append(all, move.Replace(text))
	}
	return all
}

// fetch runs the container that fetches a value with curl.
func (p *servicePage) fetch(s *server, command []string) {
	p.t.Helper()
	s.want(201, "PUT", "/v1/credentials/db_password", "s3cret")
	config := fmt.Sprintf("header = \"Authorization: Bearer %s\"\nunix-socket = \"%s\"\n", s.token, filepath.Join(s.home, "run", "s", "serve.sock"))
	if err := os.WriteFile(filepath.Join(s.home, "curl"), []byte(config), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
	if got, err := os.ReadFile(filepath.Join(s.home, "db_password")); err != nil || string(got) != "s3cret" {
		p.t.Errorf("the container fetched %q, %v", got, err)
	}
}

// external-secrets' webhook provider makes requests from its template. Made the same
// way, they return the bytes of a value.
func TestServiceWebhook(t *testing.T) {
	p := newServicePage(t)
	var store struct {
		Spec struct {
			Provider struct {
				Webhook struct {
					URL     string
					Headers map[string]string
					Result  struct{ JSONPath string }
				}
			}
		}
	}
	p.unmarshal("apiVersion: external-secrets.io/v1\nkind: SecretStore", &store)
	webhook := store.Spec.Provider.Webhook
	if webhook.Result.JSONPath != "" {
		t.Fatalf("the template takes %s of the answer, and this test all of it", webhook.Result.JSONPath)
	}
	dir := p.service.home
	ca := certificateFiles(t, dir)
	s := serveIn(t, dir, p.service.token, "--listen", "127.0.0.1:0", "--host", "nebula.default.svc", "--tls-cert", "tls.crt", "--tls-key", "tls.key")
	s.trust(ca, "nebula.default.svc")
	value := "\x00\xff bytes"
	s.want(201, "PUT", "/v1/credentials/db_password", value)
	for _, c := range []struct {
		key, version string
		status       int
		body         string
	}{
		{"db_password", "", 200, value},
		{"nope", "", 404, ""},         // the provider takes it for a deletion
		{"db_password", "1", 501, ""}, // files keep no versions
		{"..%2Fstore", "", 400, ""},   // the provider escapes the key
	} {
		data := map[string]map[string]string{"remoteRef": {"key": c.key, "version": c.version, "property": ""}, "api": {"token": s.token}}
		request, err := http.NewRequest(http.MethodGet, execute(t, webhook.URL, data), nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range webhook.Headers {
			request.Header.Add(name, execute(t, text, data))
		}
		status, body, err := s.send(request)
		if err != nil || status != c.status || c.body != "" && body != c.body {
			t.Errorf("%s, version %q: %d, %q, %v", c.key, c.version, status, body, err)
		}
	}
	s.stop()
}

func execute(t *testing.T, text string, data any) string {
	t.Helper()
	var b strings.Builder
	parsed, err := template.New("").Parse(text)
	if err == nil {
		err = parsed.Execute(&b, data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The commands make the Secrets that the manifests mount, with what the service and curl
// need.
func TestServiceSecrets(t *testing.T) {
	p := newServicePage(t)
	p.text = regexp.MustCompile("(?ms)^```console\nops\\$.*?^```").FindString(p.text)
	p.write("", "key", "")
	made := map[string]string{}
	w := &walk{document: p.document, typed: func(_, command string) {
		if rest, ok := strings.CutPrefix(command, "kubectl create secret generic "); ok {
			name, files, _ := strings.Cut(rest, " --from-file=")
			for file := range strings.SplitSeq(files, " --from-file=") {
				if _, err := os.Stat(filepath.Join(p.home(""), file)); err != nil {
					t.Error(err)
				}
				made[name] += file + " "
			}
			return
		}
		if out, err := p.typing(command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}}
	w.follow(4)
	if made["nebula"] != "key tokens " || made["app-api"] != "curl " {
		t.Errorf("these were made: %v", made)
	}
	pod := newDocument(t, "service.md").block("yaml", "apiVersion: v1\nkind: Pod")
	config, err := os.ReadFile(filepath.Join(p.home(""), "curl"))
	if err != nil {
		t.Fatal(err)
	}
	socket := regexp.MustCompile(`(?m)^unix-socket = "(.*)"$`).FindSubmatch(config)
	if socket == nil || !strings.Contains(pod, `"unix:`+string(socket[1])+`"`) {
		t.Errorf("curl uses %q, and the service another socket", socket)
	}
	for _, want := range []string{"secretName: nebula,", "secretName: app-api,", "mountPath: /etc/nebula,", "mountPath: /etc/nebula-tokens, subPath: tokens,", "value: /etc/nebula/key}", "/etc/api/curl"} {
		if !strings.Contains(pod, want) {
			t.Errorf("the pod has no %s", want)
		}
	}
}

// The real API server accepts the manifests, and knows every field.
func TestLiveServiceManifests(t *testing.T) {
	server := livetest.Kubernetes(t)
	namespace := server.Namespace(t)
	account := server.ServiceAccount(t, namespace) // no controller runs that would make the account "default"
	p := newDocument(t, "service.md")
	at := map[string]string{"Pod": "api/v1/namespaces/" + namespace + "/pods", "Service": "api/v1/namespaces/" + namespace + "/services",
		"Deployment": "apis/apps/v1/namespaces/" + namespace + "/deployments"}
	made := map[string]map[string]any{}
	for _, begins := range []string{"apiVersion: v1\nkind: Pod", "apiVersion: apps/v1\nkind: Deployment"} {
		for text := range strings.SplitSeq(p.block("yaml", begins), "\n---\n") {
			var object map[string]any
			if err := yaml.Unmarshal([]byte(text), &object); err != nil {
				t.Fatal(err)
			}
			kind := object["kind"].(string)
			if kind == "Pod" {
				object["spec"].(map[string]any)["serviceAccountName"] = account
			}
			made[kind] = server.API(t, http.MethodPost, at[kind]+"?dryRun=All&fieldValidation=Strict", object)
		}
	}
	if len(made) != 3 {
		t.Fatalf("%d manifests", len(made))
	}
	// The service in the pod keeps running beside the program, and the port leads to it.
	first := made["Pod"]["spec"].(map[string]any)["initContainers"].([]any)[0].(map[string]any)
	port := made["Service"]["spec"].(map[string]any)["ports"].([]any)[0].(map[string]any)
	if first["restartPolicy"] != "Always" || port["targetPort"] != "api" || port["port"] != float64(443) {
		t.Errorf("%v, %v", first["restartPolicy"], port)
	}
}
