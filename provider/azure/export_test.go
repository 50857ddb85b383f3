package azure

import "github.com/nebula-credential/nebula/internal/azureapi"

// The values of Credential.Type.
const (
	TypeManagedIdentity  = azureapi.ManagedIdentity
	TypeServicePrincipal = azureapi.ServicePrincipal
	TypeDeveloperTools   = azureapi.DeveloperTools
	TypeWorkloadIdentity = azureapi.WorkloadIdentity
)

// AcceptsTag reports whether Key Vault keeps a tag that a credential may have.
func AcceptsTag(key, value string) bool { return wrongTag(key, value) == "" }
