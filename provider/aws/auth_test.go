package aws_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/provider/aws"
)

// accountKeyID is the id of an access key of account 609629065308.
const accountKeyID = "ASIAY34FZKBOKMUTVV7A"

// connect returns the provider of a configuration, and how connecting went.
func connect(t *testing.T, c aws.Config) (full, error) {
	t.Helper()
	p := newProvider(t, c)
	return p, p.Connect(t.Context())
}

// AWS's own variables or files are enough to connect.
func TestNativeSettings(t *testing.T) {
	s := newServer(t, awsserver.Options{Region: "eu-central-1"})
	for what, set := range map[string]func(t *testing.T){
		"service endpoint": func(t *testing.T) {
			t.Setenv("AWS_REGION", "eu-central-1")
			t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", s.URL())
			t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
		},
		"endpoint, other region variable": func(t *testing.T) {
			t.Setenv("AWS_DEFAULT_REGION", "eu-central-1")
			_ = os.Unsetenv("AWS_ENDPOINT_URL_SECRETS_MANAGER")
			t.Setenv("AWS_ENDPOINT_URL", s.URL())
		},
		"profile": func(t *testing.T) {
			_ = os.Unsetenv("AWS_ENDPOINT_URL_SECRETS_MANAGER")
			_ = os.Unsetenv("AWS_ENDPOINT_URL")
			t.Setenv("AWS_ACCESS_KEY_ID", "")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "")
			t.Setenv("AWS_PROFILE", "work")
			text := "[profile work]\nregion = eu-central-1\nendpoint_url = " + s.URL() + "\naws_access_key_id = " + testKeyID + "\naws_secret_access_key = " + testSecret + "\n"
			if err := os.WriteFile(os.Getenv("AWS_CONFIG_FILE"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			environment(t)
			set(t)
			p, err := connect(t, aws.DefaultConfig())
			if err != nil {
				t.Fatal(err)
			}
			if address, want := p.Describe().Address, s.URL()+"/eu-central-1/nebula/credentials/"; address != want {
				t.Errorf("the address is %q, want %q", address, want)
			}
			name, _ := record(t, "x", "", nil)
			if _, err := p.Retrieve(t.Context(), name); nebula.KindOf(err) != nebula.ErrNotFound {
				t.Error(err)
			}
		})
	}
}

// A server without TLS is refused, wherever its address was set.
func TestEndpointInTheClear(t *testing.T) {
	environment(t)
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://secrets.example.com")
	_, err := connect(t, aws.DefaultConfig())
	wants(t, err, nebula.ErrInvalidConfig, "https://", "AWS_ENDPOINT_URL_SECRETS_MANAGER")
}

func TestNoRegion(t *testing.T) {
	environment(t)
	_, err := connect(t, aws.DefaultConfig())
	wants(t, err, nebula.ErrInvalidConfig, "no region", "AWS_REGION", "AWS_DEFAULT_REGION", `profile "default"`, "EC2")
}

func TestNoProfile(t *testing.T) {
	environment(t)
	t.Setenv("AWS_PROFILE", "nowhere")
	_, err := connect(t, aws.DefaultConfig())
	wants(t, err, nebula.ErrInvalidConfig, `no profile "nowhere"`)
}

