package azure_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/azureapi"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/azure"
)

const otherTenant = "99999999-8888-7777-6666-555555555555"

// exists makes a call and returns its error.
func exists(t *testing.T, p nebula.Provider) error {
	t.Helper()
	name, _ := record(t, "x", "", nil)
	_, err := p.Exists(t.Context(), name)
	return err
}

// If fifty callers find that a token ended, one call gets the next one for all.
func TestLiveTokenOnce(t *testing.T) {
	r := newRig(t)
	p := r.open(t, r.principal())
	for _, end := range []func(){
		func() { r.clock.ahead.Add(int64(2 * time.Hour)) }, // it expired
		r.Server.RevokeTokens,
	} {
		end()
		r.Server.ForgetRequests()
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() {
				if err := exists(t, p); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if n := r.Server.Count(azureserver.Token); n != 1 {
			t.Errorf("%d tokens were requested", n)
		}
	}
	if n := r.Server.Count(azureserver.InstanceDiscovery); n != 0 {
		t.Errorf("%d calls for instance discovery", n)
	}
}

// A token is replaced before its end. While that fails, the old one is used to its
// end.
func TestLiveTokenRefreshed(t *testing.T) {
	r := newRig(t)
	var logged bytes.Buffer
	c := r.principal()
	c.Retry.MaxRetries = 0
	p := r.open(t, c, provider.WithLogger(slog.New(slog.NewTextHandler(&logged, nil))))
	tokens := func(want int) {
		t.Helper()
		if n := r.Server.Count(azureserver.Token); n != want {
			t.Errorf("%d tokens were requested, want %d", n, want)
		}
	}
	works := func() {
		t.Helper()
		if err := exists(t, p); err != nil {
			t.Error(err)
		}
	}
	works()
	tokens(1)
	r.clock.ahead.Add(int64(56 * time.Minute))
	works()
	tokens(2)
	remove := r.Server.Inject(azureserver.Fault{Operation: azureserver.Token, Status: 503})
	r.clock.ahead.Add(int64(56 * time.Minute))
	works()
	works() // a token is not requested at each call
	tokens(3)
	if !strings.Contains(logged.String(), "could not be replaced") {
		t.Errorf("logged: %s", logged.String())
	}
	r.clock.ahead.Add(int64(5 * time.Minute))
	wants(t, exists(t, p), nebula.ErrUnavailable, "503")
	remove()
	works()
	if n := r.Count(azureserver.Challenge); n != 0 {
		t.Errorf("%d calls without a token", n)
	}
}

// The file with the secret is read for each token.
func TestLiveSecretFile(t *testing.T) {
	r := newRig(t)
	file := filepath.Join(t.TempDir(), "secret")
	write := func(secret string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(r.Server.ClientSecret())
	c := r.principal()
	c.Credential.ClientSecret, c.Credential.ClientSecretFile = nebula.Secret{}, file
	p := r.open(t, c)
	r.Server.SetClientSecret(azureserver.ClientID, "another-canary")
	r.Server.RevokeTokens()
	err := exists(t, p)
	wants(t, err, nebula.ErrUnauthenticated, "AADSTS7000215", "client_secret_file")
	write("another-canary")
	if err := exists(t, p); err != nil {
		t.Error(err)
	}
	write("")
	r.Server.RevokeTokens()
	wants(t, exists(t, p), nebula.ErrUnauthenticated, "is empty")
}

// If the login refuses, the error says why, and never shows the secret.
func TestLiveLoginRefused(t *testing.T) {
	r := newRig(t)
	for what, c := range map[string]struct {
		change func(*azure.Config)
		fault  *azureserver.Fault
		kind   nebula.Kind
		text   string
	}{
		"wrong secret": {func(c *azure.Config) { c.Credential.ClientSecret = nebula.NewSecret([]byte("canary-secret")) }, nil, nebula.ErrUnauthenticated, "the secret of the application is wrong"},
		"wrong client": {func(c *azure.Config) { c.Credential.ClientID = otherTenant }, nil, nebula.ErrUnauthenticated, "has no application"},
		"wrong tenant": {func(c *azure.Config) { c.Credential.TenantID = otherTenant }, nil, nebula.ErrUnauthenticated, otherTenant},
		"no file":      {func(c *azure.Config) { c.Credential.ClientSecretFile = "/does/not/exist" }, nil, nebula.ErrUnauthenticated, "client_secret_file"},
		"throttled":    {nil, &azureserver.Fault{Operation: azureserver.Token, Status: 429}, nebula.ErrUnavailable, "429"},
		"down":         {nil, &azureserver.Fault{Operation: azureserver.Token, Status: 500}, nebula.ErrUnavailable, "500"},
		"cut":          {nil, &azureserver.Fault{Operation: azureserver.Token, CutBefore: true}, nebula.ErrUnavailable, "login.microsoftonline.com broke off"},
		"redirected":   {nil, &azureserver.Fault{Operation: azureserver.Token, Status: 307, Location: "https://evil.example/"}, nebula.ErrInvalidConfig, "307"},
		"no identity": {func(c *azure.Config) {
			c.Credential = azure.Credential{Type: azure.TypeManagedIdentity, ClientID: otherTenant}
		}, nil, nebula.ErrUnauthenticated, "is not assigned"},
		"identity down": {func(c *azure.Config) { c.Credential = azure.Credential{Type: azure.TypeManagedIdentity} }, &azureserver.Fault{Operation: azureserver.IdentityToken, Status: 500}, nebula.ErrUnavailable, "500"},
	} {
		t.Run(what, func(t *testing.T) {
			r.Server.AddHost("evil.example")
			config := r.principal()
			if c.change != nil {
				c.change(&config)
			}
			if c.fault != nil {
				defer r.Server.Inject(*c.fault)()
			}
			p := r.made(t, config).(nebula.Connector)
			defer p.Close()
			err := p.Connect(t.Context())
			wants(t, err, c.kind, c.text)
			for _, secret := range []string{"canary-secret", r.Server.ClientSecret()} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows the secret: %v", err)
				}
			}
			r.reached(t, "evil.example")
		})
	}
}

