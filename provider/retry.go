package provider

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nebula-credential/nebula"
)

// ErrUnclear is among the causes of a failure after which the backend may have
// done what it was asked, or may not.
const ErrUnclear nebula.Kind = "unclear"

// RetryAfter is among the causes of a failure where the backend said when to
// come again.
type RetryAfter struct{ Delay time.Duration }

// Error says it in words.
func (r *RetryAfter) Error() string {
	return fmt.Sprintf("the server asks to come again after %v", r.Delay)
}

// After is Delay, for [nebula.Store]: a write that lost against others on a
// condition of its own waits as long as the provider says before it tries again.
func (r *RetryAfter) After() time.Duration { return r.Delay }

// Transient reports whether the same call may succeed later: what was
// unavailable, and an attempt that took too long. A certificate that is not
// accepted does not become so by asking again.
func Transient(err error) bool {
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return false
	}
	kind := nebula.KindOf(err)
	return kind == nebula.ErrUnavailable || kind == nebula.ErrTimeout
}

// retry repeats calls whose failure is [Transient], as the policy says. It is
// the only place of this module that repeats a call; the SDKs make one attempt.
//
// As long as nothing was heard of the backend at all, a refusal is returned at
// once and silence after one attempt: then the address is more likely to be
// wrong than the server to be restarting.
func retry(policy RetryPolicy, clock Clock, metrics *StorageMetrics) Interceptor {
	var heard atomic.Bool
	return func(ctx context.Context, call Call, next func(context.Context) error) error {
		unclear := false
		for attempts := 1; ; attempts++ {
			attempt := ctx
			if unclear {
				attempt = context.WithValue(ctx, repeatKey{}, true)
			}
			err := next(attempt)
			known := heard.Load()
			if !known && isAnswer(call.Op, err) {
				heard.Store(true)
				known = true
			}
			if err == nil || attempts > policy.MaxRetries || !known || !Transient(err) || ctx.Err() != nil {
				return err
			}
			unclear = unclear || errors.Is(err, ErrUnclear)
			delay, ok := pause(ctx, policy, clock, attempts, err)
			if !ok {
				return err
			}
			if stopped := clock.Sleep(ctx, delay); stopped != nil {
				return &nebula.Error{Kind: nebula.KindOf(stopped), Op: call.Op, Provider: call.Provider, ID: call.Name.ID(),
					Message: "ended while waiting to try again", Err: errors.Join(stopped, err)}
			}
			countRetry(ctx)
			if metrics != nil {
				metrics.RecordRetry()
			}
		}
	}
}

// pause returns how long to wait, and false where that would be longer than
// the policy or the caller's deadline allows.
func pause(ctx context.Context, policy RetryPolicy, clock Clock, retry int, err error) (time.Duration, bool) {
	delay := policy.Delay(retry, clock.Random())
	var after *RetryAfter
	if errors.As(err, &after) {
		if after.Delay > policy.maxDelay() {
			return 0, false
		}
		delay = max(delay, after.Delay)
	}
	deadline, limited := ctx.Deadline()
	return delay, !limited || clock.Now().Add(delay).Before(deadline)
}

// isAnswer reports whether an outcome proves that the backend was heard of.
// Connecting and examining may succeed without a call, and what is refused on
// this side proves nothing.
func isAnswer(op string, err error) bool {
	var unknown *net.DNSError
	var network *net.OpError
	switch nebula.KindOf(err) {
	case "":
		return op != OpConnect && op != OpCheck
	case nebula.ErrNotFound, nebula.ErrAlreadyExists, nebula.ErrConflict, nebula.ErrPermissionDenied:
		return true
	case nebula.ErrUnavailable:
		return !errors.As(err, &unknown) && !(errors.As(err, &network) && isBefore(network.Op))
	}
	return false
}

// isBefore reports whether what failed comes before the backend: the connection
// to it, or a proxy.
func isBefore(op string) bool {
	return op == "dial" || op == "proxyconnect" || strings.HasPrefix(op, "socks ")
}

type repeatKey struct{}

// IsRepeat reports whether the call is one more attempt, after one that failed
// with [ErrUnclear]. A provider that cannot make a write harmless to repeat
// reads back what the earlier attempt did.
func IsRepeat(ctx context.Context) bool {
	repeat, _ := ctx.Value(repeatKey{}).(bool)
	return repeat
}

type retriesKey struct{}

// withRetries makes room for the number of retries of one call.
func withRetries(ctx context.Context, _ Call, next func(context.Context) error) error {
	return next(context.WithValue(ctx, retriesKey{}, new(atomic.Int64)))
}

func countRetry(ctx context.Context) {
	if n, ok := ctx.Value(retriesKey{}).(*atomic.Int64); ok {
		n.Add(1)
	}
}

// Retries returns how often the call was repeated so far, for an interceptor
// of [Options].
func Retries(ctx context.Context) int {
	if n, ok := ctx.Value(retriesKey{}).(*atomic.Int64); ok {
		return int(n.Load())
	}
	return 0
}
