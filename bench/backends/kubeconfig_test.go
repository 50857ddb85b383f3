package backends

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/kubernetes"
)

// kubeconfigCase is a kubeconfig, or several in the order of KUBECONFIG.
type kubeconfigCase struct {
	files   map[string]string
	order   string // names of files, separated by colons; "" means "config"
	context string
	refused bool // neither side sends the server a request
}

func one(config string) kubeconfigCase {
	return kubeconfigCase{files: map[string]string{"config": config}}
}

// kubeconfig returns a kubeconfig with one cluster and one user, in YAML. The context
// "nobody" has no user.
func kubeconfig(cluster, user string) string {
	indent := func(s string) string { return "    " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ") }
	return "apiVersion: v1\nkind: Config\ncurrent-context: c\n" +
		"contexts:\n- name: c\n  context: {cluster: k, user: u, namespace: elsewhere}\n- name: nobody\n  context: {cluster: k}\n" +
		"clusters:\n- name: k\n  cluster:\n" + indent(cluster) + "\nusers:\n- name: u\n  user:\n" + indent(user) + "\n"
}

// With the same kubeconfig, nebula and client-go send the server the same request.
func TestKubeconfigAsClientGo(t *testing.T) {
	s := newAPIServer(t)
	certificate, key := keyPair(t)
	common := map[string]string{"ca.pem": string(s.authority), "sub/cert.pem": string(certificate), "sub/key.pem": string(key),
		"sub/token": " from-the-file\n", "bin/plugin": printing(t, "v1", map[string]string{"token": "of-the-plugin"}),
		"bin/in-path": printing(t, "v1beta1", map[string]string{"token": "of-the-path"}),
		"bin/pair":    printing(t, "v1", map[string]string{"clientCertificateData": string(certificate), "clientKeyData": string(key)})}
	for what, test := range kubeconfigCases(s, certificate, key) {
		t.Run(what, func(t *testing.T) {
			files := maps.Clone(common)
			maps.Copy(files, test.files)
			dir := writeFiles(t, files)
			t.Setenv("PATH", filepath.Join(dir, "bin")+string(filepath.ListSeparator)+os.Getenv("PATH"))
			var paths []string
			for name := range strings.SplitSeq(test.order, ":") {
				paths = append(paths, filepath.Join(dir, name))
			}
			if test.order == "" {
				paths = []string{filepath.Join(dir, "config")}
			}
			theirs := askedByClientGo(t, paths, test)
			want := s.take()
			ours := askedByNebula(t, paths, test)
			got := s.take()
			if !reflect.DeepEqual(got, want) {
				t.Errorf("the server saw %+v (%v), want %+v (%v)", got, ours, want, theirs)
			}
			if test.refused != (len(want) == 0) || test.refused != (ours != nil) || test.refused != (theirs != nil) {
				t.Errorf("%d requests, nebula: %v, client-go: %v", len(want), ours, theirs)
			}
		})
	}
}

func kubeconfigCases(s *apiServer, certificate, key []byte) map[string]kubeconfigCase {
	b64 := base64.StdEncoding.EncodeToString
	address := "server: " + s.URL
	server := address + "\ncertificate-authority: ca.pem\n"
	proxied := "certificate-authority: ca.pem\nproxy-url: " + s.proxy.URL + "\nserver: https://k.example.com"
	inline, pair := "client-certificate-data: "+b64(certificate)+"\nclient-key-data: "+b64(key), "client-certificate: sub/cert.pem\nclient-key: sub/key.pem\n"
	exec := func(version, rest string) string {
		return "exec: {apiVersion: client.authentication.k8s.io/" + version + ", " + rest + "}"
	}
	refused := func(c kubeconfigCase) kubeconfigCase { c.refused = true; return c }
	return map[string]kubeconfigCase{
		"token":                       one(kubeconfig(server, "token: abc")),
		"certificate as data":         one(kubeconfig(address+"\ncertificate-authority-data: "+b64(s.authority), inline)),
		"certificate in files":        one(kubeconfig(server, pair)),
		"certificate and token":       one(kubeconfig(server, pair+"token: abc")),
		"token file":                  one(kubeconfig(server, "tokenFile: sub/token")),
		"token file over token":       one(kubeconfig(server, "tokenFile: sub/token\ntoken: spare")),
		"token without its file":      one(kubeconfig(server, "tokenFile: sub/nothing\ntoken: spare")),
		"password":                    one(kubeconfig(server, "username: alice\npassword: \"a:b\"")),
		"token that is a number":      {files: map[string]string{"config": kubeconfig(server, "token: 0123")}, refused: true},
		"nobody":                      {files: map[string]string{"config": kubeconfig(server, "token: abc")}, context: "nobody"},
		"impersonation":               one(kubeconfig(server, "token: x\nas: bob\nas-uid: \"7\"\nas-groups: [a, b]\nas-user-extra: {Example.com/Reason: [one, two]}")),
		"path in the address":         one(kubeconfig(address+"/clusters/7\ncertificate-authority: ca.pem", "token: abc")),
		"server name":                 one(kubeconfig(server+"tls-server-name: other.example.com", "token: abc")),
		"proxy":                       one(kubeconfig(proxied, "token: abc")),
		"proxy, port and server name": one(kubeconfig(proxied+":6443\ntls-server-name: other.example.com", "token: abc")),
		"plugin":                      one(kubeconfig(server, exec("v1", "command: bin/plugin, interactiveMode: Never"))),
		"plugin in PATH":              one(kubeconfig(server, exec("v1beta1", "command: in-path"))),
		"plugin with a certificate":   one(kubeconfig(server, exec("v1", "command: bin/pair, interactiveMode: Never"))),
		"certificate over plugin":     one(kubeconfig(server, pair+exec("v1", "command: bin/plugin, interactiveMode: Never"))),
		"token over plugin":           one(kubeconfig(server, "token: abc\n"+exec("v1", "command: bin/plugin, interactiveMode: Never"))),
		"merged": {order: "missing:config:more", files: map[string]string{
			"config": kubeconfig(server, "token: first"),
			"more":   strings.ReplaceAll(kubeconfig("server: https://second.example.com", "token: second"), "current-context: c", "current-context: nobody")}},
		"merged from other folders": {order: "empty:sub/config", files: map[string]string{
			"empty": "", "sub/config": kubeconfig(address+"\ncertificate-authority: ../ca.pem", "client-certificate: cert.pem\nclient-key: key.pem")}},
		"JSON": one(`{"current-context":"c","contexts":[{"name":"c","context":{"cluster":"k","user":"u"}}],` +
			`"clusters":[{"name":"k","cluster":{"server":"` + s.URL + `","certificate-authority":"ca.pem"}}],"users":[{"name":"u","user":{"token":"x"}}]}`),
		"no authority":      refused(one(kubeconfig(address, "token: abc"))),
		"another authority": refused(one(kubeconfig(address+"\ncertificate-authority: sub/cert.pem", "token: abc"))),
		"wrong server name": refused(one(kubeconfig(server+"tls-server-name: wrong.example.com", "token: abc"))),
	}
}

// askedByClientGo asks for a Secret that the server does not have. If the server says so,
// there is no error.
func askedByClientGo(t *testing.T, paths []string, test kubeconfigCase) error {
	t.Helper()
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: paths}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: test.context}).ClientConfig()
	if err != nil {
		return err
	}
	err = kubernetesSDK(t, config).Get().Namespace("default").Resource("secrets").Name("x").Do(t.Context()).Into(new(corev1.Secret))
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func askedByNebula(t *testing.T, paths []string, test kubeconfigCase) error {
	t.Helper()
	c := kubernetes.DefaultConfigIn(func(string) string { return "" })
	c.KubeconfigPath, c.Context, c.Retry.MaxRetries = strings.Join(paths, string(filepath.ListSeparator)), test.context, 0
	p, err := kubernetes.New(c)
	if err != nil {
		return err
	}
	life, _ := nebula.As[nebula.Connector](p)
	check(t, life.Connect(t.Context()))
	defer life.Close()
	name, err := nebula.ID("x").Name()
	check(t, err)
	_, err = p.Exists(t.Context(), name)
	return err
}

// printing returns a credential plugin that always prints the same.
func printing(t *testing.T, version string, status map[string]string) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"apiVersion": "client.authentication.k8s.io/" + version, "kind": "ExecCredential", "status": status})
	check(t, err)
	return "#!/bin/sh\ncat <<'END'\n" + string(text) + "\nEND\n"
}

// writeFiles writes files into a new directory and returns its path.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		check(t, os.MkdirAll(filepath.Dir(path), 0o700))
		check(t, os.WriteFile(path, []byte(text), 0o700))
	}
	return dir
}
