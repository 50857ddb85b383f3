package service

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/nebula-credential/nebula"
)

// Kinds of errors that concern HTTP or the token, and not the store.
const (
	errInvalidToken     nebula.Kind = "invalid_token"      // of ours
	errNotAllowed       nebula.Kind = "not_allowed"        // to this token
	errCrossSite        nebula.Kind = "cross_site"         // a browser, for another site
	errMisdirected      nebula.Kind = "misdirected"        // another name than ours
	errMethod           nebula.Kind = "method_not_allowed" // at this path
	errNotAcceptable    nebula.Kind = "not_acceptable"     // neither form of a value
	errUnsupportedMedia nebula.Kind = "unsupported_media_type"
	errPrecondition     nebula.Kind = "precondition_failed" // If-Match
	errSlowBody         nebula.Kind = "slow_body"           // the client did not send it in time
	errBusy             nebula.Kind = "busy"                // too many requests at once
)

// statuses has one status for each kind. 401 and 403 are only for our token: a
// client that gets them would ask for another token, which does not help if the
// service cannot log in to its backend.
var statuses = map[nebula.Kind]int{
	errInvalidToken:     http.StatusUnauthorized,
	errNotAllowed:       http.StatusForbidden,
	errCrossSite:        http.StatusForbidden,
	errMisdirected:      http.StatusMisdirectedRequest,
	errMethod:           http.StatusMethodNotAllowed,
	errNotAcceptable:    http.StatusNotAcceptable,
	errUnsupportedMedia: http.StatusUnsupportedMediaType,
	errPrecondition:     http.StatusPreconditionFailed,
	errSlowBody:         http.StatusRequestTimeout,
	errBusy:             http.StatusServiceUnavailable,

	nebula.ErrNotFound:           http.StatusNotFound,
	nebula.ErrAlreadyExists:      http.StatusPreconditionFailed, // If-None-Match
	nebula.ErrConflict:           http.StatusConflict,
	nebula.ErrUsage:              http.StatusBadRequest,
	nebula.ErrInvalidID:          http.StatusBadRequest,
	nebula.ErrInvalidMetadata:    http.StatusUnprocessableEntity,
	nebula.ErrTooLarge:           http.StatusRequestEntityTooLarge,
	nebula.ErrNotSupported:       http.StatusNotImplemented,
	nebula.ErrPermissionDenied:   http.StatusBadGateway,
	nebula.ErrUnauthenticated:    http.StatusBadGateway,
	nebula.ErrUnavailable:        http.StatusServiceUnavailable,
	nebula.ErrNotInitialised:     http.StatusServiceUnavailable,
	nebula.ErrClosed:             http.StatusServiceUnavailable,
	nebula.ErrInterrupted:        http.StatusServiceUnavailable, // the client has gone, or the service ends
	nebula.ErrTimeout:            http.StatusGatewayTimeout,
	nebula.ErrInvalidConfig:      http.StatusInternalServerError,
	nebula.ErrWrongKey:           http.StatusInternalServerError,
	nebula.ErrCorrupted:          http.StatusInternalServerError,
	nebula.ErrDecryptionFailed:   http.StatusInternalServerError,
	nebula.ErrUnsupportedVersion: http.StatusInternalServerError,
	nebula.ErrRolledBack:         http.StatusInternalServerError,
	nebula.ErrUntrustedKey:       http.StatusInternalServerError,
	nebula.ErrInternal:           http.StatusInternalServerError,
}

// kindOf returns the kind of an error. "There is no store" has a kind of its own: a
// client that took it for "no such credential" would drop what it has.
func kindOf(err error) nebula.Kind {
	if errors.Is(err, nebula.ErrNotInitialised) {
		return nebula.ErrNotInitialised
	}
	kind := nebula.KindOf(err)
	if _, known := statuses[kind]; !known {
		return nebula.ErrInternal
	}
	return kind
}

// problem is an error in the form of RFC 9457, with the other fields of our
// errors.
type problem struct {
	Type    string      `json:"type"`
	Title   string      `json:"title"`
	Status  int         `json:"status"`
	Detail  string      `json:"detail"`
	Kind    nebula.Kind `json:"kind"`
	Hint    string      `json:"hint,omitempty"`
	ID      nebula.ID   `json:"id,omitempty"`
	Request string      `json:"request_id"`
}

