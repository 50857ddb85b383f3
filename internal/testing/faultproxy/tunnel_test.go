package faultproxy_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/faultproxy"
)

// A tunnel leaves TLS between the client and the server.
func TestTunnel(t *testing.T) {
	leavesNothing(t)
	s := newServer(t)
	tunnel := faultproxy.StartTunnel(t, s.Listener.Addr().String())
	address := "https://" + tunnel.Address()
	newClient := func() *http.Client {
		transport := s.Client().Transport.(*http.Transport).Clone()
		transport.ForceAttemptHTTP2 = true
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	c := newClient()
	if got := ask(t.Context(), c, http.MethodGet, address, ""); got.body != answerBody {
		t.Fatalf("%+v", got)
	}
	if n := tunnel.Drop(); n != 1 {
		t.Errorf("%d connections went dead", n)
	}
	if got := given(t, 100*time.Millisecond, c, address); !errors.Is(got.err, context.DeadlineExceeded) || len(s.requests()) != 1 {
		t.Errorf("dead: %+v, the server saw %q", got, s.requests())
	}
	c = newClient()
	if got := ask(t.Context(), c, http.MethodGet, address, ""); got.body != answerBody {
		t.Errorf("a new connection: %+v", got)
	}
	if n := tunnel.Reset(); n == 0 {
		t.Error("no connection was open")
	}
	tunnel.SilenceNext(1)
	tunnel.ResetNext(1)
	if got := given(t, 100*time.Millisecond, newClient(), address); !errors.Is(got.err, context.DeadlineExceeded) {
		t.Errorf("silence: %+v", got)
	}
	if got := given(t, time.Minute, newClient(), address); !isReset(got) {
		t.Errorf("reset: %+v", got)
	}
	if got := ask(t.Context(), newClient(), http.MethodGet, address, ""); got.body != answerBody {
		t.Errorf("afterwards: %+v", got)
	}
	if tunnel.Connections() != 5 {
		t.Errorf("%d connections", tunnel.Connections())
	}
}

// If nobody listens behind the tunnel, the client sees a broken connection.
func TestTunnelToNobody(t *testing.T) {
	leavesNothing(t)
	s := newServer(t)
	tunnel := faultproxy.StartTunnel(t, s.Listener.Addr().String())
	s.Close()
	if got := given(t, time.Minute, s.Client(), "https://"+tunnel.Address()); got.err == nil || errors.Is(got.err, context.DeadlineExceeded) {
		t.Errorf("%+v", got)
	}
}
