package aws

import (
	"fmt"
	"strings"

	"github.com/nebula-credential/nebula"
)

// deniedAction returns the action that AWS says was refused: that may be another
// one than the operation, TagResource in a CreateSecret for example. It is ""
// if AWS names none.
func deniedAction(message string) string {
	_, rest, _ := strings.Cut(message, "not authorized to perform: ")
	action, _, _ := strings.Cut(rest, " ")
	service, verb, _ := strings.Cut(action, ":")
	isLetter := func(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }
	if service != "secretsmanager" && service != "kms" || verb == "" || len(verb) > 40 || strings.TrimFunc(verb, isLetter) != "" {
		return ""
	}
	return action
}

// explainDenied names the action and the resource, and tells the key's
// permissions from those of the secret.
func (d *driver) explainDenied(c call) *nebula.Error {
	action := "secretsmanager:" + c.operation
	if said := deniedAction(c.api.ErrorMessage()); said != "" {
		action = said
	} else if c.says("Access to KMS is not allowed") {
		action = "kms:Decrypt"
		if c.operation == "CreateSecret" || c.operation == "PutSecretValue" {
			action = "kms:GenerateDataKey"
		}
	}
	resource := d.secretARN(c.name)
	switch {
	case strings.HasPrefix(action, "kms:"):
		resource = d.keyARN()
		return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "the KMS key of the secret may not be used: " + action + " on " + resource + " is not allowed",
			Hint: fmt.Sprintf("allow it in the policy of the caller and in the key's: %s", statement(resource, "kms:Decrypt", "kms:GenerateDataKey"))}
	case c.operation == "ListSecrets", c.operation == "BatchGetSecretValue" && strings.HasSuffix(action, ":BatchGetSecretValue"):
		resource = "*" // neither is of a resource
	}
	return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: action + " on " + resource + " is not allowed",
		Hint: "add to the policy: " + statement(d.policyResource(resource), action)}
}

// statement returns a statement of a policy.
func statement(resource string, actions ...string) string {
	return fmt.Sprintf(`{"Effect": "Allow", "Action": ["%s"], "Resource": "%s"}`, strings.Join(actions, `", "`), resource)
}

// secretARN returns the ARN of a secret, without its random end. With the zero
// name it is that of all credentials.
func (d *driver) secretARN(name nebula.Name) string {
	s := d.session.Load()
	if s == nil {
		s = &session{region: d.config.Region}
	}
	account := accountOf(s.identity)
	if account == "" {
		account = "*"
	}
	return "arn:" + partitionOf(s.region) + ":secretsmanager:" + s.region + ":" + account + ":secret:" + d.config.SecretPrefix + name.String()
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
