package awsserver_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

const (
	keyID    = "AKIDEXAMPLE"
	plain    = "arn:aws:iam::123456789012:role/plain"
	guarded  = "arn:aws:iam::123456789012:role/guarded"
	unknown  = "arn:aws:iam::123456789012:role/unknown"
	device   = "arn:aws:iam::123456789012:mfa/device"
	identity = "a-web-identity"
)

func newSTS(t *testing.T) *awsserver.STS {
	t.Helper()
	s, err := awsserver.NewSTS()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.AddRole(awsserver.Role{ARN: plain})
	s.AddRole(awsserver.Role{ARN: guarded, MFA: device})
	s.AddToken(identity)
	return s
}

// profile sets AWS's files and variables to a profile that assumes a role.
func profile(t *testing.T, s *awsserver.STS, role string, lines ...string) {
	t.Helper()
	clean(t)
	t.Setenv("AWS_ENDPOINT_URL_STS", s.URL())
	text := "[profile test]\nregion = us-east-1\nrole_arn = " + role + "\nsource_profile = base\n" + strings.Join(lines, "\n") +
		"\n[profile base]\naws_access_key_id = " + keyID + "\naws_secret_access_key = secret-of-the-tests\n"
	write(t, os.Getenv("AWS_CONFIG_FILE"), text)
	t.Setenv("AWS_PROFILE", "test")
}

func clean(t *testing.T) {
	t.Helper()
	for _, one := range os.Environ() {
		if name, _, _ := strings.Cut(one, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // so that the variable is restored
			_ = os.Unsetenv(name)
		}
	}
	dir := t.TempDir()
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "credentials"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// retrieve returns the credentials that the SDK finds in the environment, without its
// retries.
func retrieve(t *testing.T, options ...func(*config.LoadOptions) error) (aws.Credentials, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	options = append(options, config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }))
	c, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		t.Fatal(err)
	}
	return c.Credentials.Retrieve(ctx)
}

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func TestAssumeRole(t *testing.T) {
	s := newSTS(t)
	profile(t, s, plain, "role_session_name = me")
	got, err := retrieve(t)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got.AccessKeyID, "ASIA") || got.SessionToken == "" || !got.CanExpire || time.Until(got.Expires) < 50*time.Minute || got.AccountID != "123456789012" {
		t.Errorf("%+v", got)
	}
	requests := s.Requests()
	if len(requests) != 1 || requests[0].Operation != "AssumeRole" || requests[0].Secret != plain || requests[0].Status != 200 {
		t.Errorf("%+v", requests)
	}
}

