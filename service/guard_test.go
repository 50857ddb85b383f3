package service_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula/nebulatest"
	"github.com/nebula-credential/nebula/service"
)

// If another name resolves to the service's address, requests with that name get
// nothing, whatever token the browser has.
func TestHost(t *testing.T) {
	r, _ := memory(t, func(o *service.Options) { o.Hosts = append(o.Hosts, "vault.example.org:80", "[::1]:8200") })
	for host, status := range map[string]int{
		"": 200, "VAULT.example.org": 200, "vault.example.org:80": 200, "[::1]:8200": 200,
		"evil.example": 421, "vault.example.org:81": 421, "vault.example.org.": 421, "localhost": 421, "127.0.0.1": 421, "[::1]": 421, "vault.example.org:": 421,
		"vault.example.org:80:80": 421, "xvault.example.org": 421,
	} {
		kind := ""
		if status != 200 {
			kind = "misdirected"
		}
		for _, token := range []string{"", "-"} {
			if got := r.do(ask{method: "GET", path: "/v1/store", host: host, token: token}); got.StatusCode != status && (token == "" || status != 200) {
				t.Errorf("%q: %d, %s", host, got.StatusCode, got.body)
			}
		}
		r.want(ask{method: "GET", path: "/v1/credentials", host: host}, status, kind)
		r.want(ask{method: "GET", path: "/openapi.yaml", host: host}, status, kind)
		for _, probe := range []string{"/healthz", "/readyz", "/metrics"} {
			r.want(ask{method: "GET", path: probe, host: host}, 200, "")
		}
	}
}

