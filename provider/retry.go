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

// ErrUnclear is among the causes of a failure that leaves unclear whether the
// backend did what it was asked.
const ErrUnclear nebula.Kind = "unclear"

// RetryAfter is among the causes of a failure if the backend said when to try
// again.
type RetryAfter struct{ Delay time.Duration }

// Error implements error.
func (r *RetryAfter) Error() string {
	return fmt.Sprintf("the server asks to come again after %v", r.Delay)
}

// After returns Delay. [nebula.Store] looks for this method: a write that lost
// against other writers waits that long before it tries again.
func (r *RetryAfter) After() time.Duration { return r.Delay }

// Transient reports whether the same call may succeed later: the backend was
// unavailable, or the attempt took too long. A rejected certificate is not
// transient: the next attempt would get the same one.
func Transient(err error) bool {
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return false
	}
	kind := nebula.KindOf(err)
	return kind == nebula.ErrUnavailable || kind == nebula.ErrTimeout
}

// retry repeats calls whose failure is [Transient], as the policy says. Nothing
// else in this module repeats a call; the SDKs make one attempt.
//
// Until the backend has answered once, a connection that cannot be made and a
// timeout are returned after one attempt: a wrong address is then more likely
// than a server that restarts.
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

// Repeat makes a call that is none of a provider's, such as to a service that
// guards a key, and repeats it as a provider's calls are.
func Repeat(ctx context.Context, policy RetryPolicy, clock Clock, call func(context.Context) error) error {
	return retry(policy, clock, nil)(ctx, Call{}, call)
}

// pause returns how long to wait, or false if the policy or the caller's
// deadline does not allow to wait that long.
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

// isAnswer reports whether an outcome proves that the backend was reached.
// Connecting and examining may succeed without a call, and a request that the
// client refuses never leaves this machine: those prove nothing.
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

// isBefore reports whether the failed network operation comes before the
// backend: dialing it, or talking to a proxy.
func isBefore(op string) bool {
	return op == "dial" || op == "proxyconnect" || strings.HasPrefix(op, "socks ")
}

type repeatKey struct{}

// IsRepeat reports whether the call repeats an attempt that failed with
// [ErrUnclear]. A driver for which repeating a write is not harmless then reads
// what the earlier attempt did.
func IsRepeat(ctx context.Context) bool {
	repeat, _ := ctx.Value(repeatKey{}).(bool)
	return repeat
}

type retriesKey struct{}

// withRetries gives the context of a call a counter of its retries, for retry to
// count in and for the layers between to read.
func withRetries(ctx context.Context, _ Call, next func(context.Context) error) error {
	return next(context.WithValue(ctx, retriesKey{}, new(atomic.Int64)))
}

func countRetry(ctx context.Context) {
	if n, ok := ctx.Value(retriesKey{}).(*atomic.Int64); ok {
		n.Add(1)
	}
}

// Retries returns how often the call was repeated so far. It is for interceptors
// of [Options].
func Retries(ctx context.Context) int {
	if n, ok := ctx.Value(retriesKey{}).(*atomic.Int64); ok {
		return int(n.Load())
	}
	return 0
}
