package awskms

import (
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/awsapi"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/provider"
)

// Config says which keys open a store, and where they are. Begin with
// [DefaultConfig]. The credentials are those of AWS's default chain:
// environment, web identity, profile, container, instance.
//
// A key is named by its ARN, by the ARN of an alias, by alias/NAME, or by its id.
// A slot is tried only if it is for a key that is named here. The content of the
// slot chooses neither region nor server.
type Config struct {
	// Key opens the store, and new slots are for it.
	Key string `toml:"key"`

	// Also are more keys that open the store.
	Also []string `toml:"also"`

	// Region of keys that are not named by an ARN. "" is that of AWS_REGION,
	// AWS_DEFAULT_REGION, the profile, or the instance on which this runs.
	Region string `toml:"region"`

	// EndpointURL of another server than the region's: https, or http to this
	// machine. "" is that of AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL or the profile,
	// or the region's own.
	EndpointURL string `toml:"endpoint_url"`

	// Tell shows a person what they should know about a new slot. If it is nil,
	// the text is dropped.
	Tell func(text string)

	Transport http.RoundTripper // to KMS alone; nil: one with our limits
	Clock     provider.Clock    // nil: the system's
}

// DefaultConfig returns the configuration for the region of AWS_REGION, else of
// AWS_DEFAULT_REGION, else for one that is found when KMS is asked.
func DefaultConfig() Config { return DefaultConfigIn(os.Getenv) }

// DefaultConfigIn is [DefaultConfig] in another environment than the process's.
// The SDK still reads missing settings from the process's own.
func DefaultConfigIn(getenv func(variable string) string) Config {
	c := Config{Region: getenv("AWS_REGION")}
	if c.Region == "" {
		c.Region = getenv("AWS_DEFAULT_REGION")
	}
	return c
}

// Validate reports all problems, in one error of kind ErrInvalidConfig. It asks
// no server. A Config without keys is valid, and opens nothing.
func (c Config) Validate() error {
	var problems []string
	note := func(setting, reason string) { problems = append(problems, setting+" "+reason) }
	if c.Key == "" && len(c.Also) > 0 {
		note("key", "is not set, and also is for more keys than that one")
	}
	for i, key := range c.keys() {
		setting := "key"
		if i > 0 {
			setting = "also"
		}
		if !awsapi.IsKMSKey(key) {
			note(setting, strconv.Quote(key)+" "+notKey)
		}
	}
	if c.Region != "" && !awsapi.IsRegion(c.Region) {
		note("region", strconv.Quote(c.Region)+" is not the code of a region, such as us-east-1")
	}
	if c.EndpointURL != "" {
		if _, err := httpx.ParseAddress(c.EndpointURL); err != nil {
			note("endpoint_url", err.Error())
		}
	}
	if problems == nil {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: strings.Join(problems, "; ")}
}

const notKey = "is neither the ARN of a key or alias, nor alias/NAME, nor the id of a key"

// CheckKey fails if text does not name a key.
func CheckKey(text string) error {
	if awsapi.IsKMSKey(text) {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrUsage, Message: "the KMS key " + strconv.Quote(text) + " " + notKey}
}

// keys returns the keys that are named, the first one first.
func (c Config) keys() []string {
	if c.Key == "" {
		return nil
	}
	return append([]string{c.Key}, c.Also...)
}

// MayOpen reports whether a slot may be for one of the keys. With an alias
// every slot of this kind may be. It asks nothing.
func (c Config) MayOpen(slot nebula.Slot) bool {
	data, err := slotdata.ParseAWSKMS(slot.Data)
	return err == nil && len(c.candidates(data.ARN)) > 0
}

// candidates returns the named keys that may be the one of an ARN. Those that
// certainly are come first.
func (c Config) candidates(text string) []named {
	arn, err := slotdata.ParseKeyARN(text)
	if err != nil {
		return nil
	}
	var sure, perhaps []named
	for _, key := range c.keys() {
		switch n := parseNamed(key); {
		case n.isAlias && n.mayBe(arn):
			perhaps = append(perhaps, n)
		case n.mayBe(arn):
			sure = append(sure, n)
		}
	}
	return append(sure, perhaps...)
}

// named is a key as the user names it.
type named struct {
	text    string
	isAlias bool
	arn     slotdata.KeyARN // what is known of the key's; of an alias, partition, region and account
}

func parseNamed(text string) named {
	n := named{text: text}
	rest := text
	if strings.HasPrefix(text, "arn:") {
		parts := strings.SplitN(text, ":", 6)
		n.arn.Partition, n.arn.Region, n.arn.Account, rest = parts[1], parts[3], parts[4], parts[5]
	}
	n.isAlias = strings.HasPrefix(rest, "alias/")
	if !n.isAlias {
		n.arn.ID = strings.TrimPrefix(rest, "key/")
	}
	return n
}

// mayBe reports whether the key may be that of an ARN. Keys of several regions
// that share their material have the same id, which begins with mrk-.
func (n named) mayBe(arn slotdata.KeyARN) bool {
	agree := func(mine, its string) bool { return mine == "" || mine == its }
	return agree(n.arn.ID, arn.ID) && agree(n.arn.Partition, arn.Partition) && agree(n.arn.Account, arn.Account) &&
		(agree(n.arn.Region, arn.Region) || isMultiRegion(arn))
}

func isMultiRegion(arn slotdata.KeyARN) bool { return strings.HasPrefix(arn.ID, "mrk-") }

// sameKey reports whether two ARNs name one key, or such keys in two regions.
func sameKey(a, b string) bool {
	if a == b {
		return true
	}
	left, errLeft := slotdata.ParseKeyARN(a)
	right, errRight := slotdata.ParseKeyARN(b)
	if errLeft != nil || errRight != nil || !isMultiRegion(left) {
		return false
	}
	left.Region, right.Region = "", ""
	return left == right
}
