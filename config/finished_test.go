package config_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/sealed"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/aws"
	"github.com/nebula-credential/nebula/provider/azure"
	"github.com/nebula-credential/nebula/provider/kubernetes"
	"github.com/nebula-credential/nebula/provider/vault"
)

// networked is a provider that needs a network, with its New.
type networked struct {
	new func(provider.RetryPolicy, time.Duration, http.RoundTripper, ...provider.Option) (nebula.Provider, error)

	// absent is the backend's answer if there is no such credential.
	absent answer

	// login answers a request for a token, and fails for any other request.
	login func(*http.Request) (answer, bool)

	// isWrite distinguishes requests that write from those that read.
	isWrite func(*http.Request) bool
}

type answer struct {
	status int
	body   string
}

func (a answer) to(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: http.Header{"Content-Type": {"application/json"}}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader(a.body)), ContentLength: int64(len(a.body)), Request: r}, nil
}

func noLogin(*http.Request) (answer, bool) { return answer{}, false }

func hasWritingMethod(r *http.Request) bool { return r.Method != http.MethodGet }

// networkedProviders returns all of them. It sets an environment in which no request
// leaves except through the transport.
func networkedProviders(t *testing.T) map[string]networked {
	for variable, value := range map[string]string{
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a secret key", "AWS_SESSION_TOKEN": "", "AWS_ENDPOINT_URL": "",
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": "", "IDENTITY_ENDPOINT": "", "MSI_ENDPOINT": "", "IMDS_ENDPOINT": "",
	} {
		t.Setenv(variable, value)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{current-context: a, contexts: [{name: a, context: {cluster: b}}], clusters: [{name: b, cluster: {server: "https://cluster.example.com"}}]}`
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]networked{
		"aws": {
			new: func(r provider.RetryPolicy, timeout time.Duration, transport http.RoundTripper, options ...provider.Option) (nebula.Provider, error) {
				c := aws.DefaultConfigIn(func(string) string { return "" })
				c.Region, c.Retry, c.Timeout, c.Transport = "eu-central-1", r, timeout, transport
				return aws.New(c, options...)
			},
			absent: answer{http.StatusBadRequest, `{"__type": "ResourceNotFoundException", "Message": "no such secret"}`},
			login:  noLogin,
			isWrite: func(r *http.Request) bool {
				_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
				return operation != "GetSecretValue" && operation != "DescribeSecret"
			},
		},
		"azure": {
			new: func(r provider.RetryPolicy, timeout time.Duration, transport http.RoundTripper, options ...provider.Option) (nebula.Provider, error) {
				c := azure.DefaultConfigIn(func(string) string { return "" })
				c.VaultURL, c.Retry, c.Timeout, c.Transport = "https://example.vault.azure.net", r, timeout, transport
				return azure.New(c, options...)
			},
			absent: answer{http.StatusNotFound, `{"error": {"code": "SecretNotFound", "message": "no such secret"}}`},
			login: func(r *http.Request) (answer, bool) {
				return answer{http.StatusOK, `{"access_token": "a token", "expires_in": "3600", "token_type": "Bearer"}`}, r.URL.Host == "169.254.169.254"
			},
			isWrite: hasWritingMethod,
		},
		"kubernetes": {
			new: func(r provider.RetryPolicy, timeout time.Duration, transport http.RoundTripper, options ...provider.Option) (nebula.Provider, error) {
				c := kubernetes.DefaultConfigIn(func(string) string { return "" })
				c.KubeconfigPath, c.Retry, c.Timeout, c.Transport = kubeconfig, r, timeout, transport
				return kubernetes.New(c, options...)
			},
			absent:  answer{http.StatusNotFound, `{"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404, "details": {"kind": "secrets"}}`},
			login:   noLogin,
			isWrite: hasWritingMethod,
		},
		"vault": {
			new: func(r provider.RetryPolicy, timeout time.Duration, transport http.RoundTripper, options ...provider.Option) (nebula.Provider, error) {
				c := vault.DefaultConfigIn(func(string) string { return "" })
				c.Auth.Token, c.Retry, c.Timeout, c.Transport = nebula.NewSecret([]byte("token")), r, timeout, transport
				return vault.New(c, append([]provider.Option{provider.OneShot()}, options...)...)
			},
			absent:  answer{http.StatusNotFound, `{"errors": []}`},
			login:   noLogin,
			isWrite: hasWritingMethod,
		},
	}
}

// backend is a transport that answers instead of a backend. Logins succeed and are not
// counted.
type backend struct {
	networked
	serve func(call int32, r *http.Request) (*http.Response, error)
	calls atomic.Int32
}

// RoundTrip implements [http.RoundTripper].
func (b *backend) RoundTrip(r *http.Request) (*http.Response, error) {
	if a, ok := b.login(r); ok {
		return a.to(r)
	}
	return b.serve(b.calls.Add(1), r)
}

