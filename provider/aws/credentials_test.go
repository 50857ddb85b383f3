package aws_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/aws"
)

const (
	plainRole   = "arn:aws:iam::123456789012:role/plain"
	guardedRole = "arn:aws:iam::123456789012:role/guarded"
	device      = "arn:aws:iam::123456789012:mfa/device"
	webIdentity = "a-web-identity"
)

func newSTS(t *testing.T) *awsserver.STS {
	t.Helper()
	s, err := awsserver.NewSTS()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.AddRole(awsserver.Role{ARN: plainRole})
	s.AddRole(awsserver.Role{ARN: guardedRole, MFA: device})
	s.AddToken(webIdentity)
	return s
}

// profile makes the profile "work" the one that is used, with these lines.
func profile(t *testing.T, lines ...string) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_PROFILE", "work")
	text := "[profile work]\nregion = us-east-1\n" + strings.Join(lines, "\n") +
		"\n[profile base]\naws_access_key_id = " + testKeyID + "\naws_secret_access_key = " + testSecret + "\n"
	if err := os.WriteFile(os.Getenv("AWS_CONFIG_FILE"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func assuming(t *testing.T, s *awsserver.STS, role string, more ...string) {
	t.Helper()
	t.Setenv("AWS_ENDPOINT_URL_STS", s.URL())
	profile(t, append([]string{"role_arn = " + role, "source_profile = base"}, more...)...)
}

func identified(t *testing.T, s *awsserver.STS, role, token string) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_ENDPOINT_URL_STS", s.URL())
	t.Setenv("AWS_ROLE_ARN", role)
	path := filepath.Join(t.TempDir(), "token")
	if token != "" {
		if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path)
}

// If getting credentials fails, the error names the step that failed and what to do.
func TestCredentialFailures(t *testing.T) {
	assume := func(fault *awsserver.Error, deny bool) func(*testing.T, *awsserver.STS) {
		return func(t *testing.T, s *awsserver.STS) {
			if fault != nil || deny {
				s.Inject(awsserver.Fault{Operation: "AssumeRole", Error: fault, Deny: deny})
			}
			assuming(t, s, plainRole)
		}
	}
	identify := func(fault *awsserver.Error, token string) func(*testing.T, *awsserver.STS) {
		return func(t *testing.T, s *awsserver.STS) {
			if fault != nil {
				s.Inject(awsserver.Fault{Operation: "AssumeRoleWithWebIdentity", Error: fault})
			}
			identified(t, s, plainRole, token)
		}
	}
	for what, c := range map[string]struct {
		arrange func(*testing.T, *awsserver.STS)
		kind    nebula.Kind
		words   []string
	}{
		"role denied":      {assume(nil, true), nebula.ErrPermissionDenied, []string{"sts:AssumeRole", `profile "work"`, "trust policy"}},
		"throttled":        {assume(awsserver.STSThrottled, false), nebula.ErrUnavailable, []string{"STS AssumeRole", "no more requests"}},
		"unavailable":      {assume(awsserver.STSUnavailable, false), nebula.ErrUnavailable, []string{"STS AssumeRole", "503"}},
		"session expired":  {assume(awsserver.STSExpired, false), nebula.ErrUnauthenticated, []string{"session", "expired", "aws sso login"}},
		"unknown key":      {assume(awsserver.STSUnknownKey, false), nebula.ErrUnauthenticated, []string{"access key", "source_profile"}},
		"wrong secret":     {assume(awsserver.STSWrongSecret, false), nebula.ErrUnauthenticated, []string{"access key", "source_profile"}},
		"region is off":    {assume(awsserver.STSRegionOff, false), nebula.ErrInvalidConfig, []string{"STS is not active"}},
		"code asked for":   {func(t *testing.T, s *awsserver.STS) { assuming(t, s, guardedRole) }, nebula.ErrUnauthenticated, []string{"multi-factor", "get-session-token"}},
		"code configured":  {func(t *testing.T, s *awsserver.STS) { assuming(t, s, guardedRole, "mfa_serial = "+device) }, nebula.ErrUnauthenticated, []string{"multi-factor", "get-session-token"}},
		"refused":          {func(t *testing.T, s *awsserver.STS) { assuming(t, s, plainRole); _ = s.Close() }, nebula.ErrUnavailable, []string{"STS", `profile "work"`, "look at region and HTTPS_PROXY"}},
		"no token file":    {identify(nil, ""), nebula.ErrUnauthenticated, []string{"token file", "does not exist", "AWS_WEB_IDENTITY_TOKEN_FILE"}},
		"invalid token":    {identify(nil, "another"), nebula.ErrUnauthenticated, []string{"AssumeRoleWithWebIdentity", "web identity"}},
		"expired token":    {identify(awsserver.STSExpiredToken, webIdentity), nebula.ErrUnauthenticated, []string{"token of the web identity has expired"}},
		"provider is down": {identify(awsserver.STSProviderDown, webIdentity), nebula.ErrUnavailable, []string{"identity provider"}},
		"claim rejected":   {identify(awsserver.STSRejected, webIdentity), nebula.ErrUnauthenticated, []string{"identity provider"}},
		"half a profile": {func(t *testing.T, _ *awsserver.STS) { profile(t, "aws_access_key_id = "+testKeyID) },
			nebula.ErrInvalidConfig, []string{"access key without its secret"}},
		"half the variables": {func(t *testing.T, _ *awsserver.STS) { t.Setenv("AWS_SECRET_ACCESS_KEY", "") },
			nebula.ErrUnauthenticated, []string{"AWS_SECRET_ACCESS_KEY is not set"}},
		"no source profile": {func(t *testing.T, _ *awsserver.STS) { profile(t, "role_arn = "+plainRole, "source_profile = nowhere") },
			nebula.ErrInvalidConfig, []string{"source_profile"}},
		"no role for a token": {func(t *testing.T, s *awsserver.STS) { identified(t, s, "", webIdentity) }, nebula.ErrInvalidConfig, []string{"AWS_"}},
		"no login": {func(t *testing.T, _ *awsserver.STS) {
			t.Setenv("HOME", t.TempDir())
			t.Setenv("USERPROFILE", t.TempDir())
			profile(t, "sso_start_url = https://example.awsapps.com/start", "sso_region = us-east-1", "sso_account_id = 123456789012", "sso_role_name = r")
		}, nebula.ErrUnauthenticated, []string{"session of the AWS login", `aws sso login --profile "work"`}},
	} {
		t.Run(what, func(t *testing.T) {
			environment(t)
			c.arrange(t, newSTS(t))
			config := aws.DefaultConfig()
			config.Region, config.Retry.MaxRetries = "us-east-1", 0
			_, err := connect(t, config)
			wants(t, err, c.kind, c.words...)
			if err != nil && strings.Contains(err.Error(), "Secrets Manager") {
				t.Errorf("Secrets Manager is blamed: %v", err)
			}
			if strings.Contains(fmt.Sprintf("%v %+v", err, errors.Unwrap(err)), testSecret) {
				t.Error("the error shows the secret")
			}
		})
	}
}

// The same holds for the endpoint of a container and for an EC2 instance.
func TestMetadataFailures(t *testing.T) {
	container := func(t *testing.T, m *awsserver.Metadata) {
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", m.ContainerURL())
		t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", m.ContainerToken())
	}
	instance := func(t *testing.T, m *awsserver.Metadata) {
		t.Setenv("AWS_EC2_METADATA_DISABLED", "")
		t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", m.URL())
	}
	for what, c := range map[string]struct {
		arrange func(*testing.T, *awsserver.Metadata)
		fault   awsserver.Fault
		kind    nebula.Kind
		words   []string
	}{
		"container":             {container, awsserver.Fault{Operation: "nothing"}, "", nil},
		"container refuses":     {container, awsserver.Fault{Operation: awsserver.MetadataContainer, Error: &awsserver.Error{Status: 403, Code: "AccessDenied"}}, nebula.ErrUnauthenticated, []string{"container's endpoint"}},
		"container throttles":   {container, awsserver.Fault{Operation: awsserver.MetadataContainer, Error: &awsserver.Error{Status: 429, Code: "Throttling"}}, nebula.ErrUnavailable, []string{"container's endpoint"}},
		"container unavailable": {container, awsserver.Fault{Operation: awsserver.MetadataContainer, Error: &awsserver.Error{Status: 500, Code: "Internal"}}, nebula.ErrUnavailable, []string{"container's endpoint"}},
		"container cuts":        {container, awsserver.Fault{Operation: awsserver.MetadataContainer, Cut: awsserver.CutBefore}, nebula.ErrUnavailable, []string{"container's endpoint"}},
		"instance":              {instance, awsserver.Fault{Operation: "nothing"}, "", nil},
		"instance has no role":  {func(t *testing.T, m *awsserver.Metadata) { instance(t, m); m.SetRole("") }, awsserver.Fault{Operation: "nothing"}, nebula.ErrUnauthenticated, []string{"there are no AWS credentials", "instance metadata"}},
	} {
		t.Run(what, func(t *testing.T) {
			environment(t)
			t.Setenv("AWS_ACCESS_KEY_ID", "")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "")
			m, err := awsserver.NewMetadata("us-east-1")
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			m.Inject(c.fault)
			c.arrange(t, m)
			config := aws.DefaultConfig()
			config.Region, config.Retry.MaxRetries = "us-east-1", 0
			_, err = connect(t, config)
			wants(t, err, c.kind, c.words...)
			if errors.Is(err, provider.ErrUnclear) {
				t.Error("the outcome is unclear")
			}
		})
	}
}

