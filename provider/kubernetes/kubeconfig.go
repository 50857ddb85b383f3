package kubernetes

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/httpx"
)

// kubeconfig is a kubeconfig file, as far as it is used here. Its fields mean
// what they mean in client-go.
type kubeconfig struct {
	CurrentContext string `json:"current-context"`
	Clusters       []struct {
		Name    string  `json:"name"`
		Cluster cluster `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		Name string `json:"name"`
		User user   `json:"user"`
	} `json:"users"`
	Contexts []struct {
		Name    string      `json:"name"`
		Context userContext `json:"context"`
	} `json:"contexts"`
}

type cluster struct {
	Server                   string          `json:"server"`
	TLSServerName            string          `json:"tls-server-name"`
	InsecureSkipTLSVerify    bool            `json:"insecure-skip-tls-verify"`
	CertificateAuthority     string          `json:"certificate-authority"`
	CertificateAuthorityData []byte          `json:"certificate-authority-data"`
	ProxyURL                 string          `json:"proxy-url"`
	Extensions               []namedDocument `json:"extensions"`

	dir string // of the file that defines it: paths are relative to it
}

type namedDocument struct {
	Name      string `json:"name"`
	Extension any    `json:"extension"`
}

type user struct {
	ClientCertificate     string              `json:"client-certificate"`
	ClientCertificateData []byte              `json:"client-certificate-data"`
	ClientKey             string              `json:"client-key"`
	ClientKeyData         []byte              `json:"client-key-data"`
	Token                 string              `json:"token"`
	TokenFile             string              `json:"tokenFile"`
	As                    string              `json:"as"`
	AsUID                 string              `json:"as-uid"`
	AsGroups              []string            `json:"as-groups"`
	AsUserExtra           map[string][]string `json:"as-user-extra"`
	Username              string              `json:"username"`
	Password              string              `json:"password"`
	AuthProvider          *struct {
		Name string `json:"name"`
	} `json:"auth-provider"`
	Exec *execConfig `json:"exec"`

	dir string
}

type userContext struct {
	Cluster string `json:"cluster"`
	User    string `json:"user"`
}

// merged is several kubeconfigs as one: the first definition counts.
type merged struct {
	current  string
	clusters map[string]cluster
	users    map[string]user
	contexts map[string]userContext
}

// fromKubeconfig uses a context of the files. If there are several, it skips
// missing ones, as kubectl does.
func (c Config) fromKubeconfig(paths []string) (*access, error) {
	m := merged{clusters: make(map[string]cluster), users: make(map[string]user), contexts: make(map[string]userContext)}
	read := 0
	for _, path := range paths {
		if path == "" {
			continue
		}
		err := m.add(path)
		if errors.Is(err, os.ErrNotExist) && len(paths) > 1 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the kubeconfig %q: %s", path, atomicfile.Reason(err))
		}
		read++
	}
	if read == 0 {
		return nil, errors.New("kubeconfig_path: there is none of the files " + strconv.Quote(strings.Join(paths, string(filepath.ListSeparator))))
	}
	files := strings.Join(paths, string(filepath.ListSeparator))
	a, err := m.access(c.Context)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig %q: %w", files, err)
	}
	a.source += " " + strconv.Quote(files)
	return a, nil
}

// add reads a file. The parser's errors may show its contents, so add does not
// return them.
func (m *merged) add(path string) error {
	data, err := readFile(path)
	if err != nil {
		return err
	}
	// Not yaml.Unmarshal, which turns a token 0123 without quotes into "83".
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		return notKubeconfig(err)
	}
	var k kubeconfig
	if err := json.Unmarshal(text, &k); err != nil {
		return notKubeconfig(err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	dir := filepath.Dir(abs)
	if m.current == "" {
		m.current = k.CurrentContext
	}
	for _, c := range k.Clusters {
		c.Cluster.dir = dir
		addFirst(m.clusters, c.Name, c.Cluster)
	}
	for _, u := range k.Users {
		u.User.dir = dir
		addFirst(m.users, u.Name, u.User)
	}
	for _, c := range k.Contexts {
		addFirst(m.contexts, c.Name, c.Context)
	}
	return nil
}

// notKubeconfig says what is wrong with a file, and shows nothing of its
// contents.
func notKubeconfig(err error) error {
	var encoding base64.CorruptInputError
	var other *json.UnmarshalTypeError
	switch {
	case errors.As(err, &encoding):
		return errors.New("one of certificate-authority-data, client-certificate-data and client-key-data is not base64")
	case errors.As(err, &other) && other.Field != "" && other.Type.Kind() == reflect.String && (other.Value == "number" || other.Value == "bool"):
		return errors.New(other.Field + " is a " + other.Value + " for YAML: put it in quotes")
	case errors.As(err, &other) && other.Field != "":
		return errors.New(other.Field + " is not what it is in a kubeconfig")
	}
	return errors.New("is no kubeconfig")
}

func addFirst[T any](m map[string]T, name string, value T) {
	if _, there := m[name]; !there {
		m[name] = value
	}
}

// access resolves a context; "" is the current one.
func (m *merged) access(name string) (*access, error) {
	if name == "" {
		name = m.current
	}
	if name == "" {
		return nil, errors.New("it has no current context: set context")
	}
	context, found := m.contexts[name]
	if !found {
		return nil, fmt.Errorf("it has no context %q (kubectl config get-contexts lists them)", name)
	}
	cluster, found := m.clusters[context.Cluster]
	if !found {
		return nil, fmt.Errorf("it has no cluster %q, which context %q names", context.Cluster, name)
	}
	user, found := m.users[context.User]
	if !found && context.User != "" {
		return nil, fmt.Errorf("it has no user %q, which context %q names", context.User, name)
	}
	a, err := cluster.access()
	if err != nil {
		return nil, fmt.Errorf("cluster %q %w", context.Cluster, err)
	}
	a.source = "context " + name + " of the kubeconfig"
	if err := user.identify(a, cluster); err != nil {
		return nil, fmt.Errorf("user %q %w", context.User, err)
	}
	return a, nil
}

// access returns how to reach the server.
func (c cluster) access() (*access, error) {
	if c.InsecureSkipTLSVerify {
		return nil, errors.New("has insecure-skip-tls-verify, which is refused: name its authority in certificate-authority")
	}
	server, err := httpx.ParseAddress(c.Server)
	if err != nil {
		return nil, fmt.Errorf("has a server that %w", err)
	}
	a := &access{server: server}
	data, err := contents(c.dir, c.CertificateAuthority, c.CertificateAuthorityData)
	if err != nil {
		return nil, fmt.Errorf("has a certificate-authority that cannot be read: %w", err)
	}
	if data != nil {
		a.roots = x509.NewCertPool()
		if !a.roots.AppendCertsFromPEM(data) {
			return nil, errors.New("has a certificate-authority without a PEM certificate")
		}
	}
	if c.TLSServerName != "" {
		a.tls = &tls.Config{ServerName: c.TLSServerName}
	}
	if c.ProxyURL == "" {
		return a, nil
	}
	a.proxy, err = url.Parse(c.ProxyURL)
	if err != nil || a.proxy.Host == "" || a.proxy.Scheme != "http" && a.proxy.Scheme != "https" && a.proxy.Scheme != "socks5" {
		return nil, errors.New("has a proxy-url that is none of http, https or socks5")
	}
	return a, nil
}

// contents returns the data in the kubeconfig itself or in the file, and nil if
// there is neither.
func contents(dir, path string, data []byte) ([]byte, error) {
	if len(data) > 0 && path != "" {
		return nil, errors.New("it is given twice, as a file and as data")
	}
	if path == "" {
		return data, nil
	}
	path = resolved(dir, path)
	data, err := readFile(path)
	if err != nil {
		return nil, errors.New(strconv.Quote(path) + ": " + atomicfile.Reason(err))
	}
	return data, nil
}

func resolved(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
