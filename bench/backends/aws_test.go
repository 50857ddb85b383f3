package backends

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	sdkaws "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/bench/paired"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/aws"
)

const (
	awsKeyID  = "AKIDEXAMPLE"
	awsSecret = "a-secret-access-key"
)

// BenchmarkAWS has the server in its own process: its work is in both figures.
func BenchmarkAWS(b *testing.B) {
	c := awsConfig(b)
	p, err := aws.New(c, provider.WithMetrics(new(provider.StorageMetrics)))
	check(b, err)
	connect(b, p)
	name, e := storeTimed(b, p, 99)
	sdk := secretsmanager.New(secretsmanager.Options{Region: c.Region, BaseEndpoint: &c.EndpointURL,
		Credentials: credentials.NewStaticCredentialsProvider(awsKeyID, awsSecret, "")})
	id, text := c.SecretPrefix+"timed", string(e.Bytes())
	paired.Calls(b, "retrieve",
		func() error {
			_, err := sdk.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id, VersionStage: sdkaws.String("AWSCURRENT")})
			return err
		},
		func() error { _, err := p.Retrieve(ctx, name); return err })
	paired.Calls(b, "exists",
		func() error {
			_, err := sdk.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &id})
			return err
		},
		func() error { _, err := p.Exists(ctx, name); return err })
	paired.Calls(b, "list of 100",
		func() error {
			_, err := sdk.ListSecrets(ctx, &secretsmanager.ListSecretsInput{MaxResults: sdkaws.Int32(100),
				Filters: []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{c.SecretPrefix}}}})
			return err
		},
		func() error { return listAll(ctx, p) })
	again := nebula.StoreOptions{Previous: e}
	paired.Calls(b, "store again",
		func() error {
			_, err := sdk.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &id, SecretString: &text})
			return err
		},
		func() error { _, err := p.Store(ctx, name, e, again); return err })
}

// awsConfig starts a server and returns a configuration for it. The environment does not
// change it.
func awsConfig(b *testing.B) aws.Config {
	b.Helper()
	// The clock advances by a quarter of an hour at each look, because AWS removes no
	// version of the last day, and accepts at most a hundred of them.
	var looks atomic.Int64
	began := time.Now()
	s, err := awsserver.New(awsserver.Options{Now: func() time.Time { return began.Add(time.Duration(looks.Add(1)) * 15 * time.Minute) }})
	check(b, err)
	b.Cleanup(func() { _ = s.Close() })
	for _, name := range []string{"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ACCOUNT_ID"} {
		b.Setenv(name, "")
	}
	b.Setenv("AWS_CONFIG_FILE", filepath.Join(b.TempDir(), "config"))
	b.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(b.TempDir(), "credentials"))
	b.Setenv("AWS_ACCESS_KEY_ID", awsKeyID)
	b.Setenv("AWS_SECRET_ACCESS_KEY", awsSecret)
	c := aws.DefaultConfigIn(func(string) string { return "" })
	c.Region, c.EndpointURL = s.Region(), s.URL()
	return c
}
