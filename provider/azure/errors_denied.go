package azure

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/nebula-credential/nebula"
)

// right is what a call takes.
type right struct {
	action string // of a role, below Microsoft.KeyVault/vaults/secrets/
	policy string // of an access policy: get, list, set, …
}

// needed returns what a refused call takes.
func needed(r *azcore.ResponseError) right {
	if r.RawResponse == nil || r.RawResponse.Request == nil {
		return right{}
	}
	request := r.RawResponse.Request
	path := strings.Trim(request.URL.Path, "/")
	deleted := strings.HasPrefix(path, "deletedsecrets/")
	switch {
	case request.Method == http.MethodPut:
		return right{"setSecret/action", "set"}
	case request.Method == http.MethodPost && deleted:
		return right{"recover/action", "recover"}
	case request.Method == http.MethodDelete && deleted:
		return right{"purge/action", "purge"}
	case request.Method == http.MethodDelete:
		return right{"delete", "delete"}
	case deleted:
		return right{"readMetadata/action", "get"}
	case path == "secrets", strings.HasSuffix(path, "/versions"):
		return right{"readMetadata/action", "list"}
	}
	return right{"getSecret/action", "get"}
}

// explainDenied tells what the identity may not do, what nobody may do from this
// address, and what nobody may do at all.
func (d *driver) explainDenied(r *azcore.ResponseError) *nebula.Error {
	need := needed(r)
	denied := func(message, hint string) *nebula.Error {
		return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: message, Hint: hint}
	}
	role := fmt.Sprintf("the identity lacks the action Microsoft.KeyVault/vaults/secrets/%s on the vault %s", need.action, d.vault())
	policy := fmt.Sprintf("the access policy of the vault %s lacks the secret permission %q for the identity", d.vault(), need.policy)
	switch innerCode(r) {
	case secretDisabled:
		return d.errDisabled(refusedSecret(r))
	case "SecretExpired", "SecretNotYetValid":
		return d.errNotNow(refusedSecret(r))
	case "ForbiddenByRbac":
		return denied(role, d.roleHint())
	case "ForbiddenByPolicy":
		if need.policy == "set" {
			return denied("a policy of Azure does not allow the secret as it is, or "+policy, d.demandsHint()+"; or "+d.policyHint(need.policy))
		}
		return denied(policy, d.policyHint(need.policy))
	case "AccessDenied":
		return denied(policy, d.policyHint(need.policy))
	case byFirewall, byConnection:
		return denied("the firewall of the vault "+d.vault()+" does not let this machine in",
			"allow its address: az keyvault network-rule add --name "+d.vault()+" --ip-address ADDRESS")
	}
	if need.policy == "purge" {
		return errProtected()
	}
	hint := d.roleHint()
	if need.policy == "set" {
		hint += "; or, if a policy of Azure refuses the secret: " + d.demandsHint()
	}
	return denied(role+", or its access policy the secret permission "+strconv.Quote(need.policy), hint)
}

// demandsHint says by which settings the demands of policies are met.
func (d *driver) demandsHint() string {
	switch c := d.config; {
	case c.ContentType == "" && c.ExpiresAfter == 0:
		return "set content_type or expires_after in [storage.azure], as the policy demands"
	case c.ContentType == "":
		return "set content_type in [storage.azure], or another expires_after, as the policy demands"
	case c.ExpiresAfter == 0:
		return "set expires_after in [storage.azure], or another content_type, as the policy demands"
	}
	return "set content_type and expires_after in [storage.azure] to what the policy demands"
}

func (d *driver) roleHint() string {
	return `az role assignment create --role "Key Vault Secrets Officer" --assignee IDENTITY --scope "$(az keyvault show --name ` +
		d.vault() + ` --query id --output tsv)"`
}

func (d *driver) policyHint(permissions string) string {
	return "add to those that it has: az keyvault set-policy --name " + d.vault() + " --object-id IDENTITY --secret-permissions " + permissions
}

// vault returns the vault's name, as the commands of az take it.
func (d *driver) vault() string {
	name, _, _ := strings.Cut(d.host, ".")
	return name
}