func TestHostsHavePorts(t *testing.T) {
	store := nebulatest.NewStore(t)
	r := newRig(t, store.Store)
	for _, host := range []string{"", "localhost", "example.org", ":80", "[::1]", "a:b:c"} {
		if _, err := service.New(store.Store, service.Options{Tokens: r.tokens, Audit: r.log, Hosts: []string{host}}); err == nil {
			t.Errorf("%q was accepted", host)
		}
	}
	for _, o := range []service.Options{{}, {Tokens: r.tokens}, {Audit: r.log}, {Tokens: r.tokens, Audit: r.log, MaxRequests: -1}} {
		if _, err := service.New(store.Store, o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

// On a Unix socket the name is localhost, because no other name leads there.
func TestUnixSocket(t *testing.T) {
	r, _ := memory(t)
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(r.server.Config.Handler)
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	defer server.Close()
	r.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	r.want(ask{method: "GET", path: "/v1/store", host: "localhost"}, 200, "")
	r.want(ask{method: "GET", path: "/v1/store", host: "localhost", token: "-"}, 401, "invalid_token")
	r.want(ask{method: "GET", path: "/v1/store", host: "evil.example"}, 421, "misdirected")
	if lines := r.lines(); len(lines) != 1 || lines[0]["address"] != "unix" {
		t.Errorf("%v", lines)
	}
}

// A browser's request from another site is refused before the token is read.
func TestForeignSites(t *testing.T) {
	r, store := memory(t)
	store.Set("a", "v")
	own := "http://" + r.server.Listener.Addr().String()
	for _, h := range []map[string]string{
		{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": own}, {"Origin": strings.ToUpper(own[:4]) + own[4:]}, {"Origin": "https" + own[4:]},
	} {
		if strings.HasPrefix(h["Origin"], "HTTP") { // browsers write it in lower case
			r.want(ask{method: "GET", path: at("a"), header: h}, 403, "cross_site")
			continue
		}
		r.want(ask{method: "GET", path: at("a"), header: h}, 200, "")
	}
	before := len(r.lines())
	for _, h := range []map[string]string{
		{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": ""}, {"Sec-Fetch-Site": "x"}, {"Origin": "null"}, {"Origin": ""},
		{"Origin": "https://evil.example"}, {"Origin": own + ".evil.example"}, {"Origin": own + "/"}, {"Origin": own[len("http://"):]}, {"Origin": "ftp" + own[4:]},
		{"Origin": own, "Sec-Fetch-Site": "cross-site"},
	} {
		for _, a := range []ask{
			{method: "GET", path: at("a")}, {method: "DELETE", path: at("a")}, {method: "OPTIONS", path: at("a")}, {method: "POST", path: "/v1/batch-get", body: `{"ids":["a"]}`},
			{method: "GET", path: "/openapi.yaml"}, {method: "GET", path: at("a"), token: "-"},
		} {
			a.header = h
			r.want(a, 403, "cross_site")
		}
	}
	if after := len(r.lines()); after != before {
		t.Errorf("%d lines of the audit log, %d before", after, before)
	}
	if store.Value("a") != "v" {
		t.Error("the value was changed")
	}
}

// A path that can be read in two ways is refused. The service neither redirects nor
// repairs it.
func TestPaths(t *testing.T) {
	r, store := memory(t)
	store.Set("a", "v")
	for _, path := range []string{
		"/v1//credentials/a", "/v1/credentials//a", "/v1/credentials/a/", "/v1/credentials/", "/v1/credentials/./a", "/v1/credentials/../credentials/a", "/v1/credentials/b/../a",
		"/v1/credentials/%2e%2e/credentials/a", "/v1/credentials/%2e/a", "/v1%2fcredentials/a", "/v1/credentials%2Fa", "/v1/credentials/a%2Fb//c", "/v1/credentials/%61",
		"/v1/credentials/a%2ftags", "//v1/credentials/a", "/%76%31/credentials/a", "/v1/credentials/..", "/v1/credentials/a/..", "/v1/credentials/a%2F", "/healthz/", "//",
		"/v1/credentials/a;x/../b", "/v1/./credentials/a",
	} {
		for _, token := range []string{"", "-"} {
			got := r.want(ask{method: "GET", path: path, token: token}, 400, "usage")
			if got.Header.Get("Location") != "" {
				t.Errorf("%s: redirected to %s", path, got.Header.Get("Location"))
			}
		}
	}
	for _, path := range []string{"/v1/credentials/a%00", "/v1/credentials/%252e%252e", "/v1/credentials/a%2520", "/v1/credentials/a;b"} {
		r.want(ask{method: "GET", path: path}, 400, "invalid_id")
		r.want(ask{method: "GET", path: path, token: "-"}, 401, "invalid_token")
	}
	for _, path := range []string{"/v1", "/v2/credentials", "/V1/credentials", "/v1/credential", "/v1/credentials/a/tag", "/v1/credentials/a/tags/b", "/v1/credentials/a/b/c", "/metrics/x", "/.git", "/v1/batchGet"} {
		r.want(ask{method: "GET", path: path}, 404, "not_found")
		r.want(ask{method: "GET", path: path, token: "-"}, 401, "invalid_token")
	}
}

// Requests that no client library sends.
func TestRawRequests(t *testing.T) {
	r, store := memory(t)
	store.Set("a", "v")
	host := r.server.Listener.Addr().String()
	login := "Host: " + host + "\r\nAuthorization: Bearer " + r.all + "\r\n"
	for request, status := range map[string]int{
		"GET http://" + host + "/v1/credentials/a HTTP/1.1\r\n" + login + "\r\n":                                               200,
		"GET http://evil.example/v1/credentials/a HTTP/1.1\r\n" + login + "\r\n":                                               421,
		"GET /v1/credentials/a HTTP/1.1\r\n" + login + "Authorization: Bearer x\r\n\r\n":                                       401,
		"GET /v1/credentials/a HTTP/1.1\r\n" + login + "Origin: http://" + host + "\r\nOrigin: http://evil.example\r\n\r\n":    403,
		"GET /v1/credentials/a HTTP/1.1\r\nAuthorization: Bearer " + r.all + "\r\n\r\n":                                        400,
		"GET /v1/credentials/a HTTP/1.0\r\nAuthorization: Bearer " + r.all + "\r\n\r\n":                                        421,
		"GET v1/credentials/a HTTP/1.1\r\n" + login + "\r\n":                                                                   400,
		"OPTIONS /v1/credentials/a HTTP/1.1\r\n" + login + "\r\n":                                                              405,
		"CONNECT " + host + " HTTP/1.1\r\n" + login + "\r\n":                                                                   400,
		"PUT /v1/credentials/a HTTP/1.1\r\n" + login + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx":                      400,
		"PUT /v1/credentials/a HTTP/1.1\r\n" + login + "Transfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n":                        501,
		"PUT /v1/credentials/a HTTP/1.1\r\n" + login + "Content-Type: application/octet-stream\r\nContent-Length: 9\r\n\r\nxx": 400,
	} {
		line, _, _ := strings.Cut(request, "\r\n")
		if got := r.raw(request); got != status {
			t.Errorf("%s: %d, not %d", line, got, status)
		}
	}
	if store.Value("a") != "v" {
		t.Error("a body that was cut off was stored")
	}
}

// raw sends a request and returns the status. It ends its side only if the body is
// incomplete, because net/http takes a client that ended its side for gone.
func (r *rig) raw(request string) int {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.server.Listener.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		r.t.Fatal(err)
	}
	if strings.Contains(request, "Content-Length: 9") {
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			r.t.Fatal(err)
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}
