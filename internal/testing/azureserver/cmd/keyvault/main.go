// Command keyvault runs the Key Vault server for tests on free loopback ports, with one vault,
// which holds only the key "nebula". It prints one line of JSON with all that clients need, and
// ends when its standard input ends.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/nebula-credential/nebula/internal/testing/azureserver"
)

func main() {
	vault := flag.String("vault", "nebula-test", "name of the vault")
	ca := flag.String("ca", "keyvault-ca.pem", "file to write the certificate to that clients have to trust")
	flag.Parse()
	if err := run(*vault, *ca, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "keyvault:", err)
		os.Exit(1)
	}
}

// ready is the line that is printed.
type ready struct {
	VaultURL         string `json:"vault_url"`
	KeyURL           string `json:"key_url"`
	Proxy            string `json:"proxy"`
	CAFile           string `json:"ca_file"`
	TenantID         string `json:"tenant_id"`
	ClientID         string `json:"client_id"`
	ClientSecret     string `json:"client_secret"`
	IdentityEndpoint string `json:"identity_endpoint"`
	IdentityHeader   string `json:"identity_header"`
	UserIdentity     string `json:"user_identity"` // client id of the user-assigned identity
}

func run(vault, ca string, stdin io.Reader, stdout io.Writer) error {
	server, err := azureserver.New(azureserver.Options{})
	if err != nil {
		return err
	}
	defer server.Close()
	// A client that reads AZURE_CLIENT_ID asks for an identity with that id when
	// it is told to use managed identities.
	server.SetIdentities(true, azureserver.UserIdentity, azureserver.ClientID)
	if err := os.WriteFile(ca, server.CA(), 0o644); err != nil {
		return err
	}
	v := server.Vault(vault)
	v.AddKey("nebula", azureserver.KeySeed{})
	err = json.NewEncoder(stdout).Encode(ready{
		VaultURL: v.URL(), KeyURL: v.URL() + "/keys/nebula", Proxy: server.ProxyURL(), CAFile: ca,
		TenantID: azureserver.TenantID, ClientID: azureserver.ClientID, ClientSecret: server.ClientSecret(),
		IdentityEndpoint: server.IdentityEndpoint(), IdentityHeader: server.IdentityHeader(), UserIdentity: azureserver.UserIdentity,
	})
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		close(ended)
	}()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	select {
	case <-ended:
	case <-stop:
	}
	return nil
}
