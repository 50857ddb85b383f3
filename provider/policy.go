package provider

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
)

// RetryPolicy says how often, and after which delays, a call is repeated after a
// [Transient] failure. Begin with [DefaultRetryPolicy].
type RetryPolicy struct {
	MaxRetries  int     `toml:"max_retries"`   // after the first attempt; 0 to 10
	BaseDelayMS int     `toml:"base_delay_ms"` // before the first retry; 10 to 10,000
	MaxDelayMS  int     `toml:"max_delay_ms"`  // of any retry; more than BaseDelayMS
	Multiplier  float64 `toml:"multiplier"`    // from one delay to the next; 1 to 10
	Jitter      bool    `toml:"jitter"`        // each delay ± 25 %, so that callers spread out
}

// DefaultRetryPolicy makes 6 attempts: at once, then after about 100, 200, 400,
// 800 and 1600 ms.
func DefaultRetryPolicy() RetryPolicy {
	return RetryPolicy{MaxRetries: 5, BaseDelayMS: 100, MaxDelayMS: 30_000, Multiplier: 2, Jitter: true}
}

// Validate reports all problems, in one error of kind ErrInvalidConfig.
func (p RetryPolicy) Validate() error {
	var problems []string
	note := func(wrong bool, format string, args ...any) {
		if wrong {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	note(p.MaxRetries < 0 || p.MaxRetries > 10, "retry.max_retries is %d, 0 to 10 are allowed", p.MaxRetries)
	note(p.BaseDelayMS < 10 || p.BaseDelayMS > 10_000, "retry.base_delay_ms is %d, 10 to 10000 are allowed", p.BaseDelayMS)
	note(p.MaxDelayMS <= p.BaseDelayMS, "retry.max_delay_ms is %d, it must be more than base_delay_ms, %d", p.MaxDelayMS, p.BaseDelayMS)
	note(!(p.Multiplier >= 1 && p.Multiplier <= 10), "retry.multiplier is %v, 1 to 10 are allowed", p.Multiplier)
	if problems == nil {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: strings.Join(problems, "; ")}
}

// jitterShare is how far a delay may differ from the exact one, as a share of
// it.
const jitterShare = 0.25

// Delay returns how long to wait before a retry; the first retry is 1. random is
// in [0, 1) and used if the policy asks for jitter. The result is at most
// MaxDelayMS, jitter included.
func (p RetryPolicy) Delay(retry int, random float64) time.Duration {
	ms := float64(p.BaseDelayMS) * math.Pow(p.Multiplier, float64(retry-1))
	if p.Jitter {
		ms *= 1 + jitterShare*(2*random-1)
	}
	// Compare as floats: a large power overflows a Duration.
	if ms > float64(p.MaxDelayMS) {
		return p.maxDelay()
	}
	return time.Duration(ms * float64(time.Millisecond))
}

func (p RetryPolicy) maxDelay() time.Duration { return time.Duration(p.MaxDelayMS) * time.Millisecond }

// Policy says how the shell calls a driver. The zero Policy is for a provider
// that needs no network: one attempt, no limits.
type Policy struct {
	Retry   RetryPolicy
	Timeout time.Duration // of one attempt at reading; writing has twice that. 0 for none

	// Unbounded lists the operations without this timeout, because they wait for
	// the backend at length. The driver limits the steps of those itself.
	Unbounded []string

	MaxConcurrency int // calls under way at once; 0 for no limit
}
