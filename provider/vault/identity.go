package vault

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/nebula-credential/nebula"
)

// Identity implements [nebula.Identifier]: the id of the cluster, with namespace,
// mount and prefix. It makes one call, which needs no permission.
//
// Without Enterprise, Vault takes no notice of a namespace: it reads and writes the
// same secrets whichever is named. So the namespace counts only where it does.
func (d *driver) Identity(ctx context.Context) (string, error) {
	a, err := d.call(ctx, request{method: http.MethodGet, path: "sys/health", root: true,
		query: url.Values{"standbyok": {"true"}, "perfstandbyok": {"true"}}})
	if err != nil {
		return "", err
	}
	var health struct {
		ClusterID  string `json:"cluster_id"`
		Version    string `json:"version"`
		Enterprise *bool  `json:"enterprise"` // since 1.17; OpenBao has namespaces and does not say it
	}
	if json.Unmarshal(a.Body, &health) != nil || health.ClusterID == "" {
		return "", d.wire.errForeign(a)
	}
	namespace := d.wire.namespace
	vault := strings.HasPrefix(health.Version, "1.")
	if said := health.Enterprise; said != nil && !*said || said == nil && vault && !strings.Contains(health.Version, "+ent") {
		namespace = ""
	}
	return strings.Join([]string{health.ClusterID, namespace, d.paths.secret("data", nebula.KeyringName())}, "\n"), nil
}

// Fits implements [nebula.Fitter], by the limits of custom metadata.
func (d *driver) Fits(name nebula.Name, envelope *nebula.Envelope) error {
	_, err := project(name, envelope.Metadata())
	return err
}
