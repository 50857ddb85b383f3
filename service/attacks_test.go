package service_test

import (
	"bufio"
	"context"
	"crypto/fips140"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/authority"
	"github.com/nebula-credential/nebula/nebulatest"
	"github.com/nebula-credential/nebula/service"
)

// site is one way to reach a service. The service runs as nebula serve runs it.
type site struct {
	*rig // sends its requests there
	name string
	host string // for the Host header
	dial func() (net.Conn, error)
}

// attacked is a service on every kind of listener.
type attacked struct {
	*rig
	store *nebulatest.Store
	sites []*site
}

// attack runs a service on loopback, over TLS, with HTTP/1.1 and 2, and on a Unix
// socket, until the test ends.
func attack(t *testing.T, change ...func(*service.Options)) *attacked {
	t.Helper()
	certificate, roots := certify(t)
	a := &attacked{}
	var listeners []service.Site
	var hosts []string
	listen := func(address string, c *service.Certificate) *service.Listener {
		l, err := service.Listen(t.Context(), address, c)
		if err != nil {
			t.Fatal(err)
		}
		own, err := l.Hosts(nil)
		if err != nil {
			t.Fatal(err)
		}
		listeners, hosts = append(listeners, service.Site{Listener: l}), append(hosts, own...)
		return l
	}
	plain, secure := listen("127.0.0.1:0", nil), listen("127.0.0.1:0", certificate)
	socket := shortPath(t)
	listen("unix:"+socket, nil)
	change = append(change, func(o *service.Options) { o.Hosts = append(o.Hosts, hosts...) })
	a.rig, a.store = memory(t, change...)

	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- (&service.Server{Handler: a.server.Config.Handler, Drain: time.Second}).Serve(ctx, listeners...)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	trust := func(protocols ...string) *tls.Config { return &tls.Config{RootCAs: roots, NextProtos: protocols} }
	a.add("loopback", plain.URL(), plain.Addr().String(), func() (net.Conn, error) { return net.Dial("tcp", plain.Addr().String()) }, nil)
	a.add("TLS", secure.URL(), secure.Addr().String(), func() (net.Conn, error) {
		return tls.Dial("tcp", secure.Addr().String(), trust("http/1.1"))
	}, trust("http/1.1"))
	a.add("HTTP 2", secure.URL(), secure.Addr().String(), nil, trust("h2"))
	a.add("Unix socket", "http://localhost", "localhost", func() (net.Conn, error) { return net.Dial("unix", socket) }, nil)
	return a
}

// add adds a site, whose client dials as dial does.
func (a *attacked) add(name, url, host string, dial func() (net.Conn, error), secure *tls.Config) {
	transport := &http.Transport{TLSClientConfig: secure, ForceAttemptHTTP2: name == "HTTP 2"}
	if secure == nil {
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return dial() }
	}
	a.t.Cleanup(transport.CloseIdleConnections)
	own := *a.rig
	own.client, own.server = &http.Client{Transport: transport}, &httptest.Server{URL: url}
	a.sites = append(a.sites, &site{rig: &own, name: name, host: host, dial: dial})
}

// each runs a test for every site.
func (a *attacked) each(t *testing.T, run func(*testing.T, *site)) {
	t.Helper()
	for _, s := range a.sites {
		t.Run(s.name, func(t *testing.T) {
			at, own := *s, *s.rig
			own.t, at.rig = t, &own
			run(t, &at)
		})
	}
}

// eachRaw is each for the sites to which raw bytes can be sent.
func (a *attacked) eachRaw(t *testing.T, run func(*testing.T, *site)) {
	t.Helper()
	a.each(t, func(t *testing.T, s *site) {
		if s.dial != nil {
			run(t, s)
		}
	})
}

// send sends bytes and returns everything that comes back until the service ends the
// connection. The service must end it.
func (s *site) send(request string) string {
	s.t.Helper()
	conn, err := s.dial()
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	go func() { _, _ = io.WriteString(conn, request) }()
	text, err := io.ReadAll(conn) // a reset ends the connection, too
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.t.Errorf("the connection stays open after %.60q: %q", request, text)
	}
	return string(text)
}

// login is the header of a valid request, without its first line.
func (s *site) login() string {
	return "Host: " + s.host + "\r\nAuthorization: Bearer " + s.all + "\r\n"
}

// statuses returns the statuses of the answers in a text.
func statuses(text string) []string {
	var all []string
	for _, found := range regexp.MustCompile(`HTTP/1\.[01] ([0-9]{3}) `).FindAllStringSubmatch(text, -1) {
		all = append(all, found[1])
	}
	return all
}

// logging makes the service log to l.
func logging(l *service.Log) func(*service.Options) {
	return func(o *service.Options) { o.Logger = slog.New(slog.NewTextHandler(l, nil)) }
}

// certify makes a certificate for 127.0.0.1.
func certify(t *testing.T) (*service.Certificate, *x509.CertPool) {
	t.Helper()
	a, err := authority.New("test")
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := service.LoadCertificate(cert, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.PEM())
	return loaded, roots
}

// shortPath returns a path for a socket that is short enough on every system.
func shortPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "attack")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "nebula", "serve.sock")
}