// If STS fails in a way that may pass, the call is repeated as the policy says.
func TestThrottledSTS(t *testing.T) {
	environment(t)
	sts, s := newSTS(t), newServer(t, awsserver.Options{})
	sts.Inject(awsserver.Fault{Operation: "AssumeRole", Times: 2, Error: awsserver.STSThrottled})
	assuming(t, sts, plainRole)
	c := configFor(s)
	c.Region, c.Retry.BaseDelayMS = s.Region(), 10
	if _, err := connect(t, c); err != nil {
		t.Fatal(err)
	}
	if n := sts.Count("AssumeRole"); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

// If credentials have to be renewed and STS fails, the error does not blame Secrets
// Manager, and no write is unclear.
func TestFailuresOfRenewal(t *testing.T) {
	for _, c := range []struct {
		fault *awsserver.Error
		deny  bool
		kind  nebula.Kind
		words []string
	}{
		{nil, true, nebula.ErrPermissionDenied, []string{"sts:AssumeRole"}},
		{awsserver.STSUnavailable, false, nebula.ErrUnavailable, []string{"STS AssumeRole", "503"}},
		{awsserver.STSExpired, false, nebula.ErrUnauthenticated, []string{"expired"}},
	} {
		environment(t)
		sts, s := newSTS(t), newServer(t, awsserver.Options{})
		sts.SetLifetime(-time.Minute) // every call renews them
		assuming(t, sts, plainRole)
		config := configFor(s)
		config.Retry.MaxRetries = 0
		p := open(t, config)
		sts.Inject(awsserver.Fault{Error: c.fault, Deny: c.deny})
		name, e := record(t, "a", "v", nil)
		_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
		wants(t, err, c.kind, c.words...)
		if strings.Contains(err.Error(), "secretsmanager:") || errors.Is(err, provider.ErrUnclear) {
			t.Errorf("%v, unclear %v", err, errors.Is(err, provider.ErrUnclear))
		}
	}
}

// If a step hears nothing, it ends after one timeout.
func TestSilentSTS(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	environment(t)
	sts := newSTS(t)
	assuming(t, sts, plainRole)
	t.Setenv("AWS_ENDPOINT_URL_STS", "http://"+silent.Addr().String())
	c := aws.DefaultConfig()
	c.Region, c.Timeout = "us-east-1", time.Second
	_, err = connect(t, c)
	wants(t, err, nebula.ErrTimeout, "STS", `profile "work"`)
}

// A credential_process may take longer than an attempt. It runs once, even if it
// fails, and its output is shown nowhere.
func TestCredentialProcess(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the programs are shell scripts")
	}
	for what, c := range map[string]struct {
		script string
		kind   nebula.Kind
		words  []string
	}{
		"slow":    {`sleep 2; echo '{"Version":1,"AccessKeyId":"` + testKeyID + `","SecretAccessKey":"` + testSecret + `"}'`, "", nil},
		"fails":   {"echo " + testSecret + "; exit 3", nebula.ErrUnauthenticated, []string{"credential_process", `profile "work"`, "exit code 3", "aws configure get"}},
		"garbage": {"echo " + testSecret, nebula.ErrUnauthenticated, []string{"printed no credentials"}},
		"no keys": {`echo '{"Version":1}'`, nebula.ErrUnauthenticated, []string{"printed no credentials"}},
	} {
		t.Run(what, func(t *testing.T) {
			environment(t)
			dir := t.TempDir()
			script, runs := filepath.Join(dir, "give"), filepath.Join(dir, "runs")
			if err := os.WriteFile(script, []byte("#!/bin/sh\necho x >>"+runs+"\n"+c.script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			profile(t, "credential_process = "+script)
			config := aws.DefaultConfig()
			config.Region, config.Timeout = "us-east-1", time.Second
			_, err := connect(t, config)
			wants(t, err, c.kind, c.words...)
			if err != nil && strings.Contains(fmt.Sprintf("%v %v", err, errors.Unwrap(err)), testSecret) {
				t.Errorf("what it printed is shown: %v", errors.Unwrap(err))
			}
			ran, err := os.ReadFile(runs)
			if err != nil || string(ran) != "x\n" {
				t.Errorf("it ran %d times, %v", len(ran)/2, err)
			}
		})
	}
}