// busyFor answers the first calls with 503, and then that there is no such credential.
func (n networked) busyFor(calls int32) *backend {
	return &backend{networked: n, serve: func(call int32, r *http.Request) (*http.Response, error) {
		if call <= calls {
			return answer{http.StatusServiceUnavailable, "{}"}.to(r)
		}
		return n.absent.to(r)
	}}
}

// connected makes the provider over a backend, and closes it with the test.
func (b *backend) connected(t *testing.T, r provider.RetryPolicy, timeout time.Duration, options ...provider.Option) nebula.Provider {
	t.Helper()
	p, err := b.new(r, timeout, b, options...)
	if err != nil {
		t.Fatal(err)
	}
	life, _ := nebula.As[nebula.Connector](p)
	if err := life.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := life.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// eachNetworked runs a test for each provider, in simulated time.
func eachNetworked(t *testing.T, test func(*testing.T, networked)) {
	for name, n := range networkedProviders(t) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, n) }) })
	}
}

// New's provider tries a call again as often as Config.Retry says.
func TestNewRetries(t *testing.T) {
	x, _ := sealed.Record(t, "x", "value", nil)
	never, twice := provider.DefaultRetryPolicy(), provider.DefaultRetryPolicy()
	never.MaxRetries, twice.MaxRetries = 0, 2
	eachNetworked(t, func(t *testing.T, n networked) {
		for _, test := range []struct {
			policy     provider.RetryPolicy
			busy, want int32
			kind       error
		}{
			{provider.DefaultRetryPolicy(), 1, 2, nil},
			{provider.DefaultRetryPolicy(), 5, 6, nil},
			{provider.DefaultRetryPolicy(), 100, 6, nebula.ErrUnavailable},
			{twice, 100, 3, nebula.ErrUnavailable},
			{never, 100, 1, nebula.ErrUnavailable},
		} {
			b := n.busyFor(test.busy)
			_, err := b.connected(t, test.policy, 5*time.Second).Exists(t.Context(), x)
			if calls := b.calls.Load(); !errors.Is(err, test.kind) || calls != test.want {
				t.Errorf("busy for %d calls, %d retries: %v after %d calls, want %v after %d",
					test.busy, test.policy.MaxRetries, err, calls, test.kind, test.want)
			}
		}
	})
}

// An attempt to read has Config.Timeout, and an attempt to write twice that.
func TestNewLimitsTime(t *testing.T) {
	x, e := sealed.Record(t, "x", "value", nil)
	const timeout = 7 * time.Second
	once := provider.DefaultRetryPolicy()
	once.MaxRetries = 0
	eachNetworked(t, func(t *testing.T, n networked) {
		silent := &backend{networked: n, serve: func(_ int32, r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}}
		began := time.Now()
		_, err := silent.connected(t, once, timeout).Exists(t.Context(), x)
		if took := time.Since(began); !errors.Is(err, nebula.ErrTimeout) || took != timeout {
			t.Errorf("a read ended after %v: %v", took, err)
		}
		writes := &backend{networked: n, serve: func(call int32, r *http.Request) (*http.Response, error) {
			if n.isWrite(r) {
				return silent.serve(call, r)
			}
			return n.absent.to(r)
		}}
		began = time.Now()
		_, err = writes.connected(t, once, timeout).Store(t.Context(), x, e, nebula.StoreOptions{})
		if took := time.Since(began); !errors.Is(err, nebula.ErrTimeout) || took != 2*timeout {
			t.Errorf("a write ended after %v: %v", took, err)
		}
	})
}

// countingClock is the system's clock, and counts the waits.
type countingClock struct {
	provider.SystemClock
	sleeps atomic.Int32
}

func (c *countingClock) Sleep(ctx context.Context, d time.Duration) error {
	c.sleeps.Add(1)
	return c.SystemClock.Sleep(ctx, d)
}

// New's provider uses every option.
func TestNewObeysOptions(t *testing.T) {
	x, _ := sealed.Record(t, "x", "value", nil)
	eachNetworked(t, func(t *testing.T, n networked) {
		b, metrics, clock, log := n.busyFor(2), new(provider.StorageMetrics), new(countingClock), new(bytes.Buffer)
		intercepted := 0
		p := b.connected(t, provider.DefaultRetryPolicy(), 5*time.Second, provider.WithMetrics(metrics), provider.WithClock(clock),
			provider.WithLogger(slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
			provider.WithInterceptors(func(ctx context.Context, _ provider.Call, next func(context.Context) error) error {
				intercepted++
				return next(ctx)
			}))
		if _, err := p.Exists(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		if metrics.ExistsCount() != 1 || metrics.RetryCount() != 2 || clock.sleeps.Load() != 2 || intercepted != 2 {
			t.Errorf("%d calls and %d retries were counted, %d waits by the clock, %d calls intercepted",
				metrics.ExistsCount(), metrics.RetryCount(), clock.sleeps.Load(), intercepted)
		}
		if !strings.Contains(log.String(), `"op":"exists"`) || !strings.Contains(log.String(), `"retries":2`) {
			t.Errorf("the log says %s", log)
		}
	})
}
