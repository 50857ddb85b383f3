package kubernetes

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/dnsname"
	"github.com/nebula-credential/nebula/provider"
)

// Config says where the records are and how to reach them. Begin with
// [DefaultConfig].
type Config struct {
	// Namespace of the Secrets. It must exist.
	Namespace string `toml:"namespace"`

	// KubeconfigPath is a kubeconfig file, or several as in KUBECONFIG. If
	// it is "", the service account of the pod is used, if one is mounted, else
	// ~/.kube/config.
	KubeconfigPath string `toml:"kubeconfig_path"`

	// Context of the kubeconfig; "" is its current one.
	Context string `toml:"context"`

	// SecretPrefix begins the names of the Secrets: 1 to 199 characters of a-z,
	// 0-9, hyphen and dot.
	SecretPrefix string `toml:"secret_prefix"`

	// Timeout of an attempt at reading, 1 to 60 s; writing has twice that.
	Timeout time.Duration `toml:"timeout"`

	// DefaultLabels are put on each Secret.
	DefaultLabels map[string]string `toml:"default_labels"`

	// DefaultAnnotations are put on each Secret.
	DefaultAnnotations map[string]string `toml:"default_annotations"`

	Retry provider.RetryPolicy `toml:"retry"`

	// ServiceHost is host and port of the API server as pods see it. It is ""
	// outside a pod.
	ServiceHost string

	// ServiceAccount is the directory with token and ca.crt of a pod.
	ServiceAccount string

	// Transport carries the requests. nil: one with our limits, and TLS as
	// configured.
	Transport http.RoundTripper
}

// DefaultConfig returns the configuration for the cluster of KUBECONFIG, of the
// pod, or of ~/.kube/config, and the namespace of KUBERNETES_NAMESPACE, or
// "default".
func DefaultConfig() Config { return DefaultConfigIn(os.Getenv) }

// DefaultConfigIn is [DefaultConfig] in another environment than the process's.
func DefaultConfigIn(getenv func(variable string) string) Config {
	c := Config{
		Namespace:      "default",
		KubeconfigPath: getenv("KUBECONFIG"),
		SecretPrefix:   "nebula-cred-",
		Timeout:        5 * time.Second,
		DefaultLabels: map[string]string{
			"app.kubernetes.io/name":      "nebula-credential",
			"app.kubernetes.io/component": "credential-storage",
		},
		DefaultAnnotations: map[string]string{},
		Retry:              provider.DefaultRetryPolicy(),
		ServiceAccount:     "/var/run/secrets/kubernetes.io/serviceaccount",
	}
	if namespace := getenv("KUBERNETES_NAMESPACE"); namespace != "" {
		c.Namespace = namespace
	}
	if host, port := getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT"); host != "" && port != "" {
		c.ServiceHost = net.JoinHostPort(host, port)
	}
	return c
}

// Kubernetes' limits of names, in characters.
const (
	maxName       = 253 // of a Secret, and of the part of a key before the slash
	maxNamespace  = 63
	maxLabelValue = 63
	maxKeyName    = 63 // the part of a key after the slash
)

// Validate reports all problems, in one error of kind ErrInvalidConfig. It
// reads the kubeconfig and the files that it names, and asks no server.
func (c Config) Validate() error {
	_, err := c.resolve()
	return err
}

// resolve validates, and returns how to reach the server.
func (c Config) resolve() (*access, error) {
	var problems []string
	note := func(setting, reason string) {
		if reason != "" {
			problems = append(problems, setting+" "+reason)
		}
	}
	note("namespace", wrongNamespace(c.Namespace))
	note("secret_prefix", wrongPrefix(c.SecretPrefix))
	if c.Timeout < time.Second || c.Timeout > time.Minute {
		note("timeout", fmt.Sprintf("is %v, 1s to 60s are allowed", c.Timeout))
	}
	for _, key := range sorted(c.DefaultLabels) {
		note("default_labels: "+strconv.Quote(key), wrongKey(key))
		if !isLabelValue(c.DefaultLabels[key]) {
			note("default_labels: "+strconv.Quote(key), "has a value that no label can have: up to 63 letters, digits, - _ and .")
		}
	}
	size := 0
	for _, key := range sorted(c.DefaultAnnotations) {
		note("default_annotations: "+strconv.Quote(key), wrongKey(strings.ToLower(key)))
		size += len(key) + len(c.DefaultAnnotations[key])
	}
	if size > maxAnnotations/2 {
		note("default_annotations", fmt.Sprintf("have %d bytes, %d are allowed", size, maxAnnotations/2))
	}
	var retry *nebula.Error
	if errors.As(c.Retry.Validate(), &retry) {
		problems = append(problems, retry.Message)
	}
	a, err := c.access()
	if err != nil {
		problems = append(problems, err.Error())
	}
	if problems == nil {
		return a, nil
	}
	return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Provider: providerName, Message: strings.Join(problems, "; "), Err: err}
}

func sorted(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func wrongNamespace(s string) string {
	if s == "" {
		return "is not set"
	}
	if len(s) > maxNamespace || !isSubdomain(s) || strings.Contains(s, ".") {
		return strconv.Quote(s) + " is not the name of a namespace: up to 63 characters of a-z, 0-9 and -, none at its ends being -"
	}
	return ""
}

func wrongPrefix(s string) string {
	const maxPrefix = maxName - dnsname.MinLength
	switch {
	case s == "":
		return "is not set"
	case len(s) > maxPrefix:
		return fmt.Sprintf("has %d characters, %d are allowed", len(s), maxPrefix)
	case !isSubdomain(s + "x"), strings.HasSuffix(s, "."):
		return strconv.Quote(s) + " cannot begin the name of a Secret: it has characters of a-z, 0-9, - and ., begins with a letter or digit, and does not end with a dot"
	}
	return ""
}

// wrongKey says why a default label or annotation cannot have this key.
func wrongKey(key string) string {
	prefix, name, found := strings.Cut(key, "/")
	if !found {
		prefix, name = "", key
	}
	switch {
	case found && (len(prefix) > maxName || !isSubdomain(prefix)), !isLabelName(name):
		return "is not a key of a label or annotation"
	case prefix == domain || prefix == tagDomain:
		return "is one of those that nebula sets itself"
	}
	return ""
}

// isSubdomain is the rule of RFC 1123 for names of Secrets.
func isSubdomain(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || part[0] == '-' || part[len(part)-1] == '-' {
			return false
		}
		for _, c := range []byte(part) {
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
				return false
			}
		}
	}
	return true
}

// isLabelName reports whether a text can be the key of a label, after the slash.
func isLabelName(s string) bool {
	if s == "" || len(s) > maxKeyName || !isAlphanumeric(s[0]) || !isAlphanumeric(s[len(s)-1]) {
		return false
	}
	for _, c := range []byte(s) {
		if !isAlphanumeric(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

func isLabelValue(s string) bool { return s == "" || len(s) <= maxLabelValue && isLabelName(s) }

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