// reached checks that no request reached a host.
func (r *rig) reached(t *testing.T, host string) {
	t.Helper()
	for _, request := range r.Server.Requests() {
		if request.Host == host {
			t.Errorf("%s %s reached %s, with a token: %v", request.Method, request.Path, host, request.WithToken)
		}
	}
}

// If there is no managed identity, nothing answers at its address, and the attempt to
// connect shows that.
func TestLiveNoManagedIdentity(t *testing.T) {
	if azureapi.ReachLimit > time.Second {
		t.Errorf("connecting may take %v: with what comes after, it must take at most 2 s", azureapi.ReachLimit)
	}
	r := newRig(t)
	r.Server.SetIdentities(false)
	p := r.made(t, r.machine("")).(nebula.Connector)
	defer p.Close()
	wants(t, p.Connect(t.Context()), nebula.ErrUnauthenticated, "this machine has no managed identity", "credential.type")
	if state := p.State(); state != nebula.StateConfigured {
		t.Errorf("it is %v", state)
	}
}

// A challenge that names another login, tenant or service gets no token, and neither
// does the host in it.
func TestLiveForeignChallenge(t *testing.T) {
	const evil = "login.evil.example"
	for challenge, text := range map[string]string{
		`Bearer authorization="https://` + evil + "/" + azureserver.TenantID + `", resource="https://vault.azure.net"`:              "another login",
		`Bearer authorization="https://login.microsoftonline.com/` + azureserver.TenantID + `", resource="https://evil.example"`:    "another service",
		`Bearer authorization="https://login.microsoftonline.com/` + azureserver.TenantID + `", resource="https://graph.azure.net"`: "another service",
		`Bearer authorization="https://login.microsoftonline.com/` + otherTenant + `", resource="https://vault.azure.net"`:          otherTenant,
		`Bearer authorization="http://` + evil + `"`: "another login",
		`Basic realm="x"`: "another login",
	} {
		r := newRig(t)
		r.Server.AddHost(evil)
		p := r.open(t, r.principal())
		r.Server.RevokeTokens()
		r.SetChallenge(challenge)
		r.Server.ForgetRequests()
		wants(t, exists(t, p), nebula.ErrUnauthenticated, text)
		if n := r.Server.Count(azureserver.Token); n != 0 {
			t.Errorf("%s: %d tokens were requested", challenge, n)
		}
		if calls := r.Requests(); len(calls) != 1 {
			t.Errorf("%s: %d calls", challenge, len(calls))
		}
		r.reached(t, evil)
	}
}

