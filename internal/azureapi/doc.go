// Package azureapi is what all users of Azure Key Vault have in common: the
// identity and its token, the way of a request to a vault, and what the errors
// of the login and of a vault mean, whatever the object is that was asked for.
package azureapi
