package provider_test

import (
	"context"
	"fmt"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/memory"
)

// An interceptor sees each call, also those of abilities.
func ExampleWithInterceptors() {
	ctx := context.Background()
	p, err := memory.New(memory.DefaultConfig(), provider.WithInterceptors(
		func(ctx context.Context, c provider.Call, next func(context.Context) error) error {
			err := next(ctx)
			fmt.Println(c.Provider, c.Op, nebula.KindOf(err) == nebula.ErrNotFound)
			return err
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	if c, ok := nebula.As[nebula.Connector](p); ok {
		_ = c.Connect(ctx)
	}
	name, _ := nebula.ID("github_token").Name()
	_, _ = p.Retrieve(ctx, name)
	if r, ok := nebula.As[nebula.Restorer](p); ok {
		_ = r.Restore(ctx, name)
	}
	// Output:
	// memory connect false
	// memory retrieve true
	// memory restore true
}
