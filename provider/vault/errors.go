package vault

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/vaultapi"
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
}

// Error returns the status alone.
func (e *ResponseError) Error() string { return fmt.Sprintf("Vault answered with status %d", e.Status) }

type refusal = vaultapi.ResponseError

// Explain implements [provider.Driver].
func (d *driver) Explain(_ nebula.Name, err error) *nebula.Error {
	e := d.api.Explain(err, d.explainAnswer)
	var r *refusal
	if errors.As(err, &r) {
		explained := *e
		explained.Err = errors.Join(e.Err, &ResponseError{Method: r.Method, Path: r.Path, Status: r.Status, Errors: r.Errors})
		return &explained
	}
	return e
}

// explainAnswer explains the server's answers about secrets and their engine.
func (d *driver) explainAnswer(r *refusal) *nebula.Error {
	switch {
	case r.Status == http.StatusBadRequest:
		return explainBadRequest(r)
	case r.IsDenied():
		return d.explainDenied(r)
	case r.NoMount(), r.Status == http.StatusMethodNotAllowed:
		return d.errMount()
	case r.Status == http.StatusNotFound:
		return provider.NotFound()
	case r.Status == http.StatusInternalServerError:
		// The two that do not pass.
		if r.Says("JSON string value exceeds") || r.Says("value being too large") || r.Says("exceeds maximum") {
			return &nebula.Error{Kind: nebula.ErrTooLarge, Message: "the record is larger than the server allows",
				Hint: "store less, or have the server's limits raised"}
		}
	}
	return nil
}

func explainBadRequest(r *refusal) *nebula.Error {
	switch {
	case r.Says("custom_metadata validation failed"):
		return &nebula.Error{Kind: nebula.ErrInvalidMetadata, Message: "Vault rejects these tags"}
	case isMismatch(r):
		return &nebula.Error{Kind: nebula.ErrConflict, Message: "another version was written meanwhile"}
	}
	return nil
}

func isMismatch(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.Status == http.StatusBadRequest && r.Says("did not match the current version")
}

func isConditionRequired(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.Status == http.StatusBadRequest && r.Says("check-and-set parameter required")
}

// isMissing reports whether a 404 says that nothing is there, and not that
// there is no such mount.
func isMissing(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.Status == http.StatusNotFound && !r.NoMount()
}

func (d *driver) explainDenied(r *refusal) *nebula.Error {
	capability := r.Capability()
	if capability == "update" && strings.HasPrefix(r.Path, d.paths.mount+"/data/") {
		capability = "create and update"
	}
	return vaultapi.Denied(r.Path, capability, d.policyLine(r.Path))
}

// policyLine returns the path for a policy, for all credentials if the path is
// that of one.
func (d *driver) policyLine(path string) string {
	for _, tree := range []string{"data", "metadata", "delete", "undelete"} {
		if rest, ok := strings.CutPrefix(path, d.paths.folder(tree)+"/"); ok && rest != "" {
			path = d.paths.policyPath(tree)
		}
	}
	return path
}

func (d *driver) errMount() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig,
		Message: "there is no secrets engine of type KV version 2 at " + strconv.Quote(d.paths.mount),
		Hint:    "look at mount_path, or enable one: vault secrets enable -path=" + d.paths.mount + " kv-v2"}
}

// errUnknown is the error for a change whose answer was lost and that can no
// longer be told from those of others.
func errUnknown() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUnavailable, Err: provider.ErrUnclear,
		Message: "the answer was lost, and the versions since then are gone: nobody knows whether it was done", Hint: "read it, and try again if need be"}
}
