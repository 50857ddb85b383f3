package aws

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/provider"
)

const providerName = "aws"

// The codes that operations ask for.
const (
	codeMissing          = "ResourceNotFoundException"
	codeExists           = "ResourceExistsException"
	codeInvalidRequest   = "InvalidRequestException"
	codeInvalidParameter = "InvalidParameterException"
	codeDenied           = "AccessDeniedException"
	codeLimit            = "LimitExceededException"
	codePrecondition     = "PreconditionNotMetException"
)

// hasCode reports whether AWS answered with that code. Most have no type of
// their own in the SDK.
func hasCode(err error, code string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == code
}

// isMissing reports that there is no such secret, version or value.
func isMissing(err error) bool {
	return hasCode(err, codeMissing) || nebula.KindOf(err) == nebula.ErrNotFound
}

// Explain implements [provider.Driver]. The files that know the errors of the SDK and
// of the servers are this one, policy.go and credentials.go.
func (d *driver) Explain(name nebula.Name, err error) *nebula.Error {
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
			Message: fmt.Sprintf("the server sends requests elsewhere (status %d), which is not followed", response.HTTPStatusCode()),
			Hint:    "set endpoint_url to where Secrets Manager itself answers"}
	case answered && errors.As(err, &api):
		e = d.explainCode(call{operation(err), name, api, response.HTTPStatusCode()})
	case errors.As(err, &api):
		e = d.explainCode(call{operation(err), name, api, 0})
	case answered && errors.As(err, &undecoded) && !d.isCutOff(err):
		e = errForeignAnswer()
		if status := response.HTTPStatusCode(); status >= 300 {
			e = explainUnavailable(call{operation(err), name, &smithy.GenericAPIError{}, status})
		}
	default:
		e = d.server().Explain(err)
	}
	e.Err = errors.Join(e.Err, err)
	if answered {
		if after := httpx.RetryAfter(response.Response.Header, d.clock.Now()); after != nil {
			e.Err = errors.Join(e.Err, after)
		}
	}
	return e
}

func (d *driver) server() httpx.Server {
	host := "Secrets Manager"
	if s := d.session.Load(); s != nil {
		host = s.host
	}
	return httpx.Server{Host: host, Address: "region and endpoint_url", Authorities: "AWS_CA_BUNDLE"}
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

// call is one that AWS refused.
type call struct {
	operation string
	name      nebula.Name
	api       smithy.APIError
	status    int
}

func (c call) says(text string) bool { return strings.Contains(c.api.ErrorMessage(), text) }

// explainCode is for what AWS said, by the code.
func (d *driver) explainCode(c call) *nebula.Error {
	switch c.api.ErrorCode() {
	case codeMissing:
		return provider.NotFound()
	case codeExists:
		return &nebula.Error{Kind: nebula.ErrAlreadyExists, Message: "there is one already"}
	case codeDenied, "AccessDenied", "UnauthorizedOperation", "NotAuthorized":
		return d.explainDenied(c)
	case codeLimit:
		return explainLimit(c)
	case "DecryptionFailure", "EncryptionFailure", "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException":
		return &nebula.Error{Kind: nebula.ErrInvalidConfig,
			Message: "AWS cannot use the KMS key of the secret: it is disabled, being deleted or missing (" + c.api.ErrorCode() + ")",
			Hint:    "enable the key, or cancel its deletion; look at kms_key_id"}
	case codeInvalidRequest, codePrecondition:
		return &nebula.Error{Kind: nebula.ErrConflict,
			Message: "the state of the secret does not allow this (" + c.api.ErrorCode() + "): it may be managed by another service, have replicas, or just have changed",
			Hint:    "look at it: aws secretsmanager describe-secret --secret-id " + d.config.SecretPrefix + c.name.String()}
	case codeInvalidParameter, "ValidationException", "ValidationError", "InvalidParameterValue", "SerializationException":
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "AWS does not take this request (" + c.api.ErrorCode() + ")",
			Hint: "look at secret_prefix, kms_key_id and default_tags"}
	case "UnknownOperationException", "NotFoundException":
		return errForeignAnswer()
	case "InvalidNextTokenException":
		return &nebula.Error{Kind: nebula.ErrConflict, Message: "AWS no longer knows how far the list was read", Hint: "list again"}
	}
	if e := explainSignature(c); e != nil {
		return e
	}
	return explainUnavailable(c)
}

