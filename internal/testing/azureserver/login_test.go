package azureserver

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// ask sends a form, or a GET if there is none.
func (x *tester) ask(t *testing.T, address string, form url.Values, headers ...string) reply {
	t.Helper()
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	request, err := http.NewRequest(method, address, bytes.NewReader([]byte(form.Encode())))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	r, err := send(x.client, request)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const login = "https://" + loginHost + "/"

func (x *tester) form() url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_id": {ClientID},
		"client_secret": {x.server.ClientSecret()}, "scope": {resource + "/.default"}}
}

func TestLoginOfAServicePrincipal(t *testing.T) {
	x := newTester(t)
	discovery := x.ask(t, login+"common/discovery/instance?api-version=1.1&authorization_endpoint="+login+TenantID+"/oauth2/v2.0/authorize", nil)
	config := x.ask(t, discovery.body["tenant_discovery_endpoint"].(string), nil)
	r := x.ask(t, config.body["token_endpoint"].(string), x.form())
	if r.status != 200 || r.body["token_type"] != "Bearer" || r.body["expires_in"] != 3600.0 {
		t.Fatalf("%d %s", r.status, r.text)
	}
	x.token = r.body["access_token"].(string)
	if r := x.call(t, http.MethodGet, "/secrets", nil); r.status != 200 {
		t.Errorf("the token is not accepted: %s", r.text)
	}
	if n := x.server.Count(Token); n != 1 {
		t.Errorf("%d requests for a token", n)
	}
}

func TestLoginRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		tenant string
		change func(url.Values)
		status int
		code   string
		number int
	}{
		{"wrong secret", TenantID, func(f url.Values) { f.Set("client_secret", "wrong") }, 401, "invalid_client", 7000215},
		{"no secret", TenantID, func(f url.Values) { f.Del("client_secret") }, 401, "invalid_client", 7000218},
		{"unknown application", TenantID, func(f url.Values) { f.Set("client_id", guid()) }, 400, "unauthorized_client", 700016},
		{"unknown tenant", "11111111-2222-3333-4444-555555555555", func(url.Values) {}, 400, "invalid_request", 90002},
		{"no scope", TenantID, func(f url.Values) { f.Del("scope") }, 400, "invalid_scope", 70011},
		{"another grant", TenantID, func(f url.Values) { f.Set("grant_type", "password") }, 400, "unsupported_grant_type", 70003},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newTester(t)
			form := x.form()
			c.change(form)
			r := x.ask(t, login+c.tenant+"/oauth2/v2.0/token", form)
			text, _ := r.body["error_description"].(string)
			codes, _ := r.body["error_codes"].([]any)
			if r.status != c.status || r.body["error"] != c.code || len(codes) != 1 || codes[0] != float64(c.number) ||
				!strings.HasPrefix(text, fmt.Sprintf("AADSTS%d: ", c.number)) {
				t.Errorf("%d %s", r.status, r.text)
			}
			if secret := form.Get("client_secret"); secret != "" && bytes.Contains(r.text, []byte(secret)) && secret != "wrong" {
				t.Errorf("the answer holds the secret: %s", r.text)
			}
		})
	}
}

func TestTokensThatAVaultRefuses(t *testing.T) {
	x := newTester(t)
	good := x.token
	for name, c := range map[string]struct {
		token   string
		message string
	}{
		"none":           {"", "AKV10000"},
		"not ours":       {good + "x", "not valid"},
		"wrong audience": {x.server.IssueToken("https://management.azure.com", TenantID, time.Hour), "AKV10022"},
		"a slash more":   {x.server.IssueToken(resource+"/", TenantID, time.Hour), "AKV10022"},
		"wrong tenant":   {x.server.IssueToken(resource, guid(), time.Hour), "AKV10032"},
		"expired":        {x.server.IssueToken(resource, TenantID, 0), "lifetime"},
	} {
		x.token = c.token
		r := x.call(t, http.MethodGet, "/secrets/n", nil)
		message, _ := at(r.body, "error", "message").(string)
		if r.status != 401 || r.code() != "Unauthorized" || !strings.Contains(message, c.message) ||
			!strings.Contains(r.header.Get("WWW-Authenticate"), TenantID) {
			t.Errorf("%s: %d %s", name, r.status, r.text)
		}
	}
	x.token = x.server.IssueToken(resourceID, TenantID, time.Hour)
	if r := x.call(t, http.MethodGet, "/secrets", nil); r.status != 200 {
		t.Errorf("the resource by its id: %s", r.text)
	}
}

