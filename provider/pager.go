package provider

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/nebula-credential/nebula"
)

// pager makes one call for each page of a driver's list.
type pager struct {
	shell *shell

	mu     sync.Mutex // Close may come at any time
	pages  Pages
	closed bool
}

// NextPage implements [nebula.Pager].
func (p *pager) NextPage(ctx context.Context) ([]nebula.Entry, error) {
	ended := false
	entries, err := do(ctx, p.shell, Call{Op: OpList}, func(ctx context.Context) ([]nebula.Entry, error) {
		entries, err := p.next(ctx)
		// Hide the end from the layers: retries and metrics would take it for a
		// failure.
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

func (p *pager) next(ctx context.Context) ([]nebula.Entry, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, &nebula.Error{Kind: nebula.ErrClosed, Message: "the list is closed"}
	}
	entries, err := p.pages.Next(ctx)
	for i := range entries {
		if e := &entries[i]; e.Err != nil {
			name, _ := e.ID.Name()
			e.Err = p.shell.fail(Call{Op: OpList, Name: name}, e.Err)
		}
	}
	return entries, err
}

// Close implements [nebula.Pager].
func (p *pager) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	if c, ok := p.pages.(io.Closer); ok {
		return p.shell.fail(Call{Op: OpList}, c.Close())
	}
	return nil
}
