package awsserver

import (
	"net/http"
	"slices"
)

// Error is AWS's answer if there is no output.
type Error struct {
	Status  int // 400 if 0: with AWS, almost every error is
	Code    string
	Message string
}

func (e *Error) status() int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

// modelled are the errors of Secrets Manager itself, which spell Message with a capital
// letter. The errors of the layer before it do not.
var modelled = []string{
	"DecryptionFailure", "EncryptionFailure", "InternalServiceError", "InvalidNextTokenException",
	"InvalidParameterException", "InvalidRequestException", "LimitExceededException",
	"MalformedPolicyDocumentException", "PreconditionNotMetException", "PublicPolicyException",
	"ResourceExistsException", "ResourceNotFoundException",
}

func (e *Error) body() map[string]string {
	field := "message"
	if slices.Contains(modelled, e.Code) {
		field = "Message"
	}
	return map[string]string{"__type": e.Code, field: e.Message}
}

func fail(code, message string) *Error { return &Error{Code: code, Message: message} }

func notFound() *Error {
	return fail("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

func invalid(message string) *Error { return fail("InvalidParameterException", message) }

// validation returns the error for values that the service's model does not allow.
func validation(message string) *Error { return fail("ValidationException", message) }

// denied returns IAM's refusal. It names an absent secret as the client did: IAM
// decides first, so it is refused as well.
func (s *Server) denied(operation, id string) *Error {
	resource := "*"
	if id != "" {
		resource = id
		if found := s.find(id); found != nil {
			resource = found.arn
		}
	}
	action := "secretsmanager:" + operation
	return fail("AccessDeniedException", "User: arn:aws:iam::"+s.options.Account+":user/test is not authorized to perform: "+
		action+" on resource: "+resource+" because no identity-based policy allows the "+action+" action")
}

// Errors for faults, in AWS's words.
var (
	Throttled           = &Error{Code: "ThrottlingException", Message: "Rate exceeded"}
	InternalError       = &Error{Status: 500, Code: "InternalServiceError", Message: "An internal error occurred."}
	Unavailable         = &Error{Status: 503, Code: "ServiceUnavailableException", Message: "Service is unavailable."}
	ExpiredToken        = &Error{Code: "ExpiredTokenException", Message: "The security token included in the request is expired"}
	UnrecognizedClient  = &Error{Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid."}
	InvalidSignature    = &Error{Code: "InvalidSignatureException", Message: "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."}
	KMSDenied           = &Error{Code: "AccessDeniedException", Message: "Access to KMS is not allowed"}
	DecryptionFailure   = &Error{Code: "DecryptionFailure", Message: "Secrets Manager can't decrypt the protected secret text using the provided KMS key."}
	EncryptionFailure   = &Error{Code: "EncryptionFailure", Message: "Secrets Manager can't encrypt the protected secret text using the provided KMS key. Check that the KMS key is available, enabled, and not in an invalid state."}
	QuotaExceeded       = &Error{Code: "LimitExceededException", Message: "You have reached a quota for secrets in your account."}
	PreconditionsNotMet = &Error{Code: "PreconditionNotMetException", Message: "The request failed because you did not complete all the prerequisite steps."}
)
