package backends

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"time"
)

// arrived holds what an API server sees of a request that was made with a kubeconfig.
type arrived struct {
	Proxied     string // the request to the proxy; "" without a proxy
	ServerName  string // of the TLS handshake
	Certificate string // digest of the client's certificate
	Resource    string // path of the kind of resource
	Header      http.Header
}

// apiServer notes the requests, and has no Secret. Its certificate is for its address,
// k.example.com and other.example.com.
type apiServer struct {
	*httptest.Server
	authority []byte // in PEM
	proxy     *httptest.Server

	mu      sync.Mutex
	proxied string
	seen    []arrived
}

func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	certificate, key := keyPair(t)
	pair, err := tls.X509KeyPair(certificate, key)
	check(t, err)
	s := &apiServer{authority: certificate}
	s.Server = httptest.NewUnstartedServer(s)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // some handshakes must fail
	s.StartTLS()
	t.Cleanup(s.Close)
	s.proxy = httptest.NewServer(http.HandlerFunc(s.tunnel))
	t.Cleanup(s.proxy.Close)
	return s
}

// take returns the requests since the last look.
func (s *apiServer) take() []arrived {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen, s.proxied = nil, ""
	return seen
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := arrived{Proxied: s.proxied, ServerName: r.TLS.ServerName, Resource: path.Dir(r.URL.Path), Header: make(http.Header)}
	if len(r.TLS.PeerCertificates) > 0 {
		a.Certificate = fmt.Sprintf("%x", sha256.Sum256(r.TLS.PeerCertificates[0].Raw))
	}
	for key, values := range r.Header {
		if key == "Authorization" || strings.HasPrefix(key, "Impersonate-") {
			a.Header[key] = values
		}
	}
	s.seen = append(s.seen, a)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","details":{"kind":"secrets"},"code":404}`)
}

// tunnel is a proxy that connects to the server, whatever address a client names.
func (s *apiServer) tunnel(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.proxied = r.Method + " " + r.Host
	s.mu.Unlock()
	server, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer server.Close()
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		defer server.Close()
		_, _ = io.Copy(server, client)
	}()
	_, _ = io.Copy(client, server)
}

// keyPair makes a certificate that is its own authority, and its key, both in PEM.
func keyPair(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"k.example.com", "other.example.com"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	check(t, err)
	encoded, err := x509.MarshalECPrivateKey(private)
	check(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded})
}
