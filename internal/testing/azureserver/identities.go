package azureserver

import (
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// SetIdentities sets the managed identities of the machine: that of the system, and the
// user-assigned ones by their client ids. Without any, the metadata address does not
// answer at all, as outside Azure.
func (s *Server) SetIdentities(system bool, userAssigned ...string) {
	s.logins.mu.Lock()
	defer s.logins.mu.Unlock()
	s.logins.system = system
	s.logins.identities = map[string]bool{}
	for _, id := range userAssigned {
		s.logins.identities[strings.ToLower(id)] = true
	}
}

// IdentityEndpoint returns the value for IDENTITY_ENDPOINT. With IDENTITY_HEADER, App
// Service offers managed identities by it.
func (s *Server) IdentityEndpoint() string { return "http://" + s.plainAddress + "/msi/token" }

// IdentityHeader returns the value for IDENTITY_HEADER.
func (s *Server) IdentityHeader() string { return s.logins.header }

func (l *logins) hasIdentities() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.system || len(l.identities) > 0
}

// IdentityHandler serves the endpoints of managed identities: that of App Service
// (/msi/token), that of Arc, and that of virtual machines (/metadata/identity/…), which
// tests can reach at its own address only by a transport.
func (s *Server) IdentityHandler() http.Handler { return http.HandlerFunc(s.servePlain) }

// The paths of the endpoints. The functions above say how clients find them.
const (
	appServicePath = "/msi/token"
	machinePath    = "/metadata/identity/oauth2/token"
	arcPath        = "/arc" + machinePath
)

// serveIdentity serves all these endpoints.
func (l *logins) serveIdentity(x *exchange) {
	path := x.r.URL.Path
	if path != appServicePath && path != machinePath && path != arcPath {
		x.answer(http.StatusNotFound, nil)
		return
	}
	x.entry.Operation = IdentityToken
	if x.hit(nil) {
		return
	}
	query := x.r.URL.Query()
	switch {
	case path == appServicePath && x.r.Header.Get("X-IDENTITY-HEADER") != l.header:
		x.refuseIdentity(http.StatusUnauthorized, "", "The identity header is missing or wrong.")
		return
	case path != appServicePath && x.r.Header.Get("Metadata") != "true":
		x.refuseIdentity(http.StatusBadRequest, "invalid_request", "Required metadata header not specified")
		return
	case path == arcPath && !l.hasArcKey(x):
		return
	case query.Get("resource") == "":
		x.refuseIdentity(http.StatusBadRequest, "invalid_request", "The resource is missing.")
		return
	}
	client, problem := l.identity(strings.ToLower(query.Get("client_id")), path == machinePath)
	if problem != "" {
		x.refuseIdentity(http.StatusBadRequest, "invalid_request", problem)
		return
	}
	lifetime := l.tokenLifetime()
	x.answer(http.StatusOK, identityJSON{
		Token: l.issue(query.Get("resource"), TenantID, client, lifetime), ClientID: client,
		ExpiresIn: strconv.FormatInt(int64(lifetime/time.Second), 10),
		ExpiresOn: strconv.FormatInt(l.server.now().Add(lifetime).Unix(), 10),
		Resource:  query.Get("resource"), Type: "Bearer",
	})
}

// identity returns the client id of the identity that a request means. Without a client
// id in the request, it is that of the system. If a virtual machine has no identity of
// the system, it takes its only user-assigned one: Microsoft documents that in "Managed
// identities for Azure resources frequently asked questions".
// Azure/azure-sdk-for-rust#748 quotes its refusal if there are several.
func (l *logins) identity(client string, machine bool) (id, problem string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case client == "" && l.system:
		return SystemIdentity, ""
	case client == "" && machine && len(l.identities) > 1:
		return "", "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request"
	case client == "" && machine:
		for only := range l.identities {
			return only, ""
		}
	case l.identities[client], client == SystemIdentity && l.system:
		return client, ""
	}
	return "", "Identity not found"
}

// refuseIdentity answers in the form of the endpoint: App Service and machines differ.
func (x *exchange) refuseIdentity(status int, code, message string) {
	if x.r.URL.Path == appServicePath {
		x.answer(status, msiErrorJSON{status, message, guid()})
		return
	}
	x.answer(status, imdsErrorJSON{code, message})
}

// ArcEndpoint returns the value for IDENTITY_ENDPOINT. With any IMDS_ENDPOINT, a server
// that Arc manages offers its identity by it.
func (s *Server) ArcEndpoint() string { return "http://" + s.plainAddress + arcPath }

// ArcFolder is where the agent of Arc puts its keys on Linux. Microsoft's library reads
// them from no other folder there.
const ArcFolder = "/var/opt/azcmagent/tokens"

// SetArcFolder sets the folder for the keys that requests to Arc's endpoint must show.
// Without it, the answers name ArcFolder, and no key is written.
func (s *Server) SetArcFolder(folder string) {
	s.logins.mu.Lock()
	defer s.logins.mu.Unlock()
	s.logins.arcFolder = folder
}

// hasArcKey reports whether the request shows a key, and otherwise challenges it:
// anyone who can read a file of the agent may have the identity's token. Microsoft
// documents it in "Authenticate against Azure resources with Azure Arc-enabled
// servers". The answer to a wrong key is inferred.
func (l *logins) hasArcKey(x *exchange) bool {
	given, shown := strings.CutPrefix(x.r.Header.Get("Authorization"), "Basic ")
	l.mu.Lock()
	defer l.mu.Unlock()
	if shown && l.arcKeys[given] {
		delete(l.arcKeys, given)
		return true
	}
	folder, name := ArcFolder, guid()+".key"
	if l.arcFolder != "" {
		folder = l.arcFolder
		key := rand.Text()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(key), 0o600); err == nil {
			l.arcKeys[key] = true
		}
	}
	x.w.Header().Set("WWW-Authenticate", "Basic realm="+folder+"/"+name)
	x.refuseIdentity(http.StatusUnauthorized, "unauthorized_client", "Missing Basic Authorization header")
	return false
}

// IdentityUpdating is the answer of a machine's endpoint with 404 while an identity is
// set up, and with 410 for up to 70 seconds while the endpoint itself is updated.
// Microsoft documents both in "How to use managed identities for Azure resources on an
// Azure VM to acquire an access token", under the guidance for retries.
func IdentityUpdating(status int) Fault {
	return Fault{Operation: IdentityToken, Status: status, Code: "not_ready", Message: "The endpoint is being updated. Try again later."}
}

type identityJSON struct {
	Token     string `json:"access_token"`
	ClientID  string `json:"client_id"`
	ExpiresIn string `json:"expires_in"` // seconds, as text
	ExpiresOn string `json:"expires_on"` // Unix time, as text
	Resource  string `json:"resource"`
	Type      string `json:"token_type"`
}

type msiErrorJSON struct {
	Status        int    `json:"statusCode"`
	Message       string `json:"message"`
	CorrelationID string `json:"correlationId"`
}

type imdsErrorJSON struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}
