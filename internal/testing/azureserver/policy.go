package azureserver

import (
	"fmt"
	"net/http"
	"time"
)

// Policy is what Azure Policy demands of the secrets of a vault. A version that does
// not meet it is refused when it is written. Versions that exist stay.
type Policy struct {
	ContentType bool          // "Key Vault secrets should have content type set"
	Expiry      bool          // "Key Vault secrets should have an expiration date"
	MaxValidity time.Duration // "Secrets should have the specified maximum validity period"; 0: any
}

// SetPolicy puts a policy in force, with the effect that Microsoft calls Deny:
// "Integrate Azure Key Vault with Azure Policy". Such a refusal is 403 Forbidden, as
// hashicorp/packer-plugin-azure#235 quotes it. The inner code ForbiddenByPolicy is
// known only for keys, and the words are inferred.
func (v *Vault) SetPolicy(p Policy) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.policy = p
}

// checkPolicy checks a version before it is written.
func (v *Vault) checkPolicy(t target, n *version) *apiError {
	refused := func(policy string) *apiError {
		return &apiError{status: http.StatusForbidden, code: "Forbidden", inner: "ForbiddenByPolicy",
			message: fmt.Sprintf("Operation %s is not allowed by policy: the secret does not meet the policy '%s'. %s", t.op, policy, v.place())}
	}
	switch {
	case v.policy.ContentType && (n.contentType == nil || *n.contentType == ""):
		return refused("Key Vault secrets should have content type set")
	case v.policy.Expiry && n.exp == nil:
		return refused("Key Vault secrets should have an expiration date")
	case v.policy.MaxValidity > 0 && (n.exp == nil || time.Unix(*n.exp, 0).Sub(v.server.now()) > v.policy.MaxValidity):
		return refused("Secrets should have the specified maximum validity period")
	}
	return nil
}
