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
	"github.com/nebula-credential/nebula/middleware"
	"github.com/nebula-credential/nebula/provider/aws"
	"github.com/nebula-credential/nebula/providertest"
)

const (
	testKeyID  = "AKIDEXAMPLE"
	testSecret = "a-secret-access-key-that-nobody-may-see"
)

// environment leaves of AWS's variables and files what a test sets.
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

// stepping returns a clock that goes on by 6 ms with every look: AWS dates the
// first version of a secret 5 ms after the secret, and no call of AWS is as fast
// as one on this machine.
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

// open returns a connected provider with all layers.
func open(t testing.TB, c aws.Config, o middleware.Options) nebula.Provider {
	t.Helper()
	bare, err := aws.New(c)
	if err != nil {
		t.Fatal(err)
	}
	p := middleware.Stack(bare, o)
	life, _ := nebula.As[nebula.Connector](p)
	if err := life.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = life.Close() })
	return p
}

func record(t testing.TB, id, value string, tags map[string]string) (nebula.Name, *nebula.Envelope) {
	t.Helper()
	name, err := nebula.ID(id).Name()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e, err := nebula.SealRecord([32]byte{1}, name, nebula.NewSecret([]byte(value)),
		nebula.Metadata{CreatedAt: at, LastModified: at, Tags: tags})
	if err != nil {
		t.Fatal(err)
	}
	return name, e
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

// conformance remembers the configurations, for those that open a backend again.
type conformance struct {
	configs map[nebula.Provider]aws.Config
	make    func(*testing.T) aws.Config
	layers  bool // put all of them around
}

func (h *conformance) open(t *testing.T, c aws.Config) nebula.Provider {
	t.Helper()
	bare, err := aws.New(c)
	if err != nil {
		t.Fatal(err)
	}
	p := nebula.Provider(bare)
	if h.layers {
		p = middleware.Stack(p, middleware.Options{})
	}
	h.configs[p] = c
	return p
}

func harness(most int, layers bool, configure func(*testing.T) aws.Config) providertest.Harness {
	h := &conformance{configs: make(map[nebula.Provider]aws.Config), make: configure, layers: layers}
	return providertest.Harness{
		New:    func(t *testing.T) nebula.Provider { return h.open(t, h.make(t)) },
		Reopen: func(t *testing.T, p nebula.Provider) nebula.Provider { return h.open(t, h.configs[p]) },
		Corrupt: func(t *testing.T, p nebula.Provider, name nebula.Name, raw []byte) {
			corrupt(t, h.configs[p], name, raw)
		},
		Abilities: []providertest.Ability{
			providertest.Connector, providertest.Describer, providertest.Restorer, providertest.Purger,
			providertest.Historian, providertest.VersionRetriever, providertest.BatchRetriever, providertest.Checker,
		},
		MaxRecordSize: 65_536,
		MaxTags:       49,
		AcceptsTag:    aws.AcceptsTag,
		MaxStores:     most,
	}
}

// directClient is the SDK's own, for what is done behind the provider's back.
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

// few keeps what a rule writes to one credential below the 100 versions of a day
// that AWS keeps, with those of writes that lose against others.
const few = 60

func TestConformance(t *testing.T) {
	environment(t)
	providertest.Run(t, harness(few, false, func(t *testing.T) aws.Config { return configFor(newServer(t, awsserver.Options{})) }))
}

// With all layers around it, another prefix, and default tags.
func TestConformanceLayers(t *testing.T) {
	environment(t)
	h := harness(few, true, func(t *testing.T) aws.Config {
		c := configFor(newServer(t, awsserver.Options{}))
		c.SecretPrefix, c.DefaultTags = "", map[string]string{"cost-center": "17", "Team": "platform"}
		return c
	})
	h.MaxTags = 47
	providertest.Run(t, h)
}
