package aws

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/awsapi"
	"github.com/nebula-credential/nebula/provider"
)

// ForeignNames implements [provider.ForeignReader]. It makes one call for 100
// secrets.
func (d *driver) ForeignNames(ctx context.Context, prefix string) ([]string, error) {
	in := listInput(prefix)
	var names []string
	for {
		out, err := d.client().ListSecrets(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, s := range out.SecretList {
			if s.Name != nil && s.DeletedDate == nil && strings.HasPrefix(*s.Name, prefix) {
				names = append(names, *s.Name)
			}
		}
		if out.NextToken == nil || *out.NextToken == "" {
			return names, nil
		}
		in.NextToken = out.NextToken
	}
}

// Foreign implements [provider.ForeignReader]. It makes one call, and another if
// AWS refuses to act on the secret.
func (d *driver) Foreign(ctx context.Context, name string) (provider.Foreign, error) {
	out, err := d.client().GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	switch {
	case awsapi.HasCode(err, codeInvalidRequest):
		if s, failed := d.client().DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name}); failed == nil && s.DeletedDate != nil {
			err = provider.NotFound()
		}
		return provider.Foreign{}, err
	case awsapi.HasCode(err, awsapi.CodeDenied):
		return provider.Foreign{}, d.errForeignDenied(name, err)
	case err != nil:
		return provider.Foreign{}, err
	case out.SecretString != nil:
		return provider.Foreign{Value: []byte(*out.SecretString)}, nil
	}
	return provider.Foreign{Value: out.SecretBinary}, nil
}

// errForeignDenied names the secret, which is not a credential. It leaves a message
// about the KMS key as it is.
func (d *driver) errForeignDenied(name string, err error) error {
	e := *d.Explain(nebula.Name{}, err)
	const action = "secretsmanager:GetSecretValue"
	if strings.Contains(e.Message, action) {
		arn := d.arn(name)
		e.Message = action + " on " + arn + " is not allowed"
		e.Hint = "add to the policy: " + awsapi.Statement(arn+"-*", action)
	}
	return &e
}
