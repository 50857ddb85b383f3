package awsapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/smithy-go"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
)

// source gets credentials, and marks its failures. When credentials must be
// renewed, such failures come with the calls of Secrets Manager, and are not its
// failures.
type source struct{ aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (s source) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := s.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &sourceError{ctx.Err(), err}
	}
	return c, nil
}

// sourceError is a failure to get credentials.
type sourceError struct {
	ended error // of the caller's context
	err   error
}

// Error leaves out what a program printed, and so does Unwrap: it may contain
// credentials.
func (e *sourceError) Error() string {
	if e.ofProcess() {
		return "get AWS credentials: the credential_process failed"
	}
	return "get AWS credentials: " + e.err.Error()
}

func (e *sourceError) Unwrap() []error {
	if e.ofProcess() {
		return []error{e.ended}
	}
	return []error{e.ended, e.err}
}

func (e *sourceError) ofProcess() bool {
	var process *processcreds.ProviderError
	return errors.As(e.err, &process)
}

// explainSource says which step of getting credentials failed, and what to do.
func explainSource(e *sourceError) *nebula.Error {
	var operation *smithy.OperationError
	var process *processcreds.ProviderError
	var session *ssocreds.InvalidTokenError
	switch {
	case e.ended != nil:
		return &nebula.Error{Kind: nebula.KindOf(e.ended), Message: "ended while getting AWS credentials" + ofProfile()}
	case errors.As(e.err, &process):
		return explainProcess(process)
	case errors.As(e.err, &session):
		return errSessionOver()
	case errors.As(e.err, &operation) && operation.ServiceID == "STS":
		return explainSTS(operation, e.err)
	case errors.As(e.err, &operation) && operation.ServiceID != "ec2imds":
		return explainStep(operation, e.err)
	case strings.Contains(e.err.Error(), "failed to retrieve jwt"):
		return explainTokenFile()
	case strings.Contains(e.err.Error(), "SSO token") || strings.Contains(e.err.Error(), "login token"):
		return errSessionOver()
	case strings.Contains(e.err.Error(), "failed to load credentials"): // of a container
		return explainContainer(e.err)
	}
	return errNoCredentials()
}

// explainProcess is for credential_process. It does not show the output of the
// program.
func explainProcess(err *processcreds.ProviderError) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrUnauthenticated, Hint: "run it by itself to see what it says: aws configure get credential_process" + profileOption()}
	var exit *exec.ExitError
	switch text := err.Error(); {
	case strings.Contains(text, "timed out"):
		e.Message = fmt.Sprintf("the credential_process%s did not end within %v", ofProfile(), processcreds.DefaultTimeout)
	case errors.As(err.Err, &exit):
		e.Message = fmt.Sprintf("the credential_process%s failed with exit code %d", ofProfile(), exit.ExitCode())
	case strings.Contains(text, "in process output"), strings.Contains(text, "parse failed"):
		e.Message = "the credential_process" + ofProfile() + " printed no credentials in the form that AWS documents"
	default:
		e.Message = "the credential_process" + ofProfile() + " cannot be run"
	}
	return e
}

func errSessionOver() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the session of the AWS login" + ofProfile() + " has expired, or there was none",
		Hint: "log in: aws sso login" + profileOption() + ", or aws login" + profileOption()}
}

// explainTokenFile is for a web identity whose token cannot be read.
func explainTokenFile() *nebula.Error {
	const variable = "AWS_WEB_IDENTITY_TOKEN_FILE"
	path := os.Getenv(variable)
	e := &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the token file of the web identity" + ofProfile() + " cannot be read",
		Hint: "look at web_identity_token_file" + ofProfile()}
	if path == "" {
		return e
	}
	e.Message, e.Hint = "the token file "+strconv.Quote(path)+" cannot be read", "look at "+variable+"; in a pod, at its service account"
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		e.Message = "the token file " + strconv.Quote(path) + " does not exist"
	}
	return e
}

// explainSTS is for roles and web identities.
func explainSTS(o *smithy.OperationError, err error) *nebula.Error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return explainStep(o, err)
	}
	step := "sts:" + o.OperationName + ofProfile()
	e := &nebula.Error{Kind: nebula.ErrUnauthenticated}
	switch code := api.ErrorCode(); code {
	case "AccessDenied", CodeDenied:
		if strings.Contains(api.ErrorMessage(), "MultiFactorAuthentication") {
			return errMFA()
		}
		e.Kind, e.Message = nebula.ErrPermissionDenied, step+" is not allowed: the role may not be assumed"
		e.Hint = "look at role_arn, at the role's trust policy, and at the caller's own policy, which has to allow sts:" + o.OperationName
	case "ExpiredTokenException":
		e.Message, e.Hint = step+" was refused: the token of the web identity has expired", "have it renewed; in a pod, the cluster does so"
	case "ExpiredToken":
		e.Message, e.Hint = step+" was refused: the session of the credentials that assume the role has expired", "log in again: aws sso login, or renew the session token"
	case "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException":
		e.Message, e.Hint = step+" was refused: AWS does not accept the access key that assumes the role", "look at source_profile and its keys"
	case "InvalidIdentityToken":
		e.Message, e.Hint = step+" was refused: AWS does not accept the token of the web identity", "look at the identity provider in IAM, its audience and thumbprint, and at AWS_ROLE_ARN"
	case "IDPRejectedClaim":
		e.Message, e.Hint = step+" was refused by the identity provider", "look at the token's claims"
	case "IDPCommunicationError":
		e.Kind, e.Message = nebula.ErrUnavailable, step+" failed: AWS cannot reach the identity provider"
	case "RegionDisabledException":
		e.Kind, e.Message, e.Hint = nebula.ErrInvalidConfig, step+" failed: STS is not active in this region", "have it activated in IAM's account settings, or set sts_regional_endpoints"
	default:
		return explainStep(o, err)
	}
	return e
}