// A redirect is not followed: the other host sees no request, and no token.
func TestLiveRedirect(t *testing.T) {
	r := newRig(t)
	r.Server.AddHost("evil.example")
	p := r.open(t, r.principal())
	for _, status := range []int{301, 302, 303, 307, 308} {
		remove := r.Inject(azureserver.Fault{Status: status, Location: "https://evil.example/secrets/x"})
		wants(t, exists(t, p), nebula.ErrInvalidConfig, fmt.Sprint(status), "not followed")
		remove()
	}
	r.reached(t, "evil.example")
}

// If the vault does not accept a token, the provider asks a second time, and no more.
func TestLiveTokenNotAccepted(t *testing.T) {
	r := newRig(t)
	r.Server.Inject(azureserver.Fault{Operation: azureserver.GetSecret, Status: 401})
	p := r.open(t, r.principal())
	r.clock.ahead.Add(int64(2 * time.Second)) // otherwise the second token equals the first
	r.Server.ForgetRequests()
	wants(t, exists(t, p), nebula.ErrUnauthenticated, "401")
	if calls := r.Requests(); len(calls) != 2 {
		t.Errorf("%d calls", len(calls))
	}
}

// tools puts an az and an azd into the path; each runs a script.
func tools(t *testing.T, az, azd string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the tools of the test are shell scripts")
	}
	dir := t.TempDir()
	for name, script := range map[string]string{"az": az, "azd": azd} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
}

