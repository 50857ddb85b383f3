package kubernetes

import (
	"context"
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

const providerName = "kubernetes"

// StatusError is the API server's refusal. It is among the causes of an error
// if the server answered.
type StatusError struct {
	Code   int    // of HTTP
	Reason string // NotFound, Forbidden, …; "" if the server gave none

	isStatus bool   // the answer is one of Kubernetes
	kind     string // what Details speak of: secrets, namespaces
	causes   []cause
	message  string // the server's words, which may hold anything
	next     string // where a list goes on whose snapshot has expired
	verb     string // of RBAC: what was asked for
	resource string
}

// cause is one of the details of a refusal.
type cause struct {
	Reason string `json:"reason"`
	Field  string `json:"field"`
}

// Error returns code and reason, and none of the server's words.
func (e *StatusError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("the server answered with status %d", e.Code)
	}
	return fmt.Sprintf("the server answered with status %d, %s", e.Code, e.Reason)
}

// parseStatus reads the server's answer to a failed request. If the body is not
// a Status, only the code is known.
func parseStatus(code int, body []byte, r request) *StatusError {
	e := &StatusError{Code: code, verb: r.verb, resource: r.resource}
	var status struct {
		Kind     string `json:"kind"`
		Reason   string `json:"reason"`
		Message  string `json:"message"`
		Metadata struct {
			Continue string `json:"continue"`
		} `json:"metadata"`
		Details struct {
			Kind   string  `json:"kind"`
			Causes []cause `json:"causes"`
		} `json:"details"`
	}
	if json.Unmarshal(body, &status) != nil || status.Kind != "Status" || status.Reason != "" && !isWord(status.Reason) {
		return e
	}
	e.isStatus = true
	e.Reason, e.kind, e.causes = status.Reason, status.Details.Kind, status.Details.Causes
	e.message, e.next = status.Message, status.Metadata.Continue
	return e
}

// redact drops the server's words if they repeat a secret that it was shown.
func (e *StatusError) redact(authorization string) {
	if _, secret, _ := strings.Cut(authorization, " "); secret != "" && strings.Contains(e.message, secret) {
		e.message = ""
	}
}

// words returns the server's words to be added to a message, quoted and at most
// 300 bytes of them.
func (e *StatusError) words() string {
	const maxWords = 300
	words := e.message
	if words == "" {
		return ""
	}
	if len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "") + "…"
	}
	return ": " + strconv.Quote(words)
}

// isWord reports whether a text can be a reason: it is shown.
func isWord(s string) bool {
	return s != "" && len(s) <= 40 && strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	}) < 0
}

// Explain implements [provider.Driver]. This file is the only one that knows the
// errors of the server.
func (d *driver) Explain(_ nebula.Name, err error) *nebula.Error {
	var e *nebula.Error
	if errors.As(err, &e) {
		return e
	}
	var answered *StatusError
	if errors.As(err, &answered) {
		e = d.explainAnswer(answered)
	} else {
		e = d.access.explain(err)
	}
	e.Err = errors.Join(e.Err, err)
	return e
}

// explainAnswer explains the server's answer.
func (d *driver) explainAnswer(s *StatusError) *nebula.Error {
	switch {
	case s.admission():
		return d.explainAdmission(s)
	case s.Code == http.StatusUnauthorized:
		return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the API server does not accept the caller: the token or certificate is not valid, or has expired",
			Hint: "look at the user in " + d.access.source}
	case s.Code == http.StatusForbidden:
		return d.explainForbidden(s)
	case s.Code == http.StatusNotFound && s.kind == "namespaces":
		return d.errNoNamespace()
	case isMissing(s):
		return provider.NotFound()
	case s.Code == http.StatusConflict:
		return &nebula.Error{Kind: nebula.ErrConflict, Message: "another version was written meanwhile"}
	case s.Code == http.StatusRequestEntityTooLarge:
		return &nebula.Error{Kind: nebula.ErrTooLarge, Message: "the request is larger than the server allows"}
	case s.Code == http.StatusUnprocessableEntity && s.isStatus:
		return explainInvalid(s)
	case s.Code >= 300 && s.Code < 400:
		return &nebula.Error{Kind: nebula.ErrInvalidConfig,
			Message: fmt.Sprintf("the server redirects requests (status %d), and redirects are not followed", s.Code),
			Hint:    "name the API server itself in " + d.access.source}
	case s.Code == http.StatusNotFound, s.Code == http.StatusMethodNotAllowed:
		return errForeignAnswer()
	}
	return explainUnavailable(s)
}

func explainUnavailable(s *StatusError) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrUnavailable, Message: fmt.Sprintf("the API server answered with status %d", s.Code)}
	switch code := s.Code; {
	case code == http.StatusTooManyRequests:
		e.Message = "the API server answers no more requests for now (status 429)"
	case code == http.StatusGone:
		e.Message = "the API server no longer has the list that was begun (status 410)"
	case code >= 500:
		e.Err = provider.ErrUnclear
		e.Message += s.words()
	default:
		e.Kind = nebula.ErrInternal
		e.Message += s.words()
	}
	return e
}

