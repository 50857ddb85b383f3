package awsapi

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/provider"
)

// CodeDenied is the code with which IAM refuses, in most services.
const CodeDenied = "AccessDeniedException"

// HasCode reports whether AWS answered with that code. Most have no type of
// their own in the SDK.
func HasCode(err error, code string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == code
}

// IsDenied reports the codes by which IAM refuses.
func IsDenied(code string) bool {
	switch code {
	case CodeDenied, "AccessDenied", "UnauthorizedOperation", "NotAuthorized":
		return true
	}
	return false
}

// Call is a call that AWS refused.
type Call struct {
	Operation string // "" if none was begun
	API       smithy.APIError
	Status    int // 0 if there is no answer
}

// Says reports whether AWS's message holds a text.
func (c Call) Says(text string) bool { return strings.Contains(c.API.ErrorMessage(), text) }

// Explain explains an error of the SDK, of [Login.Call] or of a login. known
// explains the codes of the service, and returns nil for others.
func (s Service) Explain(err error, now time.Time, known func(Call) *nebula.Error) *nebula.Error {
	var e *nebula.Error
	if errors.As(err, &e) {
		return e
	}
	var noCredentials *sourceError
	if errors.As(err, &noCredentials) {
		e = explainSource(noCredentials)
		e.Err = errors.Join(e.Err, noCredentials)
		return e
	}
	var api smithy.APIError
	var response *awshttp.ResponseError
	var undecoded *smithy.DeserializationError
	answered := errors.As(err, &response) && response.Response != nil && response.Response.Response != nil
	switch {
	case answered && response.HTTPStatusCode() >= 300 && response.HTTPStatusCode() < 400:
		e = &nebula.Error{Kind: nebula.ErrInvalidConfig,
			Message: fmt.Sprintf("the server redirects requests (status %d), and redirects are not followed", response.HTTPStatusCode()),
			Hint:    "set endpoint_url to where " + s.Name + " itself answers"}
	case answered && errors.As(err, &api):
		e = s.explainCode(Call{operation(err), api, response.HTTPStatusCode()}, known)
	case errors.As(err, &api):
		e = s.explainCode(Call{operation(err), api, 0}, known)
	case answered && errors.As(err, &undecoded) && !s.isCutOff(err):
		e = s.Foreign()
		if status := response.HTTPStatusCode(); status >= 300 {
			e = s.explainUnavailable(Call{operation(err), &smithy.GenericAPIError{}, status})
		}
	default:
		e = s.server().Explain(err)
	}
	e.Err = errors.Join(e.Err, err)
	if answered {
		if after := httpx.RetryAfter(response.Response.Header, now); after != nil {
			e.Err = errors.Join(e.Err, after)
		}
	}
	return e
}

func (s Service) server() httpx.Server {
	return httpx.Server{Host: s.host(), Address: "region and endpoint_url", Authorities: "AWS_CA_BUNDLE"}
}

// operation returns the name of the operation that failed, "" if none was
// begun.
func operation(err error) string {
	var o *smithy.OperationError
	if errors.As(err, &o) {
		return o.OperationName
	}
	return ""
}

// explainCode explains AWS's answer, by the code.
func (s Service) explainCode(c Call, known func(Call) *nebula.Error) *nebula.Error {
	if e := known(c); e != nil {
		return e
	}
	if c.API.ErrorCode() == "UnknownOperationException" {
		return s.Foreign()
	}
	if e := explainSignature(c); e != nil {
		return e
	}
	return s.explainUnavailable(c)
}

