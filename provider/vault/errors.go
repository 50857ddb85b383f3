package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/provider"
)

const providerName = "vault"

// ResponseError is Vault's refusal. It is among the causes of an error of this
// package: see [errors.As].
type ResponseError struct {
	Method string
	Path   string // as in a policy, without /v1/
	Status int

	// Errors are Vault's own words. They may repeat what was sent, and belong
	// in no message or log.
	Errors []string

	list bool // a list was asked for
}

// Error gives the status alone.
func (e *ResponseError) Error() string { return fmt.Sprintf("Vault answered with status %d", e.Status) }

// responseError reads a refusal. A body of another form than Vault's has no words.
func responseError(r request, a *httpx.Answer) *ResponseError {
	e := &ResponseError{Method: r.method, Path: r.path, Status: a.Status, list: r.query.Get("list") == "true"}
	var said struct {
		Errors []string `json:"errors"`
	}
	if json.Unmarshal(a.Body, &said) == nil {
		e.Errors = said.Errors
	}
	return e
}

// says reports whether Vault's words hold a text.
func (e *ResponseError) says(text string) bool {
	return slices.ContainsFunc(e.Errors, func(line string) bool { return strings.Contains(line, text) })
}

// Explain implements [provider.Driver].
func (d *driver) Explain(_ nebula.Name, err error) *nebula.Error {
	var e *nebula.Error
	if errors.As(err, &e) {
		return e
	}
	var answered *ResponseError
	if errors.As(err, &answered) {
		e = d.explainAnswer(answered)
	} else {
		authorities := "ca_cert" + d.config.environment.aboutAuthorities()
		e = httpx.Server{Host: d.wire.address.Host, Address: "address", Authorities: authorities}.Explain(err)
	}
	e.Err = errors.Join(e.Err, err)
	return e
}

// explainAnswer is for what the server said.
func (d *driver) explainAnswer(r *ResponseError) *nebula.Error {
	switch r.Status {
	case http.StatusBadRequest:
		return d.explainBadRequest(r)
	case http.StatusForbidden, http.StatusUnauthorized:
		return d.explainDenied(r)
	case http.StatusNotFound:
		return d.explainNotFound(r)
	case http.StatusMethodNotAllowed:
		return d.errMount()
	case http.StatusRequestEntityTooLarge:
		return &nebula.Error{Kind: nebula.ErrTooLarge, Message: "the request is larger than the server takes"}
	case http.StatusInternalServerError:
		// The two that do not pass.
		if r.says("JSON string value exceeds") || r.says("value being too large") || r.says("exceeds maximum") {
			return &nebula.Error{Kind: nebula.ErrTooLarge, Message: "the record is larger than the server takes",
				Hint: "store less, or have the server's limits raised"}
		}
	}
	if r.Status >= 300 && r.Status < 400 {
		return &nebula.Error{Kind: nebula.ErrInvalidConfig,
			Message: fmt.Sprintf("the server sends requests elsewhere (status %d), which is not followed", r.Status),
			Hint:    "set address to where Vault itself answers"}
	}
	return explainUnavailable(r)
}

func explainUnavailable(r *ResponseError) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrUnavailable, Message: fmt.Sprintf("the server answered with status %d", r.Status)}
	switch code := r.Status; {
	case code == http.StatusTooManyRequests:
		e.Message = "the server answers no more requests for now (status 429)"
	case code == http.StatusServiceUnavailable && r.says("sealed"):
		e.Message, e.Hint = "Vault is sealed", "unseal it: vault operator unseal"
	case code == http.StatusNotImplemented:
		e.Message, e.Hint = "Vault is not initialised", "vault operator init"
	case code == http.StatusPreconditionFailed:
		e.Message = "this node of Vault has not caught up yet (status 412)"
	case code == 472, code == 473:
		e.Message, e.Hint = fmt.Sprintf("this node of Vault is a standby (status %d)", code), "set address to the active node or a load balancer"
	case code == http.StatusServiceUnavailable:
	case code >= 500:
		e.Err = provider.ErrUnclear
	default:
		e.Kind = nebula.ErrInternal
	}
	return e
}

func (d *driver) explainBadRequest(r *ResponseError) *nebula.Error {
	login := strings.HasSuffix(r.Path, "/login")
	switch {
	case login || r.says("invalid role") || r.says("invalid secret"):
		return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the AppRole login was refused: role id or secret id is not valid",
			Hint: "look at auth.role_id and auth.secret_id_file; a secret id may have been used up or have expired"}
	case r.says("missing client token"):
		return errNoToken()
	case r.says("custom_metadata validation failed"):
		return &nebula.Error{Kind: nebula.ErrInvalidMetadata, Message: "Vault does not take these tags"}
	case isMismatch(r):
		return &nebula.Error{Kind: nebula.ErrConflict, Message: "another version was written meanwhile"}
	}
	return &nebula.Error{Kind: nebula.ErrInternal, Message: "the server refused the request (status 400)"}
}

