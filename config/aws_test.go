package config

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/provider/aws"
)

// Every key of [storage.aws], from the file and from variables.
func TestAWSSettings(t *testing.T) {
	const file = `[storage]
provider = "aws"
[storage.aws]
region = "eu-central-1"
endpoint_url = "https://vpce.example.com"
secret_prefix = "app/"
timeout = "7s"
kms_key_id = "alias/nebula"
recovery_window_days = 9
default_tags = { team = "web" }
[storage.aws.retry]
max_retries = 1
`
	c, err := load(t, file, "NEBULA_STORAGE_AWS_DEFAULT_TAGS=team=api,cost=7", "AWS_REGION=us-west-2")
	if err != nil {
		t.Fatal(err)
	}
	got := c.stores[DefaultStore].sections["aws"].(*aws.Config)
	if got.Region != "eu-central-1" || got.EndpointURL != "https://vpce.example.com" || got.SecretPrefix != "app/" || got.Timeout.Seconds() != 7 ||
		got.KMSKeyID != "alias/nebula" || got.RecoveryWindowDays != 9 || got.DefaultTags["team"] != "api" || got.DefaultTags["cost"] != "7" || got.Retry.MaxRetries != 1 {
		t.Errorf("%+v", got)
	}
	c, err = load(t, "[storage]\nprovider = \"aws\"\n", "AWS_REGION=us-west-2")
	if err != nil {
		t.Fatal(err)
	}
	if s := setting(t, c, "storage.aws.region"); s.Value != "us-west-2" || s.Source != "AWS_REGION" {
		t.Errorf("region is %v from %s", s.Value, s.Source)
	}
	_, err = load(t, "[storage]\nprovider = \"aws\"\n[storage.aws]\nrecovery_window_days = 31\nsecret_prefix = \"a b\"\n")
	if !errors.Is(err, nebula.ErrInvalidConfig) || !strings.Contains(err.Error(), "recovery_window_days") || !strings.Contains(err.Error(), "secret_prefix") {
		t.Errorf("got %v", err)
	}
}

// The region may come from AWS's own files, and the account from the credentials. Once
// the provider is connected, both are part of the address.
func TestAWSAddressIsTheConnectedOne(t *testing.T) {
	server, err := awsserver.New(awsserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true", "AWS_PROFILE": "",
		"AWS_REGION": server.Region(), "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a secret key",
	} {
		t.Setenv(name, value)
	}
	c, err := load(t, "[storage]\nprovider = \"aws\"\n[storage.aws]\nendpoint_url = \""+server.URL()+"\"\n")
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.OpenWithoutKeys(t.Context(), "", OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if place := s.Keys.Place(); !strings.Contains(place, server.Region()) || !strings.HasSuffix(place, s.Describe().Address) {
		t.Errorf("the place is %s, the provider's address %s", place, s.Describe().Address)
	}
}
