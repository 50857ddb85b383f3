package middleware_test

import (
	"context"
	"fmt"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/middleware"
	"github.com/nebula-credential/nebula/provider/memory"
)

// An interceptor sees each call, those of abilities too.
func ExampleWrap() {
	ctx := context.Background()
	inner, err := memory.New(memory.DefaultConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	p := middleware.Wrap(inner, func(ctx context.Context, c middleware.Call, next func(context.Context) error) error {
		err := next(ctx)
		fmt.Println(c.Provider, c.Op, nebula.KindOf(err) == nebula.ErrNotFound)
		return err
	})
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