// Off AWS, the failure says within about two seconds where the provider looked for
// credentials, whatever answers at the address of the instance metadata.
func TestNoCredentials(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	refusing := httptest.NewServer(http.NotFoundHandler())
	refusing.Close()
	for what, endpoint := range map[string]string{"silence": "http://" + silent.Addr().String(), "a refusal": refusing.URL} {
		t.Run(what, func(t *testing.T) {
			environment(t)
			t.Setenv("AWS_ACCESS_KEY_ID", "")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "")
			t.Setenv("AWS_EC2_METADATA_DISABLED", "")
			t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint)
			c := aws.DefaultConfig()
			c.Region = "us-east-1"
			began := time.Now()
			_, err := connect(t, c)
			wants(t, err, nebula.ErrUnauthenticated, "AWS_ACCESS_KEY_ID", "web identity", "profile", "container", "instance metadata")
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// An EC2 instance gives its region and its credentials.
func TestInstance(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{Region: "ap-south-1"})
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		switch {
		case r.Method == http.MethodPut:
			_, _ = w.Write([]byte("a-token"))
		case strings.HasSuffix(r.URL.Path, "/instance-identity/document"):
			_, _ = w.Write([]byte(`{"region":"ap-south-1"}`))
		case strings.HasSuffix(r.URL.Path, "/security-credentials/"):
			_, _ = w.Write([]byte("role"))
		case strings.HasSuffix(r.URL.Path, "/security-credentials/role"):
			_, _ = w.Write([]byte(`{"Code":"Success","AccessKeyId":"` + accountKeyID + `","SecretAccessKey":"` + testSecret + `","Token":"y","Expiration":"2099-01-01T00:00:00Z"}`))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer metadata.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.URL)
	c := aws.DefaultConfig()
	c.EndpointURL = s.URL()
	p, err := connect(t, c)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(p.Describe().Address, "/ap-south-1/609629065308/") {
		t.Errorf("the address is %q", p.Describe().Address)
	}
	name, _ := record(t, "x", "", nil)
	if _, err := p.Retrieve(t.Context(), name); nebula.KindOf(err) != nebula.ErrNotFound {
		t.Error(err)
	}
	for _, f := range p.Check(t.Context()) {
		if f.Check == "identity" && !strings.Contains(f.Message, "EC2RoleProvider, account 609629065308") {
			t.Error(f.Message)
		}
	}
}

// The endpoint of the region's own service is not part of the address: a VPC endpoint
// leads to the same secrets. The account is part of it, if the access key contains
// it.
func TestAddress(t *testing.T) {
	environment(t)
	t.Setenv("AWS_ACCESS_KEY_ID", accountKeyID)
	want := "us-east-1/609629065308/nebula/credentials/"
	for _, endpoint := range []string{"", "https://vpce-1.secretsmanager.us-east-1.vpce.amazonaws.com", "https://secretsmanager.us-east-1.api.aws"} {
		c := aws.DefaultConfig()
		c.Region, c.EndpointURL = "us-east-1", endpoint
		p, err := connect(t, c)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Describe().Address; got != want {
			t.Errorf("%s: %q, want %q", endpoint, got, want)
		}
	}
}

// The SDK's own retries stay off, whatever the environment says.
func TestOneAttempt(t *testing.T) {
	environment(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "9")
	t.Setenv("AWS_RETRY_MODE", "adaptive")
	s := newServer(t, awsserver.Options{})
	for _, fault := range []*awsserver.Error{awsserver.Throttled, awsserver.InternalError, awsserver.Unavailable} {
		c := configFor(s)
		c.Retry.MaxRetries = 0
		p := open(t, c)
		stop := s.Inject(awsserver.Fault{Error: fault})
		s.ResetLog()
		name, _ := record(t, "x", "", nil)
		_, err := p.Retrieve(t.Context(), name)
		wants(t, err, nebula.ErrUnavailable)
		if n := s.Count(""); n != 1 {
			t.Errorf("%s: %d attempts", fault.Code, n)
		}
		stop()
	}
}

func TestClockSkew(t *testing.T) {
	environment(t)
	for _, skew := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		s := newServer(t, awsserver.Options{})
		s.SetClockSkew(skew)
		p := open(t, configFor(s))
		name, _ := record(t, "x", "", nil)
		_, err := p.Retrieve(t.Context(), name)
		wants(t, err, nebula.ErrUnauthenticated, "clock", "5 minutes")
	}
}

// A CA bundle that AWS's variable names is trusted.
func TestBundle(t *testing.T) {
	environment(t)
	var served atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"__type":"ResourceNotFoundException"}`))
	}))
	defer server.Close()
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, pemOf(server.Certificate()), 0o600); err != nil {
		t.Fatal(err)
	}
	c := aws.DefaultConfig()
	c.Region, c.EndpointURL = "us-east-1", server.URL
	name, _ := record(t, "x", "", nil)
	_, err := open(t, c).Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrUnavailable, "certificate", "AWS_CA_BUNDLE")
	if served.Load() != 0 {
		t.Error("a request was sent")
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	_, err = open(t, c).Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrNotFound)
}

// Each partition of AWS has its own regions, keys and endpoints.
func TestPartitions(t *testing.T) {
	for region, partition := range map[string]struct{ arn, endpoint string }{
		"us-east-1":       {"arn:aws:", "https://secretsmanager.us-east-1.amazonaws.com"},
		"mx-central-1":    {"arn:aws:", "https://vpce-1.secretsmanager.mx-central-1.vpce.amazonaws.com"},
		"cn-northwest-1":  {"arn:aws-cn:", "https://secretsmanager.cn-northwest-1.amazonaws.com.cn"},
		"us-gov-west-1":   {"arn:aws-us-gov:", "https://secretsmanager.us-gov-west-1.amazonaws.com"},
		"eusc-de-east-1":  {"arn:aws-eusc:", "https://secretsmanager.eusc-de-east-1.amazonaws.eu"},
		"us-iso-east-1":   {"arn:aws-iso:", "https://secretsmanager.us-iso-east-1.c2s.ic.gov"},
		"us-isob-east-1":  {"arn:aws-iso-b:", "https://secretsmanager.us-isob-east-1.sc2s.sgov.gov"},
		"eu-isoe-west-1":  {"arn:aws-iso-e:", "https://secretsmanager.eu-isoe-west-1.cloud.adc-e.uk"},
		"us-isof-south-1": {"arn:aws-iso-f:", "https://secretsmanager.us-isof-south-1.csp.hci.ic.gov"},
	} {
		t.Run(region, func(t *testing.T) {
			environment(t)
			c := aws.DefaultConfig()
			c.Region, c.EndpointURL = region, partition.endpoint
			c.KMSKeyID = partition.arn + "kms:" + region + ":123456789012:key/mrk-0123456789abcdef0123456789abcdef"
			p, err := connect(t, c)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := p.Describe().Address, region+"/nebula/credentials/"; got != want {
				t.Errorf("the address is %q, want %q", got, want)
			}
			denied := newServer(t, awsserver.Options{Region: region})
			denied.Inject(awsserver.Fault{Deny: true})
			c.EndpointURL = denied.URL()
			name, _ := record(t, "x", "", nil)
			_, err = open(t, c).Retrieve(t.Context(), name)
			wants(t, err, nebula.ErrPermissionDenied, partition.arn+"secretsmanager:"+region)
		})
	}
}
