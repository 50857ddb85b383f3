// Package azureserver is a server for tests that answers as Azure Key Vault and
// its login do: the secrets and the keys API with soft delete and its delays, the
// challenge, the token endpoint of a service principal and of a managed identity.
//
// What it answers is held to recordings of the real service: see testdata and
// the test that replays them. If there is no recording, the comment at the
// place says that the behaviour is inferred.
//
//	server, err := azureserver.New(azureserver.Options{})
//	defer server.Close()
//	vault := server.Vault("test")       // https://test.vault.azure.net
//	client := &http.Client{Transport: server.Transport()}
//
// Clients use the real addresses. In the same process, Transport leads them
// here. Another process gets HTTPS_PROXY (ProxyURL) and SSL_CERT_FILE (CA).
package azureserver
