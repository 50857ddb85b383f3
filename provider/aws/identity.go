package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
)

// Identity implements [nebula.Identifier]: the keyring's ARN, with the characters
// that AWS chose when it was made. It makes one call, which needs no more than
// reading the keyring does.
func (d *driver) Identity(ctx context.Context) (string, error) {
	id, stage := d.secretID(nebula.KeyringName()), stageCurrent
	out, err := d.client().GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id, VersionStage: &stage})
	switch {
	case isMissing(err):
		return "", nil
	case err != nil:
		return "", err
	case out.ARN == nil:
		return "", secretsManager().Foreign()
	}
	return *out.ARN, nil
}

// Fits implements [nebula.Fitter], by the limits of tags.
func (d *driver) Fits(name nebula.Name, envelope *nebula.Envelope) error {
	_, err := d.config.project(name, envelope.Metadata())
	return err
}
