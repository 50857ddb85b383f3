package azureserver

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// The tenant of all vaults, and ids in it. They are invented.
const (
	TenantID = "3f2a7c1e-5b0d-4e8a-9c46-7d1b2e3f4a50"
	ClientID = "a8d4c2b0-1e3f-4a5b-8c7d-9e0f1a2b3c4d" // of the service principal
	objectID = "6c5b4a39-2817-4d6e-8f9a-0b1c2d3e4f50"

	// SystemIdentity and UserIdentity are the client ids of the managed
	// identities that a server has at first.
	SystemIdentity = "d1e2f3a4-b5c6-4d7e-8f90-a1b2c3d4e5f6"
	UserIdentity   = "0b9a8f7e-6d5c-4b3a-9281-706f5e4d3c2b"
)

// logins issues tokens: to service principals at login.microsoftonline.com, to managed
// identities at an address of the machine.
type logins struct {
	server *Server
	header string // required in a request for an identity's token

	mu         sync.Mutex
	lifetime   time.Duration
	era        int
	secrets    map[string]string // of service principals, by client id
	federated  map[string]bool   // tokens of workloads
	identities map[string]bool   // user-assigned, by client id
	system     bool
	arcFolder  string          // see SetArcFolder
	arcKeys    map[string]bool // issued and not used yet
}

// key signs tokens and encrypts backups. All servers of a process have the same key,
// and so accept each other's tokens: Microsoft's library keeps the tokens of managed
// identities for the life of the process, whichever server issued them.
var key = sync.OnceValue(func() (k [32]byte) {
	_, _ = rand.Read(k[:])
	return k
})

func newLogins(s *Server) *logins {
	l := &logins{server: s, header: rand.Text(), lifetime: s.options.TokenLifetime, system: true,
		secrets: map[string]string{ClientID: rand.Text()}, federated: map[string]bool{}, identities: map[string]bool{UserIdentity: true},
		arcKeys: map[string]bool{}}
	return l
}

// ClientSecret returns the secret of the service principal ClientID.
func (s *Server) ClientSecret() string {
	s.logins.mu.Lock()
	defer s.logins.mu.Unlock()
	return s.logins.secrets[ClientID]
}

// SetClientSecret changes the secret of the service principal, or adds one.
func (s *Server) SetClientSecret(clientID, secret string) {
	s.logins.mu.Lock()
	defer s.logins.mu.Unlock()
	s.logins.secrets[clientID] = secret
}

// serve answers as login.microsoftonline.com.
func (l *logins) serve(x *exchange) {
	path := strings.Trim(x.r.URL.Path, "/")
	tenant, rest, _ := strings.Cut(path, "/")
	switch {
	case path == "common/discovery/instance":
		x.entry.Operation = InstanceDiscovery
	case rest == "v2.0/.well-known/openid-configuration":
		x.entry.Operation = OpenIDConfig
	case rest == "oauth2/v2.0/token":
		x.entry.Operation = Token
	default:
		x.fail(&apiError{status: http.StatusNotFound, code: "NotFound", message: "There is nothing at this address."})
		return
	}
	if x.hit(nil) {
		return
	}
	if e := l.checkTenant(tenant); e != nil && x.entry.Operation != InstanceDiscovery {
		l.refuse(x, e)
		return
	}
	switch x.entry.Operation {
	case InstanceDiscovery:
		x.answer(http.StatusOK, discoveryJSON{
			Endpoint:   "https://" + loginHost + "/" + TenantID + "/v2.0/.well-known/openid-configuration",
			APIVersion: "1.1",
			Metadata:   []cloudJSON{{loginHost, "login.windows.net", []string{loginHost, "login.windows.net", "login.microsoft.com", "sts.windows.net"}}},
		})
	case OpenIDConfig:
		base := "https://" + loginHost + "/" + tenant
		x.answer(http.StatusOK, openIDJSON{
			TokenEndpoint:         base + "/oauth2/v2.0/token",
			AuthorizationEndpoint: base + "/oauth2/v2.0/authorize",
			Issuer:                base + "/v2.0",
			JWKS:                  base + "/discovery/v2.0/keys",
			AuthMethods:           []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
			CloudInstance:         "microsoftonline.com",
			Region:                "EU",
		})
	default:
		l.token(x, tenant)
	}
}

type discoveryJSON struct {
	Endpoint   string      `json:"tenant_discovery_endpoint"`
	APIVersion string      `json:"api-version"`
	Metadata   []cloudJSON `json:"metadata"`
}

type cloudJSON struct {
	Network string   `json:"preferred_network"`
	Cache   string   `json:"preferred_cache"`
	Aliases []string `json:"aliases"`
}

