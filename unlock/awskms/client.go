package awskms

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/awsapi"
	"github.com/nebula-credential/nebula/provider"
)

// callTimeout is the limit of one call, and of each step of a login.
const callTimeout = 5 * time.Second

// client calls KMS. A call that fails and may succeed later is repeated like
// the calls of providers.
type client struct {
	config Config
	clock  provider.Clock

	mu    sync.Mutex
	login *awsapi.Login // nil until it is needed
}

func newClient(c Config) *client {
	clock := c.Clock
	if clock == nil {
		clock = provider.SystemClock{}
	}
	return &client{config: c, clock: clock}
}

func kms() awsapi.Service {
	return awsapi.Service{Name: "KMS", ID: "KMS", Code: "kms", Variable: "AWS_ENDPOINT_URL_KMS", Target: "TrentService"}
}

// symmetric is the one algorithm that is used.
const symmetric = "SYMMETRIC_DEFAULT"

// contextKey is the name of the slot's id in the encryption context, for policies
// and for CloudTrail.
const contextKey = "nebula:slot"

// encryptIn and the types below are the forms of KMS's API.
type encryptIn struct {
	KeyID     string            `json:"KeyId"`
	Plaintext []byte            `json:"Plaintext"`
	Context   map[string]string `json:"EncryptionContext"`
	Algorithm string            `json:"EncryptionAlgorithm"`
	DryRun    bool              `json:"DryRun,omitempty"`
}

type encryptOut struct {
	KeyID     string `json:"KeyId"`
	Blob      []byte `json:"CiphertextBlob"`
	Algorithm string `json:"EncryptionAlgorithm"`
}

type decryptIn struct {
	KeyID     string            `json:"KeyId"`
	Blob      []byte            `json:"CiphertextBlob"`
	Context   map[string]string `json:"EncryptionContext"`
	Algorithm string            `json:"EncryptionAlgorithm"`
}

type decryptOut struct {
	KeyID     string `json:"KeyId"`
	Plaintext []byte `json:"Plaintext"`
	Algorithm string `json:"EncryptionAlgorithm"`
}

type describeIn struct {
	KeyID string `json:"KeyId"`
}

type describeOut struct {
	Metadata struct {
		ARN      string   `json:"Arn"`
		State    string   `json:"KeyState"`
		Usage    string   `json:"KeyUsage"`
		Spec     string   `json:"KeySpec"`
		Deletion *float64 `json:"DeletionDate"` // seconds
	} `json:"KeyMetadata"`
}

func (c *client) encrypt(ctx context.Context, key named, slotID string, secret []byte) (out encryptOut, err error) {
	in := encryptIn{KeyID: key.text, Plaintext: secret, Context: map[string]string{contextKey: slotID}, Algorithm: symmetric}
	_, err = c.call(ctx, request{key: key, operation: "Encrypt"}, in, &out)
	return out, err
}

// decrypt decrypts the ciphertext of a slot. The ARN is the slot's.
func (c *client) decrypt(ctx context.Context, key named, slotID, arn string, blob []byte) (out decryptOut, err error) {
	in := decryptIn{KeyID: key.text, Blob: blob, Context: map[string]string{contextKey: slotID}, Algorithm: symmetric}
	_, err = c.call(ctx, request{key: key, operation: "Decrypt", slotID: slotID, arn: arn}, in, &out)
	return out, err
}

func (c *client) describe(ctx context.Context, key named) (out describeOut, header http.Header, err error) {
	header, err = c.call(ctx, request{key: key, operation: "DescribeKey"}, describeIn{key.text}, &out)
	return out, header, err
}

// mayEncrypt fails as encrypt would, and has KMS encrypt nothing.
func (c *client) mayEncrypt(ctx context.Context, key named) error {
	in := encryptIn{KeyID: key.text, Plaintext: make([]byte, 1), Context: map[string]string{contextKey: "aaaaaaaa"}, Algorithm: symmetric, DryRun: true}
	_, err := c.call(ctx, request{key: key, operation: "Encrypt"}, in, &encryptOut{})
	if awsapi.HasCode(err, "DryRunOperationException") {
		return nil
	}
	return err
}

// call makes a call, in the region of the key. Errors are explained.
func (c *client) call(ctx context.Context, r request, in, out any) (header http.Header, err error) {
	login, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	region := c.region(login, r.key)
	address, err := login.Endpoint(ctx, kms(), region, c.config.EndpointURL)
	if err != nil {
		return nil, err
	}
	service := kms().At(c.host(address, region))
	err = provider.Repeat(ctx, provider.DefaultRetryPolicy(), c.clock, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		header, err = login.Call(ctx, awsapi.Endpoint{Service: service, Region: region, URL: address}, r.operation, in, out)
		if err == nil {
			return nil
		}
		r.region = region
		return service.Explain(err, c.clock.Now(), r.explain)
	})
	return header, err
}

// region returns the region in which to ask for a key. The content of a slot does
// not choose it.
func (c *client) region(login *awsapi.Login, key named) string {
	return cmp.Or(key.arn.Region, c.config.Region, login.Region)
}

func (c *client) host(address *url.URL, region string) string {
	if awsapi.IsAmazon(address) {
		return "KMS in " + region
	}
	return address.Host
}

// connect logs in once.
func (c *client) connect(ctx context.Context) (*awsapi.Login, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.login != nil {
		return c.login, nil
	}
	options := awsapi.Options{Region: c.config.Region, Timeout: callTimeout, MaxAnswer: maxAnswer, Transport: c.config.Transport}
	if options.Region == "" {
		options.Region = c.config.regionOfAll()
	}
	login, err := awsapi.Connect(ctx, options)
	if err != nil {
		return nil, kms().Explain(err, c.clock.Now(), func(awsapi.Call) *nebula.Error { return nil })
	}
	c.login = login
	return login, nil
}

// maxAnswer is the limit of an answer, in bytes.
const maxAnswer = 64 << 10

// regionOfAll returns a region if every key names its own, so that none must be
// looked for.
func (c Config) regionOfAll() string {
	region := ""
	for _, key := range c.keys() {
		if region = parseNamed(key).arn.Region; region == "" {
			return ""
		}
	}
	return region
}
