package kubernetes

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

const (
	// pluginLimit is how long a plugin may take. It may open a browser.
	pluginLimit = time.Minute

	// maxPluginOutput is far more than any token and certificate, in bytes.
	maxPluginOutput = 1 << 20

	pluginGroup    = "client.authentication.k8s.io/"
	clusterPayload = pluginGroup + "exec" // the extension of a cluster for plugins
)

// execConfig is a credential plugin in a kubeconfig: a program that prints a
// token or a certificate.
type execConfig struct {
	APIVersion string   `json:"apiVersion"`
	Command    string   `json:"command"`
	Args       []string `json:"args"`
	Env        []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"env"`
	InstallHint        string `json:"installHint"`
	ProvideClusterInfo bool   `json:"provideClusterInfo"`
	InteractiveMode    string `json:"interactiveMode"`
}

// execCredential is the input of a plugin, in KUBERNETES_EXEC_INFO, and its
// output.
type execCredential struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	Spec       execSpec    `json:"spec"`
	Status     *execStatus `json:"status,omitempty"`
}

type execSpec struct {
	Cluster     *execCluster `json:"cluster,omitempty"`
	Interactive bool         `json:"interactive"`
}

type execCluster struct {
	Server                   string `json:"server"`
	TLSServerName            string `json:"tls-server-name,omitempty"`
	CertificateAuthorityData []byte `json:"certificate-authority-data,omitempty"`
	ProxyURL                 string `json:"proxy-url,omitempty"`
	Config                   any    `json:"config,omitempty"`
}

type execStatus struct {
	Token                 string     `json:"token,omitempty"`
	ClientCertificateData string     `json:"clientCertificateData,omitempty"`
	ClientKeyData         string     `json:"clientKeyData,omitempty"`
	ExpirationTimestamp   *time.Time `json:"expirationTimestamp,omitempty"`
}

// plugin runs the program and keeps what it printed until that expires or is
// refused. The plugin never gets standard input: it may carry a value to store.
type plugin struct {
	config  *execConfig
	command string
	info    string // KUBERNETES_EXEC_INFO
	stderr  io.Writer
	clock   provider.Clock
	renewed func() // called when there is another certificate: connections have the old one

	flight  singleflight.Group
	stop    context.Context // ends when the provider is closed
	end     context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	current *issued
	closed  bool
}

// issued is the output of a plugin.
type issued struct {
	shown
	expires time.Time // zero: not before it is refused
}

func newPlugin(c *execConfig, dir string, cluster cluster) (*plugin, error) {
	version, ok := strings.CutPrefix(c.APIVersion, pluginGroup)
	switch {
	case !ok || version != "v1" && version != "v1beta1":
		return nil, errors.New("has an exec plugin of an apiVersion that is none of " + pluginGroup + "v1 and v1beta1")
	case c.Command == "":
		return nil, errors.New("has an exec plugin without a command")
	case c.InteractiveMode == "Always":
		return nil, errors.New("has an exec plugin that needs standard input (interactiveMode Always), which is not given to it")
	case c.InteractiveMode == "" && version == "v1",
		c.InteractiveMode != "" && c.InteractiveMode != "Never" && c.InteractiveMode != "IfAvailable":
		return nil, errors.New("has an exec plugin whose interactiveMode is none of Never, IfAvailable and Always")
	}
	p := &plugin{config: c, command: c.Command, stderr: io.Discard, clock: provider.SystemClock{}, renewed: func() {}}
	p.stop, p.end = context.WithCancel(context.Background())
	if strings.ContainsRune(c.Command, filepath.Separator) {
		p.command = resolved(dir, c.Command)
	}
	asked := execCredential{APIVersion: c.APIVersion, Kind: "ExecCredential"}
	if c.ProvideClusterInfo {
		ca, err := contents(cluster.dir, cluster.CertificateAuthority, cluster.CertificateAuthorityData)
		if err != nil {
			return nil, err
		}
		asked.Spec.Cluster = &execCluster{Server: cluster.Server, TLSServerName: cluster.TLSServerName,
			CertificateAuthorityData: ca, ProxyURL: cluster.ProxyURL}
		for _, e := range cluster.Extensions {
			if e.Name == clusterPayload {
				asked.Spec.Cluster.Config = e.Extension
			}
		}
	}
	info, err := json.Marshal(asked)
	p.info = string(info)
	return p, err
}

func (p *plugin) authorization(ctx context.Context) (shown, error) {
	i, err := p.get(ctx)
	if err != nil {
		return shown{}, err
	}
	return i.shown, nil
}

func (p *plugin) whenRenewed(renewed func()) { p.renewed = renewed }

// certificate returns the plugin's certificate to a TLS handshake that asks for
// one. An empty certificate means none.
func (p *plugin) certificate(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	i, err := p.get(request.Context())
	if err != nil || i.certificate == nil {
		return &tls.Certificate{}, err
	}
	return i.certificate, nil
}

// replace runs the plugin again, unless it has run since the refused output. It
// may print the same once more.
func (p *plugin) replace(ctx context.Context, refused shown) (shown, error) {
	p.mu.Lock()
	if p.current != nil && p.current.shown == refused {
		p.current = nil
	}
	p.mu.Unlock()
	i, err := p.get(ctx)
	if err != nil {
		return shown{}, err
	}
	if i.header == refused.header && sameCertificate(refused.certificate, i.certificate) {
		return shown{}, errNoOther
	}
	return i.shown, nil
}

func sameCertificate(a, b *tls.Certificate) bool {
	if a == nil || b == nil {
		return a == b
	}
	return bytes.Equal(a.Certificate[0], b.Certificate[0])
}

// get returns the output at hand, or runs the plugin. If many ask at once, one
// of them runs it, and all get the output. So the plugin does not end with the
// context of the first, but with the provider.
func (p *plugin) get(ctx context.Context) (*issued, error) {
	if i := p.held(); i != nil {
		return i, nil
	}
	result := p.flight.DoChan("", func() (any, error) {
		if i := p.held(); i != nil {
			return i, nil
		}
		if !p.begin() {
			return nil, context.Canceled
		}
		defer p.running.Done()
		ctx, cancel := context.WithTimeout(p.stop, pluginLimit)
		defer cancel()
		i, err := p.run(ctx)
		if err != nil {
			return nil, err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.current = i
		if i.certificate != nil {
			p.renewed() // under the lock: callers that learn of it find new connections
		}
		return i, nil
	})
	select {
	case r := <-result:
		i, _ := r.Val.(*issued)
		return i, r.Err
	case <-ctx.Done():
		return nil, &nebula.Error{Kind: nebula.KindOf(ctx.Err()), Message: p.named() + " did not end in time", Err: ctx.Err()}
	}
}

// begin reports whether the plugin may be run, that is, whether the provider is
// open.
func (p *plugin) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.running.Add(1)
	}
	return !p.closed
}

// close ends the plugin and waits for it.
func (p *plugin) close() {
	p.mu.Lock()
	p.closed, p.current = true, nil
	p.mu.Unlock()
	p.end()
	p.running.Wait()
}

// held returns the last output of the plugin, unless it has expired.
func (p *plugin) held() *issued {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := p.current; i != nil && (i.expires.IsZero() || p.clock.Now().Before(i.expires)) {
		return i
	}
	return nil
}
