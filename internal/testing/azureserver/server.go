package azureserver

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/authority"
)

const (
	vaultSuffix  = ".vault.azure.net"
	loginHost    = "login.microsoftonline.com"
	metadataHost = "169.254.169.254"

	// resource is the audience of tokens for the vault. resourceID is the same
	// resource, by the id of its application.
	resource   = "https://vault.azure.net"
	resourceID = "cfa8b339-82a2-471a-a3c9-0fc0be7a4093"
)

// Options are the options of a server. With the zero value, it uses the system's clock.
type Options struct {
	// Now is the server's clock: see Clock. Tokens expire by it as well, so it must
	// begin at the present time.
	Now func() time.Time
	// Delays of vaults, until they are set for one vault. Zero means DefaultDelays.
	Delays Delays
	// TokenLifetime is how long the tokens last that the server issues, 1 hour if zero.
	// Answers give it in seconds.
	TokenLifetime time.Duration
}

// Server answers for all vaults and for the login. It is safe for concurrent
// use.
type Server struct {
	options Options
	ca      *authority.Authority
	logins  *logins
	log     requestLog
	faults  faults

	secure, plain *http.Server
	secureAddress string
	plainAddress  string
	tunnels       tunnels
	serving       sync.WaitGroup

	mu     sync.Mutex
	vaults map[string]*Vault // by host
	others map[string]bool   // hosts of AddHost
}

// New starts a server on free loopback ports.
func New(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Delays == (Delays{}) {
		o.Delays = DefaultDelays()
	}
	if o.TokenLifetime == 0 {
		o.TokenLifetime = time.Hour
	}
	ca, err := authority.New("Nebula test Key Vault")
	if err != nil {
		return nil, fmt.Errorf("azureserver: %w", err)
	}
	s := &Server{options: o, ca: ca, vaults: map[string]*Vault{}, others: map[string]bool{}}
	s.logins = newLogins(s)
	if err := s.listen(); err != nil {
		return nil, fmt.Errorf("azureserver: %w", err)
	}
	return s, nil
}

func (s *Server) listen() error {
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		_ = secure.Close()
		return err
	}
	s.secureAddress, s.plainAddress = secure.Addr().String(), plain.Addr().String()
	quiet := log.New(io.Discard, "", 0) // tests cut connections on purpose
	s.secure = &http.Server{Handler: http.HandlerFunc(s.serveSecure), ErrorLog: quiet}
	s.plain = &http.Server{Handler: http.HandlerFunc(s.servePlain), ErrorLog: quiet}
	config := &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if !s.known(hello.ServerName) {
			return nil, fmt.Errorf("no host %q here", hello.ServerName)
		}
		return s.ca.Certificate(strings.ToLower(hello.ServerName))
	}}
	s.serving.Go(func() { _ = s.secure.Serve(tls.NewListener(secure, config)) })
	s.serving.Go(func() { _ = s.plain.Serve(plain) })
	return nil
}

// Close ends the server and all its connections.
func (s *Server) Close() {
	_ = s.secure.Close()
	_ = s.plain.Close()
	s.tunnels.close()
	s.serving.Wait()
}

func (s *Server) now() time.Time { return s.options.Now() }

// CA returns the certificate, PEM encoded, that clients have to trust.
func (s *Server) CA() []byte { return s.ca.PEM() }

// CAPool returns a pool with that certificate alone.
func (s *Server) CAPool() *x509.CertPool { return s.ca.Pool() }

// ProxyURL returns the value for HTTPS_PROXY: a proxy that leads the hosts of this
// server here and refuses all others.
func (s *Server) ProxyURL() string { return "http://" + s.plainAddress }

// AddHost makes the server answer for one more host, such as a foreign one that a
// challenge or a redirect names. It answers 404, and Requests shows what reached it.
func (s *Server) AddHost(host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others[strings.ToLower(host)] = true
}

// known reports whether the server answers for the host.
func (s *Server) known(host string) bool {
	host = strings.ToLower(host)
	if host == loginHost {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.vaults[host] != nil || s.others[host]
}

// Transport returns a new transport that leads to this server by the real addresses:
// https to the hosts of this server, and http to the metadata address of virtual
// machines. It refuses all other addresses.
func (s *Server) Transport() *http.Transport {
	return &http.Transport{
		DialContext:         s.DialContext,
		TLSClientConfig:     &tls.Config{RootCAs: s.CAPool(), MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     30 * time.Second,
	}
}

// DialContext is the dialer of Transport.
func (s *Server) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	switch {
	case host == metadataHost && port == "80":
		if !s.logins.hasIdentities() {
			<-ctx.Done() // outside Azure, nothing answers there
			return nil, ctx.Err()
		}
		return dialer.DialContext(ctx, "tcp", s.plainAddress)
	case port == "443" && s.known(host), address == s.secureAddress:
		return dialer.DialContext(ctx, "tcp", s.secureAddress)
	case address == s.plainAddress:
		return dialer.DialContext(ctx, "tcp", s.plainAddress)
	}
	return nil, fmt.Errorf("azureserver: %s is not led here", address)
}

func (s *Server) serveSecure(w http.ResponseWriter, r *http.Request) {
	host := strings.ToLower(r.Host)
	if name, port, err := net.SplitHostPort(host); err == nil && port == "443" {
		host = name
	}
	s.mu.Lock()
	vault := s.vaults[host]
	s.mu.Unlock()
	x := s.begin(w, r, host)
	defer x.end()
	switch {
	case vault != nil:
		vault.serve(x)
	case host == loginHost:
		s.logins.serve(x)
	default:
		x.fail(&apiError{status: http.StatusNotFound, code: "NotFound", message: "No such host."})
	}
}

// guid returns a random id in the usual form.
func guid() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