// explainSignature explains refusals of the identity, not of the action; else
// it returns nil.
func explainSignature(c call) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrUnauthenticated}
	switch c.api.ErrorCode() {
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		e.Message, e.Hint = "the AWS credentials have expired", "log in again: aws sso login, or renew the session token"
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidToken":
		e.Message, e.Hint = "AWS does not know the access key or session token", "look at the credentials, and at the region: some have to be enabled"
	case "OptInRequired", "SubscriptionRequiredException":
		e.Message, e.Hint = "the account may not use this region or service", "enable the region in the account"
	case "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture":
		return errClock()
	case "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure":
		if c.says("Signature expired") || c.says("Signature not yet current") {
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

// isThrottle reports that AWS did nothing, since there are too many requests.
func isThrottle(code string) bool {
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
func explainUnavailable(c call) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrUnavailable, Message: fmt.Sprintf("the server answered with status %d", c.status)}
	switch code := c.api.ErrorCode(); {
	case isThrottle(code) || c.status == http.StatusTooManyRequests:
		e.Message, e.Hint = "AWS answers no more requests for now", "make fewer at once; AWS limits them by account and region"
	case code == "InternalServiceError", code == "InternalFailure", code == "InternalServerError", code == "ServiceUnavailable",
		code == "ServiceUnavailableException", code == "RequestTimeout", code == "RequestTimeoutException":
		e.Message, e.Err = "the service is not available ("+code+")", provider.ErrUnclear
	case c.status == http.StatusNotFound, c.status == http.StatusMethodNotAllowed, c.status == http.StatusNotImplemented:
		return errForeignAnswer() // of any other server that is asked for a POST of /
	case c.status >= 500:
		e.Err = provider.ErrUnclear
	case c.status == http.StatusForbidden:
		e.Kind, e.Hint = nebula.ErrPermissionDenied, "check any proxy or gateway before the endpoint"
	case c.status == http.StatusRequestEntityTooLarge:
		e.Kind, e.Message = nebula.ErrTooLarge, "the request is larger than the server takes"
	default:
		e.Kind = nebula.ErrInternal
	}
	return e
}

// explainLimit is for quotas. They do not pass by waiting for seconds.
func explainLimit(c call) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrTooLarge}
	switch c.operation {
	case "PutSecretValue", "UpdateSecretVersionStage":
		if c.says("staging label") {
			e.Message = "the quota of staging labels of a secret is used up: AWS keeps 20 over all its versions"
			e.Hint = "remove some that other tools have put there: aws secretsmanager update-secret-version-stage"
			return e
		}
		e.Message = "the quota of versions of a secret is used up: AWS keeps about 100 and removes none that is younger than 24 hours"
		e.Hint = "store this credential less often, at most every 10 minutes on average, or wait until the oldest versions are a day old"
	case "CreateSecret":
		e.Message = "the quota of secrets of this account and region is used up"
		e.Hint = "purge credentials that are not needed, or have the quota raised in Service Quotas"
	default:
		e.Message = "a quota of AWS is used up"
		e.Hint = "look at the quotas of Secrets Manager in Service Quotas"
	}
	return e
}

// isCutOff reports a failure of the connection in the midst of an answer, rather
// than an answer that cannot be read.
func (d *driver) isCutOff(err error) bool {
	var network net.Error
	e := d.server().Explain(err)
	return e.Kind != nebula.ErrUnavailable || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF)
}

func errForeignAnswer() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "what answers is not AWS Secrets Manager", Hint: "look at endpoint_url and AWS_ENDPOINT_URL"}
}
