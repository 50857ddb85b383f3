package vault

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/remote"
	"github.com/nebula-credential/nebula/middleware"
)

const providerName = "vault"

// fail says what err, from anywhere below, means for an operation. This file
// is the only one that knows the errors of the SDK and of the server.
func (p *Provider) fail(op string, name nebula.Name, err error) error {
	if err == nil {
		return nil
	}
	located := *p.explain(err)
	located.Op, located.Provider, located.ID = op, providerName, name.ID()
	return &located
}

// explain returns the error that err is, or one that wraps it.
func (p *Provider) explain(err error) *nebula.Error {
	var e *nebula.Error
	if errors.As(err, &e) {
		return e
	}
	var answered *api.ResponseError
	if errors.As(err, &answered) {
		e = p.explainAnswer(answered)
	} else {
		e = remote.Server{Host: p.wire.address.Host, Address: "address", Authorities: "ca_cert"}.Explain(err)
	}
	e.Err = errors.Join(e.Err, err)
	return e
}

// explainAnswer is for what the server said.
func (p *Provider) explainAnswer(r *api.ResponseError) *nebula.Error {
	switch r.StatusCode {
	case http.StatusBadRequest:
		return p.explainBadRequest(r)
	case http.StatusForbidden, http.StatusUnauthorized:
		return p.explainDenied(r)
	case http.StatusNotFound:
		return p.explainNotFound(r)
	case http.StatusMethodNotAllowed:
		return p.errMount()
	case http.StatusRequestEntityTooLarge:
		return &nebula.Error{Kind: nebula.ErrTooLarge, Message: "the request is larger than the server takes"}
	case http.StatusInternalServerError:
		// The two that do not pass.
		if says(r, "JSON string value exceeds") || says(r, "value being too large") || says(r, "exceeds maximum") {
			return &nebula.Error{Kind: nebula.ErrTooLarge, Message: "the record is larger than the server takes",
				Hint: "store less, or have the server's limits raised"}
		}
	}
	if r.StatusCode >= 300 && r.StatusCode < 400 {
		return &nebula.Error{Kind: nebula.ErrInvalidConfig,
			Message: fmt.Sprintf("the server sends requests elsewhere (status %d), which is not followed", r.StatusCode),
			Hint:    "set address to where Vault itself answers"}
	}
	return explainUnavailable(r)
}

func explainUnavailable(r *api.ResponseError) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrUnavailable, Message: fmt.Sprintf("the server answered with status %d", r.StatusCode)}
	switch code := r.StatusCode; {
	case code == http.StatusTooManyRequests:
		e.Message = "the server answers no more requests for now (status 429)"
	case code == http.StatusServiceUnavailable && says(r, "sealed"):
		e.Message, e.Hint = "Vault is sealed", "unseal it: vault operator unseal"
	case code == http.StatusNotImplemented:
		e.Message, e.Hint = "Vault is not initialised", "vault operator init"
	case code == http.StatusPreconditionFailed:
		e.Message = "this node of Vault has not caught up yet (status 412)"
	case code == 472, code == 473:
		e.Message, e.Hint = fmt.Sprintf("this node of Vault is a standby (status %d)", code), "set address to the active node or a load balancer"
	case code == http.StatusServiceUnavailable:
	case code >= 500:
		e.Err = middleware.ErrUnclear
	default:
		e.Kind = nebula.ErrInternal
	}
	return e
}

func (p *Provider) explainBadRequest(r *api.ResponseError) *nebula.Error {
	login := strings.Contains(r.URL, "/login")
	switch {
	case login || says(r, "invalid role") || says(r, "invalid secret"):
		return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the AppRole login was refused: role id or secret id is not valid",
			Hint: "look at auth.role_id and auth.secret_id_file; a secret id may have been used up or have expired"}
	case says(r, "missing client token"):
		return errNoToken()
	case says(r, "custom_metadata validation failed"):
		return &nebula.Error{Kind: nebula.ErrInvalidMetadata, Message: "Vault does not take these tags"}
	case isMismatch(r):
		return &nebula.Error{Kind: nebula.ErrConflict, Message: "another version was written meanwhile"}
	}
	return &nebula.Error{Kind: nebula.ErrInternal, Message: "the server refused the request (status 400)"}
}

