package service

import (
	"fmt"
	"net"
	"net/http"
	"path"
	"strings"

	"github.com/nebula-credential/nebula"
)

// The headers of every answer, errors too; the page has more. The slices are shared
// and never changed.
var (
	noStore   = []string{"no-store"}
	noSniff   = []string{"nosniff"}
	noContent = []string{"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"}
)

func setHeaders(h http.Header, request string) {
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	h["Content-Security-Policy"] = noContent
	h["X-Request-Id"] = []string{request}
}

// isAmbiguous reports whether a proxy may think that the request ends elsewhere, so
// that what follows would be somebody else's. A length beside chunks cannot be seen
// here, nor chunks in HTTP/1.0. So the connection ends after every request with chunks
// or over HTTP/1.0, as section 6 of RFC 9112 says.
func isAmbiguous(r *http.Request) bool {
	return r.ProtoMajor == 1 && (r.ProtoMinor == 0 || r.TransferEncoding != nil)
}

// guard refuses requests that must not be served, before the token is read.
func (s *Service) guard(c *call) error {
	if err := checkPath(c.r); err != nil {
		return err
	}
	// Probes call these by the address of the host. The answers say nothing about
	// credentials.
	if p := c.r.URL.Path; p != "/healthz" && p != "/readyz" && p != "/metrics" {
		if err := s.checkHost(c.r); err != nil {
			return err
		}
	}
	return checkOrigin(c.r)
}

// checkPath refuses a path that could be read in two ways. No path here needs an
// escape, nor does an id.
func checkPath(r *http.Request) error {
	p := r.URL.Path
	if p == "" || p[0] != '/' || r.URL.RawPath != "" || path.Clean(p) != p {
		return &nebula.Error{Kind: nebula.ErrUsage, Message: "the path is not in its plain form",
			Hint: "leave out //, ., .., a / at the end, and escapes of characters that need none"}
	}
	return nil
}

// hostsOf returns the values of Host that are served, in lower case.
func hostsOf(list []string) (map[string]bool, error) {
	hosts := make(map[string]bool, len(list))
	for _, h := range list {
		if name, port, err := net.SplitHostPort(h); err != nil || name == "" || port == "" {
			return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Op: "serve",
				Message: fmt.Sprintf("%q is not a host and a port", h), Hint: "write it as vault.example.org:8200, or [::1]:8200"}
		}
		hosts[strings.ToLower(h)] = true
	}
	return hosts, nil
}

// checkHost refuses a name that is not ours. If a page makes its own name
// resolve to this address (DNS rebinding), the browser sends that name.
func (s *Service) checkHost(r *http.Request) error {
	host := strings.ToLower(r.Host)
	if s.hosts[host] || host == "localhost" && onSocket(r) {
		return nil
	}
	if _, _, err := net.SplitHostPort(host); err != nil { // the port of the scheme
		port := ":80"
		if r.TLS != nil {
			port = ":443"
		}
		if s.hosts[host+port] {
			return nil
		}
	}
	return &nebula.Error{Kind: errMisdirected, Message: "this service does not go by the name in Host",
		Hint: "name it with --host, or call it by the address that it listens on"}
}

// onSocket reports whether a request came in on a Unix socket.
func onSocket(r *http.Request) bool {
	address, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && address.Network() == "unix"
}

// checkOrigin refuses requests that a browser sends for another site. Programs
// send neither header.
func checkOrigin(r *http.Request) error {
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "same-origin" && site != "none" {
			return crossSite()
		}
	}
	for _, origin := range r.Header["Origin"] {
		scheme, host, _ := strings.Cut(origin, "://")
		known := scheme == "https" || scheme == "http" && r.TLS == nil // behind a proxy, TLS ends before
		if !known || !strings.EqualFold(host, r.Host) {
			return crossSite()
		}
	}
	return nil
}

func crossSite() error {
	return &nebula.Error{Kind: errCrossSite, Message: "the request comes from a page of another site"}
}
