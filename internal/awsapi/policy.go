package awsapi

import (
	"fmt"
	"strings"
)

// DeniedAction returns the action that AWS says was refused: that may be another
// one than the operation, TagResource in a CreateSecret for example. It is ""
// if AWS names none.
func DeniedAction(message string) string {
	_, rest, _ := strings.Cut(message, "not authorized to perform: ")
	action, _, _ := strings.Cut(rest, " ")
	service, verb, _ := strings.Cut(action, ":")
	isLetter := func(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }
	if service != "secretsmanager" && service != "kms" || verb == "" || len(verb) > 40 || strings.TrimFunc(verb, isLetter) != "" {
		return ""
	}
	return action
}

// Statement returns a statement of a policy.
func Statement(resource string, actions ...string) string {
	return fmt.Sprintf(`{"Effect": "Allow", "Action": ["%s"], "Resource": "%s"}`, strings.Join(actions, `", "`), resource)
}
