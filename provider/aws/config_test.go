package aws_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/aws"
)

func TestDefaults(t *testing.T) {
	c := aws.DefaultConfigIn(func(name string) string { return map[string]string{"AWS_DEFAULT_REGION": "eu-west-1"}[name] })
	if c.Region != "eu-west-1" || c.SecretPrefix != "nebula/credentials/" || c.Timeout != 5*time.Second || c.RecoveryWindowDays != 30 || c.Validate() != nil {
		t.Errorf("%+v, %v", c, c.Validate())
	}
}

func TestValidate(t *testing.T) {
	long := strings.Repeat("x", 127)
	for what, c := range map[string]struct {
		change func(*aws.Config)
		says   string // "" if it is valid
	}{
		"region":              {func(c *aws.Config) { c.Region = "us-gov-west-1" }, ""},
		"no region code":      {func(c *aws.Config) { c.Region = "Frankfurt" }, "region"},
		"injected region":     {func(c *aws.Config) { c.Region = "us-east-1.evil.example" }, "region"},
		"endpoint":            {func(c *aws.Config) { c.EndpointURL = "http://127.0.0.1:5000" }, ""},
		"endpoint in clear":   {func(c *aws.Config) { c.EndpointURL = "http://10.0.0.1:5000" }, "endpoint_url"},
		"longest prefix":      {func(c *aws.Config) { c.SecretPrefix = long }, ""},
		"too long a prefix":   {func(c *aws.Config) { c.SecretPrefix = long + "x" }, "secret_prefix"},
		"all of a prefix":     {func(c *aws.Config) { c.SecretPrefix = "aZ09/_+=.@-" }, ""},
		"wrong prefix":        {func(c *aws.Config) { c.SecretPrefix = "a:b" }, "secret_prefix"},
		"blank in the prefix": {func(c *aws.Config) { c.SecretPrefix = "a b" }, "secret_prefix"},
		"timeout":             {func(c *aws.Config) { c.Timeout = 999 * time.Millisecond }, "timeout"},
		"long timeout":        {func(c *aws.Config) { c.Timeout = 61 * time.Second }, "timeout"},
		"shortest window":     {func(c *aws.Config) { c.RecoveryWindowDays = 7 }, ""},
		"too short a window":  {func(c *aws.Config) { c.RecoveryWindowDays = 6 }, "recovery_window_days"},
		"too long a window":   {func(c *aws.Config) { c.RecoveryWindowDays = 31 }, "recovery_window_days"},
		"key ARN": {func(c *aws.Config) {
			c.KMSKeyID = "arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d-0000-1111-2222-333344445555"
		}, ""},
		"alias ARN":        {func(c *aws.Config) { c.KMSKeyID = "arn:aws-cn:kms:cn-north-1:123456789012:alias/a/b" }, ""},
		"alias":            {func(c *aws.Config) { c.KMSKeyID = "alias/nebula" }, ""},
		"key id":           {func(c *aws.Config) { c.KMSKeyID = "0a1b2c3d-0000-1111-2222-333344445555" }, ""},
		"multi-region key": {func(c *aws.Config) { c.KMSKeyID = "mrk-" + strings.Repeat("0", 32) }, ""},
		"no key":           {func(c *aws.Config) { c.KMSKeyID = "nebula" }, "kms_key_id"},
		"default tags":     {func(c *aws.Config) { c.DefaultTags = map[string]string{"Cost Center": "a/b:c=d"} }, ""},
		"reserved tag":     {func(c *aws.Config) { c.DefaultTags = map[string]string{"aws:x": "y"} }, "default_tags"},
		"wrong tag":        {func(c *aws.Config) { c.DefaultTags = map[string]string{"a,b": "y"} }, "default_tags"},
		"our tag":          {func(c *aws.Config) { c.DefaultTags = map[string]string{"nebula=": "y"} }, "default_tags"},
		"too many tags": {func(c *aws.Config) {
			c.DefaultTags = make(map[string]string)
			for i := range 50 {
				c.DefaultTags[fmt.Sprint("k", i)] = "v"
			}
		}, "default_tags"},
		"retries": {func(c *aws.Config) { c.Retry.MaxRetries = 11 }, "max_retries"},
	} {
		config := aws.DefaultConfigIn(func(string) string { return "" })
		c.change(&config)
		err := config.Validate()
		if c.says == "" && err != nil || c.says != "" && (nebula.KindOf(err) != nebula.ErrInvalidConfig || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", what, err, c.says)
		}
	}
	broken := aws.Config{Region: "x", SecretPrefix: "a b", KMSKeyID: "?"}
	err := broken.Validate()
	for _, setting := range []string{"region", "secret_prefix", "timeout", "kms_key_id", "recovery_window_days", "retry"} {
		if !strings.Contains(err.Error(), setting) {
			t.Errorf("%v: does not mention %s", err, setting)
		}
	}
}

// New secrets have the KMS key that is configured, or the account's own.
func TestKMSKey(t *testing.T) {
	for _, key := range []string{"", "alias/nebula"} {
		o, _, _ := between(t)
		c := o.c
		c.KMSKeyID = key
		if _, err := open(t, c).Store(t.Context(), o.name, o.theirs, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
		id := c.SecretPrefix + "a"
		out, err := directClient(c).DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &id})
		if err != nil {
			t.Fatal(err)
		}
		if out.KmsKeyId == nil != (key == "") || out.KmsKeyId != nil && *out.KmsKeyId != key {
			t.Errorf("with %q the secret has %v", key, out.KmsKeyId)
		}
	}
}
