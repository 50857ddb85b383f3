//go:build !linux && !darwin

package agent

import (
	"context"
	"log/slog"
	"time"

	"github.com/nebula-credential/nebula"
)

func notSupported() error {
	return &nebula.Error{Kind: nebula.ErrNotSupported, Op: opName, Message: "there is no agent on this system",
		Hint: "use a key file, or a passphrase command"}
}

// Agent is not supported on this system.
type Agent struct{}

// Listen fails with ErrNotSupported.
func Listen(context.Context, string, time.Duration) (*Agent, error) { return nil, notSupported() }

// Socket returns nothing.
func (*Agent) Socket() string { return "" }

// Serve fails with ErrNotSupported.
func (*Agent) Serve(context.Context) error { return notSupported() }

// Close does nothing.
func (*Agent) Close() {}

// Client has no agent on this system.
type Client struct{}

// NewClient returns a client that keeps nothing.
func NewClient(string, *slog.Logger) *Client { return &Client{} }

// Get implements [nebula.DataKeys].
func (*Client) Get(context.Context, string) (nebula.KeptKey, bool) { return nebula.KeptKey{}, false }

// Keep implements [nebula.DataKeys].
func (*Client) Keep(context.Context, string, nebula.KeptKey) {}

// List fails with ErrNotSupported.
func (*Client) List(context.Context) ([]Entry, error) { return nil, notSupported() }

// Lock fails with ErrNotSupported.
func (*Client) Lock(context.Context) (int, error) { return 0, notSupported() }
