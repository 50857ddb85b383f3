package kubernetes

import (
	"context"

	"github.com/nebula-credential/nebula"
)

// Identity implements [nebula.Identifier]: the uid of the keyring's Secret, which
// the server chose when it was made. The namespace's uid would need a permission
// that nothing else needs. It makes one call.
func (d *driver) Identity(ctx context.Context) (string, error) {
	s, err := d.read(ctx, d.names.secret(nebula.KeyringName()), acceptMetadata, kindMetadata)
	if isMissing(err) {
		return "", nil
	}
	return s.Metadata.UID, err
}

// Fits implements [nebula.Fitter], by the limit of annotations.
func (d *driver) Fits(name nebula.Name, envelope *nebula.Envelope) error {
	_, err := d.project(name, envelope, nil)
	return err
}