const (
	problemType = "application/problem+json"
	jsonType    = "application/json"
	bytesType   = "application/octet-stream"
)

func problemOf(c *call, err error) problem {
	kind := kindOf(err)
	p := problem{Type: "about:blank", Status: statuses[kind], Kind: kind, Request: c.request}
	p.Title = http.StatusText(p.Status)
	var e *nebula.Error
	if errors.As(err, &e) {
		p.Detail, p.Hint, p.ID = e.Message, e.Hint, e.ID
	}
	switch {
	case kind == nebula.ErrNotFound && c.route != nil && (p.ID != "" || c.name != ""):
		// An answer must not show whether a credential is outside of the token's
		// reach or does not exist.
		p.Detail, p.Hint = c.absence(), ""
	case p.Detail == "":
		p.Detail = kind.Error()
	}
	return p
}

// absence returns the message for a missing credential.
func (c *call) absence() string {
	switch {
	case c.r.URL.RawQuery != "":
		return "there is no such credential, or not this version of it"
	case strings.HasSuffix(c.route.pattern, "/restore"):
		return "there is nothing to restore under this id"
	}
	return "there is no such credential"
}

// refuse returns the answer to a request that failed.
func (s *Service) refuse(c *call, err error) answer {
	p := problemOf(c, err)
	s.log(c, p, err)
	// The fields are strings and a number: this cannot fail.
	body, _ := json.Marshal(p)
	a := answer{status: p.Status, contentType: problemType, body: append(body, '\n'), header: make(http.Header)}
	switch p.Status {
	case http.StatusUnauthorized:
		challenge := `Bearer realm="nebula"`
		if c.r.Header.Get("Authorization") != "" {
			challenge += `, error="invalid_token"`
		}
		a.header.Set("WWW-Authenticate", challenge)
	case http.StatusServiceUnavailable:
		a.header.Set("Retry-After", retryAfter(p.Kind))
	case http.StatusMethodNotAllowed:
		a.header.Set("Allow", c.route.allow)
	}
	return a
}

// retryAfter returns the seconds after which a client may try again.
func retryAfter(kind nebula.Kind) string {
	if kind == errBusy {
		return "1"
	}
	return "5"
}

// log reports problems that the operator of the service must solve. The client's own
// mistakes are in the audit log.
func (s *Service) log(c *call, p problem, err error) {
	if p.Status < http.StatusInternalServerError || p.Kind == nebula.ErrInterrupted || p.Kind == nebula.ErrNotSupported {
		return
	}
	cause := causeOf(err)
	if c.grant.Name == "" && !s.strangers.tells(cause.Error(), s.options.Now()) {
		return
	}
	attributes := []any{"request", c.request, "token", c.grant.Name, "kind", string(p.Kind), "error", err}
	if cause.Error() != err.Error() {
		attributes = append(attributes, "reason", cause)
	}
	s.options.Logger.Warn("a request failed", attributes...)
}

// repeated drops what the log was told within the last minute. Anyone can send
// requests without a token, and none of them may fill the log while the file of
// tokens cannot be read.
type repeated struct {
	mu   sync.Mutex
	text string
	at   time.Time
}

// tells reports whether a text is to be logged now.
func (r *repeated) tells(text string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if text == r.text && now.Sub(r.at) < time.Minute {
		return false
	}
	r.text, r.at = text, now
	return true
}

// causeOf returns the innermost of our errors. It may say more than a client should
// know, the path of a file for example. Like all our errors, it holds nothing secret.
func causeOf(err error) error {
	var e *nebula.Error
	for next := err; errors.As(next, &e); next = e.Err {
		err = e
	}
	return err
}

// appendFailure appends the failure of one credential among several.
func appendFailure(b []byte, c *call, id nebula.ID, err error) []byte {
	p := problemOf(c, err)
	if p.ID == "" {
		p.ID = id
	}
	body, _ := json.Marshal(p)
	return append(b, body...)
}

func messageOf(err error) string {
	var e *nebula.Error
	if errors.As(err, &e) && e.Message != "" {
		return e.Message
	}
	return kindOf(err).Error()
}

func methodNotAllowed(r *route) error {
	return &nebula.Error{Kind: errMethod, Message: "this path takes " + strings.ReplaceAll(r.allow, ", ", " or ")}
}

func busy() error {
	return &nebula.Error{Kind: errBusy, Message: "too many requests are being served"}
}
