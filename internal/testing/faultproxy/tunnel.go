package faultproxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Tunnel carries the bytes of connections to one server, unchanged. It is for proxies,
// and for servers that speak TLS with their clients themselves. Its faults are those of
// connections: see Flows.
type Tunnel struct {
	*Flows
	target  string
	stop    context.Context
	end     context.CancelFunc
	running sync.WaitGroup
}

// StartTunnel starts a tunnel to host:port on a free loopback port. It closes at the
// end of the test, which fails if anything of it still runs then.
func StartTunnel(t testing.TB, target string) *Tunnel {
	t.Helper()
	flows, err := listen()
	if err != nil {
		t.Fatalf("faultproxy: %v", err)
	}
	tunnel := &Tunnel{Flows: flows, target: target}
	tunnel.stop, tunnel.end = context.WithCancel(context.Background())
	tunnel.running.Go(tunnel.serve)
	t.Cleanup(func() {
		if err := tunnel.Close(); err != nil {
			t.Error(err)
		}
	})
	return tunnel
}

// Close cuts all connections and waits until nothing runs. It may be called
// again.
func (t *Tunnel) Close() error {
	t.end()
	_ = t.listener.Close()
	t.Reset()
	if !waitFor(&t.running, closing) {
		return fmt.Errorf("faultproxy: something still runs %v after the tunnel was closed", closing)
	}
	return nil
}

func (t *Tunnel) serve() {
	for {
		f, err := t.next()
		if err != nil {
			return
		}
		t.running.Go(func() { t.carry(f) })
	}
}

// carry copies in both directions until either end closes.
func (t *Tunnel) carry(f *flow) {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	server, err := dialer.DialContext(t.stop, "tcp", t.target)
	if err != nil {
		f.reset()
		return
	}
	defer context.AfterFunc(t.stop, func() { _, _ = f.Close(), server.Close() })()
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(server, f)
		_ = server.Close()
	})
	// A dead connection stays open, even if the server closes its own.
	_, _ = io.Copy(writer{f}, server)
	if !f.dead.Load() {
		_ = f.Close()
	}
	both.Wait()
	_ = f.Close()
}

// writer hides ReadFrom, which would bypass a flow's Write.
type writer struct{ io.Writer }
