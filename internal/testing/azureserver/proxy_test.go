package azureserver

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain also plays another process that knows nothing of the server: it has
// HTTPS_PROXY and SSL_CERT_FILE, and uses Azure's addresses.
func TestMain(m *testing.M) {
	if vault := os.Getenv("NEBULA_TEST_VAULT_OF_CHILD"); vault != "" {
		if err := beChild(vault, os.Getenv("NEBULA_TEST_SECRET_OF_CHILD")); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func beChild(vault, secret string) error {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {ClientID}, "client_secret": {secret}, "scope": {resource + "/.default"}}
	request, err := http.NewRequest(http.MethodPost, login+TenantID+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r, err := send(http.DefaultClient, request)
	if err != nil {
		return err
	}
	token, _ := r.body["access_token"].(string)
	request, err = http.NewRequest(http.MethodPut, vault+"/secrets/child?api-version=7.4", strings.NewReader(`{"value":"from the child"}`))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if r, err = send(http.DefaultClient, request); err == nil && r.status != 200 {
		err = fmt.Errorf("%d %s", r.status, r.text)
	}
	return err
}

func TestAnotherProcess(t *testing.T) {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		t.Skip("Go programs ignore SSL_CERT_FILE here")
	}
	x := newTester(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, x.server.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{"HTTPS_PROXY=" + x.server.ProxyURL(), "SSL_CERT_FILE=" + ca,
		"NEBULA_TEST_VAULT_OF_CHILD=" + x.URL(), "NEBULA_TEST_SECRET_OF_CHILD=" + x.server.ClientSecret()}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if value, err := x.Value("child"); value != "from the child" {
		t.Errorf("%q, %v", value, err)
	}
}

// The proxy leads to the server's own hosts, and nowhere else.
func TestProxyRefusesOtherHosts(t *testing.T) {
	x := newTester(t)
	proxy, err := url.Parse(x.server.ProxyURL())
	if err != nil {
		t.Fatal(err)
	}
	transport := x.server.Transport()
	transport.DialContext, transport.Proxy = nil, http.ProxyURL(proxy)
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	for address, want := range map[string]bool{
		x.URL():                               true,
		"https://" + loginHost:                true,
		"https://other.vault.azure.net":       false,
		"https://example.org":                 false,
		x.URL() + ":8443":                     false,
		"https://added.example.org/somewhere": true,
	} {
		x.server.AddHost("added.example.org")
		response, err := client.Get(address)
		if err == nil {
			_ = response.Body.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
	if response, err := x.client.Get("https://other.vault.azure.net"); err == nil {
		_ = response.Body.Close()
		t.Error("the transport leads to a vault that is not there")
	}
}

// Close also ends the connections through the proxy.
func TestCloseCutsTunnels(t *testing.T) {
	server, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	vault := server.Vault("v")
	proxy, err := url.Parse(server.ProxyURL())
	if err != nil {
		t.Fatal(err)
	}
	transport := server.Transport()
	transport.DialContext, transport.Proxy = nil, http.ProxyURL(proxy)
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	response, err := client.Get(vault.URL() + "/secrets")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	server.Close()
	if _, err := client.Get(vault.URL() + "/secrets"); err == nil {
		t.Error("the server answers after Close")
	}
}
