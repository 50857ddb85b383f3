package azureapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
)

// loginError is a failure to get a token.
type loginError struct {
	outcome       // of the last request
	ended   error // of the limit of time
	err     error // the SDK's
}

func (e *loginError) Error() string { return "getting a token: " + e.err.Error() }

// Unwrap returns the causes.
func (e *loginError) Unwrap() []error { return []error{e.err, e.failure, e.ended} }

// errUnreached is why connecting was given up.
var errUnreached = errors.New("nothing answers")

// explain is for failures to get a token.
func (a *authenticator) explain(l *loginError) *nebula.Error {
	c := a.config
	switch {
	case errors.Is(l.ended, context.Canceled):
		return &nebula.Error{Kind: nebula.ErrClosed, Message: "it was closed while it got a token"}
	case c.Type == DeveloperTools:
		return a.explainTools(l.err)
	case l.status == http.StatusTooManyRequests, l.status >= 500:
		e := explainStatus(l.status, "what gives tokens")
		e.Kind, e.Err = nebula.ErrUnavailable, nil
		return e
	case c.Type == ManagedIdentity:
		return a.explainMachine(l)
	case l.failure != nil:
		e := httpx.Server{Host: a.cloud.login, Address: "the network", Authorities: "the system's store, or SSL_CERT_FILE"}.Explain(l.failure)
		e.Err = nil // nothing was asked of the vault
		return e
	case l.ended != nil:
		return &nebula.Error{Kind: nebula.ErrTimeout, Message: a.cloud.login + " gave no token in time"}
	case l.status >= 300 && l.status < 400:
		return &nebula.Error{Kind: nebula.ErrInvalidConfig,
			Message: fmt.Sprintf("%s redirects requests (status %d), and redirects are not followed", a.cloud.login, l.status)}
	}
	return a.explainPrincipal(l)
}

// explainPrincipal is for service principals and workload identities.
func (a *authenticator) explainPrincipal(l *loginError) *nebula.Error {
	c := a.config
	message := "the login of " + c.ClientID + " was refused"
	why := map[int]string{
		90002:   "there is no tenant " + c.TenantID,
		700016:  "the tenant " + c.TenantID + " has no application " + c.ClientID,
		7000215: "the secret of the application is wrong: it has to be the secret's value, not its id",
		7000222: "the secret of the application has expired",
		700213:  "no federated credential of the application fits the token of this workload",
		700024:  "the token of this workload has expired",
		53003:   "a conditional access policy does not allow it",
	}
	for _, code := range loginCodes(l.body) {
		if words := why[code]; words != "" {
			message += fmt.Sprintf(": %s (AADSTS%d)", words, code)
			break
		}
	}
	return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: message, Hint: a.identityHint()}
}

// loginCodes returns the numbers of the login's error.
func loginCodes(body []byte) []int {
	var answer struct {
		Codes []int `json:"error_codes"`
	}
	_ = json.Unmarshal(body, &answer)
	return answer.Codes
}

// identityHint says where to look if the identity is wrong.
func (a *authenticator) identityHint() string {
	switch a.config.Type {
	case ServicePrincipal:
		return "look at " + a.section + ".credential.tenant_id, client_id and client_secret_file, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"
	case WorkloadIdentity:
		return "look at " + a.section + ".credential.tenant_id, client_id and federated_token_file, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE"
	case DeveloperTools:
		return "log in: az login, or azd auth login"
	}
	return a.machineHint()
}

func errSameToken() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the vault does not accept the token, and there is no other"}
}

func (a *authenticator) errForeignChallenge() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUnauthenticated,
		Message: "the vault does not accept the token, and asks for one of another login or for another service: it is given none",
		Hint:    "look at " + a.setting + ", and any proxy or gateway before the vault"}
}

// errOtherTenant gets the id of a tenant, which has been checked to be a GUID.
func (a *authenticator) errOtherTenant(vault string) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUnauthenticated,
		Message: "the vault is of the tenant " + vault + ", the identity of " + a.config.TenantID,
		Hint:    "look at " + a.section + ".credential.tenant_id or AZURE_TENANT_ID, and at " + a.setting}
}
