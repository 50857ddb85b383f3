// Package httpx is HTTP as the networked providers speak it: TLS 1.2 or later
// with verification, no redirects, limited answers and limited waiting.
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

// Options go with [NewClient].
type Options struct {
	// Roots are the authorities whose certificates are accepted, in the place
	// of the system's. nil: the system's.
	Roots *x509.CertPool

	// TLS is what the server is to see besides: certificates, the name that
	// is expected of it. nil for none. Verification cannot be turned off by it.
	TLS *tls.Config

	// Proxy takes the place of the one that the environment names. nil: that.
	Proxy *url.URL

	// Total is the limit of one exchange, from the dialling to the last byte.
	Total time.Duration

	// MaxBody is the greatest answer, in bytes, as it is read.
	MaxBody int64

	// Transport takes the place of the one made here, in tests.
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
		// The answer itself is returned. Clients that follow it send their
		// token along to wherever it leads.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ProxyError says that a proxy did not lead to the server.
type ProxyError struct {
	Status int // of the proxy's answer
}

func (e *ProxyError) Error() string {
	return fmt.Sprintf("the proxy does not lead there (status %d)", e.Status)
}

// A connection over which nothing came for pingAfter is asked whether it lives,
// and is closed if it says nothing for pingTimeout. Together they are less than
// the limit of one attempt by default, 5 s.
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
		// A connection that died without a word, because a router forgot it,
		// carries every further HTTP/2 request into the void. An unanswered ping
		// ends it, so that the next attempt takes another one.
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		// Nothing is asked for in compressed form, so that what is counted is
		// what is read.
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

// TooLargeError is the failure to read an answer over the limit.
type TooLargeError struct{ Limit int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the answer has more than %d bytes", e.Limit)
}

// EncodedError is the failure of an answer that came compressed, unasked.
type EncodedError struct{ Encoding string }

func (e *EncodedError) Error() string { return "the answer is compressed, which was not asked for" }

// limited caps every answer.
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

// CloseIdleConnections lets the client's method through.
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
	// One byte more than is left tells an answer of just the limit from a
	// larger one.
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

// ParseAddress returns the URL of a server, or what is wrong with it: https
// it must be, or http to this very machine; and it holds no user, query or
// fragment.
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
