package azure

// ReachLimit is how long a managed identity's endpoint may take to be reached.
const ReachLimit = reachLimit

// The values of Credential.Type.
const (
	TypeManagedIdentity  = managedIdentity
	TypeServicePrincipal = servicePrincipal
	TypeDeveloperTools   = developerTools
	TypeWorkloadIdentity = workloadIdentity
)

// AcceptsTag reports whether Key Vault keeps a tag that a credential may have.
func AcceptsTag(key, value string) bool { return wrongTag(key, value) == "" }
