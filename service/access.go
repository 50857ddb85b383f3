package service

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/service/audit"
)

// authenticate finds out whose token a request has.
func (s *Service) authenticate(c *call) error {
	secret, ok := bearer(c.r)
	if !ok {
		s.metrics.refused.Add(1)
		s.options.Audit.Refused(addressOf(c.r))
		return invalidToken("there is no token")
	}
	grant, err := s.options.Tokens.Check(secret, s.options.Now())
	clear(secret)
	if err != nil {
		return s.notAdmitted(c, err)
	}
	c.grant = grant
	c.ctx = nebula.WithCaller(c.r.Context(), nebula.Caller{Owner: grant.Name, Scope: grant.Scope, TraceID: traceOf(c)})
	return nil
}

// recheck fails if the token is no longer valid.
func (s *Service) recheck(c *call) error {
	if _, err := s.options.Tokens.Again(c.grant, s.options.Now()); err != nil {
		return s.notAdmitted(c, err)
	}
	return nil
}

// notAdmitted counts a token that is not valid. If tokens cannot be read, only the
// operator of the service learns why.
func (s *Service) notAdmitted(c *call, err error) error {
	if errors.Is(err, nebula.ErrUnauthenticated) {
		s.metrics.refused.Add(1)
		s.options.Audit.Refused(addressOf(c.r))
		return invalidToken("the token is not valid")
	}
	return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "the service cannot read its tokens", Err: err}
}

func invalidToken(message string) error {
	return &nebula.Error{Kind: errInvalidToken, Message: message, Hint: "send one that is valid: Authorization: Bearer nbt_…"}
}

// bearer returns the token of a request.
func bearer(r *http.Request) ([]byte, bool) {
	const scheme = "bearer "
	values := r.Header["Authorization"]
	if len(values) != 1 || len(values[0]) <= len(scheme) || !strings.EqualFold(values[0][:len(scheme)], scheme) {
		return nil, false
	}
	return []byte(values[0][len(scheme):]), true
}

// traceOf returns the trace of a W3C traceparent, or else the request's id.
func traceOf(c *call) string {
	const version, digits = "00-", 32
	header := c.r.Header["Traceparent"]
	if len(header) == 1 && len(header[0]) >= 55 && strings.HasPrefix(header[0], version) {
		id := header[0][len(version):][:digits]
		if strings.Trim(id, "0123456789abcdef") == "" && strings.Trim(id, "0") != "" {
			return id
		}
	}
	return c.request
}

// admit decides whether the token allows the request. Outside of its prefix every
// answer is as if there were nothing.
func (s *Service) admit(c *call) error {
	if c.route == nil {
		return nothingHere()
	}
	if c.op = c.route.operation(c.r.Method); c.op == nil {
		return methodNotAllowed(c.route)
	}
	if c.name != "" && !c.grant.Covers(c.name) {
		return outside(c.id())
	}
	if c.op.verb != "" && !c.grant.Allows(c.op.verb) {
		return &nebula.Error{Kind: errNotAllowed, ID: c.id(), Message: fmt.Sprintf("the token %q does not allow %q", c.grant.Name, c.op.verb),
			Hint: "use another one, or have one made: nebula serve token add NAME --allow " + string(c.op.verb)}
	}
	if err := c.check(); err != nil {
		return err
	}
	if c.name == "" {
		return nil
	}
	_, err := nebula.ParseID(c.name)
	return err
}

func nothingHere() error {
	return &nebula.Error{Kind: nebula.ErrNotFound, Message: "there is nothing at this path", Hint: "the paths are in /openapi.yaml"}
}

// errOutside marks a credential that the token does not reach.
var errOutside = errors.New("outside of what the token reaches")

func outside(id nebula.ID) error {
	return &nebula.Error{Kind: nebula.ErrNotFound, ID: id, Err: errOutside}
}

// wantScope refuses a credential of another scope than the token's as if it were not
// there. Only its record shows the scope: if there is none, nothing is refused.
func (s *Service) wantScope(c *call) error {
	if c.grant.Scope == "" {
		return nil
	}
	_, err := s.inScope(c)
	return err
}

// wantLive is wantScope for what may be deleted. No backend shows the record of a
// deleted credential, so to a token with a scope there is none.
func (s *Service) wantLive(c *call) error {
	if c.grant.Scope == "" {
		return nil
	}
	found, err := s.inScope(c)
	if err == nil && !found {
		return outside(c.id())
	}
	return err
}

// inScope reports whether there is a live credential, and fails if its scope is not the
// token's.
func (s *Service) inScope(c *call) (bool, error) {
	unscoped := nebula.WithCaller(c.ctx, nebula.Caller{Owner: c.grant.Name})
	record, err := s.store.GetSealed(unscoped, c.id())
	switch {
	case errors.Is(err, nebula.ErrNotFound) && !errors.Is(err, nebula.ErrNotInitialised):
		return false, nil
	case err != nil:
		return false, err
	case record.Envelope.Metadata().Scope != c.grant.Scope:
		return false, outside(c.id())
	}
	return true, nil
}

// note writes the audit line of a request, or of one id of it.
func (s *Service) note(c *call, id string, version nebula.Version, err error) error {
	e := audit.Entry{
		Time: s.options.Now(), Request: c.request, Token: c.grant.Name, Method: c.r.Method, ID: shownID(id),
		Outcome: outcomeOf(err), Version: string(version), Address: addressOf(c.r),
	}
	if c.op != nil {
		e.Verb = c.op.verb
	}
	return s.options.Audit.Write(e)
}

// shownID returns an id for the audit log. It cuts a text that is not an id.
func shownID(id string) string { return id[:min(len(id), nebula.MaxIDLength)] }

func outcomeOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, errOutside): // the client is told that there is none
		return "outside"
	}
	return string(kindOf(err))
}

// unnoted is the answer to a request that was served and could not be noted.
func (s *Service) unnoted(c *call, err error) error {
	s.options.Logger.Error("the audit log cannot be written", "error", causeOf(err))
	if !c.changed {
		return err
	}
	return &nebula.Error{Kind: nebula.ErrUnavailable, ID: c.id(), Err: err,
		Message: "the audit log cannot be written: the change may have been made, read what is there before it is tried again"}
}

// recovered turns a defect into an answer.
func (s *Service) recovered(c *call, panicked any) error {
	s.options.Logger.Error("a handler panicked", "request", c.request, "panic", fmt.Sprintf("%T", panicked), "stack", string(debug.Stack()))
	return &nebula.Error{Kind: nebula.ErrInternal, ID: c.id(), Message: "the service has a defect"}
}

// addressOf returns the address from which a request comes, without the port.
func addressOf(r *http.Request) string {
	if onSocket(r) {
		return "unix"
	}
	address := r.RemoteAddr
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		address = address[:i]
	}
	return strings.Trim(address, "[]")
}