type openIDJSON struct {
	TokenEndpoint         string   `json:"token_endpoint"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	Issuer                string   `json:"issuer"`
	JWKS                  string   `json:"jwks_uri"`
	AuthMethods           []string `json:"token_endpoint_auth_methods_supported"`
	CloudInstance         string   `json:"cloud_instance_name"`
	Region                string   `json:"tenant_region_scope"`
}

// loginError is the login's answer if there is an error. Its numbers are those that the
// login documents.
type loginError struct {
	status  int
	code    string // of OAuth
	number  int    // of AADSTS
	message string
}

type loginErrorJSON struct {
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes"`
	Timestamp     string `json:"timestamp"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
	URI           string `json:"error_uri"`
}

func (l *logins) refuse(x *exchange, e *loginError) {
	trace, correlation := guid(), guid()
	at := l.server.now().UTC().Format("2006-01-02 15:04:05Z")
	x.answer(e.status, loginErrorJSON{Error: e.code, Codes: []int{e.number}, Timestamp: at, TraceID: trace, CorrelationID: correlation,
		Description: fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s", e.number, e.message, trace, correlation, at),
		URI:         fmt.Sprintf("https://%s/error?code=%d", loginHost, e.number)})
}

// checkTenant accepts the tenant of the vaults only.
func (l *logins) checkTenant(tenant string) *loginError {
	if strings.EqualFold(tenant, TenantID) {
		return nil
	}
	return &loginError{http.StatusBadRequest, "invalid_request", 90002, "Tenant '" + tenant + "' not found. Check the tenant id."}
}

type tokenJSON struct {
	Type       string `json:"token_type"`
	ExpiresIn  int64  `json:"expires_in"`
	ExpiresExt int64  `json:"ext_expires_in"`
	Token      string `json:"access_token"`
}

// token answers a service principal that shows its secret, and a workload that shows
// its token. It does not know certificates.
func (l *logins) token(x *exchange, tenant string) {
	form, err := url.ParseQuery(string(x.body))
	if err != nil || x.r.Method != http.MethodPost {
		l.refuse(x, &loginError{http.StatusBadRequest, "invalid_request", 900144, "The request body is not a form."})
		return
	}
	audience, e := l.checkClient(form)
	if e != nil {
		l.refuse(x, e)
		return
	}
	lifetime := l.tokenLifetime()
	x.answer(http.StatusOK, tokenJSON{"Bearer", int64(lifetime / time.Second), int64(lifetime / time.Second),
		l.issue(audience, tenant, form.Get("client_id"), lifetime)})
}

func (l *logins) tokenLifetime() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lifetime
}

// AddFederatedToken makes a workload's token valid for ClientID.
func (s *Server) AddFederatedToken(token string) {
	s.logins.mu.Lock()
	defer s.logins.mu.Unlock()
	s.logins.federated[token] = true
}

// checkAssertion accepts the tokens of AddFederatedToken. Microsoft documents the
// number in "Microsoft Entra authentication and authorization error codes".
func (l *logins) checkAssertion(form url.Values) *loginError {
	l.mu.Lock()
	known := l.federated[form.Get("client_assertion")]
	l.mu.Unlock()
	if known && form.Get("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return nil
	}
	return &loginError{http.StatusUnauthorized, "invalid_client", 700213, "No matching federated identity record found for the presented assertion."}
}

// checkClient returns the audience of the token that the form asks for.
func (l *logins) checkClient(form url.Values) (audience string, e *loginError) {
	if form.Get("grant_type") != "client_credentials" {
		return "", &loginError{http.StatusBadRequest, "unsupported_grant_type", 70003, "The grant type is not supported."}
	}
	l.mu.Lock()
	secret, known := l.secrets[strings.ToLower(form.Get("client_id"))]
	l.mu.Unlock()
	switch given := form.Get("client_secret"); {
	case !known:
		return "", &loginError{http.StatusBadRequest, "unauthorized_client", 700016,
			"Application with identifier '" + form.Get("client_id") + "' was not found in the directory."}
	case form.Get("client_assertion") != "":
		if e := l.checkAssertion(form); e != nil {
			return "", e
		}
	case given == "":
		return "", &loginError{http.StatusUnauthorized, "invalid_client", 7000218,
			"The request body must contain 'client_assertion' or 'client_secret'."}
	case given != secret:
		return "", &loginError{http.StatusUnauthorized, "invalid_client", 7000215,
			"Invalid client secret provided: it is to be the secret itself, not its id."}
	}
	for scope := range strings.FieldsSeq(form.Get("scope")) {
		if resource, ok := strings.CutSuffix(scope, "/.default"); ok {
			return resource, nil
		}
	}
	return "", &loginError{http.StatusBadRequest, "invalid_scope", 70011, "The scope is to end with /.default."}
}
