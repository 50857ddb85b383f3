package awskms_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/unlock/awskms"
)

const (
	region = "eu-central-1"
	slotID = "abcdefgh"
)

// environment clears AWS's variables and files, so that only those of the test count.
func environment(t testing.TB) {
	t.Helper()
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
		"AWS_SESSION_TOKEN", "AWS_MAX_ATTEMPTS", "AWS_CA_BUNDLE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ACCOUNT_ID", "AWS_USE_FIPS_ENDPOINT",
		"AWS_USE_DUALSTACK_ENDPOINT", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(name, "")
	}
	dir := t.TempDir()
	t.Setenv("AWS_CONFIG_FILE", dir+"/config")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", dir+"/credentials")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "a-secret-access-key-that-nobody-may-see")
}

func newKMS(t testing.TB) *awsserver.KMS {
	t.Helper()
	environment(t)
	s, err := awsserver.NewKMS()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	t.Setenv("AWS_ENDPOINT_URL_KMS", s.URL())
	return s
}

// with returns a Key that is configured with a key of KMS, and with others.
func with(t testing.TB, key string, also ...string) nebula.Renewer {
	t.Helper()
	return withConfig(t, awskms.Config{Key: key, Also: also, Region: region})
}

func withConfig(t testing.TB, c awskms.Config) nebula.Renewer {
	t.Helper()
	k, err := awskms.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newSlot(t testing.TB, key nebula.Key) (nebula.Slot, []byte) {
	t.Helper()
	slot, secret, err := key.NewSlot(t.Context(), slotID, [16]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	return slot, secret
}

// opens checks that a key opens a slot and gets the secret.
func opens(t testing.TB, key nebula.Key, slot nebula.Slot, want []byte) {
	t.Helper()
	if secret, err := key.Secret(t.Context(), slot); err != nil || !slices.Equal(secret, want) {
		t.Errorf("%v: got another secret, or %v", key, err)
	}
}

// wants checks the kind of an error, and that its message or its hint has each text.
func wants(t testing.TB, err error, kind nebula.Kind, texts ...string) {
	t.Helper()
	if nebula.KindOf(err) != kind {
		t.Errorf("%v: kind %q, want %q", err, nebula.KindOf(err), kind)
		return
	}
	for _, text := range texts {
		if e, ok := err.(*nebula.Error); !ok || !strings.Contains(e.Message+"\n"+e.Hint, text) {
			t.Errorf("%v: does not say %q", err, text)
		}
	}
	if err != nil && strings.Contains(err.Error(), "a-secret-access-key") {
		t.Errorf("the error shows the access key: %v", err)
	}
}

// calls returns the operations that were called, and forgets them.
func calls(s *awsserver.KMS) (names []string) {
	for _, r := range s.Requests() {
		names = append(names, r.Operation)
	}
	s.ResetLog()
	return names
}

func wantCalls(t testing.TB, s *awsserver.KMS, want ...string) {
	t.Helper()
	if got := calls(s); !slices.Equal(got, want) {
		t.Errorf("the calls are %v, want %v", got, want)
	}
}

// hasty is a clock on which waiting takes no time.
type hasty struct{ provider.SystemClock }

// Sleep implements provider.Clock.
func (hasty) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// state returns a function that puts a key into a state, and returns one that enables it.
func state(s *awsserver.KMS, arn, name string) func() func() {
	return func() func() {
		s.SetState(arn, name)
		return func() { s.SetState(arn, awsserver.KMSEnabled) }
	}
}
