package aws

import (
	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/awsapi"
	"github.com/nebula-credential/nebula/provider"
)

const providerName = "aws"

// The error codes that operations look for.
const (
	codeMissing          = "ResourceNotFoundException"
	codeExists           = "ResourceExistsException"
	codeInvalidRequest   = "InvalidRequestException"
	codeInvalidParameter = "InvalidParameterException"
	codeLimit            = "LimitExceededException"
	codePrecondition     = "PreconditionNotMetException"
)

// isMissing reports that there is no such secret, version or value.
func isMissing(err error) bool {
	return awsapi.HasCode(err, codeMissing) || nebula.KindOf(err) == nebula.ErrNotFound
}

// Explain implements [provider.Driver]. Only this file and policy.go know the
// errors of the SDK and the servers. Package awsapi knows those that all services
// of AWS share.
func (d *driver) Explain(name nebula.Name, err error) *nebula.Error {
	service := secretsManager()
	if s := d.session.Load(); s != nil {
		service = s.service
	}
	return service.Explain(err, d.clock.Now(), func(c awsapi.Call) *nebula.Error { return d.explainCode(call{c, name}) })
}

// call is a call that AWS refused.
type call struct {
	awsapi.Call
	name nebula.Name
}

// explainCode explains a code of Secrets Manager. It returns nil for others.
func (d *driver) explainCode(c call) *nebula.Error {
	code := c.API.ErrorCode()
	if awsapi.IsDenied(code) {
		return d.explainDenied(c)
	}
	switch code {
	case codeMissing:
		return provider.NotFound()
	case codeExists:
		return &nebula.Error{Kind: nebula.ErrAlreadyExists, Message: "there is one already"}
	case codeLimit:
		return explainLimit(c)
	case "DecryptionFailure", "EncryptionFailure", "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException":
		return &nebula.Error{Kind: nebula.ErrInvalidConfig,
			Message: "AWS cannot use the KMS key of the secret: it is disabled, being deleted or missing (" + code + ")",
			Hint:    "enable the key, or cancel its deletion; look at kms_key_id"}
	case codeInvalidRequest, codePrecondition:
		return &nebula.Error{Kind: nebula.ErrConflict,
			Message: "the state of the secret does not allow this (" + code + "): it may be managed by another service, have replicas, or just have changed",
			Hint:    "look at it: aws secretsmanager describe-secret --secret-id " + d.config.SecretPrefix + c.name.String()}
	case codeInvalidParameter, "ValidationException", "ValidationError", "InvalidParameterValue", "SerializationException":
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "AWS rejects this request (" + code + ")",
			Hint: "look at secret_prefix, kms_key_id and default_tags"}
	case "NotFoundException":
		return secretsManager().Foreign()
	case "InvalidNextTokenException":
		return &nebula.Error{Kind: nebula.ErrConflict, Message: "AWS no longer knows how far the list was read", Hint: "list again"}
	}
	return nil
}

// explainLimit explains quotas. Waiting for seconds does not help.
func explainLimit(c call) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrTooLarge}
	switch c.Operation {
	case "PutSecretValue", "UpdateSecretVersionStage":
		if c.Says("staging label") {
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
