package memory

import (
	"context"

	"github.com/nebula-credential/nebula"
)

// Connect implements [nebula.Connector].
func (p *Provider) Connect(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == nebula.StateClosed {
		return located(errClosed(p.state), "connect", nebula.Name{})
	}
	if err := ctx.Err(); err != nil {
		return located(err, "connect", nebula.Name{})
	}
	p.state = nebula.StateConnected
	return nil
}

// State implements [nebula.Connector].
func (p *Provider) State() nebula.State {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.state
}

// Close implements [nebula.Connector].
func (p *Provider) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = nebula.StateClosed
	return nil
}

// Describe implements [nebula.Describer].
func (p *Provider) Describe() nebula.Description {
	return nebula.Description{
		Provider:      providerName, // no address: it ends with the process
		MaxRecordSize: p.config.MaxRecordSize, ComparesKeyring: true,
	}
}

// Check implements [nebula.Checker]. There is nothing that could be missing.
func (p *Provider) Check(ctx context.Context) []nebula.Finding {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.ready(ctx); err != nil {
		return []nebula.Finding{{Check: "state", Severity: nebula.SeverityError, Message: located(err, "check", nebula.Name{}).Error()}}
	}
	return []nebula.Finding{{Check: "state", Severity: nebula.SeverityOK, Message: "connected"}}
}

// ready says why an operation cannot begin.
func (p *Provider) ready(ctx context.Context) error {
	if p.state != nebula.StateConnected {
		return errClosed(p.state)
	}
	return ctx.Err()
}

// readyFor is ready, for an operation on a name. No id gives the zero Name.
func (p *Provider) readyFor(ctx context.Context, name nebula.Name) error {
	if err := p.ready(ctx); err != nil {
		return err
	}
	if name == (nebula.Name{}) {
		return &nebula.Error{Kind: nebula.ErrUsage, Message: "the name is empty", Hint: "make names with ID.Name or KeyringName"}
	}
	return nil
}

// readyToRemove is readyFor, and that name is not the keyring's.
func (p *Provider) readyToRemove(ctx context.Context, name nebula.Name) error {
	if err := p.readyFor(ctx, name); err != nil {
		return err
	}
	if name.IsKeyring() {
		return &nebula.Error{Kind: nebula.ErrUsage, Message: "the keyring is not removed: without it no credential can be read"}
	}
	return nil
}
