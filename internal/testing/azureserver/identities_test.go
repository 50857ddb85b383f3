package azureserver

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const imds = "http://" + metadataHost + machinePath + "?api-version=2018-02-01&resource=https://vault.azure.net"

// If a request names no identity, the machine gives that of the system, or its only
// user-assigned one.
func TestIdentityWithoutName(t *testing.T) {
	x := newTester(t)
	for _, c := range []struct {
		system bool
		users  []string
		status int
		client string
		words  string
	}{
		{true, []string{UserIdentity, ClientID}, 200, SystemIdentity, ""},
		{false, []string{UserIdentity}, 200, UserIdentity, ""},
		{false, []string{UserIdentity, ClientID}, 400, "", "Multiple user assigned identities exist"},
	} {
		x.server.SetIdentities(c.system, c.users...)
		r := x.ask(t, imds, nil, "Metadata", "true")
		description, _ := r.body["error_description"].(string)
		if client, _ := r.body["client_id"].(string); r.status != c.status || client != c.client || !strings.Contains(description, c.words) {
			t.Errorf("%+v: %d %s", c, r.status, r.text)
		}
	}
	if r := x.ask(t, imds+"&client_id="+ClientID, nil, "Metadata", "true"); r.status != 200 || r.body["client_id"] != ClientID {
		t.Errorf("named: %d %s", r.status, r.text)
	}
	// App Service has no such rule.
	service := x.server.IdentityEndpoint() + "?resource=https://vault.azure.net"
	x.server.SetIdentities(false, UserIdentity)
	if r := x.ask(t, service, nil, "X-IDENTITY-HEADER", x.server.IdentityHeader()); r.status != 400 {
		t.Errorf("App Service: %d %s", r.status, r.text)
	}
}

// While an identity is set up, the endpoint refuses in its own form.
func TestIdentityUpdating(t *testing.T) {
	x := newTester(t)
	for _, status := range []int{404, 410} {
		f := IdentityUpdating(status)
		f.Times = 1
		x.server.Inject(f)
		r := x.ask(t, imds, nil, "Metadata", "true")
		if r.status != status || r.body["error"] != "not_ready" || r.body["error_description"] == "" {
			t.Errorf("%d %s", r.status, r.text)
		}
		if r := x.ask(t, imds, nil, "Metadata", "true"); r.status != 200 {
			t.Errorf("afterwards: %d %s", r.status, r.text)
		}
	}
	f := IdentityUpdating(503)
	f.RetryAfter = "7"
	x.server.Inject(f)
	r := x.ask(t, x.server.IdentityEndpoint()+"?resource=r", nil, "X-IDENTITY-HEADER", x.server.IdentityHeader())
	if r.status != 503 || r.body["statusCode"] != 503.0 || r.header.Get("Retry-After") != "7" {
		t.Errorf("App Service: %d %s", r.status, r.text)
	}
}

// Arc gives its token to anyone who can read a file of its agent.
func TestArc(t *testing.T) {
	x := newTester(t)
	address := x.server.ArcEndpoint() + "?api-version=2020-06-01&resource=https://vault.azure.net"
	if r := x.ask(t, address, nil); r.status != 400 {
		t.Errorf("without the header: %d %s", r.status, r.text)
	}
	r := x.ask(t, address, nil, "Metadata", "true")
	realm, _ := strings.CutPrefix(r.header.Get("WWW-Authenticate"), "Basic realm=")
	if r.status != 401 || filepath.ToSlash(filepath.Dir(realm)) != ArcFolder || !strings.HasSuffix(realm, ".key") {
		t.Errorf("%d, %q", r.status, realm)
	}
	folder := t.TempDir()
	x.server.SetArcFolder(folder)
	r = x.ask(t, address, nil, "Metadata", "true")
	realm, _ = strings.CutPrefix(r.header.Get("WWW-Authenticate"), "Basic realm=")
	key, err := os.ReadFile(realm)
	if err != nil {
		t.Fatal(err)
	}
	if r := x.ask(t, address, nil, "Metadata", "true", "Authorization", "Basic wrong"); r.status != 401 {
		t.Errorf("a wrong key: %d %s", r.status, r.text)
	}
	r = x.ask(t, address, nil, "Metadata", "true", "Authorization", "Basic "+string(key))
	if r.status != 200 || r.body["client_id"] != SystemIdentity {
		t.Errorf("%d %s", r.status, r.text)
	}
	if r := x.ask(t, address, nil, "Metadata", "true", "Authorization", "Basic "+string(key)); r.status != 401 {
		t.Errorf("the same key again: %d %s", r.status, r.text)
	}
}

func TestFederatedTokens(t *testing.T) {
	x := newTester(t)
	x.server.AddFederatedToken("of-the-cluster")
	for token, want := range map[string]float64{"of-the-cluster": 0, "another": 700213, "": 7000218} {
		form := x.form()
		form.Del("client_secret")
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", token)
		r := x.ask(t, login+TenantID+"/oauth2/v2.0/token", form)
		codes, _ := r.body["error_codes"].([]any)
		if (r.status == http.StatusOK) != (want == 0) || want != 0 && (len(codes) != 1 || codes[0] != want) {
			t.Errorf("%q: %d %s", token, r.status, r.text)
		}
	}
}
