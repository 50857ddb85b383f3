package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/endpoint"
	"github.com/nebula-credential/nebula/internal/unixsocket"
)

// Listener is a place where a service listens.
type Listener struct {
	net.Listener
	certificate *Certificate // nil: cleartext
}

// Listen listens at unix:PATH, with an absolute path, or at HOST:PORT. The socket has
// the mode 0600 in a directory that nobody else may enter, which Listen makes. It
// serves only processes of the same user. With a certificate every address of TCP is
// served over TLS. Without one Listen accepts only addresses of this machine itself,
// and no option changes that.
//
// Errors: ErrUsage if the address is not valid, ErrInvalidConfig if it needs a
// certificate or the directory is open to others, ErrAlreadyExists if somebody
// listens there, ErrPermissionDenied, ErrNotSupported for a socket if the system
// does not say who connects.
func Listen(ctx context.Context, address string, certificate *Certificate) (*Listener, error) {
	if unixsocket.Inherited() {
		return nil, &nebula.Error{Kind: nebula.ErrNotSupported, Op: opServe, Message: "the service was started with a socket that another process made, whose mode and users it cannot vouch for",
			Hint: "have the supervisor start the service itself, without a socket unit"}
	}
	e, err := endpoint.Parse(address)
	if err != nil {
		return nil, &nebula.Error{Kind: nebula.ErrUsage, Op: opServe, Message: fmt.Sprintf("the address %q %v", address, err)}
	}
	if e.IsUnix() {
		l, err := socket().Listen(ctx, e.Path)
		if err != nil {
			return nil, err
		}
		return &Listener{Listener: l}, nil
	}
	return listenTCP(ctx, e, certificate)
}

const opServe = "serve"

func socket() unixsocket.Use {
	return unixsocket.Use{Op: opServe, Who: "service", Elsewhere: "--listen, or NEBULA_SERVE_LISTEN",
		Look: "stop that one, or name another place with --listen", Lock: ".serve.lock"}
}

func listenTCP(ctx context.Context, e endpoint.Endpoint, certificate *Certificate) (*Listener, error) {
	// Look the name up once, so that the checked address is the one to listen
	// on.
	address, err := net.ResolveTCPAddr("tcp", e.String())
	if err != nil {
		return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Op: opServe, Message: "there is no address " + e.String() + " to listen at", Err: err}
	}
	if certificate == nil && !address.IP.IsLoopback() {
		return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Op: opServe,
			Message: e.String() + " can be reached from other machines, which is served over TLS alone",
			Hint:    "name a certificate with --tls-cert and --tls-key, or listen at 127.0.0.1:PORT or unix:PATH"}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address.String())
	if err != nil {
		return nil, notListening(e, err)
	}
	return &Listener{Listener: l, certificate: certificate}, nil
}

func notListening(e endpoint.Endpoint, err error) error {
	kind, hint := nebula.ErrInvalidConfig, ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		kind, hint = nebula.ErrAlreadyExists, "stop what listens there, or name another address with --listen"
	case errors.Is(err, syscall.EACCES):
		kind, hint = nebula.ErrPermissionDenied, "ports below 1024 are the system's; take another one"
	}
	return &nebula.Error{Kind: kind, Op: opServe, Message: "cannot listen at " + e.String() + ": " + atomicfile.Reason(err), Hint: hint, Err: err}
}

// URL returns the address that clients call, or unix:PATH.
func (l *Listener) URL() string {
	switch {
	case l.isUnix():
		return endpoint.Unix(l.Addr().String()).String()
	case l.certificate != nil:
		return "https://" + l.Addr().String()
	}
	return "http://" + l.Addr().String()
}

// Reach says who can send requests.
func (l *Listener) Reach() string {
	address, isTCP := l.Addr().(*net.TCPAddr)
	switch {
	case !isTCP:
		return "processes of this user"
	case address.IP.IsLoopback():
		return "every user of this machine"
	}
	return "every machine that can reach this one"
}

// Hosts returns the allowed values of a request's Host, for [Options]: the address
// itself, and the names that clients use, NAME or NAME:PORT. A NAME alone stands for
// the port of the listener, and for the port that clients leave out, since a proxy
// before the service may accept requests at that one. Error: ErrInvalidConfig if
// there is neither an address nor a name.
func (l *Listener) Hosts(names []string) (hosts []string, err error) {
	address, isTCP := l.Addr().(*net.TCPAddr)
	if !isTCP {
		return nil, nil
	}
	port, implied := fmt.Sprint(address.Port), "80"
	if l.certificate != nil {
		implied = "443"
	}
	if !address.IP.IsUnspecified() {
		hosts = append(hosts, address.String())
	}
	if address.IP.IsLoopback() {
		hosts = append(hosts, net.JoinHostPort("localhost", port))
	}
	for _, name := range names {
		if _, _, err := net.SplitHostPort(name); err == nil {
			hosts = append(hosts, name)
			continue
		}
		hosts = append(hosts, net.JoinHostPort(name, port), net.JoinHostPort(name, implied))
	}
	if len(hosts) == 0 {
		return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Op: opServe, Message: address.String() + " is every address of this machine, and nobody has said what clients call it",
			Hint: "say it with --host NAME, or host in [serve]: requests that name another host are refused"}
	}
	return hosts, nil
}

func (l *Listener) isUnix() bool { return l.Addr().Network() == "unix" }
