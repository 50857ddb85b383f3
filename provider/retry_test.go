package provider_test

import (
	"context"
	"crypto/tls"
	"errors"
	"math"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// fakeClock moves on when somebody sleeps.
type fakeClock struct {
	now    time.Time
	slept  []time.Duration
	random float64
}

func (c *fakeClock) Now() time.Time  { return c.now }
func (c *fakeClock) Random() float64 { return c.random }
func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.slept, c.now = append(c.slept, d), c.now.Add(d)
	return nil
}

func ms(all ...int) []time.Duration {
	var out []time.Duration
	for _, n := range all {
		out = append(out, time.Duration(n)*time.Millisecond)
	}
	return out
}

func TestDelays(t *testing.T) {
	standard, few := provider.DefaultRetryPolicy(), provider.DefaultRetryPolicy()
	few.MaxDelayMS = 500
	steep := provider.RetryPolicy{MaxRetries: 10, BaseDelayMS: 10_000, MaxDelayMS: 1 << 30, Multiplier: 10}
	for _, c := range []struct {
		what   string
		policy provider.RetryPolicy
		random float64
		want   []time.Duration
	}{
		{"exact", standard, 0.5, ms(100, 200, 400, 800, 1600)},
		{"least", standard, 0, ms(75, 150, 300, 600, 1200)},
		{"most", standard, 1, ms(125, 250, 500, 1000, 2000)},
		{"capped", few, 0.5, ms(100, 200, 400, 500, 500)},
		{"capped after the jitter", few, 1, ms(125, 250, 500, 500, 500)},
		{"below the cap by jitter", few, 0, ms(75, 150, 300, 500, 500)},
		{"no overflow", steep, 0, ms(10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 1<<30, 1<<30)},
	} {
		for i, want := range c.want {
			if got := c.policy.Delay(i+1, c.random); got != want {
				t.Errorf("%s: delay %d is %v, want %v", c.what, i+1, got, want)
			}
		}
	}
	standard.Jitter = false
	if got := standard.Delay(2, 1); got != 200*time.Millisecond {
		t.Errorf("without jitter: %v", got)
	}
}

