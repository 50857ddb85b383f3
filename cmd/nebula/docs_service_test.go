//go:build unix

package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/nebula-credential/nebula/internal/testing/authority"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// servicePage is docs/service.md, and the service that it starts in another
// terminal.
type servicePage struct {
	*document
	port    string // in the place of 8443
	service *server
}

func newServicePage(t *testing.T) *servicePage {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("NEBULA_REQUIRE_LIVE") == "1" {
			t.Fatal("curl is not installed")
		}
		t.Skip("curl is not installed")
	}
	home, secret := newHome(t)
	p := &servicePage{document: newDocument(t, "service.md"), port: freePort(t)}
	p.root = home
	if err := os.MkdirAll(p.home(""), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, entry := range nebulaAt(home).Env {
		if name, value, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "XDG_") {
			p.env[name] = value
		}
	}
	p.env["NEBULA_STORAGE_LOCAL_BASE_PATH"] = filepath.Join(home, ".local", "share", "nebula", "credentials")
	p.service = &server{t: t, home: home, token: secret}
	return p
}

// freePort returns one that nobody listens on now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// start is what happens in the other terminal: the service that runs there ends, and
// the next one begins.
func (p *servicePage) start(who, command string) {
	p.t.Helper()
	if who != "service" {
		p.t.Fatalf("%s types %s", who, command)
	}
	if p.service.cmd != nil {
		p.service.stop()
	}
	args := strings.Fields(p.here(command))
	p.service = serveIn(p.t, p.service.home, p.service.token, args[2:]...)
}

func (p *servicePage) here(command string) string { return strings.ReplaceAll(command, "8443", p.port) }

// Every command of docs/service.md, in its order, and what it says that they print.
func TestServicePage(t *testing.T) {
	p := newServicePage(t)
	p.write("", "ca.crt", certificateFiles(t, p.service.home))
	w := &walk{document: p.document, typed: p.start, before: func(command string) string {
		return p.here(strings.ReplaceAll(command, "cat audit.log", "cat "+filepath.Join(p.service.home, "audit.log")))
	}}
	p.text = regexp.MustCompile("(?ms)^```console\nops\\$.*?^```").ReplaceAllString(p.text, "") // TestServiceSecrets
	w.follow(34)
	p.service.stop()
	if said := p.service.said.String(); strings.Contains(said, "warning") {
		t.Errorf("it warns: %s", said)
	}
}

// certificateFiles writes tls.crt and tls.key for 127.0.0.1 and returns what clients
// have to trust.
func certificateFiles(t *testing.T, dir string) (ca string) {
	t.Helper()
	a, err := authority.New("test")
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, "tls.key": {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return string(a.PEM())
}

// The environment of the unit serves, tells systemd when, and opens the log at a
// reload.
func TestServiceUnit(t *testing.T) {
	p := newServicePage(t)
	unit := p.block("ini", "[Unit]")
	dir := p.service.home
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	move := strings.NewReplacer("%d/nebula.key", filepath.Join(dir, ".config", "nebula", "key"), sampleID, keyID(t, dir),
		"/var/lib/nebula/credentials", filepath.Join(dir, ".local", "share", "nebula", "credentials"),
		"/var/lib/nebula/tokens", filepath.Join(dir, ".config", "nebula", "tokens"),
		"/var/log/nebula", filepath.Join(dir, "log"), "/run/nebula", filepath.Join(dir, "run"))
	env := []string{"NOTIFY_SOCKET=" + filepath.Join(dir, "notify")}
	for _, m := range regexp.MustCompile(`(?m)^Environment=(.*)$`).FindAllStringSubmatch(unit, -1) {
		env = append(env, move.Replace(m[1]))
	}
	if len(env) != 8 {
		t.Fatalf("the environment is %v", env)
	}
	s := serveWith(t, dir, p.service.token, env)
	if got := nextNotice(t, notify); got != "READY=1" {
		t.Errorf("it tells %q", got)
	}
	s.want(201, "PUT", "/v1/credentials/db", "v")
	log := filepath.Join(dir, "log", "audit.log")
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(unit, "\nExecReload=/bin/kill -HUP $MAINPID\n") || !strings.Contains(unit, "\nType=notify\n") {
		t.Error("the unit has another type, or another reload")
	}
	s.signal(syscall.SIGHUP)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(log); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the log is not opened again")
		}
	}
	s.stop()
	if got := nextNotice(t, notify); got != "STOPPING=1" {
		t.Errorf("it tells %q", got)
	}
}

func nextNotice(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	buffer := make([]byte, 100)
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	n, err := conn.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}

