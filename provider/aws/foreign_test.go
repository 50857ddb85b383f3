package aws_test

import (
	"fmt"
	"slices"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/aws"
)

// others is AWS's own client, for the secrets of others.
func others(c aws.Config) *secretsmanager.Client {
	return secretsmanager.New(secretsmanager.Options{Region: c.Region, BaseEndpoint: &c.EndpointURL, Credentials: credentials.NewStaticCredentialsProvider(testKeyID, testSecret, "")})
}

// foreignSecrets makes more than a page of secrets of others, and returns their
// reader.
func foreignSecrets(t *testing.T, c aws.Config) provider.ForeignReader {
	t.Helper()
	client, ctx := others(c), t.Context()
	for i := range 120 {
		in := &secretsmanager.CreateSecretInput{Name: sdk.String(fmt.Sprintf("prod/s%03d/password", i)), SecretString: sdk.String(fmt.Sprint("value ", i))}
		if i == 7 {
			in.SecretString, in.SecretBinary = nil, []byte{0, 0xff}
		}
		if _, err := client.CreateSecret(ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"production", "Prod/x", "prod/gone"} {
		if _, err := client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: sdk.String("x")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: sdk.String("prod/gone")}); err != nil {
		t.Fatal(err)
	}
	p := open(t, c)
	name, e := record(t, "own", "v", nil)
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	f, ok := nebula.As[provider.ForeignReader](p)
	if !ok {
		t.Fatal("the provider is not a ForeignReader")
	}
	names, err := f.ForeignNames(ctx, "prod/")
	slices.Sort(names)
	if err != nil || len(names) != 120 || names[0] != "prod/s000/password" || names[119] != "prod/s119/password" {
		t.Fatalf("%d: %q, %v", len(names), names, err)
	}
	if all, err := f.ForeignNames(ctx, ""); err != nil || len(all) != 123 {
		t.Errorf("%d, %v", len(all), err)
	}
	for id, want := range map[string]string{"prod/s119/password": "value 119", "prod/s007/password": "\x00\xff"} {
		if got, err := f.Foreign(ctx, id); err != nil || string(got.Value) != want || got.IsRecord() {
			t.Errorf("%s: %q, %v", id, got.Value, err)
		}
	}
	for _, id := range []string{"prod/gone", "prod/none"} {
		if _, err := f.Foreign(ctx, id); nebula.KindOf(err) != nebula.ErrNotFound {
			t.Errorf("%s: %v", id, err)
		}
	}
	if got, err := f.Foreign(ctx, c.SecretPrefix+"own"); err != nil || !got.IsRecord() {
		t.Errorf("a record is not recognised: %v", err)
	}
	return f
}

func TestSecretsOfOthers(t *testing.T) {
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	environment(t)
	f := foreignSecrets(t, c)

	// A refusal names the secret, which is not one of the store's.
	defer s.Inject(awsserver.Fault{Operation: "GetSecretValue", Deny: true})()
	_, err := f.Foreign(t.Context(), "prod/s001/password")
	wants(t, err, nebula.ErrPermissionDenied, "secretsmanager:GetSecretValue on arn:aws:secretsmanager:", ":secret:prod/s001/password is not allowed")
}

func TestLiveSecretsOfOthers(t *testing.T) {
	foreignSecrets(t, liveConfig(t, livetest.AWS(t)))
}
