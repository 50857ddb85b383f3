package azure

import (
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/azureapi"
)

// needed returns the permission that a refused call needs.
func needed(r *azcore.ResponseError) azureapi.Right {
	right := func(action, permission string) azureapi.Right {
		return azureapi.Right{Object: "secret", Action: "secrets/" + action, Permission: permission, Role: "Key Vault Secrets Officer"}
	}
	if r.RawResponse == nil || r.RawResponse.Request == nil {
		return right("", "")
	}
	request := r.RawResponse.Request
	path := strings.Trim(request.URL.Path, "/")
	deleted := strings.HasPrefix(path, "deletedsecrets/")
	switch {
	case request.Method == http.MethodPut:
		return right("setSecret/action", "set")
	case request.Method == http.MethodPost && deleted:
		return right("recover/action", "recover")
	case request.Method == http.MethodDelete && deleted:
		return right("purge/action", "purge")
	case request.Method == http.MethodDelete:
		return right("delete", "delete")
	case deleted:
		return right("readMetadata/action", "get")
	case path == "secrets", strings.HasSuffix(path, "/versions"):
		return right("readMetadata/action", "list")
	}
	return right("getSecret/action", "get")
}

// explainDenied tells three causes apart: the identity lacks the right, nobody
// may do this from this address, or nobody may do this at all.
func (d *driver) explainDenied(r *azcore.ResponseError) *nebula.Error {
	need, inner := needed(r), azureapi.InnerCode(r)
	switch inner {
	case secretDisabled:
		return d.errDisabled(refusedSecret(r))
	case "SecretExpired", "SecretNotYetValid":
		return d.errNotNow(refusedSecret(r))
	}
	e := d.vault.Denied(r, need)
	unknown := !slices.Contains([]string{"ForbiddenByRbac", "ForbiddenByPolicy", "AccessDenied"}, inner) && !azureapi.IsShutOut(r)
	switch {
	case unknown && need.Permission == "purge":
		return errProtected()
	case unknown && need.Permission == "set":
		e.Hint += "; or, if a policy of Azure refuses the secret: " + d.demandsHint()
	case inner == "ForbiddenByPolicy" && need.Permission == "set":
		e.Message = "a policy of Azure does not allow the secret as it is, or " + e.Message
		e.Hint = d.demandsHint() + "; or " + e.Hint
	}
	return e
}

// demandsHint says which settings meet the demands of policies.
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
