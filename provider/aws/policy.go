package aws

import (
	"fmt"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/awsapi"
)

// explainDenied names the action and the resource. It tells the key's
// permissions from those of the secret.
func (d *driver) explainDenied(c call) *nebula.Error {
	action := "secretsmanager:" + c.Operation
	if said := awsapi.DeniedAction(c.API.ErrorMessage()); said != "" {
		action = said
	} else if c.Says("Access to KMS is not allowed") {
		action = "kms:Decrypt"
		if c.Operation == "CreateSecret" || c.Operation == "PutSecretValue" {
			action = "kms:GenerateDataKey"
		}
	}
	resource := d.secretARN(c.name)
	switch {
	case strings.HasPrefix(action, "kms:"):
		resource = d.keyARN()
		return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "the KMS key of the secret may not be used: " + action + " on " + resource + " is not allowed",
			Hint: fmt.Sprintf("allow it in the policy of the caller and in the key's: %s", awsapi.Statement(resource, "kms:Decrypt", "kms:GenerateDataKey"))}
	case c.Operation == "ListSecrets", c.Operation == "BatchGetSecretValue" && strings.HasSuffix(action, ":BatchGetSecretValue"):
		resource = "*" // neither is of a resource
	}
	return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: action + " on " + resource + " is not allowed",
		Hint: "add to the policy: " + awsapi.Statement(d.policyResource(resource), action)}
}

// secretARN returns the ARN of a secret, without its random end. With the zero
// name it is that of all credentials.
func (d *driver) secretARN(name nebula.Name) string {
	return d.arn(d.config.SecretPrefix + name.String())
}

func (d *driver) arn(secret string) string {
	region, account := d.config.Region, ""
	if s := d.session.Load(); s != nil {
		region, account = s.login.Region, s.login.Account()
	}
	if account == "" {
		account = "*"
	}
	return "arn:" + awsapi.PartitionOf(region) + ":secretsmanager:" + region + ":" + account + ":secret:" + secret
}

// policyResource returns the resource of a policy for all credentials.
func (d *driver) policyResource(resource string) string {
	if resource == "*" {
		return resource
	}
	return d.secretARN(nebula.Name{}) + "*"
}

func (d *driver) keyARN() string {
	if d.config.KMSKeyID != "" {
		return d.config.KMSKeyID
	}
	return "the key of the secret"
}
