//go:build !linux && !darwin

package unixsocket

import (
	"context"
	"net"

	"github.com/nebula-credential/nebula"
)

// Listener is not supported on this system.
type Listener struct{ net.Listener }

// Path returns nothing.
func (*Listener) Path() string { return "" }

// Listen fails with ErrNotSupported: the system does not say who connects.
func (u Use) Listen(context.Context, string) (*Listener, error) {
	return nil, &nebula.Error{Kind: nebula.ErrNotSupported, Op: u.Op, Message: "there are no Unix sockets for the " + u.Who + " on this system",
		Hint: "name another place with " + u.Elsewhere}
}
