package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

// azureClient returns a client like that of any process with the exported environment.
func azureClient(t *testing.T, r *running) *http.Client {
	t.Helper()
	proxy, err := url.Parse(r.env["HTTPS_PROXY"])
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(r.env["SSL_CERT_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func azureCall(t *testing.T, client *http.Client, request *http.Request) map[string]any {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %s %v", request.Method, request.URL, response.Status, data, err)
	}
	var body map[string]any
	if err := json.Unmarshal(data, &body); err != nil {
		t.Fatal(err)
	}
	return body
}

func TestLiveUpAzureAnswers(t *testing.T) {
	r := startUp(t, "azure")
	client := azureClient(t, r)
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"https://vault.azure.net/.default"},
		"client_id": {r.env["AZURE_CLIENT_ID"]}, "client_secret": {r.env["AZURE_CLIENT_SECRET"]}}
	login, err := http.NewRequest(http.MethodPost,
		"https://login.microsoftonline.com/"+r.env["AZURE_TENANT_ID"]+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	identity, err := http.NewRequest(http.MethodGet, r.env["IDENTITY_ENDPOINT"]+"?api-version=2019-08-01&resource=https://vault.azure.net", nil)
	if err != nil {
		t.Fatal(err)
	}
	identity.Header.Set("X-IDENTITY-HEADER", r.env["IDENTITY_HEADER"])
	tokens := []any{azureCall(t, client, login)["access_token"], azureCall(t, http.DefaultClient, identity)["access_token"]}
	for _, token := range tokens {
		write, err := http.NewRequest(http.MethodPut,
			r.env["NEBULA_STORAGE_AZURE_VAULT_URL"]+"/secrets/name?api-version=7.4", strings.NewReader(`{"value":"v"}`))
		if err != nil {
			t.Fatal(err)
		}
		write.Header.Set("Authorization", "Bearer "+token.(string))
		if got := azureCall(t, client, write); got["value"] != "v" {
			t.Errorf("the answer to the write is %v", got)
		}
		wrap, err := http.NewRequest(http.MethodPost, r.env["NEBULA_TESTSERVER_AZURE_KEY_URL"]+"/wrapkey?api-version=7.4",
			strings.NewReader(`{"alg":"RSA-OAEP-256","value":"AAAA"}`))
		if err != nil {
			t.Fatal(err)
		}
		wrap.Header.Set("Authorization", "Bearer "+token.(string))
		if got := azureCall(t, client, wrap); !strings.HasPrefix(fmt.Sprint(got["kid"]), r.env["NEBULA_TESTSERVER_AZURE_KEY_URL"]+"/") {
			t.Errorf("the answer to wrapkey is %v", got)
		}
	}
	if r.env["NEBULA_STORAGE_AZURE_CREDENTIAL_TYPE"] != "service_principal" {
		t.Error("the credential's type is not exported")
	}
}

func TestLiveUpAzureEndsWithItsInput(t *testing.T) {
	r := startUp(t, "azure")
	proxy, err := url.Parse(r.env["HTTPS_PROXY"])
	if err != nil || proxy.Host == "" {
		t.Fatalf("HTTPS_PROXY is %q, %v", r.env["HTTPS_PROXY"], err)
	}
	_ = r.stdin.Close()
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("up ended with %v", err)
	}
	if conn, err := net.Dial("tcp", proxy.Host); err == nil {
		_ = conn.Close()
		t.Error("up has ended, and the server still listens")
	}
	if _, err := os.Stat(r.env["SSL_CERT_FILE"]); err == nil {
		t.Error("up has ended, and the certificate is still there")
	}
}
