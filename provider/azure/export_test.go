package azure

import "github.com/nebula-credential/nebula/internal/azureapi"

// The values of Credential.Type.
const (
	TypeManagedIdentity  = azureapi.ManagedIdentity
	TypeServicePrincipal = azureapi.ServicePrincipal
	TypeDeveloperTools   = azureapi.DeveloperTools
	TypeWorkloadIdentity = azureapi.WorkloadIdentity
)

// RetryGrace is how long a retry may take to take over what was recovered.
const RetryGrace = retryGrace

// AcceptsTag reports whether Key Vault keeps a tag that a credential may have.
func AcceptsTag(key, value string) bool { return wrongTag(key, value) == "" }
