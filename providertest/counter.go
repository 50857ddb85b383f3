package providertest

import (
	"context"
	"sync"

	"github.com/nebula-credential/nebula/provider"
)

// counter is an interceptor that counts the calls by operation.
type counter struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *counter) count(ctx context.Context, call provider.Call, next func(context.Context) error) error {
	c.mu.Lock()
	if c.counts == nil {
		c.counts = make(map[string]int)
	}
	c.counts[call.Op]++
	c.mu.Unlock()
	return next(ctx)
}

func (c *counter) of(op string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[op]
}
