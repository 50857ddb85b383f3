package kubernetes_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/kubernetes"
)

const somewhere = `{"current-context":"c","contexts":[{"name":"c","context":{"cluster":"k","user":"u"}}],` +
	`"clusters":[{"name":"k","cluster":{"server":"SERVER"}}],"users":[{"name":"u","user":{"token":"TOKEN"}}]}`

// kubeconfig writes a kubeconfig for a server and a token.
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
		t.Error("New returned a provider")
	}
	wants(t, err, nebula.ErrInvalidConfig, "namespace", "secret_prefix", "timeout", `"nebula-credential/store" is one of those that nebula sets`, `"ok" has a value`,
		`"a/b/c" is not a key`, `"tag.nebula-credential/x"`, `" " is not a key`, "/does/not/exist", "retry.base_delay_ms")
}

func TestConfigOneByOne(t *testing.T) {
	for what, change := range map[string]func(*kubernetes.Config){
		"namespace":         func(c *kubernetes.Config) { c.Namespace = "" },
		"up to 63":          func(c *kubernetes.Config) { c.Namespace = strings.Repeat("n", 64) },
		"not the name of a": func(c *kubernetes.Config) { c.Namespace = "a.b" },
		"secret_prefix":     func(c *kubernetes.Config) { c.SecretPrefix = "" },
		"199 are allowed":   func(c *kubernetes.Config) { c.SecretPrefix = strings.Repeat("p", 200) },
		"end with a dot":    func(c *kubernetes.Config) { c.SecretPrefix = "a." },
		"begin the name":    func(c *kubernetes.Config) { c.SecretPrefix = "Upper-" },
		"timeout":           func(c *kubernetes.Config) { c.Timeout = 999 * time.Millisecond },
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

// The backend is the same in every spelling of its address.
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
		d := p.(nebula.Describer).Describe()
		if d.Address != want || d.Provider != "kubernetes" {
			t.Errorf("%s: %+v", server, d)
		}
	}
}

// in returns the configuration of a pod with these variables and that directory.
func in(serviceAccount string, environ ...string) kubernetes.Config {
	c := kubernetes.DefaultConfigIn(func(name string) string {
		for _, variable := range environ {
			if value, ok := strings.CutPrefix(variable, name+"="); ok {
				return value
			}
		}
		return ""
	})
	c.ServiceAccount = serviceAccount
	return c
}

// host returns the host of the configuration's cluster, or the error.
func host(c kubernetes.Config) string {
	p, err := kubernetes.New(c)
	if err != nil {
		return err.Error()
	}
	address, _, _ := strings.Cut(strings.TrimPrefix(p.(nebula.Describer).Describe().Address, "https://"), ":")
	return address
}

// The cluster comes from the path, KUBECONFIG, the pod or the home directory, in this
// order.
func TestDetection(t *testing.T) {
	home, pod := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	for name, data := range map[string][]byte{"ca.crt": httptestCA(t), "token": []byte("x")} {
		if err := os.WriteFile(filepath.Join(pod, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(home, ".kube"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(kubeconfig(t, "https://home.example.com", "x"), filepath.Join(home, ".kube", "config")); err != nil {
		t.Fatal(err)
	}
	inPod := []string{"KUBERNETES_SERVICE_HOST=10.0.0.1", "KUBERNETES_SERVICE_PORT=443"}
	variable := append(inPod, "KUBECONFIG="+kubeconfig(t, "https://variable.example.com", "x"), "KUBERNETES_NAMESPACE=team")
	path, context := in(pod, variable...), in(pod, inPod...)
	path.KubeconfigPath, context.Context = kubeconfig(t, "https://path.example.com", "x"), "c"
	for want, c := range map[string]kubernetes.Config{
		"path.example.com":     path,
		"variable.example.com": in(pod, variable...),
		"10.0.0.1":             in(pod, inPod...),
		"home.example.com":     in(pod),
		"[fd00":                in(pod, "KUBERNETES_SERVICE_HOST=fd00::1", "KUBERNETES_SERVICE_PORT=443"),
	} {
		if got := host(c); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := host(in(t.TempDir(), inPod...)); got != "home.example.com" {
		t.Errorf("a pod without a service account has none, but %s", got)
	}
	if got := host(context); got != "home.example.com" {
		t.Errorf("a pod has no contexts, but %s", got)
	}
	if c := in(pod, variable...); c.Namespace != "team" {
		t.Errorf("the namespace is %s", c.Namespace)
	}
}

// If there is no cluster, the error says what the provider tried.
func TestNoCluster(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	inPod := in(home, "KUBERNETES_SERVICE_HOST=10.0.0.1", "KUBERNETES_SERVICE_PORT=443")
	half := inPod
	half.ServiceAccount = t.TempDir()
	if err := os.WriteFile(filepath.Join(half.ServiceAccount, "token"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	context, path, paths := inPod, inPod, inPod
	context.Context = "c"
	path.KubeconfigPath = filepath.Join(home, "missing")
	paths.KubeconfigPath = path.KubeconfigPath + string(filepath.ListSeparator) + filepath.Join(home, "missing too")
	const unset = "kubeconfig_path and KUBECONFIG are not set"
	for _, test := range []struct {
		config kubernetes.Config
		texts  []string
	}{
		{in(home), []string{"no cluster is known", unset, "KUBERNETES_SERVICE_HOST is not set", filepath.Join(home, ".kube", "config")}},
		{inPod, []string{"no cluster is known", unset, "the pod has no service account", filepath.Join(home, "token")}},
		{half, []string{"the pod's service account", "ca.crt"}},
		{context, []string{"no cluster is known", unset, "no contexts", filepath.Join(home, ".kube", "config")}},
		{path, []string{"missing"}},
		{paths, []string{"none of the files"}},
	} {
		wants(t, test.config.Validate(), nebula.ErrInvalidConfig, test.texts...)
	}
}

// Before Connect nothing is read or asked, and an operation says so.
func TestBeforeConnect(t *testing.T) {
	c := kubernetes.DefaultConfigIn(func(string) string { return "" })
	c.KubeconfigPath = kubeconfig(t, "https://k.example.com", "x")
	p, err := kubernetes.New(c)
	if err != nil {
		t.Fatal(err)
	}
	name, e := record(t, "x", "v", nil)
	_, err = p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrClosed, "Connect")
}