func keyID(t *testing.T, home string) string {
	t.Helper()
	out, err := nebulaAt(home, "key", "list", "-o", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(out), `"key_id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// manifest is what a pod has to run.
type manifest struct {
	Args, Command []string
	Env           []struct{ Name, Value string }
}

// The arguments and the environment of the manifests serve, with the files where and
// as Kubernetes mounts them; and the container that fetches with curl does.
func TestServicePods(t *testing.T) {
	for _, begins := range []string{"apiVersion: v1\nkind: Pod", "apiVersion: apps/v1\nkind: Deployment"} {
		p := newServicePage(t)
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
			t.Fatal(err)
		}
		containers := append(object.Spec.InitContainers, object.Spec.Template.Spec.Containers...)
		dir := p.service.home
		ca := certificateFiles(t, dir)
		move := strings.NewReplacer("/etc/nebula-tokens", filepath.Join(dir, ".config", "nebula", "tokens"), "/etc/nebula/key", filepath.Join(dir, ".config", "nebula", "key"),
			"/etc/tls", dir, "/run/nebula", filepath.Join(dir, "run"), "/etc/api", dir, "/run/app", dir, sampleID, keyID(t, dir),
			"0.0.0.0:8443", "0.0.0.0:"+p.port, "0.0.0.0:9443", "0.0.0.0:0")
		var env []string
		for _, e := range containers[0].Env {
			env = append(env, e.Name+"="+move.Replace(e.Value))
		}
		env = append(env, "NEBULA_STORAGE_PROVIDER=local", "NEBULA_STORAGE_LOCAL_BASE_PATH="+filepath.Join(dir, ".local", "share", "nebula", "credentials"))
		for _, name := range []string{"key", "tokens"} {
			if err := os.Chmod(filepath.Join(dir, ".config", "nebula", name), 0o440); err != nil {
				t.Fatal(err)
			}
		}
		var args []string
		for _, a := range containers[0].Args[1:] {
			args = append(args, move.Replace(a))
		}
		s := serveWith(t, dir, p.service.token, env, args...)
		if strings.HasPrefix(s.url, "https:") {
			s.trust(ca, "nebula.default.svc")
			s.want(200, "GET", "/readyz", "")
			s.want(200, "GET", "/v1/store", "")
			s.stop()
			continue
		}
		s.want(201, "PUT", "/v1/credentials/db_password", "s3cret")
		config := fmt.Sprintf("header = \"Authorization: Bearer %s\"\nunix-socket = \"%s\"\n", s.token, filepath.Join(dir, "run", "s", "serve.sock"))
		if err := os.WriteFile(filepath.Join(dir, "curl"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		fetch := containers[1].Command
		for i := range fetch {
			fetch[i] = move.Replace(fetch[i])
		}
		if out, err := exec.Command(fetch[0], fetch[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "db_password")); err != nil || string(got) != "s3cret" {
			t.Errorf("fetched is %q, %v", got, err)
		}
		s.stop()
	}
}

// The requests of external-secrets' webhook provider, made from its template as that
// does, get the bytes of a value.
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
		t.Fatalf("the template takes %s, and this test the whole answer", webhook.Result.JSONPath)
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
		{"nope", "", 404, ""},         // taken for a deletion
		{"db_password", "1", 501, ""}, // files keep no versions
		{"..%2Fstore", "", 400, ""},   // the provider escapes what it is given
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

// The rotation names the log of the unit, and has the unit open it again.
func TestServiceRotation(t *testing.T) {
	p := newDocument(t, "service.md")
	rotate, unit := p.block("conf", "/var/log"), p.block("ini", "[Unit]")
	path, _, _ := strings.Cut(rotate, " ")
	if !strings.Contains(unit, "NEBULA_SERVE_AUDIT="+path+"\n") {
		t.Errorf("the unit writes another log than %s", path)
	}
	if !strings.Contains(rotate, "systemctl reload nebula\n") || !strings.Contains(rotate, "nocreate") {
		t.Error("the service is not told, or another program makes its log")
	}
}

// The Secrets that the manifests mount are those that the commands make, with what
// the service and curl take.
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
		t.Errorf("made are %v", made)
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

// The real API server takes the manifests, with no field that it does not know.
func TestLiveServiceManifests(t *testing.T) {
	server := livetest.Kubernetes(t)
	namespace := server.Namespace(t)
	account := server.ServiceAccount(t, namespace) // no controller runs that would make the one called default
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
	// The service in the pod goes on beside the program, and the port leads to it.
	first := made["Pod"]["spec"].(map[string]any)["initContainers"].([]any)[0].(map[string]any)
	port := made["Service"]["spec"].(map[string]any)["ports"].([]any)[0].(map[string]any)
	if first["restartPolicy"] != "Always" || port["targetPort"] != "api" || port["port"] != float64(443) {
		t.Errorf("%v, %v", first["restartPolicy"], port)
	}
}
