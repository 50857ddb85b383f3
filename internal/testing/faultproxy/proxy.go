package faultproxy

import (
	"context"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/authority"
)

const (
	maxBody = 64 << 20 // of a request, and of an answer that is cut

	// closing is how long Close waits for what is running. answering is how long the
	// server may take to answer a request that no client waits for.
	closing   = 10 * time.Second
	answering = 30 * time.Second
)

// Options are the options of a proxy.
type Options struct {
	// Target is the server's URL. If it is "", each request goes over TLS to the host
	// that it names, which Dial connects to.
	Target string
	// TargetTLS is for a target with https. It has at least RootCAs, and the client's
	// certificate if there is one: the proxy's client cannot pass it on.
	TargetTLS *tls.Config
	// Dial connects to the server. nil means a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// TLS makes the proxy speak TLS with clients, with certificates of CA.
	// Without it, clients may use it as an HTTP proxy for https: it answers
	// CONNECT, and shows certificates of CA for the host.
	TLS bool
	// HTTP1 turns HTTP/2 off.
	HTTP1 bool

	// Seed is the seed for everything random. 0 means NEBULA_FAULT_SEED, or a random
	// one.
	Seed uint64
}

// Proxy is an HTTP proxy before one server. Several goroutines may use its methods.
type Proxy struct {
	*Flows
	options Options
	target  *url.URL
	seed    uint64
	ca      *authority.Authority

	rules     rules
	log       eventLog
	held      held
	transport *http.Transport
	servers   []*http.Server
	tunnelled chan net.Conn // connections that a CONNECT opened

	stop    context.Context // ends when the proxy closes
	end     context.CancelFunc
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup // all goroutines and handlers
}

// Start starts a proxy on a free loopback port. It closes at the end of the test, which
// fails if anything of the proxy still runs then.
func Start(t testing.TB, o Options) *Proxy {
	t.Helper()
	p, err := newProxy(o)
	if err != nil {
		t.Fatalf("faultproxy: %v", err)
	}
	t.Logf("faultproxy: NEBULA_FAULT_SEED=%d", p.seed)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func newProxy(o Options) (*Proxy, error) {
	p := &Proxy{options: o, seed: seedOf(o.Seed), tunnelled: make(chan net.Conn)}
	p.rules.random = rand.New(rand.NewPCG(p.seed, 0))
	if o.Target == "" && o.Dial == nil {
		return nil, errors.New("neither Target nor Dial is given")
	}
	var err error
	if p.target, err = url.Parse(o.Target); err != nil {
		return nil, err
	}
	if p.ca, err = authority.New("Nebula test fault proxy"); err != nil {
		return nil, err
	}
	if p.Flows, err = listen(); err != nil {
		return nil, err
	}
	p.stop, p.end = context.WithCancel(context.Background())
	p.transport = &http.Transport{DialContext: p.dial, TLSClientConfig: o.TargetTLS.Clone(), DisableCompression: true, MaxIdleConnsPerHost: 64}
	p.serve()
	return p, nil
}

func seedOf(given uint64) uint64 {
	if given != 0 {
		return given
	}
	if n, err := strconv.ParseUint(os.Getenv("NEBULA_FAULT_SEED"), 10, 64); err == nil {
		return n
	}
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails
	return binary.NativeEndian.Uint64(b[:])
}

// dial leads all requests to the target, whatever host they name.
func (p *Proxy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if p.options.Target != "" {
		address = p.target.Host
		if p.target.Port() == "" {
			address = net.JoinHostPort(p.target.Host, map[string]string{"http": "80", "https": "443"}[p.target.Scheme])
		}
	}
	if p.options.Dial != nil {
		return p.options.Dial(ctx, network, address)
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, address)
}

func (p *Proxy) serve() {
	direct := p.server()
	if p.options.TLS {
		p.running.Go(func() { _ = direct.ServeTLS(acceptor{p.Flows}, "", "") })
		return
	}
	inner := p.server()
	p.running.Go(func() { _ = direct.Serve(acceptor{p.Flows}) })
	p.running.Go(func() { _ = inner.ServeTLS(tunnelled{p}, "", "") })
}

func (p *Proxy) server() *http.Server {
	s := &http.Server{
		Handler:     http.HandlerFunc(p.handle),
		ErrorLog:    log.New(io.Discard, "", 0), // connections break on purpose
		TLSConfig:   &tls.Config{GetCertificate: p.certificate, MinVersion: tls.VersionTLS12},
		ConnContext: withFlow,
		Protocols:   new(http.Protocols),
	}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(!p.options.HTTP1)
	s.Protocols.SetUnencryptedHTTP2(!p.options.HTTP1)
	p.servers = append(p.servers, s)
	return s
}

func (p *Proxy) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	host := hello.ServerName
	if host == "" { // clients send no server name for an IP address
		host = "127.0.0.1"
	}
	return p.ca.Certificate(host)
}

// URL returns the address of the server for clients, without a slash at its end.
func (p *Proxy) URL() string {
	if p.options.TLS {
		return "https://" + p.Address()
	}
	return "http://" + p.Address()
}

// CA returns the certificate, PEM encoded, that clients have to trust.
func (p *Proxy) CA() []byte { return p.ca.PEM() }

// CAPool returns a pool with that certificate alone.
func (p *Proxy) CAPool() *x509.CertPool { return p.ca.Pool() }

// Seed returns the seed for everything random.
func (p *Proxy) Seed() uint64 { return p.seed }

// Add puts rules in force, after the present ones. remove ends them.
func (p *Proxy) Add(rules ...Rule) (remove func()) { return p.rules.add(rules) }

// Clear ends all rules. What is under way goes on.
func (p *Proxy) Clear() { p.rules.clear() }

// Close cuts all connections, drops held requests, and waits until nothing of the proxy
// runs any more. It may be called again.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.end()
	for _, s := range p.servers {
		_ = s.Close()
	}
	p.Reset()
	p.transport.CloseIdleConnections()
	if !waitFor(&p.running, closing) {
		return fmt.Errorf("faultproxy: something still runs %v after the proxy was closed", closing)
	}
	p.transport.CloseIdleConnections()
	return nil
}

func waitFor(running *sync.WaitGroup, limit time.Duration) bool {
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// enter counts a handler. It refuses while the proxy closes.
func (p *Proxy) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.running.Add(1)
	return true
}
