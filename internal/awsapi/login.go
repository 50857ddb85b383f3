// Package awsapi has the parts that every client of AWS needs: a login, rules
// for HTTP and endpoints, and the meaning of the errors of AWS and of its
// logins.
package awsapi

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
	"github.com/aws/smithy-go/logging"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
)

// metadataLimit bounds each of the two requests that find out whether this is
// an instance of EC2. There, they take milliseconds.
const metadataLimit = 900 * time.Millisecond

// Options are the options of [Connect].
type Options struct {
	Region    string            // "": where AWS's own tools look
	Timeout   time.Duration     // of each step of getting credentials; an exchange with the service has twice that
	MaxAnswer int64             // of the service, in bytes
	Transport http.RoundTripper // to the service alone; nil: one with our limits
}

// Login is who calls AWS, and from which region.
type Login struct {
	Region   string
	Identity aws.Credentials // as they were when the login was made
	HTTP     *http.Client    // with our limits

	// SDK is for clients of the SDK: with the credentials, our HTTP, and no log.
	// Cached credentials are renewed when they expire. If many wait for that,
	// one of them renews.
	SDK aws.Config
}

// Connect finds region and credentials. It makes calls only if the credentials
// need them.
func Connect(ctx context.Context, o Options) (*Login, error) {
	sdk, err := loadConfig(ctx, o)
	if err != nil {
		return nil, err
	}
	if sdk.Credentials == nil {
		return nil, errNoCredentials()
	}
	l := &Login{Region: sdk.Region, HTTP: httpClient(sdk, o), SDK: sdk}
	l.SDK.Credentials, l.SDK.HTTPClient = source{sdk.Credentials}, wire{l.HTTP}
	l.Identity, err = l.SDK.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// loadConfig reads the environment and the files of AWS's tools.
func loadConfig(ctx context.Context, o Options) (aws.Config, error) {
	metadata := imds.New(imds.Options{Retryer: aws.NopRetryer{}, HTTPClient: &http.Client{Timeout: metadataLimit}})
	sdk, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(o.Region),
		config.WithLogger(logging.Nop{}),
		config.WithClientLogMode(0),
		// Each step of getting credentials is limited by itself, and repeated with
		// the call that needs them.
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(o.Timeout)),
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
func httpClient(sdk aws.Config, o Options) *http.Client {
	limits := httpx.Options{Transport: o.Transport, MaxBody: o.MaxAnswer, Total: 2 * o.Timeout}
	if built, ok := sdk.HTTPClient.(*awshttp.BuildableClient); ok {
		if tls := built.GetTransport().TLSClientConfig; tls != nil {
			limits.Roots = tls.RootCAs
		}
	}
	return httpx.NewClient(limits)
}

// wire is the client in the form that the SDK expects.
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

// Account returns the account of the credentials, or "" if it cannot be told
// without a call.
func (l *Login) Account() string { return accountOf(l.Identity) }

// accountOf reads it from the access key. The ids of access keys have contained it
// since 2019, when their fifth character became Q or a later one: it is 40 bits,
// from bit 1 on, of the base32 part.
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

// Source returns the SDK's word for where the credentials come from.
func (l *Login) Source() string {
	name, _, _ := strings.Cut(l.Identity.Source, ":")
	if name == "" {
		return "an unnamed source"
	}
	return name
}
