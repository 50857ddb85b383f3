package aws_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	sdkaws "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/internal/testing/sealed"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/aws"
	"github.com/nebula-credential/nebula/providertest"
)

const (
	testKeyID  = "AKIDEXAMPLE"
	testSecret = "a-secret-access-key-that-nobody-may-see"
)

// environment clears AWS's variables and files, so that only what a test sets
// remains.
func environment(t testing.TB) {
	t.Helper()
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER",
		"AWS_SESSION_TOKEN", "AWS_MAX_ATTEMPTS", "AWS_CA_BUNDLE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ACCOUNT_ID",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(name, "")
	}
	dir := t.TempDir()
	t.Setenv("AWS_CONFIG_FILE", dir+"/config")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", dir+"/credentials")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_ACCESS_KEY_ID", testKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", testSecret)
}

func newServer(t testing.TB, o awsserver.Options) *awsserver.Server {
	t.Helper()
	if o.ForcedDeletion == 0 {
		o.ForcedDeletion = 30 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = stepping()
	}
	s, err := awsserver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// stepping returns a clock that moves on by 6 ms at each look: AWS dates the first
// version of a secret 5 ms after the secret, and no call of AWS is as fast as one on
// this machine.
func stepping() func() time.Time {
	var mu sync.Mutex
	var last time.Time
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		if last = last.Add(6 * time.Millisecond); last.Before(time.Now()) {
			last = time.Now()
		}
		return last
	}
}

func configFor(s *awsserver.Server) aws.Config {
	c := aws.DefaultConfig()
	c.Region, c.EndpointURL = s.Region(), s.URL()
	return c
}

// full is a provider with every ability.
type full interface {
	nebula.Wrapper
	nebula.Connector
	nebula.Describer
	nebula.Restorer
	nebula.Purger
	nebula.Historian
	nebula.VersionRetriever
	nebula.BatchRetriever
	nebula.Identifier
	nebula.Fitter
	nebula.Checker
}

// newProvider returns a provider that is not connected yet.
func newProvider(t testing.TB, c aws.Config, options ...provider.Option) full {
	t.Helper()
	p, err := aws.New(c, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.(full).Close() })
	return p.(full)
}

// open returns a connected provider.
func open(t testing.TB, c aws.Config, options ...provider.Option) full {
	t.Helper()
	p := newProvider(t, c, options...)
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// remove deletes without a condition.
func remove(ctx context.Context, p nebula.Provider, name nebula.Name) error {
	_, err := p.Delete(ctx, name, nebula.Precondition{})
	return err
}

func purge(ctx context.Context, p nebula.Purger, name nebula.Name) error {
	_, err := p.Purge(ctx, name)
	return err
}

func record(t testing.TB, id, value string, tags map[string]string) (nebula.Name, *nebula.Envelope) {
	t.Helper()
	return sealed.Record(t, id, value, tags)
}

// wants checks the kind of an error, and that it says these texts.
func wants(t testing.TB, err error, kind nebula.Kind, texts ...string) {
	t.Helper()
	if nebula.KindOf(err) != kind {
		t.Errorf("%v: kind %q, want %q (%v)", err, nebula.KindOf(err), kind, errors.Unwrap(err))
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%v: does not say %q", err, text)
		}
	}
}

// held is a provider with the configuration that made it, for tests that open its
// backend again.
type held struct {
	full
	config aws.Config
}

func harness(maxStores int, configure func(*testing.T) aws.Config) providertest.Harness {
	return providertest.Harness{
		New: func(t *testing.T, options ...provider.Option) nebula.Provider {
			c := configure(t)
			return held{newProvider(t, c, options...), c}
		},
		Reopen: func(t *testing.T, p nebula.Provider) nebula.Provider {
			c := p.(held).config
			return held{newProvider(t, c), c}
		},
		Corrupt: func(t *testing.T, p nebula.Provider, name nebula.Name, raw []byte) {
			corrupt(t, p.(held).config, name, raw)
		},
		Abilities: []providertest.Ability{
			providertest.Connector, providertest.Describer, providertest.Restorer, providertest.Purger,
			providertest.Historian, providertest.VersionRetriever, providertest.BatchRetriever, providertest.Identifier, providertest.Fitter, providertest.Checker,
		},
		RacyDeletions: true,
		MaxRecordSize: 65_536,
		MaxTags:       49,
		AcceptsTag:    aws.AcceptsTag,
		MaxStores:     maxStores,
	}
}

// directClient is the SDK's own client, for changes behind the provider's back.
func directClient(c aws.Config) *secretsmanager.Client {
	return secretsmanager.New(secretsmanager.Options{Region: c.Region, BaseEndpoint: &c.EndpointURL,
		Credentials: sdkaws.CredentialsProviderFunc(func(context.Context) (sdkaws.Credentials, error) {
			return sdkaws.Credentials{AccessKeyID: testKeyID, SecretAccessKey: testSecret}, nil
		})})
}

func corrupt(t *testing.T, c aws.Config, name nebula.Name, raw []byte) {
	t.Helper()
	id := c.SecretPrefix + name.String()
	in := &secretsmanager.PutSecretValueInput{SecretId: &id}
	if utf8.Valid(raw) {
		text := string(raw)
		in.SecretString = &text
	} else {
		in.SecretBinary = raw
	}
	if _, err := directClient(c).PutSecretValue(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// few keeps the writes of a rule to one credential, with those that lose against
// others, below the 100 versions a day that AWS keeps.
const few = 60

func TestConformance(t *testing.T) {
	environment(t)
	providertest.Run(t, harness(few, func(t *testing.T) aws.Config { return configFor(newServer(t, awsserver.Options{})) }))
}

// This one has no prefix, and default tags.
func TestConformanceTags(t *testing.T) {
	environment(t)
	h := harness(few, func(t *testing.T) aws.Config {
		c := configFor(newServer(t, awsserver.Options{}))
		c.SecretPrefix, c.DefaultTags = "", map[string]string{"cost-center": "17", "Team": "platform"}
		return c
	})
	h.MaxTags = 47
	providertest.Run(t, h)
}