// The error for a role that is refused has the code and the status that AWS documents.
func TestAssumeRoleRefused(t *testing.T) {
	for _, c := range []struct {
		what    string
		role    string
		fault   *awsserver.Error
		deny    bool
		code    string
		message string
	}{
		{"an unknown role", unknown, nil, false, "AccessDenied", "is not authorized to perform: sts:AssumeRole on resource: " + unknown},
		{"denied", plain, nil, true, "AccessDenied", "sts:AssumeRole"},
		{"throttled", plain, awsserver.STSThrottled, false, "Throttling", "Rate exceeded"},
		{"unavailable", plain, awsserver.STSUnavailable, false, "ServiceUnavailable", ""},
		{"an expired session", plain, awsserver.STSExpired, false, "ExpiredToken", "expired"},
		{"an unknown key", plain, awsserver.STSUnknownKey, false, "InvalidClientTokenId", ""},
		{"a wrong secret", plain, awsserver.STSWrongSecret, false, "SignatureDoesNotMatch", ""},
		{"a region that is off", plain, awsserver.STSRegionOff, false, "RegionDisabledException", ""},
		{"MFA", guarded, nil, false, "AccessDenied", "MultiFactorAuthentication failed, must provide"},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := newSTS(t)
			if c.fault != nil || c.deny {
				s.Inject(awsserver.Fault{Operation: "AssumeRole", Secret: c.role, Times: 1, Error: c.fault, Deny: c.deny})
			}
			profile(t, s, c.role)
			_, err := retrieve(t)
			if codeOf(err) != c.code || !strings.Contains(err.Error(), c.message) {
				t.Errorf("%v", err)
			}
			if n := s.Count(""); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestExpiredSession(t *testing.T) {
	s := newSTS(t)
	s.ExpireSession(keyID)
	profile(t, s, plain)
	if _, err := retrieve(t); codeOf(err) != "ExpiredToken" {
		t.Errorf("%v", err)
	}
}

func TestMFA(t *testing.T) {
	s := newSTS(t)
	for code, want := range map[string]string{awsserver.MFACode: "", "000000": "AccessDenied"} {
		profile(t, s, guarded, "mfa_serial = "+device)
		_, err := retrieve(t, config.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) {
			o.TokenProvider = func() (string, error) { return code, nil }
		}))
		if codeOf(err) != want || (err == nil) != (want == "") {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func TestWebIdentity(t *testing.T) {
	s := newSTS(t)
	for _, c := range []struct {
		token, role string
		fault       *awsserver.Error
		code        string
	}{
		{identity, plain, nil, ""},
		{"another", plain, nil, "InvalidIdentityToken"},
		{identity, unknown, nil, "AccessDenied"},
		{identity, plain, awsserver.STSExpiredToken, "ExpiredTokenException"},
		{identity, plain, awsserver.STSProviderDown, "IDPCommunicationError"},
		{identity, plain, awsserver.STSRejected, "IDPRejectedClaim"},
		{identity, plain, awsserver.STSNoProvider, "InvalidIdentityToken"},
		{identity, plain, awsserver.STSThrottled, "Throttling"},
	} {
		clean(t)
		t.Setenv("AWS_ENDPOINT_URL_STS", s.URL())
		t.Setenv("AWS_REGION", "us-east-1")
		t.Setenv("AWS_ROLE_ARN", c.role)
		file := filepath.Join(t.TempDir(), "token")
		write(t, file, c.token)
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file)
		if c.fault != nil {
			s.Inject(awsserver.Fault{Operation: "AssumeRoleWithWebIdentity", Times: 1, Error: c.fault})
		}
		got, err := retrieve(t)
		if codeOf(err) != c.code || (err == nil) != (c.code == "") || err == nil && !strings.HasPrefix(got.AccessKeyID, "ASIA") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// A server that is gone, is silent, or cuts the connection gives no answer.
func TestSTSOutOfReach(t *testing.T) {
	s := newSTS(t)
	profile(t, s, plain)
	for _, cut := range []awsserver.Cut{awsserver.CutBefore, awsserver.CutAfter} {
		s.Inject(awsserver.Fault{Times: 1, Cut: cut})
		if _, err := retrieve(t); err == nil || codeOf(err) != "" {
			t.Errorf("cut %d: %v", cut, err)
		}
	}
	s.Inject(awsserver.Fault{Times: 1, Delay: time.Hour})
	_, err := retrieve(t, config.WithHTTPClient(&http.Client{Timeout: 50 * time.Millisecond}))
	if err == nil || codeOf(err) != "" {
		t.Errorf("silent: %v", err)
	}
	_ = s.Close()
	if _, err := retrieve(t); err == nil || codeOf(err) != "" {
		t.Errorf("closed: %v", err)
	}
}

func TestCallerIdentity(t *testing.T) {
	s := newSTS(t)
	clean(t)
	t.Setenv("AWS_ENDPOINT_URL_STS", s.URL())
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", keyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-tests")
	c, err := config.LoadDefaultConfig(t.Context(), config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }))
	if err != nil {
		t.Fatal(err)
	}
	got, err := sts.NewFromConfig(c).GetCallerIdentity(t.Context(), nil)
	if err != nil || aws.ToString(got.Arn) != "arn:aws:iam::123456789012:user/test" || aws.ToString(got.Account) != "123456789012" {
		t.Errorf("%+v %v", got, err)
	}
}

// A request that no SDK sends is refused.
func TestSTSRequests(t *testing.T) {
	s := newSTS(t)
	for body, want := range map[string]string{
		"Action=MakeCoffee&Version=2011-06-15":        "MissingAuthenticationToken",
		"Action=GetCallerIdentity&Version=2011-06-15": "MissingAuthenticationToken",
		"Action=GetCallerIdentity":                    "InvalidAction",
		"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&WebIdentityToken=" + identity + "&RoleArn=" + plain:                                      "ValidationException",
		"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=me&DurationSeconds=1&WebIdentityToken=" + identity + "&RoleArn=" + plain: "ValidationException",
	} {
		response, err := http.Post(s.URL(), "application/x-www-form-urlencoded", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode < 400 || !strings.Contains(string(text), "<Code>"+want+"</Code>") {
			t.Errorf("%s: %s", body, text)
		}
	}
}
