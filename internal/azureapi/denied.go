package azureapi

import (
	"fmt"
	"strconv"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/nebula-credential/nebula"
)

// The inner codes of a vault that accepts no requests from this machine.
const (
	byFirewall   = "ForbiddenByFirewall"
	byConnection = "ForbiddenByConnection"
)

// Right is the right that a call needs.
type Right struct {
	Object     string // "secret" or "key"
	Action     string // of a role, below Microsoft.KeyVault/vaults/: secrets/getSecret/action
	Permission string // of an access policy: get
	Role       string // the built-in role that has the action
	Scope      string // that it is needed for, below the vault: /keys/team; "" for all of it
}

// IsShutOut reports that the vault does not accept requests from this machine.
func IsShutOut(err error) bool {
	inner := InnerCode(err)
	return inner == byFirewall || inner == byConnection
}

// Denied says which right an identity lacks that was refused with status 403. If
// the vault does not say whether its roles or its access policy refused, the
// message names both.
func (v *Vault) Denied(refused *azcore.ResponseError, need Right) *nebula.Error {
	denied := func(message, hint string) *nebula.Error {
		return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: message, Hint: hint}
	}
	role := fmt.Sprintf("the identity lacks the action Microsoft.KeyVault/vaults/%s on the vault %s", need.Action, v.Name())
	policy := fmt.Sprintf("the access policy of the vault %s lacks the %s permission %q for the identity", v.Name(), need.Object, need.Permission)
	switch inner := InnerCode(refused); inner {
	case "ForbiddenByRbac":
		return denied(role, v.roleHint(need))
	case "AccessDenied", "ForbiddenByPolicy":
		return denied(policy, v.policyHint(need))
	case byFirewall, byConnection:
		return v.shutOut()
	}
	return denied(role+", or its access policy the "+need.Object+" permission "+strconv.Quote(need.Permission), v.roleHint(need))
}

func (v *Vault) roleHint(need Right) string {
	return `az role assignment create --role "` + need.Role + `" --assignee IDENTITY --scope "$(az keyvault show --name ` +
		v.Name() + ` --query id --output tsv)` + need.Scope + `"`
}

func (v *Vault) policyHint(need Right) string {
	return "add to those that it has: az keyvault set-policy --name " + v.Name() + " --object-id IDENTITY --" + need.Object + "-permissions " + need.Permission
}

func (v *Vault) shutOut() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "the firewall of the vault " + v.Name() + " does not let this machine in",
		Hint: "allow its address: az keyvault network-rule add --name " + v.Name() + " --ip-address ADDRESS"}
}
