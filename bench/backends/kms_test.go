package backends

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	sdkaws "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/awsapi"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/unlock/awskms"
)

// The SDK's package for KMS builds the tables of 53 operations at each start of any
// command, so Nebula makes the three calls that it needs itself. These tests compare them
// with those of the SDK's client, on the same server.

const (
	kmsRegion = "eu-central-1"
	kmsSlot   = "abcdefgh"
)

// recorder keeps the last request.
type recorder struct {
	request *http.Request
	body    map[string]any
}

// RoundTrip implements http.RoundTripper.
func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	raw, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	sent := request.Clone(request.Context())
	sent.Body = io.NopCloser(bytes.NewReader(raw))
	r.request, r.body = request, nil
	if err := json.Unmarshal(raw, &r.body); err != nil {
		return nil, err
	}
	return http.DefaultTransport.RoundTrip(sent)
}

// isolate clears AWS's variables and files, so that none of them changes a client.
func isolate(t testing.TB) {
	t.Helper()
	for _, name := range []string{"AWS_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "credentials"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_ACCESS_KEY_ID", awsKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", awsSecret)
}

// bothKMS is a server, the SDK's client and our key, with the last request of each.
type bothKMS struct {
	server     *awsserver.KMS
	arn        string
	sdk        *kms.Client
	key        nebula.Renewer
	sent, ours recorder
}

func newBothKMS(t *testing.T) *bothKMS {
	t.Helper()
	isolate(t)
	s, err := awsserver.NewKMS()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b := &bothKMS{server: s, arn: s.CreateKey(kmsRegion)}
	b.sdk = kms.New(kms.Options{Region: kmsRegion, BaseEndpoint: sdkaws.String(s.URL()), HTTPClient: &http.Client{Transport: &b.sent},
		Credentials: credentials.NewStaticCredentialsProvider(awsKeyID, awsSecret, ""), Retryer: sdkaws.NopRetryer{}})
	b.key, err = awskms.New(awskms.Config{Key: b.arn, Region: kmsRegion, EndpointURL: s.URL(), Transport: &b.ours, Clock: hasty{}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// same compares the last requests of both, except for what differs between any two
// requests, and except for the SDK's description of itself.
func (b *bothKMS) same(t *testing.T, operation string) {
	t.Helper()
	left, right := maps.Clone(b.sent.body), maps.Clone(b.ours.body)
	if operation == "Encrypt" { // the secret is another one each time
		delete(left, "Plaintext")
		delete(right, "Plaintext")
	}
	if !reflect.DeepEqual(left, right) {
		t.Errorf("%s: the SDK sends %v, we send %v", operation, left, right)
	}
	for _, name := range []string{"Content-Type", "X-Amz-Target"} {
		if l, r := b.sent.request.Header.Get(name), b.ours.request.Header.Get(name); l != r || l == "" {
			t.Errorf("%s: the SDK sends %s: %q, we send %q", operation, name, l, r)
		}
	}
	if l, r := b.sent.request, b.ours.request; l.Method != r.Method || l.URL.Path != r.URL.Path || l.Header.Get("Authorization") == "" || r.Header.Get("Authorization") == "" {
		t.Errorf("%s: the SDK sends %s %s, we send %s %s", operation, l.Method, l.URL, r.Method, r.URL)
	}
}

// hasty is a clock on which waiting takes no time.
type hasty struct{}

func (hasty) Now() time.Time                                   { return time.Now() }
func (hasty) Random() float64                                  { return 0 }
func (hasty) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func TestKMSSendsWhatTheSDKSends(t *testing.T) {
	b := newBothKMS(t)
	ec := map[string]string{"nebula:slot": kmsSlot}
	slot, secret, err := b.key.NewSlot(t.Context(), kmsSlot, [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := slotdata.ParseAWSKMS(slot.Data)
	if err != nil {
		t.Fatal(err)
	}
	// The last call of NewSlot decrypts what the first encrypted.
	opened, err := b.sdk.Decrypt(t.Context(), &kms.DecryptInput{KeyId: &b.arn, CiphertextBlob: data.Blob, EncryptionContext: ec, EncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault})
	if err != nil || !bytes.Equal(opened.Plaintext, secret) {
		t.Fatalf("the SDK gets another secret, or %v", err)
	}
	b.same(t, "Decrypt")

	made, err := b.sdk.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &b.arn, Plaintext: secret, EncryptionContext: ec, EncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault})
	if err != nil {
		t.Fatal(err)
	}
	theirs := nebula.Slot{ID: kmsSlot, Kind: nebula.SlotAWSKMS, Data: slotdata.AWSKMS{ARN: *made.KeyId, Blob: made.CiphertextBlob}.Bytes()}
	if got, err := b.key.Secret(t.Context(), theirs); err != nil || !bytes.Equal(got, secret) {
		t.Fatalf("we get another secret, or %v", err)
	}
	stop := b.server.Inject(awsserver.Fault{Operation: "Decrypt", Deny: true})
	b.server.Inject(awsserver.Fault{Operation: "Encrypt", Times: 1, Error: awsserver.KMSDeniedSilently})
	if _, _, err := b.key.NewSlot(t.Context(), kmsSlot, [16]byte{}); err == nil {
		t.Fatal("a slot was made")
	}
	stop()
	b.same(t, "Encrypt")

	findings := b.key.(nebula.Checker).Check(t.Context())
	if _, err := b.sdk.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &b.arn, Plaintext: make([]byte, 1), DryRun: sdkaws.Bool(true),
		EncryptionContext: map[string]string{"nebula:slot": "aaaaaaaa"}, EncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault}); !awsapi.HasCode(err, "DryRunOperationException") {
		t.Errorf("a dry run: %v", err)
	}
	b.same(t, "Encrypt")
	for _, f := range findings {
		if f.Severity != nebula.SeverityOK {
			t.Errorf("the check says %+v", f)
		}
	}
	b.server.Inject(awsserver.Fault{Operation: "DescribeKey", Times: 1, Error: awsserver.ExpiredToken})
	b.key.(nebula.Checker).Check(t.Context())
	if _, err := b.sdk.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &b.arn}); err != nil {
		t.Fatal(err)
	}
	b.same(t, "DescribeKey")
}

