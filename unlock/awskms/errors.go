package awskms

import (
	"fmt"
	"strconv"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/awsapi"
	"github.com/nebula-credential/nebula/unlock/internal/slots"
)

// request is a call of KMS, for messages.
type request struct {
	key       named
	operation string
	region    string

	slotID, arn string // of the slot that is opened; "" for others
}

// subject names the key of a call.
func (r request) subject() string {
	if r.arn != "" {
		return r.arn
	}
	return r.key.text
}

// explain explains an error of KMS, by the code. It returns nil for errors that are
// not KMS's own. The kinds are such that after a refused key other keys are tried.
func (r request) explain(c awsapi.Call) *nebula.Error {
	code := c.API.ErrorCode()
	if awsapi.IsDenied(code) {
		return r.explainDenied(c)
	}
	refused := func(message, hint string) *nebula.Error {
		return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: message, Hint: hint}
	}
	switch code {
	case "IncorrectKeyException":
		return r.wrongKey("it is for another key than " + r.key.text)
	case "InvalidCiphertextException":
		e := slots.Damaged(r.slotID, "--aws-kms KEY", fmt.Errorf("KMS cannot decrypt it under %s", r.subject()))
		return e.(*nebula.Error)
	case "DisabledException":
		return refused("the KMS key "+r.subject()+" is disabled", "enable it: aws kms enable-key --key-id "+r.subject())
	case "KMSInvalidStateException":
		return refused("the state of the KMS key "+r.subject()+" does not allow "+r.operation+": it is pending deletion or import, or its key store is not connected",
			"look at it: aws kms describe-key --key-id "+r.subject()+"; a deletion is cancelled with: aws kms cancel-key-deletion --key-id "+r.subject())
	case "NotFoundException":
		return refused("there is no KMS key "+r.key.text+" in "+r.region+" for these credentials, or it was deleted",
			"look at key, also and region of [key.aws_kms], and at the account of the credentials")
	case "InvalidKeyUsageException":
		return r.notSymmetric()
	case "InvalidArnException", "ValidationException":
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "KMS rejects this request for the key " + strconv.Quote(r.key.text) + " (" + code + ")",
			Hint: "look at key, also and region of [key.aws_kms]"}
	case "KeyUnavailableException", "DependencyTimeoutException", "KMSInternalException":
		return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "KMS cannot use the key " + r.subject() + " at the moment (" + code + ")"}
	case "DryRunOperationException":
		return &nebula.Error{Kind: nebula.ErrInternal, Message: "KMS would have done it"}
	}
	return nil
}

// explainDenied names action and key, and other possible causes, which KMS does
// not tell apart.
func (r request) explainDenied(c awsapi.Call) *nebula.Error {
	action := awsapi.DeniedAction(c.API.ErrorMessage())
	if action == "" {
		action = "kms:" + r.operation
	}
	e := &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: action + " on " + r.subject() + " is not allowed",
		Hint: "allow it in the policy of the caller and in the key's: " + awsapi.Statement(r.subject(), action)}
	if r.operation != "Decrypt" {
		return e
	}
	e.Message += ", or the key is disabled, pending deletion or another key"
	if r.key.isAlias && r.arn != "" {
		e.Hint = r.movedHint()
	}
	return e
}

// movedHint is for an alias that does not name the slot's key, or no longer
// does.
func (r request) movedHint() string {
	return "where " + r.key.text + " has moved to another key, name the slot's: key = \"" + r.arn + "\" in [key.aws_kms]"
}

// wrongKey is the error for a slot of another key.
func (r request) wrongKey(why string) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrWrongKey, Message: "the KMS key " + r.key.text + " does not open the slot " + r.slotID + ": " + why}
	if r.key.isAlias && r.arn != "" {
		e.Hint = r.movedHint()
	}
	return e
}

func (r request) notSymmetric() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrNotSupported, Message: "the KMS key " + r.key.text + " is not a symmetric key for encryption",
		Hint: "make one with the key spec " + symmetric + ": aws kms create-key"}
}
