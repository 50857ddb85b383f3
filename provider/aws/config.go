package aws

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/awsapi"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/provider"
)

// Config says where the records are and how to reach them. Begin with
// [DefaultConfig]. The credentials are those of AWS's default chain:
// environment, web identity, profile, container, instance.
type Config struct {
	// Region of the secrets. "" is that of AWS_REGION, AWS_DEFAULT_REGION, the
	// profile, or the instance on which this runs.
	Region string `toml:"region"`

	// EndpointURL of another server than the region's: https, or http to this
	// machine. "" is that of AWS_ENDPOINT_URL_SECRETS_MANAGER, AWS_ENDPOINT_URL
	// or the profile, or the region's own.
	EndpointURL string `toml:"endpoint_url"`

	// SecretPrefix begins the names of all secrets: letters, digits and
	// /_+=.@-, at most 127 of them.
	SecretPrefix string `toml:"secret_prefix"`

	// Timeout of an attempt at reading, 1 to 60 s; writing has twice that.
	Timeout time.Duration `toml:"timeout"`

	// KMSKeyID is the key with which AWS encrypts new secrets: an ARN, an alias
	// (alias/NAME) or a key id. "" is the one that AWS keeps for the account.
	// Existing secrets keep their key.
	KMSKeyID string `toml:"kms_key_id"`

	// RecoveryWindowDays is how long a deleted secret can be restored, 7 to 30.
	RecoveryWindowDays int `toml:"recovery_window_days"`

	// DefaultTags are put on every secret. If its credential has a tag with the
	// same key, that one is kept instead.
	DefaultTags map[string]string `toml:"default_tags"`

	Retry provider.RetryPolicy `toml:"retry"`

	Transport http.RoundTripper // to Secrets Manager alone; nil: one with our limits
}

// The days that AWS allows for a recovery window.
const (
	minWindow = 7
	maxWindow = 30
)

// DefaultConfig returns the configuration for the region of AWS_REGION, else of
// AWS_DEFAULT_REGION, else for one that is found when connecting.
func DefaultConfig() Config { return DefaultConfigIn(os.Getenv) }

// DefaultConfigIn is [DefaultConfig] in another environment than the process's.
// The SDK still reads missing settings from the process's own.
func DefaultConfigIn(getenv func(variable string) string) Config {
	c := Config{
		Region:             getenv("AWS_REGION"),
		SecretPrefix:       "nebula/credentials/",
		Timeout:            5 * time.Second,
		RecoveryWindowDays: maxWindow,
		Retry:              provider.DefaultRetryPolicy(),
	}
	if c.Region == "" {
		c.Region = getenv("AWS_DEFAULT_REGION")
	}
	return c
}

// Validate reports all problems, in one error of kind ErrInvalidConfig. It asks
// no server.
func (c Config) Validate() error {
	var problems []string
	note := func(setting, reason string) { problems = append(problems, setting+" "+reason) }
	if c.Region != "" && !awsapi.IsRegion(c.Region) {
		note("region", strconv.Quote(c.Region)+" is not the code of a region, such as us-east-1")
	}
	if c.EndpointURL != "" {
		if _, err := httpx.ParseAddress(c.EndpointURL); err != nil {
			note("endpoint_url", err.Error())
		}
	}
	if !isNameText(c.SecretPrefix) {
		note("secret_prefix", strconv.Quote(c.SecretPrefix)+" holds a character that is not allowed: use letters, digits and /_+=.@-")
	}
	if n := len(c.SecretPrefix); n > maxPrefix {
		note("secret_prefix", fmt.Sprintf("has %d characters, %d are allowed", n, maxPrefix))
	}
	if c.Timeout < time.Second || c.Timeout > time.Minute {
		note("timeout", fmt.Sprintf("is %v, 1s to 60s are allowed", c.Timeout))
	}
	if c.KMSKeyID != "" && !awsapi.IsKMSKey(c.KMSKeyID) {
		note("kms_key_id", strconv.Quote(c.KMSKeyID)+" is neither the ARN of a key or alias, nor alias/NAME, nor the id of a key")
	}
	if c.RecoveryWindowDays < minWindow || c.RecoveryWindowDays > maxWindow {
		note("recovery_window_days", fmt.Sprintf("is %d, %d to %d are allowed", c.RecoveryWindowDays, minWindow, maxWindow))
	}
	problems = append(problems, wrongTags(c.DefaultTags)...)
	var retry *nebula.Error
	if errors.As(c.Retry.Validate(), &retry) {
		problems = append(problems, retry.Message)
	}
	if problems == nil {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Provider: providerName, Message: strings.Join(problems, "; ")}
}

// wrongTags says what is wrong with default_tags. They are not escaped, because
// others are to read them.
func wrongTags(tags map[string]string) []string {
	var problems []string
	for key, value := range tags {
		note := func(reason string) { problems = append(problems, fmt.Sprintf("default_tags: %q %s", key, reason)) }
		if n := utf8.RuneCountInString(key); n == 0 || n > maxTagKey {
			note(fmt.Sprintf("has a key of %d characters, 1 to %d are allowed", n, maxTagKey))
		}
		if n := utf8.RuneCountInString(value); n > maxTagValue {
			note(fmt.Sprintf("has a value of %d characters, %d are allowed", n, maxTagValue))
		}
		if encodeKey(key) != key || encodeText(value) != value {
			note("holds characters that AWS does not allow: letters, digits, blanks within and +-=._:/@ are allowed, no key may begin with aws: or =, no value with =")
		}
		if key == reservedKey {
			note("is Nebula's own")
		}
	}
	if n := len(tags); n >= maxTags {
		problems = append(problems, fmt.Sprintf("default_tags has %d tags, %d are allowed", n, maxTags-1))
	}
	slices.Sort(problems)
	return problems
}