// We read the same code and message of an error as the SDK.
func TestKMSErrorsAreThoseOfTheSDK(t *testing.T) {
	b := newBothKMS(t)
	login, err := awsapi.Connect(t.Context(), awsapi.Options{Region: kmsRegion, Timeout: time.Minute, MaxAnswer: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(b.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	endpoint := awsapi.Endpoint{Service: kmsService(), Region: kmsRegion, URL: address}
	for _, fault := range []awsserver.Fault{
		{Deny: true}, {Error: awsserver.KMSDeniedSilently}, {Error: awsserver.Throttled}, {Error: awsserver.KMSInternal}, {Error: awsserver.KMSKeyUnavailable},
		{Error: awsserver.InvalidSignature}, {Error: awsserver.ExpiredToken}, {Error: &awsserver.Error{Code: "com.amazonaws.kms#DisabledException", Message: "is disabled"}},
		{Error: &awsserver.Error{Code: "NotFoundException:http://internal.amazon.com/coral/"}},
	} {
		stop := b.server.Inject(fault)
		_, theirs := b.sdk.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &b.arn})
		_, ours := login.Call(t.Context(), endpoint, "DescribeKey", map[string]string{"KeyId": b.arn}, &struct{}{})
		stop()
		l, r := codeOf(theirs), codeOf(ours)
		if l.message == "UnknownError" { // the SDK says so if there is none
			l.message = ""
		}
		if l != r || l == (refusal{}) {
			t.Errorf("the SDK reads %+v, we read %+v", l, r)
		}
	}
}

type refusal struct {
	code, message string
	status        int
	operation     string
}

func codeOf(err error) (r refusal) {
	service := kmsService()
	service.Explain(err, time.Now(), func(c awsapi.Call) *nebula.Error {
		r = refusal{c.API.ErrorCode(), c.API.ErrorMessage(), c.Status, c.Operation}
		return &nebula.Error{Kind: nebula.ErrInternal}
	})
	return r
}

func kmsService() awsapi.Service {
	return awsapi.Service{Name: "KMS", ID: "KMS", Code: "kms", Variable: "AWS_ENDPOINT_URL_KMS", Target: "TrentService"}
}

// The endpoints of KMS are those of the SDK's own rules.
func TestKMSEndpointsAreThoseOfTheSDK(t *testing.T) {
	isolate(t)
	for _, region := range []string{"us-east-1", "eu-central-1", "ap-southeast-7", "mx-central-1", "cn-north-1", "cn-northwest-1", "us-gov-west-1", "eusc-de-east-1",
		"us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1"} {
		for _, dual := range []bool{false, true} {
			for _, fips := range []bool{false, true} {
				want, err := kms.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), kms.EndpointParameters{Region: &region, UseDualStack: &dual, UseFIPS: &fips})
				if err != nil {
					continue // the partition has no such endpoints
				}
				t.Setenv("AWS_USE_DUALSTACK_ENDPOINT", boolText(dual))
				t.Setenv("AWS_USE_FIPS_ENDPOINT", boolText(fips))
				login, err := awsapi.Connect(t.Context(), awsapi.Options{Region: region, Timeout: time.Minute, MaxAnswer: 1 << 20})
				if err != nil {
					t.Fatal(err)
				}
				got, err := login.Endpoint(t.Context(), kmsService(), region, "")
				if err != nil || got.String() != want.URI.String() || !awsapi.IsAmazon(got) {
					t.Errorf("%s, IPv6 %t, FIPS %t: %v, %v; the SDK has %v", region, dual, fips, got, err, want.URI.String())
				}
			}
		}
	}
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}
