package vaultapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/provider"
)

// ResponseError is Vault's refusal.
type ResponseError struct {
	Method string
	Path   string // as in a policy, without /v1/
	Status int

	// Errors are Vault's own words. They may repeat what was sent, and belong
	// in no message or log.
	Errors []string

	list bool // a list was asked for
}

// Error returns the status alone.
func (e *ResponseError) Error() string { return fmt.Sprintf("Vault answered with status %d", e.Status) }

// responseError reads a refusal. A body of another form than Vault's has no words.
func responseError(r Request, a *httpx.Answer) *ResponseError {
	e := &ResponseError{Method: r.Method, Path: r.Path, Status: a.Status, list: r.Query.Get("list") == "true"}
	var said struct {
		Errors []string `json:"errors"`
	}
	if json.Unmarshal(a.Body, &said) == nil {
		e.Errors = said.Errors
	}
	return e
}

// Says reports whether Vault's words hold a text.
func (e *ResponseError) Says(text string) bool {
	return slices.ContainsFunc(e.Errors, func(line string) bool { return strings.Contains(line, text) })
}

// NoMount reports that there is no secrets engine at the path.
func (e *ResponseError) NoMount() bool {
	return e.Status == http.StatusNotFound && (e.Says("no handler for route") || e.Says("unsupported path"))
}

// Capability returns the capability that the request needs.
func (e *ResponseError) Capability() string {
	switch {
	case e.list:
		return "list"
	case e.Method == http.MethodGet:
		return "read"
	case e.Method == http.MethodPatch:
		return "patch"
	case e.Method == http.MethodDelete:
		return "delete"
	}
	return "update"
}

// IsDenied reports that the token may not do what was asked for, or that the
// token itself was refused.
func (e *ResponseError) IsDenied() bool {
	return e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized
}

// isLogin reports whether it is a login that was refused. A login carries no
// token, so no policy is the cause.
func (e *ResponseError) isLogin() bool {
	return strings.HasPrefix(e.Path, "auth/") && strings.HasSuffix(e.Path, "/login")
}

// HasStatus reports whether Vault refused with that status.
func HasStatus(err error, status int) bool {
	var r *ResponseError
	return errors.As(err, &r) && r.Status == status
}

// IsInvalidToken reports that the token itself was refused. Older servers say
// "permission denied" alone.
func IsInvalidToken(err error) bool {
	var r *ResponseError
	return errors.As(err, &r) && r.IsDenied() && (r.Says("invalid token") || r.Says("bad token"))
}

// Explain explains an error. own explains refusals that do not concern the
// login. It may be nil, and may return nil.
func (c *Client) Explain(err error, own func(*ResponseError) *nebula.Error) *nebula.Error {
	var e *nebula.Error
	if errors.As(err, &e) {
		return e
	}
	var answered *ResponseError
	if errors.As(err, &answered) {
		e = c.explainAnswer(answered, own)
	} else {
		authorities := c.setting("ca_cert") + c.config.Environment.aboutAuthorities()
		e = httpx.Server{Host: c.address.Host, Address: c.setting("address"), Authorities: authorities}.Explain(err)
	}
	e.Err = errors.Join(e.Err, err)
	return e
}

// explainAnswer explains the server's answer.
func (c *Client) explainAnswer(r *ResponseError, own func(*ResponseError) *nebula.Error) *nebula.Error {
	if e := c.explainLogin(r); e != nil {
		return e
	}
	if own != nil {
		if e := own(r); e != nil {
			return e
		}
	}
	switch {
	case r.Status == http.StatusBadRequest:
		return &nebula.Error{Kind: nebula.ErrInternal, Message: "the server refused the request (status 400)"}
	case r.IsDenied():
		return Denied(r.Path, r.Capability(), r.Path)
	case r.Status == http.StatusRequestEntityTooLarge:
		return &nebula.Error{Kind: nebula.ErrTooLarge, Message: "the request is larger than the server allows"}
	case r.Status >= 300 && r.Status < 400:
		return &nebula.Error{Kind: nebula.ErrInvalidConfig,
			Message: fmt.Sprintf("the server redirects requests (status %d), and redirects are not followed", r.Status),
			Hint:    "set " + c.setting("address") + " to where Vault itself answers"}
	}
	return c.explainUnavailable(r)
}

func (c *Client) explainUnavailable(r *ResponseError) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrUnavailable, Message: fmt.Sprintf("the server answered with status %d", r.Status)}
	switch code := r.Status; {
	case code == http.StatusTooManyRequests:
		e.Message = "the server answers no more requests for now (status 429)"
	case code == http.StatusServiceUnavailable && r.Says("sealed"):
		e.Message, e.Hint = "Vault is sealed", "unseal it: vault operator unseal"
	case code == http.StatusNotImplemented:
		e.Message, e.Hint = "Vault is not initialised", "vault operator init"
	case code == http.StatusPreconditionFailed:
		e.Message = "this node of Vault has not caught up yet (status 412)"
	case code == 472, code == 473:
		e.Message = fmt.Sprintf("this node of Vault is a standby (status %d)", code)
		e.Hint = "set " + c.setting("address") + " to the active node or a load balancer"
	case code == http.StatusServiceUnavailable:
	case code >= 500:
		e.Err = provider.ErrUnclear
	default:
		e.Kind = nebula.ErrInternal
	}
	return e
}

// explainLogin explains errors that concern the token, and says how to get one.
// It returns nil for others.
func (c *Client) explainLogin(r *ResponseError) *nebula.Error {
	switch {
	case r.Status == http.StatusBadRequest && (r.isLogin() || r.Says("invalid role") || r.Says("invalid secret")):
		return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the AppRole login was refused: role id or secret id is not valid",
			Hint: "look at " + c.setting("auth.role_id") + " and " + c.setting("auth.secret_id_file") + "; a secret id may have been used up or have expired"}
	case IsInvalidToken(r):
		return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the token is not valid: it expired, was revoked or used up",
			Hint: c.auth.hint()}
	case (r.Status == http.StatusBadRequest || r.IsDenied()) && r.Says("missing client token"):
		return c.errNoToken()
	case r.isLogin() && (r.IsDenied() || r.Status == http.StatusNotFound):
		return &nebula.Error{Kind: nebula.ErrUnauthenticated,
			Message: fmt.Sprintf("the login at %q was refused: there is no auth method of type AppRole, or it does not admit this machine", r.Path),
			Hint:    "look at " + c.setting("auth.mount_path") + " and " + c.setting("namespace") + ": vault auth list"}
	}
	return nil
}

// Denied is the error of a request to a path for which the token lacks a
// capability. line is that path in the form of a policy.
func Denied(path, capability, line string) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrPermissionDenied,
		Message: fmt.Sprintf("the token lacks the capability %s on %s", capability, path),
		Hint:    "add to its policy: " + PolicyLine(line, strings.Split(capability, " and ")...)}
}

// PolicyLine is a line of a policy.
func PolicyLine(path string, capabilities ...string) string {
	return fmt.Sprintf(`path %q { capabilities = ["%s"] }`, path, strings.Join(capabilities, `", "`))
}