func isMismatch(err error) bool {
	var r *api.ResponseError
	return errors.As(err, &r) && r.StatusCode == http.StatusBadRequest && says(r, "did not match the current version")
}

func isConditionRequired(err error) bool {
	var r *api.ResponseError
	return errors.As(err, &r) && r.StatusCode == http.StatusBadRequest && says(r, "check-and-set parameter required")
}

func hasStatus(err error, status int) bool {
	var r *api.ResponseError
	return errors.As(err, &r) && r.StatusCode == status
}

// isMissing reports a 404 that says that nothing is there, rather than that
// there is no such mount.
func isMissing(err error) bool {
	var r *api.ResponseError
	return errors.As(err, &r) && r.StatusCode == http.StatusNotFound && !isNoMount(r)
}

func isNoMount(r *api.ResponseError) bool {
	return says(r, "no handler for route") || says(r, "unsupported path")
}

// isInvalidToken reports that the token itself was refused. Older servers say
// "permission denied" alone.
func isInvalidToken(err error) bool {
	var r *api.ResponseError
	return errors.As(err, &r) && (r.StatusCode == http.StatusForbidden || r.StatusCode == http.StatusUnauthorized) &&
		(says(r, "invalid token") || says(r, "bad token"))
}

func (p *Provider) explainDenied(r *api.ResponseError) *nebula.Error {
	if isInvalidToken(r) {
		return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the token is not valid: it expired, was revoked or used up",
			Hint: p.auth.hint()}
	}
	if says(r, "missing client token") {
		return errNoToken()
	}
	path, capability := p.needed(r)
	if path == "" {
		return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "the token may not do this"}
	}
	return &nebula.Error{Kind: nebula.ErrPermissionDenied,
		Message: fmt.Sprintf("the token lacks the capability %s on %s", capability, path),
		Hint:    "add to its policy: " + p.policyLine(path, capability)}
}

// needed returns the path that was refused and the capability that it takes.
func (p *Provider) needed(r *api.ResponseError) (path, capability string) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return "", ""
	}
	path = strings.TrimPrefix(strings.TrimPrefix(u.Path, p.wire.address.Path), "/v1/")
	switch r.HTTPMethod {
	case http.MethodGet:
		capability = "read"
		if u.Query().Get("list") == "true" {
			capability = "list"
		}
	case http.MethodPatch:
		capability = "patch"
	case http.MethodDelete:
		capability = "delete"
	default:
		capability = "update"
		if strings.HasPrefix(path, p.paths.mount+"/data/") {
			capability = "create and update"
		}
	}
	return path, capability
}

// policyLine returns the line for a policy, for all credentials where the path
// is that of one.
func (p *Provider) policyLine(path, capability string) string {
	for _, tree := range []string{"data", "metadata", "undelete"} {
		if rest, ok := strings.CutPrefix(path, p.paths.folder(tree)+"/"); ok && rest != "" {
			path = p.paths.policyPath(tree)
		}
	}
	quoted := strings.ReplaceAll(capability, " and ", `", "`)
	return fmt.Sprintf(`path %q { capabilities = ["%s"] }`, path, quoted)
}

func (p *Provider) explainNotFound(r *api.ResponseError) *nebula.Error {
	if isNoMount(r) {
		return p.errMount()
	}
	return remote.ErrMissing()
}

func (p *Provider) errMount() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig,
		Message: "there is no secrets engine of type KV version 2 at " + strconv.Quote(p.paths.mount),
		Hint:    "look at mount_path, or enable one: vault secrets enable -path=" + p.paths.mount + " kv-v2"}
}

func errNoToken() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "there is no token",
		Hint: "set auth.token_file or VAULT_TOKEN, or log in: vault login"}
}

func errForeignAnswer() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "what answers is not Vault, or no secrets engine of type KV version 2",
		Hint: "look at address and mount_path"}
}
