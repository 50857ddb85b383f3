package azure

import (
	"context"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// read makes a call that reads, within the time limit of one, and returns its
// answer.
func read[T any](ctx context.Context, d *driver, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	return call(ctx)
}

// write makes a call that changes the content of a name, within the time limit
// of one, and returns its answer.
func write[T any](ctx context.Context, d *driver, name nebula.Name, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*d.config.Timeout)
	defer cancel()
	return provider.Change(ctx, &d.changes, name, call)
}

// inOrder makes calls that read the content of a name, when the changes of that
// name that were given up have ended.
func inOrder[T any](ctx context.Context, d *driver, name nebula.Name, call func(context.Context) (T, error)) (T, error) {
	return provider.Change(ctx, &d.changes, name, call)
}
