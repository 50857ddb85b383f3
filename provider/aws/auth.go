package aws

import (
	"context"
	"encoding/base32"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go/logging"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
)

// maxAnswer is the greatest answer, in bytes: a page of 100 secrets with 50
// tags each of the greatest length, in four bytes a character, is 8 MB.
const maxAnswer = 16 << 20

// metadataLimit bounds each of the two requests that find out whether this is
// an instance of EC2. There, they take milliseconds.
const metadataLimit = 900 * time.Millisecond

// session is a client, and what was found out about who it is for.
type session struct {
	client   *secretsmanager.Client
	http     *http.Client
	region   string
	endpoint string // "" is the region's own
	host     string // for messages
	identity aws.Credentials
}

// connect finds region and credentials. It makes calls only if a method of
// getting credentials needs them.
func (d *driver) connect(ctx context.Context) (*session, error) {
	sdk, err := d.loadConfig(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{region: sdk.Region}
	if sdk.Credentials == nil {
		return nil, errNoCredentials()
	}
	// What is cached is renewed when it expires, by one of all that wait for it.
	credentials := source{sdk.Credentials}
	if s.identity, err = credentials.Retrieve(ctx); err != nil {
		return nil, err
	}
	s.http = d.httpClient(sdk)
	s.client = secretsmanager.NewFromConfig(sdk, func(o *secretsmanager.Options) {
		o.Credentials = credentials
		o.Retryer = aws.NopRetryer{}
		o.HTTPClient = wire{s.http}
		o.ClientLogMode, o.Logger = 0, logging.Nop{}
		if d.config.EndpointURL != "" {
			o.BaseEndpoint = &d.config.EndpointURL
		}
	})
	return s, s.setEndpoint()
}

// loadConfig reads the environment and the files of AWS's tools.
func (d *driver) loadConfig(ctx context.Context) (aws.Config, error) {
	metadata := imds.New(imds.Options{Retryer: aws.NopRetryer{}, HTTPClient: &http.Client{Timeout: metadataLimit}})
	sdk, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(d.config.Region),
		config.WithLogger(logging.Nop{}),
		config.WithClientLogMode(0),
		// Each step of getting credentials is limited by itself, and repeated with
		// the call that needs them.
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(d.config.Timeout)),
		config.WithEC2RoleCredentialOptions(func(o *ec2rolecreds.Options) { o.Client = metadata }))
	if err != nil {
		return aws.Config{}, explainSettings(err)
	}
	if sdk.Region == "" {
		answer, err := metadata.GetRegion(ctx, nil)
		if err != nil {
			return aws.Config{}, &nebula.Error{Kind: nebula.ErrInvalidConfig, Err: err,
				Message: "no region is known: looked at region, AWS_REGION, AWS_DEFAULT_REGION, profile " + profileName() + ", and whether this is an instance of EC2",
				Hint:    "set region or AWS_REGION"}
		}
		sdk.Region = answer.Region
	}
	return sdk, nil
}

// httpClient returns a client with our limits. It trusts the same authorities
// as the SDK, with AWS_CA_BUNDLE or the profile's ca_bundle.
func (d *driver) httpClient(sdk aws.Config) *http.Client {
	o := httpx.Options{Transport: d.config.Transport, MaxBody: maxAnswer, Total: 2 * d.config.Timeout}
	if built, ok := sdk.HTTPClient.(*awshttp.BuildableClient); ok {
		if tls := built.GetTransport().TLSClientConfig; tls != nil {
			o.Roots = tls.RootCAs
		}
	}
	return httpx.NewClient(o)
}

// wire is the client as the SDK takes it.
type wire struct{ *http.Client }

// Do sends a request whose body has no WriteTo. The SDK closes the body when the
// answer begins, and its WriteTo fails from then on: if that is before
// net/http has seen the end of the body, it closes the connection in the midst
// of the answer. Read says that the end is there.
func (w wire) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return w.Client.Do(r)
	}
	sent := *r
	sent.Body = struct{ io.ReadCloser }{r.Body}
	return w.Client.Do(&sent)
}

// setEndpoint refuses an endpoint that the configuration would refuse: it may
// come from a variable or a profile.
func (s *session) setEndpoint() error {
	s.host = "Secrets Manager in " + s.region
	base := s.client.Options().BaseEndpoint
	if base == nil || *base == "" {
		return nil
	}
	u, err := httpx.ParseAddress(*base)
	if err != nil {
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "the endpoint for Secrets Manager " + err.Error(),
			Hint: "look at endpoint_url, AWS_ENDPOINT_URL_SECRETS_MANAGER, AWS_ENDPOINT_URL and the profile"}
	}
	s.host = u.Host
	if !isAmazon(u) {
		s.endpoint = u.Scheme + "://" + strings.ToLower(u.Host) + u.Path
	}
	return nil
}

// address names the backend: account, region and prefix, behind the endpoint
// if that is not AWS's own.
func (s *session) address(prefix string) string {
	parts := []string{s.region, prefix}
	if account := accountOf(s.identity); account != "" {
		parts = []string{s.region, account, prefix}
	}
	if s.endpoint != "" {
		parts = append([]string{s.endpoint}, parts...)
	}
	return strings.Join(parts, "/")
}

// accountOf returns the account of credentials, or "" if it cannot be told
// without a call. The ids of access keys hold it since 2019, when their fifth
// character became Q or one after it: 40 bits from bit 1 on of what is base32
// there.
func accountOf(c aws.Credentials) string {
	if c.AccountID != "" {
		return c.AccountID
	}
	id := c.AccessKeyID
	if len(id) != 20 || id[:4] != "AKIA" && id[:4] != "ASIA" || id[4] < 'Q' || id[4] > 'Z' {
		return ""
	}
	raw, err := base32.StdEncoding.DecodeString(id[4:])
	if err != nil {
		return ""
	}
	var bits uint64
	for _, b := range raw[:6] {
		bits = bits<<8 | uint64(b)
	}
	return fmt.Sprintf("%012d", bits&0x7fffffffff80>>7)
}