func isMismatch(err error) bool {
	var r *ResponseError
	return errors.As(err, &r) && r.Status == http.StatusBadRequest && r.says("did not match the current version")
}

func isConditionRequired(err error) bool {
	var r *ResponseError
	return errors.As(err, &r) && r.Status == http.StatusBadRequest && r.says("check-and-set parameter required")
}

func hasStatus(err error, status int) bool {
	var r *ResponseError
	return errors.As(err, &r) && r.Status == status
}

// isMissing reports a 404 that says that nothing is there, rather than that
// there is no such mount.
func isMissing(err error) bool {
	var r *ResponseError
	return errors.As(err, &r) && r.Status == http.StatusNotFound && !isNoMount(r)
}

func isNoMount(r *ResponseError) bool {
	return r.says("no handler for route") || r.says("unsupported path")
}

// isInvalidToken reports that the token itself was refused. Older servers say
// "permission denied" alone.
func isInvalidToken(err error) bool {
	var r *ResponseError
	return errors.As(err, &r) && (r.Status == http.StatusForbidden || r.Status == http.StatusUnauthorized) &&
		(r.says("invalid token") || r.says("bad token"))
}

func (d *driver) explainDenied(r *ResponseError) *nebula.Error {
	if isInvalidToken(r) {
		return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the token is not valid: it expired, was revoked or used up",
			Hint: d.auth.hint()}
	}
	if r.says("missing client token") {
		return errNoToken()
	}
	if strings.HasSuffix(r.Path, "/login") {
		return d.errLogin(r)
	}
	capability := d.needed(r)
	return &nebula.Error{Kind: nebula.ErrPermissionDenied,
		Message: fmt.Sprintf("the token lacks the capability %s on %s", capability, r.Path),
		Hint:    "add to its policy: " + d.policyLine(r.Path, capability)}
}

// errLogin is for a login that was denied before role and secret id were
// checked: a login carries no token, so no policy is the cause.
func (d *driver) errLogin(r *ResponseError) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUnauthenticated,
		Message: fmt.Sprintf("the login at %q was refused: there is no auth method of type AppRole, or it does not admit this machine", r.Path),
		Hint:    "look at auth.mount_path and namespace: vault auth list"}
}

// needed returns the capability that was refused.
func (d *driver) needed(r *ResponseError) string {
	switch {
	case r.list:
		return "list"
	case r.Method == http.MethodGet:
		return "read"
	case r.Method == http.MethodPatch:
		return "patch"
	case r.Method == http.MethodDelete:
		return "delete"
	case strings.HasPrefix(r.Path, d.paths.mount+"/data/"):
		return "create and update"
	}
	return "update"
}

// policyLine returns the line for a policy, for all credentials if the path is
// that of one.
func (d *driver) policyLine(path, capability string) string {
	for _, tree := range []string{"data", "metadata", "delete", "undelete"} {
		if rest, ok := strings.CutPrefix(path, d.paths.folder(tree)+"/"); ok && rest != "" {
			path = d.paths.policyPath(tree)
		}
	}
	quoted := strings.ReplaceAll(capability, " and ", `", "`)
	return fmt.Sprintf(`path %q { capabilities = ["%s"] }`, path, quoted)
}

func (d *driver) explainNotFound(r *ResponseError) *nebula.Error {
	switch {
	case strings.HasSuffix(r.Path, "/login"):
		return d.errLogin(r)
	case isNoMount(r):
		return d.errMount()
	}
	return provider.NotFound()
}

func (d *driver) errMount() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig,
		Message: "there is no secrets engine of type KV version 2 at " + strconv.Quote(d.paths.mount),
		Hint:    "look at mount_path, or enable one: vault secrets enable -path=" + d.paths.mount + " kv-v2"}
}

// errUnknown is for a change whose answer was lost, if it can no longer be told
// from those of others.
func errUnknown() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUnavailable, Err: provider.ErrUnclear,
		Message: "the answer was lost, and the versions since then are gone: nobody knows whether it was done", Hint: "read it, and try again if need be"}
}

func errNoToken() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "there is no token",
		Hint: "set auth.token_file or VAULT_TOKEN, or log in: vault login"}
}
