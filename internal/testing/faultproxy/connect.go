package faultproxy

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
)

// connect answers CONNECT, and serves the requests in the tunnel itself.
func (p *Proxy) connect(w http.ResponseWriter, r *http.Request) {
	f := flowOf(r.Context())
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil || buffered.Reader.Buffered() > 0 { // the client sends nothing before the answer
		f.reset()
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		f.reset()
		return
	}
	select {
	case p.tunnelled <- conn:
	case <-p.stop.Done():
		f.reset()
	}
}

// tunnelled is the listener for the connections that connect made.
type tunnelled struct{ p *Proxy }

func (l tunnelled) Accept() (net.Conn, error) {
	select {
	case conn := <-l.p.tunnelled:
		return conn, nil
	case <-l.p.stop.Done():
		return nil, net.ErrClosed
	}
}

func (l tunnelled) Addr() net.Addr { return l.p.listener.Addr() }
func (l tunnelled) Close() error   { return nil }

type flowKey struct{}

func withFlow(ctx context.Context, conn net.Conn) context.Context {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	return context.WithValue(ctx, flowKey{}, conn)
}

// flowOf returns the connection of a request.
func flowOf(ctx context.Context) *flow {
	f, _ := ctx.Value(flowKey{}).(*flow)
	return f
}
