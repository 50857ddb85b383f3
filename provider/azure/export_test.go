package azure

import "github.com/nebula-credential/nebula/internal/azureapi"

// These are the values of Credential.Type.
const (
	TypeManagedIdentity  = azureapi.ManagedIdentity
	TypeServicePrincipal = azureapi.ServicePrincipal
	TypeDeveloperTools   = azureapi.DeveloperTools
	TypeWorkloadIdentity = azureapi.WorkloadIdentity
)

// RetryGrace is the time that a retry has to take over what was recovered.
const RetryGrace = retryGrace

// AcceptsTag reports whether Key Vault keeps a tag of a credential.
func AcceptsTag(key, value string) bool { return wrongTag(key, value) == "" }
