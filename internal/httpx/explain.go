package httpx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// Server describes a server for the messages of failures to reach it.
type Server struct {
	Host        string
	Address     string // the setting with its address: address, region, …
	Authorities string // the setting with the trusted authorities

	// Proxy is the host of the proxy that a setting of ours names, and
	// ProxySetting that setting. "": the environment names proxies.
	Proxy, ProxySetting string
}

// proxy returns the proxy's name in messages, and the settings that name it.
func (s Server) proxy() (name, settings string) {
	if s.Proxy == "" {
		return "the proxy", "HTTPS_PROXY and NO_PROXY"
	}
	return "the proxy " + s.Proxy, s.ProxySetting
}

// Explain explains why the server gave no answer.
func (s Server) Explain(err error) *nebula.Error {
	var large *TooLargeError
	var encoded *EncodedError
	var unknown *net.DNSError
	var network *net.OpError
	var proxy *ProxyError
	var certificate *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	unavailable := func(message, hint string) *nebula.Error {
		return &nebula.Error{Kind: nebula.ErrUnavailable, Message: message, Hint: hint}
	}
	proxyName, proxySettings := s.proxy()
	switch {
	case errors.Is(err, context.Canceled):
		return &nebula.Error{Kind: nebula.ErrInterrupted, Message: "cancelled"}
	case errors.As(err, &proxy):
		return unavailable(fmt.Sprintf("%s does not lead to %s (status %d)", proxyName, s.Host, proxy.Status), "look at "+s.Address+", "+proxySettings)
	case errors.As(err, &network) && strings.HasPrefix(network.Op, "socks "):
		return unavailable(fmt.Sprintf("%s does not lead to %s", proxyName, s.Host), "look at "+s.Address+", "+proxySettings)
	case errors.As(err, &network) && network.Op == "proxyconnect" && !network.Timeout():
		return unavailable(proxyName+" that leads to "+s.Host+" cannot be reached", "look at "+proxySettings)
	case errors.As(err, &unknown) && !unknown.IsTimeout:
		return unavailable("the server's name "+strconv.Quote(unknown.Name)+" is not known", "look at "+s.Address)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e := &nebula.Error{Kind: nebula.ErrTimeout, Message: "the server " + s.Host + " did not answer in time", Err: unclear(err)}
		if s.Proxy != "" {
			e.Hint = "look at " + proxyName + " on the way to it, which is that of " + proxySettings
		}
		return e
	case errors.As(err, &large):
		return &nebula.Error{Kind: nebula.ErrTooLarge, Message: large.Error() + ", which no answer should have"}
	case errors.As(err, &encoded):
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: encoded.Error(), Hint: "check any proxy or gateway before " + s.Host}
	case speaksHTTP(err):
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "the server " + s.Host + " speaks http, not https", Hint: "look at " + s.Address}
	case speaksTLS(err):
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "the server " + s.Host + " speaks https, not http", Hint: "look at " + s.Address}
	case errors.As(err, &certificate):
		return unavailable("the certificate of "+s.Host+" is not accepted: "+strings.TrimPrefix(certificate.Err.Error(), "x509: "),
			"look at the server's certificate; name its authority in "+s.Authorities)
	case errors.Is(err, syscall.ECONNREFUSED):
		return unavailable("the server "+s.Host+" refuses the connection", "look at "+s.Address+", and whether the server runs")
	case errors.As(err, &network) && network.Op == "dial":
		return unavailable("the server "+s.Host+" cannot be reached", "look at "+s.Address)
	}
	e := unavailable("the connection to "+s.Host+" broke off", "")
	e.Err = provider.ErrUnclear
	return e
}

// speaksHTTP reports whether a server answered a TLS handshake with HTTP, or with
// anything else that is not TLS.
func speaksHTTP(err error) bool {
	var record tls.RecordHeaderError
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &record)
}

// speaksTLS reports whether a server answered HTTP with a TLS alert. Servers in
// Go answer with status 400 instead.
func speaksTLS(err error) bool {
	// Package net/http has no type for it; its message quotes the alert.
	return strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`)
}

// unclear returns ErrUnclear if the request may have been sent.
func unclear(err error) error {
	var network *net.OpError
	if errors.As(err, &network) && (network.Op == "dial" || network.Op == "proxyconnect") {
		return nil
	}
	return provider.ErrUnclear
}

// RetryAfter parses the header Retry-After: seconds, or a time. It returns nil if
// there is none.
func RetryAfter(header http.Header, now time.Time) *provider.RetryAfter {
	value := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 {
		return &provider.RetryAfter{Delay: time.Duration(min(seconds, 1<<30)) * time.Second}
	}
	if at, err := http.ParseTime(value); err == nil {
		return &provider.RetryAfter{Delay: max(0, at.Sub(now))}
	}
	return nil
}