// azPrints returns a script that prints a token as az does, and logs its arguments.
func azPrints(t *testing.T, log, token string) string {
	t.Helper()
	out, err := json.Marshal(map[string]any{"accessToken": token, "expires_on": time.Now().Add(time.Hour).Unix(),
		"expiresOn": time.Now().Add(time.Hour).Format("2006-01-02 15:04:05.000000"), "tokenType": "Bearer"})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("echo \"$@\" >> '%s'\necho '%s'", log, out)
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// az runs once for many calls. If its own tenant is not the vault's, it runs again in
// the vault's tenant.
func TestLiveDeveloperTools(t *testing.T) {
	r := newRig(t)
	config := r.principal()
	config.Credential = azure.Credential{Type: azure.TypeDeveloperTools}
	good := r.Server.IssueToken("https://vault.azure.net", azureserver.TenantID, time.Hour)
	foreign := r.Server.IssueToken("https://vault.azure.net", otherTenant, time.Hour)

	log := filepath.Join(t.TempDir(), "log")
	tools(t, azPrints(t, log, good), "exit 1")
	p := r.open(t, config)
	for range 5 {
		if err := exists(t, p); err != nil {
			t.Fatal(err)
		}
	}
	if ran := lines(t, log); len(ran) != 1 || !strings.Contains(ran[0], "--resource https://vault.azure.net") || strings.Contains(ran[0], "--tenant") {
		t.Errorf("az was run: %q", ran)
	}

	log = filepath.Join(t.TempDir(), "log")
	tools(t, fmt.Sprintf("case \"$*\" in *'--tenant %s'*)\n%s\n;; *)\n%s\n;; esac", azureserver.TenantID, azPrints(t, log, good), azPrints(t, log, foreign)), "exit 1")
	if err := exists(t, r.open(t, config)); err != nil {
		t.Error(err)
	}
	if ran := lines(t, log); len(ran) != 2 || !strings.Contains(ran[1], "--tenant "+azureserver.TenantID) {
		t.Errorf("az was run: %q", ran)
	}

	// If az is not logged in, azd gets the token.
	out := fmt.Sprintf("echo '{\"token\":%q,\"expiresOn\":%q}'", good, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	tools(t, "echo 'canary: run az login' >&2; exit 1", out)
	if err := exists(t, r.open(t, config)); err != nil {
		t.Error(err)
	}
	tools(t, "echo 'canary: run az login' >&2; exit 1", "echo canary >&2; exit 1")
	p = r.made(t, config)
	defer p.(nebula.Connector).Close()
	err := p.(nebula.Connector).Connect(t.Context())
	wants(t, err, nebula.ErrUnauthenticated, `az said "canary: run az login"`, `azd said "canary"`, "az login")
}

// roundTripper is a function as a transport.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// tokenAnswer returns the login's answer with a token.
func tokenAnswer(r *http.Request, token string) *http.Response {
	body := fmt.Sprintf(`{"token_type":"Bearer","expires_in":3600,"ext_expires_in":3600,"access_token":%q}`, token)
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// form returns the fields of a token request, and false for other requests.
func form(t *testing.T, r *http.Request) (url.Values, bool) {
	t.Helper()
	if !strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token") {
		return nil, false
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	values, err := url.ParseQuery(string(data))
	if err != nil {
		t.Error(err)
	}
	return values, true
}

// A workload identity sends the token in its file.
func TestLiveWorkloadIdentity(t *testing.T) {
	r := newRig(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("of-the-cluster"), 0o600); err != nil {
		t.Fatal(err)
	}
	inner := r.Server.Transport()
	c := r.principal()
	c.Credential = azure.Credential{Type: azure.TypeWorkloadIdentity, TenantID: azureserver.TenantID, ClientID: azureserver.ClientID, FederatedTokenFile: file}
	c.Transport = roundTripper(func(request *http.Request) (*http.Response, error) {
		fields, ok := form(t, request)
		if !ok {
			return inner.RoundTrip(request)
		}
		if fields.Get("client_assertion") != "of-the-cluster" || fields.Get("client_id") != azureserver.ClientID {
			t.Errorf("the login got %v", fields)
		}
		return tokenAnswer(request, r.Server.IssueToken("https://vault.azure.net", azureserver.TenantID, time.Hour)), nil
	})
	if err := exists(t, r.open(t, c)); err != nil {
		t.Error(err)
	}
}

// Each cloud has its own login and its own audience.
func TestClouds(t *testing.T) {
	for vault, want := range map[string]string{
		"https://team.vault.azure.net":          "login.microsoftonline.com https://vault.azure.net/.default",
		"https://team.vault.azure.cn":           "login.chinacloudapi.cn https://vault.azure.cn/.default",
		"https://team.vault.usgovcloudapi.net/": "login.microsoftonline.us https://vault.usgovcloudapi.net/.default",
		"https://Team.Vault.MicrosoftAzure.de":  "login.microsoftonline.de https://vault.microsoftazure.de/.default",
	} {
		asked := ""
		c := azure.DefaultConfigIn(func(string) string { return "" })
		c.VaultURL = vault
		c.Credential = azure.Credential{Type: azure.TypeServicePrincipal, TenantID: azureserver.TenantID,
			ClientID: azureserver.ClientID, ClientSecret: nebula.NewSecret([]byte("x"))}
		c.Transport = roundTripper(func(request *http.Request) (*http.Response, error) {
			if fields, ok := form(t, request); ok {
				asked = request.URL.Host + " " + strings.Fields(fields.Get("scope"))[0]
				return tokenAnswer(request, "token"), nil
			}
			base := "https://" + request.URL.Host + "/" + azureserver.TenantID
			body := fmt.Sprintf(`{"token_endpoint":"%[1]s/oauth2/v2.0/token","authorization_endpoint":"%[1]s/oauth2/v2.0/authorize","issuer":"%[1]s/v2.0"}`, base)
			return &http.Response{StatusCode: http.StatusOK, Request: request, Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}, nil
		})
		p, err := azure.New(c)
		if err != nil {
			t.Fatal(err)
		}
		life := p.(nebula.Connector)
		defer life.Close()
		if err := life.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if asked != want {
			t.Errorf("%s: the token is requested from %q, want %q", vault, asked, want)
		}
	}
}
