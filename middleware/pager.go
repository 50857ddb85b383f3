package middleware

import (
	"context"
	"errors"
	"io"

	"github.com/nebula-credential/nebula"
)

// pager makes an intercepted call of each page.
type pager struct {
	w     *wrapper
	inner nebula.Pager
}

func (p *pager) NextPage(ctx context.Context) ([]nebula.Entry, error) {
	ended := false
	entries, err := do(ctx, p.w, Call{Op: OpList}, func(ctx context.Context) ([]nebula.Entry, error) {
		entries, err := p.inner.NextPage(ctx)
		// The end is kept from the interceptors: a retry would take it for a
		// failure, a metric would count it as one.
		if ended = errors.Is(err, io.EOF); ended {
			err = nil
		}
		return entries, err
	})
	if err == nil && ended {
		err = io.EOF
	}
	return entries, err
}

func (p *pager) Close() error { return p.inner.Close() }
