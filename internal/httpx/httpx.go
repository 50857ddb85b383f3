// Package httpx is the HTTP client of the networked providers: TLS 1.2 or later
// with verification, no redirects, limits of size and time.
package httpx

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Options are the options of [NewClient].
type Options struct {
	// Roots are the trusted authorities. nil: those of the system.
	Roots *x509.CertPool

	// TLS has client certificates and the expected name of the server. May be
	// nil. It cannot turn off verification.
	TLS *tls.Config

	// Proxy replaces the proxy of the environment. nil: that of the environment.
	Proxy *url.URL

	// Total is the time limit of one exchange, from dialing to the last byte.
	Total time.Duration

	// MaxBody is the limit of an answer's body, in bytes.
	MaxBody int64

	// Transport replaces the transport with our settings, in tests.
	Transport http.RoundTripper
}

// NewClient returns a client with our limits. Proxies are those of HTTPS_PROXY,
// HTTP_PROXY and NO_PROXY, unless another one is named.
func NewClient(o Options) *http.Client {
	inner := o.Transport
	if inner == nil {
		inner = newTransport(o)
	}
	return &http.Client{
		Transport: &limited{inner: inner, max: o.MaxBody},
		Timeout:   o.Total,
		// Return the redirect itself: a client that follows it may send its token
		// to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ProxyError is the failure of a proxy to connect to the server.
type ProxyError struct {
	Status int // of the proxy's answer
}

func (e *ProxyError) Error() string {
	return fmt.Sprintf("the proxy does not lead there (status %d)", e.Status)
}

// If nothing came over a connection for pingAfter, a ping is sent, and if that is
// not answered within pingTimeout, the connection is closed. Together they are
// less than the default limit of one attempt, 5 s.
const (
	pingAfter   = 2 * time.Second
	pingTimeout = 2 * time.Second
)

func newTransport(o Options) *http.Transport {
	dialer := &net.Dialer{Timeout: o.Total, KeepAlive: 30 * time.Second}
	proxy := http.ProxyFromEnvironment
	if o.Proxy != nil {
		proxy = http.ProxyURL(o.Proxy)
	}
	return &http.Transport{
		Proxy: proxy,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, r *http.Response) error {
			if r.StatusCode != http.StatusOK {
				return &net.OpError{Op: "proxyconnect", Net: "tcp", Err: &ProxyError{Status: r.StatusCode}}
			}
			return nil
		},
		DialContext:            dialer.DialContext,
		TLSClientConfig:        o.tls(),
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  o.Total,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    64,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		// A router may forget a connection without closing it. Every further
		// HTTP/2 request on it would then be lost. An unanswered ping closes it,
		// so that the next attempt makes a new one.
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		// Without compression, MaxBody limits the bytes that are read as well as
		// those that are sent.
		DisableCompression: true,
	}
}

func (o Options) tls() *tls.Config {
	config := new(tls.Config)
	if o.TLS != nil {
		config = o.TLS.Clone()
	}
	config.MinVersion, config.InsecureSkipVerify, config.RootCAs = tls.VersionTLS12, false, o.Roots
	return config
}

// TooLargeError is the failure to read an answer that exceeds the limit.
type TooLargeError struct{ Limit int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the answer has more than %d bytes", e.Limit)
}

// EncodedError is the failure to read an answer that is compressed although the
// request did not ask for it.
type EncodedError struct{ Encoding string }

func (e *EncodedError) Error() string { return "the answer is compressed, which was not asked for" }

// limited limits the size of every answer.
type limited struct {
	inner http.RoundTripper
	max   int64
}

func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.inner.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if encoding := response.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		response.Body.Close()
		return nil, &EncodedError{Encoding: encoding}
	}
	if response.ContentLength > l.max && r.Method != http.MethodHead {
		response.Body.Close()
		return nil, &TooLargeError{Limit: l.max}
	}
	response.Body = &cappedBody{ReadCloser: response.Body, left: l.max, max: l.max}
	return response, nil
}

// CloseIdleConnections makes the method of [http.Client] work.
func (l *limited) CloseIdleConnections() {
	if c, ok := l.inner.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type cappedBody struct {
	io.ReadCloser
	left, max int64
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, &TooLargeError{Limit: b.max}
	}
	// Read one byte more than is left, to tell an answer of exactly the limit
	// from a larger one.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, &TooLargeError{Limit: b.max}
	}
	return n, err
}

// ReadAll reads an answer of at most limit bytes.
func ReadAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, &TooLargeError{Limit: limit}
	}
	return data, nil
}

// ParseAddress parses the URL of a server. It must be https, or http to this
// machine, and have no user, query or fragment. The error completes a sentence
// that begins with the name of the setting.
func ParseAddress(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case address == "":
		return nil, errors.New("is not set")
	case err != nil:
		return nil, errors.New("is not a URL") // its text is not shown: it may hold a password
	case u.User != nil:
		return nil, errors.New("holds a user, which is not allowed")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("must begin with https://")
	case u.Hostname() == "":
		return nil, errors.New("names no host")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, errors.New("holds a query or fragment, which is not allowed")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, errors.New("must begin with https://, since it is not this machine")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// LoadRoots reads a file of PEM certificates.
func LoadRoots(path string) (*x509.CertPool, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, errors.New("holds no PEM certificate")
	}
	return pool, nil
}