// explainForbidden tells the causes of a 403 apart: RBAC, for a known and for
// an unknown user, a namespace that is being deleted, and any other guard of
// the cluster.
func (d *driver) explainForbidden(s *StatusError) *nebula.Error {
	namespace := d.names.namespace
	switch {
	case strings.Contains(s.message, `User "system:anonymous"`):
		// The server accepts none of the credentials: a certificate of another
		// authority counts as none.
		return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the API server does not know the caller: to it this is system:anonymous",
			Hint: "look at the user in " + d.access.source + ": the server accepts no password, and no certificate of an authority that is not its own"}
	case s.hasCause("NamespaceTerminating"):
		return d.errTerminating()
	case strings.Contains(s.message, "exceeded quota"):
		return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "a quota of namespace " + namespace + " is used up" + s.words(),
			Hint: "kubectl -n " + namespace + " describe quota"}
	case s.verb == "":
		return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "the API server refuses this request from this user"}
	case !s.isStatus:
		return &nebula.Error{Kind: nebula.ErrPermissionDenied,
			Message: fmt.Sprintf("something before the API server refuses to %s %s in namespace %s (status 403, which is none of Kubernetes)", s.verb, s.resource, namespace),
			Hint:    "check any proxy or gateway before " + d.access.server.Host}
	case !s.unauthorized():
		return d.explainAdmission(s)
	}
	return d.errForbidden(s.verb, s.resource)
}

// unauthorized reports whether RBAC, or another authorizer, refused the
// request. Only the server's words tell.
func (s *StatusError) unauthorized() bool {
	return strings.Contains(s.message, ` is forbidden: User "`) &&
		strings.Contains(s.message, fmt.Sprintf(" cannot %s resource %q", s.verb, s.resource))
}

func (d *driver) errForbidden(verb, resource string) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrPermissionDenied,
		Message: fmt.Sprintf("the verb %s on %s in namespace %s is not granted", verb, resource, d.names.namespace),
		Hint:    "add to a Role in that namespace: " + ruleFor(resource, verb)}
}

// ruleFor returns a rule of a Role.
func ruleFor(resource string, verbs ...string) string {
	return fmt.Sprintf(`{apiGroups: [""], resources: [%q], verbs: ["%s"]}`, resource, strings.Join(verbs, `", "`))
}

// explainInvalid explains why the server rejects an object.
func explainInvalid(s *StatusError) *nebula.Error {
	for _, c := range s.causes {
		switch {
		case strings.HasPrefix(c.Field, "metadata.annotations"), strings.HasPrefix(c.Field, "metadata.labels"):
			return &nebula.Error{Kind: nebula.ErrInvalidMetadata, Message: "the API server rejects these tags, or the default labels or annotations" + s.words(),
				Hint: "all annotations together, those of others too, have 256 KiB at most"}
		case strings.HasPrefix(c.Field, "data"):
			return &nebula.Error{Kind: nebula.ErrTooLarge, Message: "the record is larger than the API server allows"}
		}
	}
	return &nebula.Error{Kind: nebula.ErrInternal, Message: "the API server rejects the Secret (status 422)" + s.words()}
}

func (s *StatusError) hasCause(reason string) bool {
	return slices.ContainsFunc(s.causes, func(c cause) bool { return c.Reason == reason })
}

// refusal returns err as a refusal of the API itself. Admission control uses
// the same codes with another meaning.
func refusal(err error) (s *StatusError, ok bool) {
	ok = errors.As(err, &s) && !s.admission()
	return s, ok
}

// orUnknown is for a condition that does not hold. If an earlier attempt lost its
// answer, it may have been carried out, and another writer may have come after
// it.
func orUnknown(ctx context.Context, err error) error {
	var conflict *nebula.Error
	if !provider.IsRepeat(ctx) || !errors.As(err, &conflict) {
		return err
	}
	unknown := *conflict
	unknown.Message += "; whether this was done before is not known, since its answer was lost"
	unknown.Err = errors.Join(provider.ErrUnclear, conflict.Err)
	return &unknown
}

// isMissing reports a 404 of the API itself about a Secret: any server has a
// page that says 404.
func isMissing(err error) bool {
	s, ok := refusal(err)
	return ok && s.Code == http.StatusNotFound && s.Reason == "NotFound" && s.kind == "secrets"
}

// isAbsent reports that there is no such credential: no Secret, or one that is
// being deleted.
func isAbsent(err error) bool { return isMissing(err) || errors.Is(err, nebula.ErrNotFound) }

func hasStatus(err error, code int) bool {
	s, ok := refusal(err)
	return ok && s.Code == code
}

// isTaken reports that a creation met an object of that name.
func isTaken(err error) bool {
	s, ok := refusal(err)
	return ok && s.Code == http.StatusConflict && s.Reason == "AlreadyExists"
}

// isRaced reports that the Secret to be written over or deleted has changed.
func isRaced(err error) bool {
	s, ok := refusal(err)
	return ok && s.Code == http.StatusConflict && s.Reason != "AlreadyExists"
}

// isUnfit reports that a test of a patch failed, or that the server would not
// accept the resulting Secret.
func isUnfit(err error) bool { return hasStatus(err, http.StatusUnprocessableEntity) }

// isTooLarge reports that an answer was cut off.
func isTooLarge(err error) bool {
	var large *httpx.TooLargeError
	return errors.As(err, &large)
}

// expiredAt reports that the snapshot of a list has expired, and where the list
// goes on in a newer one. "" is the beginning.
func expiredAt(err error) (next string, expired bool) {
	if s, ok := refusal(err); ok && s.Code == http.StatusGone {
		return s.next, true
	}
	return "", false
}