// explainSignature explains refusals of the identity, not of the action; else
// it returns nil.
func explainSignature(c Call) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrUnauthenticated}
	switch c.API.ErrorCode() {
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		e.Message, e.Hint = "the AWS credentials have expired", "log in again: aws sso login, or renew the session token"
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidToken":
		e.Message, e.Hint = "AWS does not know the access key or session token", "look at the credentials, and at the region: some have to be enabled"
	case "OptInRequired", "SubscriptionRequiredException":
		e.Message, e.Hint = "the account may not use this region or service", "enable the region in the account"
	case "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture":
		return errClock()
	case "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure":
		if c.Says("Signature expired") || c.Says("Signature not yet current") {
			return errClock()
		}
		e.Message, e.Hint = "AWS does not accept the signature", "look at the secret access key, and at region where endpoint_url is set"
	case "IncompleteSignature", "IncompleteSignatureException", "MissingAuthenticationToken", "MissingAuthenticationTokenException":
		e.Message, e.Hint = "AWS does not accept the form of the signature", "check the access key, and any proxy or gateway before the endpoint"
	default:
		return nil
	}
	return e
}

func errClock() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUnauthenticated,
		Message: "AWS does not accept the time of the request: this machine's clock is off by more than 5 minutes",
		Hint:    "set the clock"}
}

// maxSkew is the greatest error of the time of a request that AWS accepts.
const maxSkew = 5 * time.Minute

// CheckClock examines the clock, from the server's time and ours.
func CheckClock(server, ours time.Time) nebula.Finding {
	f := nebula.Finding{Check: "clock", Severity: nebula.SeverityOK, Message: "agrees with AWS's"}
	if off := server.Sub(ours).Abs(); off > maxSkew/2 {
		f.Severity, f.Fix = nebula.SeverityWarning, "set the clock"
		f.Message = fmt.Sprintf("this machine's clock and AWS's differ by %v, and AWS refuses requests from 5m on", off.Round(time.Second))
	}
	return f
}

// IsThrottle reports that AWS did nothing, since there are too many requests.
func IsThrottle(code string) bool {
	switch code {
	case "ThrottlingException", "Throttling", "ThrottledException", "RequestThrottled", "RequestThrottledException",
		"TooManyRequestsException", "RequestLimitExceeded", "BandwidthLimitExceeded", "SlowDown", "PriorRequestNotComplete",
		"ProvisionedThroughputExceededException", "TransactionInProgressException", "EC2ThrottledException":
		return true
	}
	return false
}

// explainUnavailable is for failures that may pass, and for unknown codes.
// Their text is not shown: a server may put anything there.
func (s Service) explainUnavailable(c Call) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrUnavailable, Message: fmt.Sprintf("the server answered with status %d", c.Status)}
	switch code := c.API.ErrorCode(); {
	case IsThrottle(code) || c.Status == http.StatusTooManyRequests:
		e.Message, e.Hint = "AWS answers no more requests for now", "make fewer at once; AWS limits them by account and region"
	case code == "InternalServiceError", code == "InternalFailure", code == "InternalServerError", code == "ServiceUnavailable",
		code == "ServiceUnavailableException", code == "RequestTimeout", code == "RequestTimeoutException":
		e.Message, e.Err = "the service is not available ("+code+")", provider.ErrUnclear
	case c.Status == http.StatusNotFound, c.Status == http.StatusMethodNotAllowed, c.Status == http.StatusNotImplemented:
		return s.Foreign() // of any other server that is asked for a POST of /
	case c.Status >= 500:
		e.Err = provider.ErrUnclear
	case c.Status == http.StatusForbidden:
		e.Kind, e.Hint = nebula.ErrPermissionDenied, "check any proxy or gateway before the endpoint"
	case c.Status == http.StatusRequestEntityTooLarge:
		e.Kind, e.Message = nebula.ErrTooLarge, "the request is larger than the server allows"
	default:
		e.Kind = nebula.ErrInternal
	}
	return e
}

// isCutOff reports a failure of the connection in the middle of an answer, as
// opposed to an answer that cannot be read.
func (s Service) isCutOff(err error) bool {
	var network net.Error
	e := s.server().Explain(err)
	return e.Kind != nebula.ErrUnavailable || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF)
}

// Foreign is the error if another server answers.
func (s Service) Foreign() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "the server that answers is not AWS " + s.Name, Hint: "look at endpoint_url and AWS_ENDPOINT_URL"}
}
