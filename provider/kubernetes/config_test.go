package kubernetes_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/middleware"
	"github.com/nebula-credential/nebula/provider/kubernetes"
)

const somewhere = `{"current-context":"c","contexts":[{"name":"c","context":{"cluster":"k","user":"u"}}],` +
	`"clusters":[{"name":"k","cluster":{"server":"SERVER"}}],"users":[{"name":"u","user":{"token":"TOKEN"}}]}`

// kubeconfig writes one for a server and a token.
func kubeconfig(t testing.TB, server, token string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(strings.NewReplacer("SERVER", server, "TOKEN", token).Replace(somewhere)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigReportsEverything(t *testing.T) {
	c := kubernetes.Config{Namespace: "No_Namespace", KubeconfigPath: "/does/not/exist", SecretPrefix: "-x", Timeout: time.Hour,
		DefaultLabels:      map[string]string{"nebula-credential/store": "x", "ok": "not ok!", "a/b/c": "x"},
		DefaultAnnotations: map[string]string{"tag.nebula-credential/x": "x", " ": "x"}}
	p, err := kubernetes.New(c)
	if p != nil {
		t.Error("a provider came of it")
	}
	wants(t, err, nebula.ErrInvalidConfig, "namespace", "secret_prefix", "timeout", `"nebula-credential/store" is one of those that nebula sets`, `"ok" has a value`,
		`"a/b/c" is no key`, `"tag.nebula-credential/x"`, `" " is no key`, "/does/not/exist", "retry.base_delay_ms")
}

func TestConfigOneByOne(t *testing.T) {
	for what, change := range map[string]func(*kubernetes.Config){
		"namespace":       func(c *kubernetes.Config) { c.Namespace = "" },
		"up to 63":        func(c *kubernetes.Config) { c.Namespace = strings.Repeat("n", 64) },
		"no name of a":    func(c *kubernetes.Config) { c.Namespace = "a.b" },
		"secret_prefix":   func(c *kubernetes.Config) { c.SecretPrefix = "" },
		"199 are allowed": func(c *kubernetes.Config) { c.SecretPrefix = strings.Repeat("p", 200) },
		"end with a dot":  func(c *kubernetes.Config) { c.SecretPrefix = "a." },
		"begin the name":  func(c *kubernetes.Config) { c.SecretPrefix = "Upper-" },
		"timeout":         func(c *kubernetes.Config) { c.Timeout = 999 * time.Millisecond },
		"default_annotations": func(c *kubernetes.Config) {
			c.DefaultAnnotations = map[string]string{"a": strings.Repeat("x", 140_000)}
		},
		"default_labels":     func(c *kubernetes.Config) { c.DefaultLabels = map[string]string{"a": strings.Repeat("x", 64)} },
		"retry.max_retries":  func(c *kubernetes.Config) { c.Retry.MaxRetries = 11 },
		`no context "other"`: func(c *kubernetes.Config) { c.Context = "other" },
	} {
		c := kubernetes.DefaultConfigIn(func(string) string { return "" })
		c.KubeconfigPath = kubeconfig(t, "https://k.example.com", "x")
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		wants(t, c.Validate(), nebula.ErrInvalidConfig, what)
	}
	for _, good := range []func(*kubernetes.Config){
		func(c *kubernetes.Config) { c.SecretPrefix = strings.Repeat("p", 199) },
		func(c *kubernetes.Config) { c.SecretPrefix = "team.store-" },
		func(c *kubernetes.Config) {
			c.DefaultLabels, c.DefaultAnnotations = nil, map[string]string{"Example.com/Note": "any text: ü"}
		},
		func(c *kubernetes.Config) { c.Namespace = strings.Repeat("n", 63) },
		func(c *kubernetes.Config) { c.Context = "c" },
	} {
		c := kubernetes.DefaultConfigIn(func(string) string { return "" })
		c.KubeconfigPath = kubeconfig(t, "http://127.0.0.1:8080", "x")
		good(&c)
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// The backend is the same however its address was spelt.
func TestIdentity(t *testing.T) {
	for server, want := range map[string]string{
		"https://K.Example.com":           "https://k.example.com:443/namespaces/team/secrets/nebula-cred-",
		"https://k.example.com:443/":      "https://k.example.com:443/namespaces/team/secrets/nebula-cred-",
		"https://k.example.com/behind/it": "https://k.example.com:443/behind/it/namespaces/team/secrets/nebula-cred-",
		"https://[::1]:6443":              "https://[::1]:6443/namespaces/team/secrets/nebula-cred-",
		"http://127.0.0.1":                "http://127.0.0.1:80/namespaces/team/secrets/nebula-cred-",
	} {
		c := kubernetes.DefaultConfigIn(func(string) string { return "" })
		c.Namespace, c.KubeconfigPath = "team", kubeconfig(t, server, "x")
		p, err := kubernetes.New(c)
		if err != nil {
			t.Fatal(err)
		}
		if d := p.Describe(); d.Address != want || d.Provider != "kubernetes" {
			t.Errorf("%s: %+v", server, d)
		}
	}
}

// The cluster is that of the path, of KUBECONFIG, of the pod, of the home
// directory, in this order; and where there is none, it is said what was tried.
func TestDetection(t *testing.T) {
	home, pod := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	address := func(c kubernetes.Config) string {
		t.Helper()
		p, err := kubernetes.New(c)
		if err != nil {
			return err.Error()
		}
		address, _, _ := strings.Cut(strings.TrimPrefix(p.Describe().Address, "https://"), ":")
		return address
	}
	config := func(environ ...string) kubernetes.Config {
		c := kubernetes.DefaultConfigIn(func(name string) string {
			for _, variable := range environ {
				if value, ok := strings.CutPrefix(variable, name+"="); ok {
					return value
				}
			}
			return ""
		})
		c.ServiceAccount = pod
		return c
	}
	inPod := []string{"KUBERNETES_SERVICE_HOST=10.0.0.1", "KUBERNETES_SERVICE_PORT=443"}
	for _, text := range []string{"no cluster is known", "kubeconfig_path and KUBECONFIG are not set", "KUBERNETES_SERVICE_HOST", filepath.Join(home, ".kube", "config")} {
		if got := address(config()); !strings.Contains(got, text) {
			t.Errorf("%q does not say %q", got, text)
		}
	}
	if got := address(config(inPod...)); !strings.Contains(got, "ca.crt") {
		t.Errorf("a pod without a service account: %s", got)
	}
	ca := httptestCA(t)
	if err := os.WriteFile(filepath.Join(pod, "ca.crt"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := address(config(inPod...)); got != "10.0.0.1" {
		t.Errorf("a pod: %s", got)
	}
	if got := address(config("KUBERNETES_SERVICE_HOST=fd00::1", "KUBERNETES_SERVICE_PORT=443")); !strings.HasPrefix(got, "[fd00") {
		t.Errorf("a pod of IPv6: %s", got)
	}
	withContext := config(inPod...)
	withContext.Context = "c"
	if got := address(withContext); !strings.Contains(got, "no contexts") {
		t.Errorf("a pod and a context: %s", got)
	}
	if err := os.MkdirAll(filepath.Join(home, ".kube"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(kubeconfig(t, "https://home.example.com", "x"), filepath.Join(home, ".kube", "config")); err != nil {
		t.Fatal(err)
	}
	if got := address(config()); got != "home.example.com" {
		t.Errorf("at home: %s", got)
	}
	if got := address(withContext); got != "home.example.com" {
		t.Errorf("a pod and a context: %s", got)
	}
	if got := address(config(inPod...)); got != "10.0.0.1" {
		t.Errorf("a pod, with a home: %s", got)
	}
	variable := append(inPod, "KUBECONFIG="+kubeconfig(t, "https://variable.example.com", "x"), "KUBERNETES_NAMESPACE=team")
	if got := address(config(variable...)); got != "variable.example.com" || config(variable...).Namespace != "team" {
		t.Errorf("KUBECONFIG: %s", got)
	}
	given := config(variable...)
	given.KubeconfigPath = kubeconfig(t, "https://path.example.com", "x")
	if got := address(given); got != "path.example.com" {
		t.Errorf("the path: %s", got)
	}
	given.KubeconfigPath = filepath.Join(home, "missing")
	if got := address(given); !strings.Contains(got, "missing") {
		t.Errorf("a path to nothing: %s", got)
	}
	given.KubeconfigPath += string(filepath.ListSeparator) + filepath.Join(home, "missing too")
	if got := address(given); !strings.Contains(got, "none of the files") {
		t.Errorf("paths to nothing: %s", got)
	}
}

// Nothing is read or asked before it is needed, and an operation says so.
func TestBeforeConnect(t *testing.T) {
	c := kubernetes.DefaultConfigIn(func(string) string { return "" })
	c.KubeconfigPath = kubeconfig(t, "https://k.example.com", "x")
	bare, err := kubernetes.New(c)
	if err != nil {
		t.Fatal(err)
	}
	name, e := record(t, "x", "v", nil)
	p := middleware.Stack(bare, middleware.Options{})
	_, err = p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrClosed, "Connect")
}
