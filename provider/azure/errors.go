package azure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/provider"
)

// The inner codes of Key Vault's errors that are told apart. The outer code is
// no more than the status in words.
const (
	beingDeleted     = "ObjectIsBeingDeleted"
	deletedCanReturn = "ObjectIsDeletedButRecoverable"
	beingRecovered   = "ObjectIsBeingRecovered"
	secretDisabled   = "SecretDisabled"
	byFirewall       = "ForbiddenByFirewall"
	byConnection     = "ForbiddenByConnection"
)

// Explain implements [provider.Driver]. This file alone knows the errors of the
// SDK and of the server; those of the login have the file beside it.
func (d *driver) Explain(_ nebula.Name, err error) *nebula.Error {
	var login *loginError
	var answered *azcore.ResponseError
	var wire *wireError
	var e *nebula.Error
	switch {
	case errors.As(err, &login):
		e = d.explainLogin(login)
	case errors.As(err, &answered):
		e = d.explainAnswer(answered)
	case errors.As(err, &wire), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e = httpx.Server{Host: d.host, Address: "vault_url or AZURE_KEYVAULT_URL", Authorities: "the system's store, or SSL_CERT_FILE"}.Explain(err)
	default:
		e = errForeignAnswer()
	}
	// The SDK's own errors hold the request with its token, and the body.
	switch {
	case login != nil:
		err = errors.Join(login.failure, login.ended)
	case answered != nil:
		err = nil
	}
	e.Err = errors.Join(e.Err, err)
	return e
}

// explain is Explain for errors that may be explained already.
func (d *driver) explain(err error) *nebula.Error {
	var e *nebula.Error
	if errors.As(err, &e) {
		return e
	}
	return d.Explain(nebula.Name{}, err)
}

// explainAnswer is for what the vault said.
func (d *driver) explainAnswer(r *azcore.ResponseError) *nebula.Error {
	switch code := r.StatusCode; {
	case code == http.StatusBadRequest:
		return &nebula.Error{Kind: nebula.ErrInternal, Message: "Key Vault refused the request (status 400" + codeSuffix(r) + ")"}
	case code == http.StatusUnauthorized:
		return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the vault does not accept the token (status 401" + codeSuffix(r) + ")",
			Hint: d.identityHint()}
	case code == http.StatusForbidden:
		return d.explainDenied(r)
	case code == http.StatusNotFound:
		return d.explainNotFound(r)
	case code == http.StatusConflict:
		return explainConflict(r)
	case code == http.StatusRequestEntityTooLarge:
		return &nebula.Error{Kind: nebula.ErrTooLarge, Message: "the request is larger than Key Vault takes"}
	case code >= 300 && code < 400:
		return &nebula.Error{Kind: nebula.ErrInvalidConfig,
			Message: fmt.Sprintf("the server sends requests elsewhere (status %d), which is not followed", code),
			Hint:    "look at vault_url or AZURE_KEYVAULT_URL, and any proxy or gateway before " + d.host}
	}
	e := explainStatus(r.StatusCode, "Key Vault")
	if r.RawResponse != nil {
		if after := httpx.RetryAfter(r.RawResponse.Header, d.clock.Now()); after != nil {
			e.Err = errors.Join(e.Err, after)
		}
	}
	return e
}

// explainStatus is for the statuses of a server that cannot answer.
func explainStatus(code int, server string) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrUnavailable, Message: fmt.Sprintf("%s answered with status %d", server, code)}
	switch {
	case code == http.StatusTooManyRequests:
		e.Message = server + " answers no more requests for now (status 429)"
	case code == http.StatusRequestTimeout, code == http.StatusServiceUnavailable:
	case code >= 500:
		e.Err = provider.ErrUnclear
	default:
		e.Kind = nebula.ErrInternal
	}
	return e
}

// explainNotFound tells a missing secret from another server's 404.
func (d *driver) explainNotFound(r *azcore.ResponseError) *nebula.Error {
	if r.ErrorCode != "SecretNotFound" {
		return errForeignAnswer()
	}
	return provider.NotFound()
}

func explainConflict(r *azcore.ResponseError) *nebula.Error {
	doing := map[string]string{
		beingDeleted:     "is being deleted",
		deletedCanReturn: "is deleted, and its name taken until it is recovered or purged",
		beingRecovered:   "is being recovered",
		"":               "is in the way for now: it was just purged",
	}[innerCode(r)]
	if doing == "" {
		doing = "is in a state that does not allow this"
	}
	return &nebula.Error{Kind: nebula.ErrConflict, Message: "the secret " + doing}
}