func errMFA() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the role" + ofProfile() + " asks for a code of multi-factor authentication, which nebula does not ask for",
		Hint: "get a session first, with aws sts get-session-token, and name its profile in AWS_PROFILE"}
}

// explainStep is for the other services that give credentials.
func explainStep(o *smithy.OperationError, err error) *nebula.Error {
	step := o.ServiceID + " " + o.OperationName + ofProfile()
	var api smithy.APIError
	var response *awshttp.ResponseError
	status := 0
	if errors.As(err, &response) && response.Response != nil && response.Response.Response != nil {
		status = response.HTTPStatusCode()
	}
	switch {
	case errors.As(err, &api) && IsThrottle(api.ErrorCode()), status == http.StatusTooManyRequests:
		return &nebula.Error{Kind: nebula.ErrUnavailable, Message: step + " answers no more requests for now"}
	case status >= http.StatusInternalServerError:
		return &nebula.Error{Kind: nebula.ErrUnavailable, Message: fmt.Sprintf("%s failed with status %d", step, status)}
	case errors.As(err, &api) && api.ErrorCode() == "UnauthorizedException":
		return errSessionOver()
	case errors.As(err, &api):
		return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: fmt.Sprintf("%s was refused (%.64q)", step, api.ErrorCode()),
			Hint: "try it with AWS's own tool: aws sts get-caller-identity" + profileOption()}
	}
	return unreachable(o.ServiceID, "which gives the AWS credentials"+ofProfile(), err)
}

func explainContainer(err error) *nebula.Error {
	const endpoint = "the container's endpoint for credentials"
	var answer interface {
		error
		HTTPStatusCode() int
	}
	if !errors.As(err, &answer) {
		return unreachable(endpoint, "", err)
	}
	if status := answer.HTTPStatusCode(); status == http.StatusTooManyRequests || status >= http.StatusInternalServerError {
		return &nebula.Error{Kind: nebula.ErrUnavailable, Message: fmt.Sprintf("%s failed with status %d", endpoint, status)}
	}
	return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: endpoint + " refused to give some",
		Hint: "look at the role of the task or pod, and at AWS_CONTAINER_CREDENTIALS_FULL_URI"}
}

// unreachable is for a step whose server gave no answer. The step would have
// changed nothing, so no outcome is unclear.
func unreachable(host, what string, err error) *nebula.Error {
	e := httpx.Server{Host: strings.TrimSpace(host + " " + what), Address: "region and HTTPS_PROXY", Authorities: "AWS_CA_BUNDLE"}.Explain(err)
	e.Err = nil
	return e
}

// explainSettings is for the content of AWS's own files and variables.
func explainSettings(err error) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrInvalidConfig, Err: err, Message: "the settings of AWS's own tools cannot be used",
		Hint: "look at AWS_PROFILE and the other AWS_ variables, ~/.aws/config and ~/.aws/credentials"}
	var missing config.SharedConfigProfileNotExistError
	var role config.SharedConfigAssumeRoleError
	var lacks config.CredentialRequiresARNError
	var code config.AssumeRoleTokenProviderNotSetError
	var file config.SharedConfigLoadError
	switch {
	case errors.As(err, &code):
		e = errMFA()
		e.Err = err
	case errors.As(err, &role):
		e.Message += fmt.Sprintf(": the profile %.64q assumes a role with a source_profile that has no credentials", role.Profile)
	case errors.As(err, &lacks):
		e.Message += fmt.Sprintf(": the profile %.64q has no role_arn for its %.64q", lacks.Profile, lacks.Type)
	case strings.Contains(err.Error(), "partial credentials"):
		e.Message += ": the profile has an access key without its secret, or the other way round"
	case errors.As(err, &missing):
		e.Message += fmt.Sprintf(": there is no profile %.64q", missing.Profile)
	case errors.As(err, &file):
		e.Message += fmt.Sprintf(": %.256q cannot be read", file.Filename)
	}
	return e
}

// halfKeys names the missing half if the environment has half a pair of keys,
// which the SDK ignores.
func halfKeys() string {
	id, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	switch {
	case id != "" && secret == "":
		return "AWS_SECRET_ACCESS_KEY"
	case id == "" && secret != "":
		return "AWS_ACCESS_KEY_ID"
	}
	return ""
}

// errNoCredentials says where credentials were looked for.
func errNoCredentials() *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrUnauthenticated,
		Message: "there are no AWS credentials: looked at AWS_ACCESS_KEY_ID, web identity, profile " + profileName() + ", container, and instance metadata",
		Hint:    "aws configure, aws sso login, or set AWS_PROFILE"}
	if missing := halfKeys(); missing != "" {
		e.Message, e.Hint = "there are no AWS credentials: "+missing+" is not set beside its other half", "set "+missing
	}
	return e
}

func profileName() string {
	if name := os.Getenv("AWS_PROFILE"); name != "" {
		return fmt.Sprintf("%.64q", name)
	}
	return `"default"`
}

func ofProfile() string { return " of profile " + profileName() }

// profileOption is for a command of AWS's tool.
func profileOption() string {
	if os.Getenv("AWS_PROFILE") == "" {
		return ""
	}
	return " --profile " + profileName()
}