func TestPolicyValidate(t *testing.T) {
	if err := provider.DefaultRetryPolicy().Validate(); err != nil {
		t.Error(err)
	}
	for what, c := range map[string]struct {
		change func(*provider.RetryPolicy)
		valid  bool
	}{
		"no retries":             {func(p *provider.RetryPolicy) { p.MaxRetries = 0 }, true},
		"ten retries":            {func(p *provider.RetryPolicy) { p.MaxRetries = 10 }, true},
		"eleven retries":         {func(p *provider.RetryPolicy) { p.MaxRetries = 11 }, false},
		"fewer than no retries":  {func(p *provider.RetryPolicy) { p.MaxRetries = -1 }, false},
		"the shortest base":      {func(p *provider.RetryPolicy) { p.BaseDelayMS = 10 }, true},
		"a shorter base":         {func(p *provider.RetryPolicy) { p.BaseDelayMS = 9 }, false},
		"the longest base":       {func(p *provider.RetryPolicy) { p.BaseDelayMS = 10_000 }, true},
		"a longer base":          {func(p *provider.RetryPolicy) { p.BaseDelayMS = 10_001 }, false},
		"the least maximum":      {func(p *provider.RetryPolicy) { p.MaxDelayMS = 101 }, true},
		"a maximum of the base":  {func(p *provider.RetryPolicy) { p.MaxDelayMS = 100 }, false},
		"the least multiplier":   {func(p *provider.RetryPolicy) { p.Multiplier = 1 }, true},
		"a smaller multiplier":   {func(p *provider.RetryPolicy) { p.Multiplier = 0.99 }, false},
		"the largest multiplier": {func(p *provider.RetryPolicy) { p.Multiplier = 10 }, true},
		"a larger multiplier":    {func(p *provider.RetryPolicy) { p.Multiplier = 10.01 }, false},
		"no number":              {func(p *provider.RetryPolicy) { p.Multiplier = math.NaN() }, false},
	} {
		p := provider.DefaultRetryPolicy()
		c.change(&p)
		if err := p.Validate(); (err == nil) != c.valid {
			t.Errorf("%s: %v", what, err)
		}
	}
	bad := provider.RetryPolicy{MaxRetries: 11, BaseDelayMS: 9, MaxDelayMS: 9, Multiplier: 0.5}
	err := bad.Validate()
	for _, field := range []string{"max_retries", "base_delay_ms", "max_delay_ms", "multiplier"} {
		if !errors.Is(err, nebula.ErrInvalidConfig) || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
}

var (
	errBusy   = &nebula.Error{Kind: nebula.ErrUnavailable, Message: "busy"}
	errBroken = &nebula.Error{Kind: nebula.ErrInternal, Message: "broken"}
)

// attempts runs a call that fails in turn, and returns how often it was made.
func attempts(ctx context.Context, layer provider.Interceptor, failures ...error) (made int, repeats []bool, err error) {
	err = layer(ctx, provider.Call{Op: provider.OpStore, Provider: "test"}, func(ctx context.Context) error {
		repeats = append(repeats, provider.IsRepeat(ctx))
		if made++; made > len(failures) {
			return nil
		}
		return failures[made-1]
	})
	return made, repeats, err
}

func heard(t *testing.T, policy provider.RetryPolicy, clock provider.Clock) (provider.Interceptor, *provider.StorageMetrics) {
	t.Helper()
	metrics := new(provider.StorageMetrics)
	layer := provider.Retry(policy, clock, metrics)
	if _, _, err := attempts(t.Context(), layer); err != nil {
		t.Fatal(err)
	}
	return layer, metrics
}

func TestRetrySchedule(t *testing.T) {
	clock := &fakeClock{random: 0.5}
	layer, metrics := heard(t, provider.DefaultRetryPolicy(), clock)
	made, _, err := attempts(t.Context(), layer, errBusy, errBusy, errBusy, errBusy, errBusy, errBusy, errBusy)
	if made != 6 || !errors.Is(err, nebula.ErrUnavailable) || metrics.RetryCount() != 5 || !slices.Equal(clock.slept, ms(100, 200, 400, 800, 1600)) {
		t.Errorf("%d attempts, %d retries after %v: %v", made, metrics.RetryCount(), clock.slept, err)
	}
	if made, _, err := attempts(t.Context(), layer, errBusy, errBusy); made != 3 || err != nil {
		t.Errorf("%d attempts, %v, want the third to succeed", made, err)
	}
}

func TestRetryKinds(t *testing.T) {
	for _, kind := range []nebula.Kind{nebula.ErrNotFound, nebula.ErrAlreadyExists, nebula.ErrConflict, nebula.ErrPermissionDenied,
		nebula.ErrUnauthenticated, nebula.ErrTooLarge, nebula.ErrInvalidConfig, nebula.ErrInvalidMetadata, nebula.ErrUsage,
		nebula.ErrCorrupted, nebula.ErrNotSupported, nebula.ErrClosed, nebula.ErrInterrupted, nebula.ErrInternal} {
		layer, _ := heard(t, provider.DefaultRetryPolicy(), &fakeClock{})
		if made, _, err := attempts(t.Context(), layer, &nebula.Error{Kind: kind}); made != 1 || !errors.Is(err, kind) {
			t.Errorf("%v: %d attempts", kind, made)
		}
	}
	layer, _ := heard(t, provider.DefaultRetryPolicy(), &fakeClock{})
	certificate := &nebula.Error{Kind: nebula.ErrUnavailable, Err: &tls.CertificateVerificationError{Err: errors.New("x509: expired")}}
	if made, _, _ := attempts(t.Context(), layer, certificate); made != 1 {
		t.Errorf("a bad certificate: %d attempts", made)
	}
	if made, _, err := attempts(t.Context(), layer, &nebula.Error{Kind: nebula.ErrTimeout}); made != 2 || err != nil {
		t.Errorf("an attempt that took too long: %d attempts, %v", made, err)
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	policy := provider.DefaultRetryPolicy()
	after := func(d time.Duration) error {
		return &nebula.Error{Kind: nebula.ErrUnavailable, Err: &provider.RetryAfter{Delay: d}}
	}
	clock := &fakeClock{random: 0.5}
	layer, _ := heard(t, policy, clock)
	if made, _, _ := attempts(t.Context(), layer, after(7*time.Second)); made != 2 || !slices.Equal(clock.slept, ms(7000)) {
		t.Errorf("%d attempts after %v", made, clock.slept)
	}
	const longest = 30 * time.Second
	if made, _, err := attempts(t.Context(), layer, after(longest)); made != 2 || err != nil {
		t.Errorf("the longest delay: %d attempts, %v", made, err)
	}
	if made, _, err := attempts(t.Context(), layer, after(longest+1)); made != 1 || err == nil {
		t.Errorf("beyond the longest delay: %d attempts, %v", made, err)
	}
	clock.now, clock.slept = time.Now(), nil
	ctx, cancel := context.WithDeadline(t.Context(), clock.now.Add(10*time.Second))
	defer cancel()
	if made, _, err := attempts(ctx, layer, after(11*time.Second)); made != 1 || err == nil || clock.slept != nil {
		t.Errorf("beyond the caller's deadline: %d attempts after %v, %v", made, clock.slept, err)
	}
}

func TestRetryObeysDeadline(t *testing.T) {
	clock := &fakeClock{now: time.Now(), random: 0.5}
	layer, _ := heard(t, provider.DefaultRetryPolicy(), clock)
	ctx, cancel := context.WithDeadline(t.Context(), clock.now.Add(650*time.Millisecond))
	defer cancel()
	// The delays are 100 and 200. Another one of 400 would pass the limit.
	if made, _, err := attempts(ctx, layer, errBusy, errBusy, errBusy, errBusy); made != 3 || !errors.Is(err, nebula.ErrUnavailable) {
		t.Errorf("%d attempts, %v, want 3", made, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if made, _, _ := attempts(ended, layer, errBusy); made != 1 {
		t.Errorf("a cancelled call was repeated: %d attempts", made)
	}
}

func TestCancelledWhileWaiting(t *testing.T) {
	layer, _ := heard(t, provider.DefaultRetryPolicy(), provider.SystemClock{})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, _, err := attempts(ctx, layer, errBusy, errBusy)
	if nebula.KindOf(err) != nebula.ErrInterrupted || !errors.Is(err, context.Canceled) || !errors.Is(err, nebula.ErrUnavailable) {
		t.Errorf("%v, want that it was interrupted, and why it waited", err)
	}
}

// Before the backend has ever answered, a refusal is reported at once, and silence
// after one attempt.
func TestFirstCall(t *testing.T) {
	refused := &nebula.Error{Kind: nebula.ErrUnavailable, Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}
	unknown := &nebula.Error{Kind: nebula.ErrUnavailable, Err: &net.DNSError{Name: "x", IsNotFound: true}}
	proxy := &nebula.Error{Kind: nebula.ErrUnavailable, Err: &net.OpError{Op: "proxyconnect", Err: syscall.ECONNREFUSED}}
	socks := &nebula.Error{Kind: nebula.ErrUnavailable, Err: &net.OpError{Op: "socks connect", Err: syscall.ECONNREFUSED}}
	silent := &nebula.Error{Kind: nebula.ErrTimeout}
	for _, failure := range []error{refused, unknown, proxy, socks, silent} {
		layer := provider.Retry(provider.DefaultRetryPolicy(), &fakeClock{}, nil)
		if made, _, _ := attempts(t.Context(), layer, failure, failure); made != 1 {
			t.Errorf("%v in the first call: %d attempts", failure, made)
		}
		layer, _ = heard(t, provider.DefaultRetryPolicy(), &fakeClock{})
		if made, _, err := attempts(t.Context(), layer, failure); made != 2 || err != nil {
			t.Errorf("%v later: %d attempts, %v", failure, made, err)
		}
	}
	layer := provider.Retry(provider.DefaultRetryPolicy(), &fakeClock{}, nil)
	if made, _, err := attempts(t.Context(), layer, errBusy); made != 2 || err != nil {
		t.Errorf("a server that is busy in the first call: %d attempts, %v", made, err)
	}
}

// TestHeard: if the backend refuses a call, it is there. Opening or examining a
// connection does not show that: it may take no call.
func TestHeard(t *testing.T) {
	silent := &nebula.Error{Kind: nebula.ErrTimeout}
	for _, kind := range []nebula.Kind{nebula.ErrNotFound, nebula.ErrAlreadyExists, nebula.ErrConflict, nebula.ErrPermissionDenied} {
		layer := provider.Retry(provider.DefaultRetryPolicy(), &fakeClock{}, nil)
		_, _, _ = attempts(t.Context(), layer, &nebula.Error{Kind: kind})
		if made, _, _ := attempts(t.Context(), layer, silent); made != 2 {
			t.Errorf("silence after %v: %d attempts", kind, made)
		}
	}
	for _, op := range []string{provider.OpConnect, provider.OpCheck} {
		layer := provider.Retry(provider.DefaultRetryPolicy(), &fakeClock{}, nil)
		if err := layer(t.Context(), provider.Call{Op: op}, func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if made, _, _ := attempts(t.Context(), layer, silent); made != 1 {
			t.Errorf("silence after %s: %d attempts", op, made)
		}
	}
}

// TestRepeat: a call outside a provider is repeated in the same way as a provider's.
func TestRepeat(t *testing.T) {
	clock, made := &fakeClock{random: 0.5}, 0
	err := provider.Repeat(t.Context(), provider.DefaultRetryPolicy(), clock, func(context.Context) error {
		if made++; made < 3 {
			return errBusy
		}
		return errBroken
	})
	if made != 3 || !errors.Is(err, errBroken) || !slices.Equal(clock.slept, ms(100, 200)) {
		t.Errorf("%d attempts after %v: %v", made, clock.slept, err)
	}
	if n := provider.Retries(t.Context()); n != 0 {
		t.Errorf("outside of a call there were %d retries", n)
	}
}

func TestRepeatsAreMarked(t *testing.T) {
	unclear := &nebula.Error{Kind: nebula.ErrUnavailable, Err: provider.ErrUnclear}
	layer, _ := heard(t, provider.DefaultRetryPolicy(), &fakeClock{})
	_, repeats, _ := attempts(t.Context(), layer, errBusy, unclear, errBusy)
	if want := []bool{false, false, true, true}; !slices.Equal(repeats, want) {
		t.Errorf("repeats are %v, want %v", repeats, want)
	}
}
