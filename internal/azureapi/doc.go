// Package azureapi has the shared parts of all users of Azure Key Vault: the
// identity and its token, the way of a request to a vault, and the meaning of
// the errors of the login and of a vault that do not depend on the requested
// object.
package azureapi