// isMoving reports that Key Vault is doing something to the name, and that the
// same call will have another answer when it is done. After a purge it says so
// without an inner code.
func isMoving(err error) bool {
	inner := innerCode(err)
	return hasStatus(err, http.StatusConflict) && (inner == "" || inner == beingDeleted || inner == beingRecovered)
}

func isDeleted(err error) bool {
	return hasStatus(err, http.StatusConflict) && innerCode(err) == deletedCanReturn
}

// isMissing reports a 404 that says that there is no such secret.
func isMissing(err error) bool {
	var r *azcore.ResponseError
	return errors.As(err, &r) && r.StatusCode == http.StatusNotFound && r.ErrorCode == "SecretNotFound"
}

func isDisabled(err error) bool {
	return hasStatus(err, http.StatusForbidden) && innerCode(err) == secretDisabled
}

// isShutOut reports that the vault does not take requests from this machine.
func isShutOut(err error) bool {
	inner := innerCode(err)
	return inner == byFirewall || inner == byConnection
}

func hasStatus(err error, status int) bool {
	var r *azcore.ResponseError
	return errors.As(err, &r) && r.StatusCode == status
}

// innerCode returns error.innererror.code, which the SDK leaves in the body,
// and "" if there is none.
func innerCode(err error) string {
	var r *azcore.ResponseError
	if !errors.As(err, &r) || r.RawResponse == nil {
		return ""
	}
	body, err := runtime.Payload(r.RawResponse)
	if err != nil {
		return ""
	}
	return parseInnerCode(body)
}

func parseInnerCode(body []byte) string {
	var answer struct {
		Error struct {
			Inner struct {
				Code string `json:"code"`
			} `json:"innererror"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	return answer.Error.Inner.Code
}

// codeSuffix returns the code of an error if it is a known one. Other text of a
// server is not repeated.
func codeSuffix(r *azcore.ResponseError) string {
	if slices.Contains([]string{"BadParameter", "Unauthorized", "Throttled", "Forbidden", "Conflict"}, r.ErrorCode) {
		return ", " + r.ErrorCode
	}
	return ""
}

func errElsewhere() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "the list goes on at another server, which is not followed",
		Hint: "check any proxy or gateway before the vault"}
}

func errForeignAnswer() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "what answers is not Azure Key Vault", Hint: "look at vault_url or AZURE_KEYVAULT_URL, and any proxy or gateway before it"}
}

// refusedSecret returns the name of the secret that a call was about.
func refusedSecret(r *azcore.ResponseError) string {
	if r.RawResponse == nil || r.RawResponse.Request == nil {
		return ""
	}
	_, rest, _ := strings.Cut(strings.TrimPrefix(r.RawResponse.Request.URL.Path, "/"), "/")
	secret, _, _ := strings.Cut(rest, "/")
	return secret
}

// errDisabled is a conflict and no lack of permission: an identity that may do
// everything cannot read it either.
func (d *driver) errDisabled(secret string) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrConflict, Message: "the secret is disabled in Key Vault",
		Hint: "enable it: " + d.setAttributes(secret) + " --enabled true"}
}

func (d *driver) errNotNow(secret string) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrConflict, Message: "the secret has expired in Key Vault, or is not valid yet",
		Hint: "change its dates: " + d.setAttributes(secret) + " --expires DATE --not-before DATE"}
}

func (d *driver) setAttributes(secret string) string {
	return "az keyvault secret set-attributes --vault-name " + d.vault() + " --name " + secret
}

// errUncertain is for a record whose tags others took away.
func errUncertain() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrCorrupted, Message: "others took the tags of the secret away, and the record that it holds is not sealed under the current key of this store: it may be another store's",
		Hint: "if it is yours, store it again first: nebula put"}
}

// errUntold explains why a secret without our tags, stored where a record
// belongs, could not be read.
func (d *driver) errUntold(err error) error {
	e := *d.explain(err)
	e.Message += "; without the tags of nebula, only its value tells whether it is a record"
	return &e
}

// errIDLost is for a record whose id only a tag held.
func errIDLost() error {
	return &nebula.Error{Kind: nebula.ErrCorrupted, Message: "it is a record, and others took the tag nebula- away, which held its id: the secret's name holds a hash",
		Hint: "store the credential again under its id, if you know it: nebula put"}
}

func errProtected() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrNotSupported, Message: "the vault has purge protection: nothing can be purged before its time of retention is over",
		Hint: "delete it, and wait for that time"}
}
