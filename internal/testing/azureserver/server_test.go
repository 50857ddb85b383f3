package azureserver

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"testing"
	"time"
)

// tester is a vault with a clock of its own and a client that has a token.
type tester struct {
	*Vault
	server *Server
	clock  *Clock
	client *http.Client
	token  string
}

func newTester(t *testing.T) *tester {
	t.Helper()
	clock := NewClock()
	server, err := New(Options{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	transport := server.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	return &tester{Vault: server.Vault("Test"), server: server, clock: clock,
		client: &http.Client{Transport: transport, Timeout: time.Minute,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		token: server.IssueToken(resource, TenantID, time.Hour)}
}

// reply is an answer, with its body as it came and decoded.
type reply struct {
	status int
	header http.Header
	text   []byte
	body   map[string]any
}

// call sends a request; the path may be a whole address, the body is JSON.
func (x *tester) call(t *testing.T, method, path string, body any) reply {
	t.Helper()
	r, err := x.try(method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

func (x *tester) try(method, path string, body any) (reply, error) {
	request, err := x.prepare(method, path, body)
	if err != nil {
		return reply{}, err
	}
	return send(x.client, request)
}

func (x *tester) prepare(method, path string, body any) (*http.Request, error) {
	address, err := url.Parse(x.URL())
	if err != nil {
		return nil, err
	}
	if address, err = address.Parse(path); err != nil {
		return nil, err
	}
	query := address.Query()
	if query.Get("api-version") == "" {
		query.Set("api-version", "7.4")
		address.RawQuery = query.Encode()
	}
	var data []byte
	if body != nil {
		if data, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequest(method, address.String(), bytes.NewReader(data))
	if err == nil && x.token != "" {
		request.Header.Set("Authorization", "Bearer "+x.token)
	}
	return request, err
}

func send(client *http.Client, request *http.Request) (reply, error) {
	response, err := client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	out := reply{status: response.StatusCode, header: response.Header}
	if out.text, err = io.ReadAll(response.Body); err != nil {
		return reply{}, err
	}
	if len(out.text) > 0 {
		err = json.Unmarshal(out.text, &out.body)
	}
	return out, err
}

// at returns a value deep in a body; nil if there is none.
func at(body any, keys ...string) any {
	for _, key := range keys {
		m, _ := body.(map[string]any)
		body = m[key]
	}
	return body
}

func (r reply) code() string  { s, _ := at(r.body, "error", "code").(string); return s }
func (r reply) inner() string { s, _ := at(r.body, "error", "innererror", "code").(string); return s }

func TestSetAndGet(t *testing.T) {
	x := newTester(t)
	if r := x.call(t, http.MethodPut, "/secrets/Name", map[string]any{"value": "v"}); r.status != 200 {
		t.Fatalf("set: %d %s", r.status, r.text)
	}
	r := x.call(t, http.MethodGet, "/secrets/nAME/", nil)
	if r.status != 200 || r.body["value"] != "v" {
		t.Errorf("get: %d %s", r.status, r.text)
	}
}

// The API shows what was added without it, and the other way round.
func TestSeeds(t *testing.T) {
	x := newTester(t)
	want := Seed{Name: "Cert", Value: "v", ContentType: "text/plain", Tags: map[string]string{"k": "v"}, Disabled: true,
		Managed: true, NotBefore: x.clock.Now().Add(-time.Hour), Expires: x.clock.Now().Add(time.Hour)}
	x.Add(want)
	if got, err := x.Latest("cert"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	list := x.call(t, http.MethodGet, "/secrets", nil).body["value"].([]any)
	if len(list) != 1 || at(list[0], "managed") != true || at(list[0], "tags", "k") != "v" ||
		at(list[0], "contentType") != "text/plain" || at(list[0], "attributes", "enabled") != false ||
		at(list[0], "attributes", "exp") != float64(want.Expires.Unix()) {
		t.Errorf("%v", list)
	}
	if _, err := x.Latest("none"); err == nil {
		t.Error("Latest returned a secret that nobody wrote")
	}
}
