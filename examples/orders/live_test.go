//go:build unix

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"sigs.k8s.io/yaml"

	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// asService, if set, makes the test's program run as the service.
const asService = "TEST_AS_SERVICE"

func TestMain(m *testing.M) {
	if os.Getenv(asService) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// site is a machine that has what the service and the command need for every backend.
// One line of the configuration chooses the backend.
type site struct {
	*testing.T
	dir, nebula string
	environ     map[string]string
	orders      map[string]string // more variables, for the service
}

func newSite(t *testing.T) *site {
	s := &site{T: t, dir: t.TempDir()}
	s.nebula = filepath.Join(s.dir, "nebula")
	build := exec.Command("go", "build", "-o", s.nebula, "github.com/nebula-credential/nebula/cmd/nebula")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.environ = map[string]string{
		"HOME": s.dir, "PATH": os.Getenv("PATH"),
		"NEBULA_CONFIG":                  filepath.Join(s.dir, "config.toml"),
		"NEBULA_KEY_FILE":                filepath.Join(s.dir, "key"),
		"NEBULA_STORAGE_LOCAL_BASE_PATH": filepath.Join(s.dir, "store"),
	}
	s.orders = make(map[string]string)
	s.vault()
	s.aws()
	s.azure()
	s.kubernetes()
	return s
}

func (s *site) vault() {
	v := livetest.Vault(s.T)
	s.environ["VAULT_ADDR"], s.environ["VAULT_TOKEN"] = v.Address, v.RootToken
	s.environ["NEBULA_STORAGE_VAULT_MOUNT_PATH"] = v.Mount(s.T, 2)
	if v.CAFile != "" {
		s.environ["NEBULA_STORAGE_VAULT_CA_CERT"] = v.CAFile
	}
}

func (s *site) aws() {
	server, err := awsserver.New(awsserver.Options{})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = server.Close() })
	maps.Copy(s.environ, map[string]string{"AWS_REGION": server.Region(), "AWS_ENDPOINT_URL_SECRETS_MANAGER": server.URL(),
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"})
}

func (s *site) azure() {
	v := livetest.NewAzure(s.T, azureserver.Options{})
	ca := filepath.Join(s.dir, "ca.pem")
	if err := os.WriteFile(ca, v.Server.CA(), 0o600); err != nil {
		s.Fatal(err)
	}
	maps.Copy(s.environ, map[string]string{"AZURE_KEYVAULT_URL": v.URL(), "NEBULA_STORAGE_AZURE_CREDENTIAL_TYPE": "service_principal",
		"AZURE_TENANT_ID": azureserver.TenantID, "AZURE_CLIENT_ID": azureserver.ClientID, "AZURE_CLIENT_SECRET": v.Server.ClientSecret(),
		"HTTPS_PROXY": v.Server.ProxyURL(), "NO_PROXY": "localhost,127.0.0.1", "SSL_CERT_FILE": ca})
}

// kubernetes applies the permissions in deployment.yaml. The service has these, and the
// command is an administrator.
func (s *site) kubernetes() {
	server := livetest.Kubernetes(s.T)
	namespace := server.Namespace(s.T)
	for _, object := range manifest(s.T) {
		if path := map[string]string{"ServiceAccount": "api/v1/namespaces/%s/serviceaccounts", "Role": "apis/rbac.authorization.k8s.io/v1/namespaces/%s/roles",
			"RoleBinding": "apis/rbac.authorization.k8s.io/v1/namespaces/%s/rolebindings"}[object["kind"].(string)]; path != "" {
			server.API(s.T, http.MethodPost, fmt.Sprintf(path, namespace)+"?fieldValidation=Strict", object)
		}
	}
	s.environ["KUBERNETES_NAMESPACE"] = namespace
	s.environ["KUBECONFIG"] = server.Kubeconfig(s.T, map[string]any{"token": server.AdminToken}, "")
	s.orders["KUBECONFIG"] = server.Kubeconfig(s.T, map[string]any{"token": server.Token(s.T, namespace, "orders", time.Hour)}, "")
}

// manifest returns the objects of deployment.yaml.
func manifest(t *testing.T) (objects []map[string]any) {
	t.Helper()
	text, err := os.ReadFile("deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
	return objects
}

// choose writes the example's configuration with its one line changed.
func (s *site) choose(backend string) {
	s.Helper()
	text, err := os.ReadFile("config.toml")
	if err != nil {
		s.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^provider = "kubernetes"`)
	if found := line.FindAll(text, -1); len(found) != 1 {
		s.Fatalf("%d lines choose the backend", len(found))
	}
	text = line.ReplaceAll(text, fmt.Appendf(nil, "provider = %q", backend))
	if err := os.WriteFile(s.environ["NEBULA_CONFIG"], text, 0o600); err != nil {
		s.Fatal(err)
	}
}

func (s *site) env(more ...map[string]string) (env []string) {
	all := maps.Clone(s.environ)
	for _, m := range more {
		maps.Copy(all, m)
	}
	for name, value := range all {
		env = append(env, name+"="+value)
	}
	return env
}

// run runs nebula.
func (s *site) run(stdin string, args ...string) {
	s.Helper()
	cmd := exec.Command(s.nebula, args...)
	cmd.Env, cmd.Stdin = s.env(), strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.Fatalf("nebula %v: %v: %s", args, err, out)
	}
}

// process is the running service.
type process struct {
	*testing.T
	cmd     *exec.Cmd
	address string
	log     bytes.Buffer
	read    chan struct{} // closed at the end of the log
}

func (s *site) start(database string) *process {
	s.Helper()
	p := &process{T: s.T, cmd: exec.Command(os.Args[0]), read: make(chan struct{})}
	p.cmd.Env = s.env(s.orders, map[string]string{asService: "1", "LISTEN": "127.0.0.1:0", "DATABASE_URL": database})
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = p.cmd.Process.Kill() })
	address := make(chan string, 1)
	go func() {
		defer close(p.read)
		defer close(address)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			p.log.WriteString(lines.Text() + "\n")
			if _, at, ok := strings.Cut(lines.Text(), "msg=listening address="); ok {
				address <- at
			}
		}
	}()
	if p.address = <-address; p.address == "" {
		s.Fatalf("it does not listen: %v: %s", p.cmd.Wait(), p.log.String())
	}
	return p
}

func (p *process) get(path string) (status int, body string, header http.Header) {
	p.Helper()
	answer, err := http.Get("http://" + p.address + path)
	if err != nil {
		p.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		p.Fatal(err)
	}
	return answer.StatusCode, string(text), answer.Header
}

func (p *process) wants(path string, status int) string {
	p.Helper()
	got, body, _ := p.get(path)
	if got != status {
		p.Errorf("%s: status %d, want %d", path, got, status)
	}
	return body
}

// stop ends the service as an orchestrator does, and returns its log.
func (p *process) stop() string {
	p.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.Fatal(err)
	}
	<-p.read
	if err := p.cmd.Wait(); err != nil {
		p.Errorf("it ended with %v: %s", err, p.log.String())
	}
	return p.log.String()
}

// One line of its configuration moves the service from one backend to another. On each
// it serves while its passwords are rotated, and ends in order.
func TestLiveBackends(t *testing.T) {
	s := newSite(t)
	for _, backend := range []string{"local", "aws", "azure", "kubernetes", "vault"} {
		t.Run(backend, func(t *testing.T) {
			s := &site{t, s.dir, s.nebula, s.environ, s.orders}
			s.choose(backend)
			s.serves(backend)
		})
	}
}

func (s *site) serves(backend string) {
	s.run("", "init")
	s.run("canary-old", "put", string(databasePassword))
	s.run("canary-key", "put", string(invoiceKey))
	database := newDatabase("canary-old")
	slow := make(chan struct{}, 1) // if it holds one, the next request takes a while
	reached := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-slow:
			reached <- struct{}{}
			time.Sleep(300 * time.Millisecond)
		default:
		}
		database.ServeHTTP(w, r)
	}))
	defer server.Close()
	p := s.start(server.URL)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if status, _, _ := p.get("/ready"); status == http.StatusOK {
			break
		} else if time.Now().After(end) {
			s.Fatalf("it is not ready: %s", p.stop())
		}
	}
	if got := p.wants("/orders", http.StatusOK); got != "3 orders\n" {
		s.Errorf("the answer is %q", got)
	}
	for _, password := range []string{"canary-new", "canary-newer"} {
		s.run(password, "put", string(databasePassword))
		database.password.Store(password)
		p.wants("/orders", http.StatusOK)
	}
	if _, _, header := p.get("/invoice"); header.Get("X-Signature") != signature("canary-key") {
		s.Errorf("it signed %q", header)
	}
	metrics := p.wants("/metrics", http.StatusOK)
	for _, want := range []string{`nebula_storage_operation_duration_seconds_count{operation="retrieve",provider="` + backend + `"}`, "orders_password_age_seconds "} {
		if !strings.Contains(metrics, want) {
			s.Errorf("the metrics do not have %s:\n%s", want, metrics)
		}
	}
	// A request under way is answered after the signal.
	slow <- struct{}{}
	answered := make(chan int, 1)
	go func() { status, _, _ := p.get("/orders"); answered <- status }()
	<-reached
	log := p.stop()
	if status := <-answered; status != http.StatusOK {
		s.Errorf("a request under way got %d", status)
	}
	if strings.Contains(log+metrics, "canary") {
		s.Errorf("a value is shown: %s", log)
	}
}

// The real API server accepts the manifest, and knows every field.
func TestLiveManifest(t *testing.T) {
	server := livetest.Kubernetes(t)
	namespace := server.Namespace(t)
	paths := map[string]string{"ServiceAccount": "api/v1/namespaces/%s/serviceaccounts", "Service": "api/v1/namespaces/%s/services",
		"Role": "apis/rbac.authorization.k8s.io/v1/namespaces/%s/roles", "RoleBinding": "apis/rbac.authorization.k8s.io/v1/namespaces/%s/rolebindings",
		"Deployment": "apis/apps/v1/namespaces/%s/deployments"}
	var kinds []string
	for _, object := range manifest(t) {
		kind := object["kind"].(string)
		kinds = append(kinds, kind)
		server.API(t, http.MethodPost, fmt.Sprintf(paths[kind], namespace)+"?dryRun=All&fieldValidation=Strict", object)
	}
	slices.Sort(kinds)
	if want := slices.Sorted(maps.Keys(paths)); !slices.Equal(kinds, want) {
		t.Errorf("the manifest has %v, want %v", kinds, want)
	}
}