func TestTokensEnd(t *testing.T) {
	x := newTester(t)
	x.server.SetTokenLifetime(5 * time.Second)
	r := x.ask(t, login+TenantID+"/oauth2/v2.0/token", x.form())
	x.token = r.body["access_token"].(string)
	status := func() int { return x.call(t, http.MethodGet, "/secrets", nil).status }
	x.clock.Advance(4 * time.Second)
	if got := status(); got != 200 || r.body["expires_in"] != 5.0 {
		t.Errorf("before its end: %d, %s", got, r.text)
	}
	x.clock.Advance(time.Second)
	if got := status(); got != 401 {
		t.Errorf("at its end: %d", got)
	}
	x.token = x.server.IssueToken(resource, TenantID, time.Hour)
	x.server.RevokeTokens()
	if got := status(); got != 401 {
		t.Errorf("revoked: %d", got)
	}
}

func TestManagedIdentities(t *testing.T) {
	const imds = "http://" + metadataHost + "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net"
	x := newTester(t)
	service := x.server.IdentityEndpoint() + "?api-version=2019-08-01&resource=https://vault.azure.net"
	header := x.server.IdentityHeader()
	for _, c := range []struct {
		name, address string
		headers       []string
		status        int
		client        string
	}{
		{"App Service, system", service, []string{"X-IDENTITY-HEADER", header}, 200, SystemIdentity},
		{"App Service, user", service + "&client_id=" + UserIdentity, []string{"X-IDENTITY-HEADER", header}, 200, UserIdentity},
		{"App Service, unknown", service + "&client_id=" + ClientID, []string{"X-IDENTITY-HEADER", header}, 400, ""},
		{"App Service, no header", service, nil, 401, ""},
		{"App Service, wrong header", service, []string{"X-IDENTITY-HEADER", "x"}, 401, ""},
		{"machine, system", imds, []string{"Metadata", "true"}, 200, SystemIdentity},
		{"machine, user", imds + "&client_id=" + UserIdentity, []string{"Metadata", "true"}, 200, UserIdentity},
		{"machine, unknown", imds + "&client_id=" + ClientID, []string{"Metadata", "true"}, 400, ""},
		{"machine, no header", imds, nil, 400, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := x.ask(t, c.address, nil, c.headers...)
			if r.status != c.status {
				t.Fatalf("%d %s", r.status, r.text)
			}
			token, _ := r.body["access_token"].(string)
			if c.status != 200 {
				if token != "" {
					t.Error("there is a token")
				}
				return
			}
			if want := fmt.Sprint(x.clock.Now().Add(time.Hour).Unix()); r.body["client_id"] != c.client || r.body["expires_on"] != want {
				t.Errorf("%s", r.text)
			}
			y := *x
			y.token = token
			if r := y.call(t, http.MethodGet, "/secrets", nil); r.status != 200 {
				t.Errorf("the token is not accepted: %s", r.text)
			}
		})
	}
}

func TestOtherIdentities(t *testing.T) {
	x := newTester(t)
	service := x.server.IdentityEndpoint() + "?resource=https://vault.azure.net"
	header := x.server.IdentityHeader()
	x.server.SetIdentities(false, ClientID)
	if r := x.ask(t, service, nil, "X-IDENTITY-HEADER", header); r.status != 400 {
		t.Errorf("without an identity of the system: %d", r.status)
	}
	if r := x.ask(t, service+"&client_id="+ClientID, nil, "X-IDENTITY-HEADER", header); r.status != 200 {
		t.Errorf("another user-assigned identity: %d", r.status)
	}
}

// Outside Azure, nobody answers at the metadata address.
func TestNoIdentities(t *testing.T) {
	x := newTester(t)
	x.server.SetIdentities(false)
	x.client.Timeout = 10 * time.Millisecond
	request, err := http.NewRequest(http.MethodGet, "http://"+metadataHost+"/metadata/identity/oauth2/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := send(x.client, request); err == nil {
		t.Errorf("%d %s", r.status, r.text)
	}
}