// A page of another site, and another name for this address, get nothing from any
// listener, with any token, and change nothing in the store.
func TestAttackFromBrowser(t *testing.T) {
	a := attack(t)
	a.store.Set("a", "v")
	a.each(t, func(t *testing.T, s *site) {
		s.want(ask{method: "GET", path: at("a")}, 200, "")
		lines := len(s.lines())
		for _, token := range []string{"", "-", "nbt_x"} {
			for _, host := range []string{"evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "localhost:80", "[::1]", "0.0.0.0", "localhost.", s.host + ".evil.example"} {
				s.want(ask{method: "GET", path: at("a"), token: token, host: host}, 421, "misdirected")
				s.want(ask{method: "DELETE", path: at("a"), token: token, host: host}, 421, "misdirected")
			}
			for _, h := range []map[string]string{
				{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://" + s.host + ".evil.example"}, {"Origin": "file://"},
				{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none, cross-site"},
			} {
				s.want(ask{method: "GET", path: at("a"), token: token, header: h}, 403, "cross_site")
				s.want(ask{method: "OPTIONS", path: at("a"), token: token, header: h}, 403, "cross_site")
				s.want(ask{method: "DELETE", path: at("a"), token: token, header: h}, 403, "cross_site")
			}
		}
		if more := len(s.lines()) - lines; more != 0 {
			t.Errorf("%d lines of the audit log: the token was read", more)
		}
	})
	if v := a.store.Value("a"); v != "v" {
		t.Errorf("the value is %q", v)
	}
}

// If a credential is outside a token's prefix or scope, the answer is the same, byte by
// byte, as if it did not exist, except for the id, the request id and the time.
func TestAttackOutsideOfToken(t *testing.T) {
	a := attack(t)
	blue := a.token(grantOf("blue", "", "blue"))
	a.want(ask{method: "PUT", path: at("there0"), token: blue, body: "secret", header: asBytes()}, 201, "")
	a.store.Set("there1", "secret")
	for who, secret := range map[string]string{"prefix": a.token(grantOf("narrow", "mine", "")), "scope": a.token(grantOf("red", "", "red"))} {
		a.eachRaw(t, func(t *testing.T, s *site) {
			answer := func(method, id, rest, body string) string {
				text := s.send(method + " " + at(id) + rest + " HTTP/1.1\r\nHost: " + s.host + "\r\nAuthorization: Bearer " + secret +
					"\r\nContent-Type: application/json\r\nContent-Length: " + itoa(len(body)) + "\r\nConnection: close\r\n\r\n" + body)
				for _, changing := range []string{`X-Request-Id: [0-9a-f]{16}`, `"request_id":"[0-9a-f]{16}"`, `Date: [^\r]*`} {
					text = regexp.MustCompile(changing).ReplaceAllString(text, "CHANGING")
				}
				return strings.ReplaceAll(text, id, "ID")
			}
			for _, c := range []struct{ method, rest, body string }{
				{"GET", "", ""}, {"HEAD", "", ""}, {"DELETE", "", ""}, {"GET", "/versions", ""}, {"PATCH", "/tags", `{"set":{"a":"b"}}`},
				{"POST", "/restore", ""}, {"POST", "/purge", ""}, {"GET", "?version=1", ""},
			} {
				there, nowhere := "there0", "there2"
				if who == "prefix" {
					there = "there1"
				} else if c.method == "DELETE" || strings.HasSuffix(c.rest, "purge") {
					continue // a missing credential counts as deleted, and one of another scope is not found
				}
				x, y := answer(c.method, there, c.rest, c.body), answer(c.method, nowhere, c.rest, c.body)
				if x != y || !strings.HasPrefix(x, "HTTP/1.1 404 ") {
					t.Errorf("%s: %s %s: the answers differ:\n%s\n%s", who, c.method, c.rest, x, y)
				}
			}
		})
	}
	if v := a.store.Value("there0") + a.store.Value("there1"); v != "secretsecret" {
		t.Errorf("the values are %q", v)
	}
}

// A removed token is refused, even on a connection that has used it.
func TestAttackWithRemovedToken(t *testing.T) {
	a := attack(t)
	a.store.Set("a", "v")
	a.each(t, func(t *testing.T, s *site) {
		secret := s.token(grantOf(s.name, "", ""))
		s.want(ask{method: "GET", path: at("a"), token: secret}, 200, "")
		if err := s.tokens.Remove(t.Context(), s.name); err != nil {
			t.Fatal(err)
		}
		s.want(ask{method: "GET", path: at("a"), token: secret}, 401, "invalid_token")
	})
}

// TLS before 1.3, and cleartext, get no answer from the service.
func TestAttackOldTLS(t *testing.T) {
	a := attack(t)
	var secure *site
	for _, s := range a.sites {
		if s.name == "TLS" {
			secure = s
		}
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12} {
		if fips140.Enforced() && version < tls.VersionTLS12 {
			continue // the client of this test refuses, too
		}
		_, err := tls.Dial("tcp", secure.host, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
		if err == nil || !strings.Contains(err.Error(), "protocol version") {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	conn, err := net.Dial("tcp", secure.host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET "+at("a")+" HTTP/1.1\r\n"+secure.login()+"\r\n"); err != nil {
		t.Fatal(err)
	}
	text, _ := bufio.NewReader(conn).ReadString(0)
	if !strings.HasPrefix(text, "HTTP/1.0 400 ") || strings.Contains(text, "X-Request-Id") {
		t.Errorf("cleartext is answered with %q", text)
	}
}
