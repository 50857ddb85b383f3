package azureapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/provider"
)

// Explain explains a failed call. object explains the vault's answers that
// depend on the requested object, and returns nil for the others. An error that
// is already explained stays as it is.
func (v *Vault) Explain(err error, object func(*azcore.ResponseError) *nebula.Error) *nebula.Error {
	var login *loginError
	var answered *azcore.ResponseError
	var wire *wireError
	var e *nebula.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &login):
		e = v.auth.explain(login)
	case errors.As(err, &answered):
		if e = object(answered); e == nil {
			e = v.explainAnswer(answered)
		}
	case errors.As(err, &wire), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e = httpx.Server{Host: v.host, Address: v.setting, Authorities: "the system's store, or SSL_CERT_FILE"}.Explain(err)
	default:
		e = v.ForeignAnswer()
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

// explainAnswer explains answers of the vault that do not depend on the
// request.
func (v *Vault) explainAnswer(r *azcore.ResponseError) *nebula.Error {
	switch code := r.StatusCode; {
	case code == http.StatusBadRequest:
		return &nebula.Error{Kind: nebula.ErrInternal, Message: "Key Vault refused the request (status 400" + codeSuffix(r) + ")"}
	case code == http.StatusUnauthorized:
		return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the vault does not accept the token (status 401" + codeSuffix(r) + ")",
			Hint: v.auth.identityHint()}
	case code == http.StatusRequestEntityTooLarge:
		return &nebula.Error{Kind: nebula.ErrTooLarge, Message: "the request is larger than Key Vault allows"}
	case code == http.StatusNotFound:
		return v.ForeignAnswer()
	case code >= 300 && code < 400:
		return &nebula.Error{Kind: nebula.ErrInvalidConfig,
			Message: fmt.Sprintf("the server redirects requests (status %d), and redirects are not followed", code),
			Hint:    "look at " + v.setting + ", and any proxy or gateway before " + v.host}
	}
	e := explainStatus(r.StatusCode, "Key Vault")
	if r.RawResponse != nil {
		if after := httpx.RetryAfter(r.RawResponse.Header, v.clock.Now()); after != nil {
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

// ForeignAnswer is for an answer that is not one of Key Vault's.
func (v *Vault) ForeignAnswer() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "the server that answers is not Azure Key Vault",
		Hint: "look at " + v.setting + ", and any proxy or gateway before it"}
}

func errElsewhere() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "the list goes on at another server, which is not followed",
		Hint: "check any proxy or gateway before the vault"}
}

// HasStatus reports whether the vault answered with that status.
func HasStatus(err error, status int) bool {
	var r *azcore.ResponseError
	return errors.As(err, &r) && r.StatusCode == status
}

// InnerCode returns error.innererror.code, which the SDK leaves in the body,
// and "" if there is none. The outer code is only the status in words.
func InnerCode(err error) string {
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
