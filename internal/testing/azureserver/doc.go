// Package azureserver is a server for tests that answers as Azure Key Vault and its
// login do: the secrets API and the keys API with soft delete and its delays, the
// challenge, and the token endpoints of a service principal and of a managed identity.
//
// A test compares its answers with recordings of the real service: see testdata. If
// there is no recording, a comment in the code says that the behaviour is inferred.
//
//	server, err := azureserver.New(azureserver.Options{})
//	defer server.Close()
//	vault := server.Vault("test")       // https://test.vault.azure.net
//	client := &http.Client{Transport: server.Transport()}
//
// Clients use the real addresses. In the same process, Transport leads them here. In
// another process, HTTPS_PROXY (ProxyURL) and SSL_CERT_FILE (CA) do.
package azureserver
