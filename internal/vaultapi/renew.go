package vaultapi

import (
	"context"
	"log/slog"
	"time"

	"github.com/nebula-credential/nebula/provider"
)

const (
	// firstLook is when a token that was given is looked up: a process that
	// ends before spends no call on it.
	firstLook = time.Second

	// Waits after a failure, the shortest and the longest.
	minWait = time.Second
	maxWait = time.Minute
)

// renewer keeps the token alive, in the background.
type renewer struct {
	auth      *authenticator
	clock     provider.Clock
	logger    *slog.Logger
	threshold time.Duration
	limit     time.Duration // of a call
}

// run returns when ctx ends, or when there is nothing left to renew.
func (r *renewer) run(ctx context.Context) {
	if r.auth.config.Method == MethodToken && !r.examine(ctx) {
		return
	}
	for failures := 0; ; {
		l := r.auth.lease()
		if !r.worthwhile(ctx, l) || r.clock.Sleep(ctx, r.wait(l, failures)) != nil {
			return
		}
		if r.auth.lease().token != l.token {
			continue // a caller met its end first, and got another one
		}
		err := r.keep(ctx, l)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			failures = 0
		case r.auth.config.Method == MethodToken && !r.mayPass(err):
			r.log(ctx, slog.LevelWarn, "the token can no longer be renewed")
			return
		default:
			failures++
			r.log(ctx, slog.LevelWarn, "the token could not be renewed yet")
		}
	}
}

// examine finds out the remaining life of a token that was given.
func (r *renewer) examine(ctx context.Context) bool {
	for failures := 0; ; failures++ {
		wait := firstLook
		if failures > 0 {
			wait = r.pause(failures)
		}
		if r.clock.Sleep(ctx, wait) != nil {
			return false
		}
		call, cancel := context.WithTimeout(ctx, r.limit)
		l, err := r.auth.lookUp(call, r.auth.lease())
		cancel()
		if err == nil {
			r.auth.extend(l)
			return true
		}
		if ctx.Err() != nil || !r.mayPass(err) {
			return false
		}
	}
}

// worthwhile reports whether the token's life ends and can be made longer.
func (r *renewer) worthwhile(ctx context.Context, l lease) bool {
	switch {
	case l.ttl == 0: // without an end: a loop would never rest
		return false
	case l.limited: // each call is one of few uses
		return false
	case !l.renewable && r.auth.config.Method == MethodToken:
		r.log(ctx, slog.LevelWarn, "the token ends and cannot be renewed", slog.Time("end", l.since.Add(l.ttl)))
		return false
	}
	return true
}

// wait returns how long to wait before the next renewal.
func (r *renewer) wait(l lease, failures int) time.Duration {
	if failures > 0 {
		return r.pause(failures)
	}
	age := r.clock.Now().Sub(l.since)
	return max(0, renewAfter(l.ttl, r.threshold, r.clock.Random())-age)
}

// renewAfter returns how long after the beginning of its life a token is
// renewed: the smaller of the life less the threshold, if that is positive, and
// two thirds of it; ± 10 %.
func renewAfter(ttl, threshold time.Duration, random float64) time.Duration {
	after := ttl * 2 / 3
	if early := ttl - threshold; early > 0 {
		after = min(after, early)
	}
	return time.Duration(float64(after) * (1 + 0.1*(2*random-1)))
}

func (r *renewer) pause(failures int) time.Duration {
	wait := min(maxWait, minWait<<min(failures-1, 10))
	return time.Duration(float64(wait) * (0.75 + 0.5*r.clock.Random()))
}

// keep renews the token. If it cannot be renewed any more, keep gets another
// one if the AppRole gives one.
func (r *renewer) keep(ctx context.Context, l lease) error {
	ctx, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	if l.renewable && !l.expired(r.clock.Now()) {
		left := l.since.Add(l.ttl).Sub(r.clock.Now())
		renewed, err := r.auth.renew(ctx, l)
		switch {
		case err != nil && r.mayPass(err):
			return err
		case err == nil && renewed.ttl > left+min(time.Second, left/2): // whole seconds are no gain
			r.auth.extend(renewed)
			return nil
		case err == nil && r.auth.config.Method == MethodToken:
			// It is at the end of its greatest life, and the rest cannot be
			// renewed.
			renewed.renewable = false
			r.auth.extend(renewed)
			return nil
		case r.auth.config.Method == MethodToken:
			return err
		}
	}
	_, err := r.auth.replace(ctx, l.token)
	return err
}

// mayPass reports whether the same call may succeed later.
func (r *renewer) mayPass(err error) bool {
	return provider.Transient(r.auth.client.Explain(err, nil))
}

func (r *renewer) log(ctx context.Context, level slog.Level, message string, attrs ...slog.Attr) {
	r.logger.LogAttrs(ctx, level, message, append(attrs, slog.String("provider", "vault"))...)
}
