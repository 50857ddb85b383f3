package vault

import (
	"context"
	"strings"

	"github.com/nebula-credential/nebula"
)

// Identity implements [nebula.Identifier]: the id of the cluster, with namespace,
// mount and prefix. It makes one call, which needs no permission.
func (d *driver) Identity(ctx context.Context) (string, error) {
	h, err := d.api.Health(ctx)
	if err != nil || h.ClusterID == "" {
		return "", err
	}
	namespace := ""
	if h.HasNamespaces() {
		namespace = strings.Trim(d.config.Namespace, "/")
	}
	return strings.Join([]string{h.ClusterID, namespace, d.paths.secret("data", nebula.KeyringName())}, "\n"), nil
}

// Fits implements [nebula.Fitter], by the limits of custom metadata.
func (d *driver) Fits(name nebula.Name, envelope *nebula.Envelope) error {
	_, err := project(name, envelope.Metadata())
	return err
}
