package azureapi

import (
	"strconv"

	"github.com/nebula-credential/nebula"
)

// The types of [Credential].
const (
	ManagedIdentity  = "managed_identity"
	ServicePrincipal = "service_principal"
	DeveloperTools   = "developer_tools"
	WorkloadIdentity = "workload_identity"
)

// Credential is the identity for which tokens are requested. It is the
// Credential of package azure, which documents the fields.
type Credential struct {
	Type               string
	ClientID           string
	TenantID           string
	ClientSecretFile   string
	ClientSecret       nebula.Secret
	FederatedTokenFile string
}

// DefaultCredential is the managed identity of the machine, with AZURE_TENANT_ID,
// AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and AZURE_FEDERATED_TOKEN_FILE for the
// other types.
func DefaultCredential(getenv func(variable string) string) Credential {
	c := Credential{
		Type:               ManagedIdentity,
		ClientID:           getenv("AZURE_CLIENT_ID"),
		TenantID:           getenv("AZURE_TENANT_ID"),
		FederatedTokenFile: getenv("AZURE_FEDERATED_TOKEN_FILE"),
	}
	if secret := getenv("AZURE_CLIENT_SECRET"); secret != "" {
		c.ClientSecret = nebula.NewSecret([]byte(secret))
	}
	return c
}

// Unread returns the variables of Azure's other tools that are set and not read.
func Unread(getenv func(variable string) string) (set []string) {
	for _, variable := range []string{"AZURE_TOKEN_CREDENTIALS", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_AUTHORITY_HOST"} {
		if getenv(variable) != "" {
			set = append(set, variable)
		}
	}
	return set
}

// Validate calls note for each problem, with its setting.
func (c Credential) Validate(note func(setting, reason string)) {
	optional := func(setting, id string) {
		if id != "" && !isGUID(id) {
			note(setting, strconv.Quote(id)+" is not a GUID")
		}
	}
	needed := func(setting, variable, id string) {
		if id == "" {
			note(setting, "is not set, nor is "+variable)
		}
		optional(setting, id)
	}
	switch c.Type {
	case ManagedIdentity:
		optional("credential.client_id", c.ClientID)
	case DeveloperTools:
		optional("credential.tenant_id", c.TenantID)
	case ServicePrincipal:
		needed("credential.tenant_id", "AZURE_TENANT_ID", c.TenantID)
		needed("credential.client_id", "AZURE_CLIENT_ID", c.ClientID)
		if c.ClientSecretFile == "" && len(c.ClientSecret.Reveal()) == 0 {
			note(clientSecretFile, "is not set, nor is AZURE_CLIENT_SECRET")
		}
	case WorkloadIdentity:
		needed("credential.tenant_id", "AZURE_TENANT_ID", c.TenantID)
		needed("credential.client_id", "AZURE_CLIENT_ID", c.ClientID)
		if c.FederatedTokenFile == "" {
			note(federatedTokenFile, "is not set, nor is AZURE_FEDERATED_TOKEN_FILE")
		}
	default:
		note("credential.type", strconv.Quote(c.Type)+" is not one of managed_identity, service_principal, developer_tools, workload_identity")
	}
}

// String names the identity in messages.
func (c Credential) String() string {
	switch c.Type {
	case ServicePrincipal:
		return "the service principal " + c.ClientID
	case WorkloadIdentity:
		return "the workload identity " + c.ClientID
	case DeveloperTools:
		return "the login of az or azd"
	}
	if c.ClientID == "" {
		return "the managed identity of the system"
	}
	return "the managed identity " + c.ClientID
}

// isGUID reports whether s has the form 00000000-0000-0000-0000-000000000000.
func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
				return false
			}
		}
	}
	return true
}
