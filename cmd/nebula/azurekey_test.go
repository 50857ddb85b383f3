package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nebula-credential/nebula/internal/testing/azureserver"
)

// The whole command with keys of Azure Key Vault, configured only by variables. A and B
// are keys; EC is a key that cannot wrap.
func TestScriptsAzureKey(t *testing.T) {
	runScripts(t, filepath.Join("testdata", "azurekey"), func(env *testscript.Env) {
		server, err := azureserver.New(azureserver.Options{Delays: azureserver.Delays{Delete: time.Nanosecond}}) // each script has its own, and counts its calls
		if err != nil {
			t.Fatal(err)
		}
		env.Defer(server.Close)
		v := &scriptVault{Vault: server.Vault("team"), server: server}
		for name, seed := range map[string]azureserver.KeySeed{"A": {}, "B": {Size: 3072}, "EC": {Type: "EC"}} {
			v.AddKey("key-"+name, seed)
			env.Setenv(name, v.URL()+"/keys/key-"+name)
		}
		env.Values[vaultKey{}] = v
		ca := filepath.Join(env.WorkDir, "ca.pem")
		if err := os.WriteFile(ca, server.CA(), 0o600); err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"NEBULA_KEY_AZURE_KEY_CREDENTIAL_TYPE": "service_principal",
			"AZURE_TENANT_ID":                      azureserver.TenantID,
			"AZURE_CLIENT_ID":                      azureserver.ClientID,
			"AZURE_CLIENT_SECRET":                  server.ClientSecret(),
			"HTTPS_PROXY":                          server.ProxyURL(),
			"SSL_CERT_FILE":                        ca,
		} {
			env.Setenv(name, value)
		}
	})
}

type vaultKey struct{}

// scriptVault is what a script knows of the server.
type scriptVault struct {
	*azureserver.Vault
	server *azureserver.Server
	stops  []func()
}

// azurekey changes the vault, or compares the calls since the last time, without the
// logins:
//
//	azurekey KEY enable|disable|expire|delete|anew|version
//	azurekey deny OPERATION
//	azurekey throttle
//	azurekey allow
//	azurekey called [OPERATION]…|-any
func scriptAzureKey(ts *testscript.TestScript, _ bool, args []string) {
	v, ok := ts.Value(vaultKey{}).(*scriptVault)
	if !ok {
		ts.Fatalf("there is no vault here")
	}
	switch args[0] {
	case "deny":
		v.stops = append(v.stops, v.Inject(azureserver.ForbiddenByRbac(azureserver.Operation(args[1]))))
	case "throttle":
		v.stops = append(v.stops, v.Inject(azureserver.Throttled()))
	case "allow":
		for _, stop := range v.stops {
			stop()
		}
		v.stops = nil
	case "called":
		if got := v.called(); !slices.Equal(got, args[1:]) && args[len(args)-1] != "-any" {
			ts.Fatalf("called were %q", got)
		}
	default:
		ts.Check(v.change("key-"+args[0], args[1]))
	}
}

// called returns the operations since the last time, and forgets them. A call without a
// token is named as a challenge.
func (v *scriptVault) called() (operations []string) {
	for _, r := range v.Requests() {
		name := strings.ReplaceAll(string(r.Operation), " ", "-")
		if !r.WithToken {
			name = string(azureserver.Challenge)
		}
		operations = append(operations, name)
	}
	v.server.ForgetRequests()
	return operations
}

func (v *scriptVault) change(key, how string) error {
	switch how {
	case "enable":
		return v.ChangeKey(key, "", true, time.Time{})
	case "disable":
		return v.ChangeKey(key, "", false, time.Time{})
	case "expire":
		return v.ChangeKey(key, "", true, time.Now().Add(-time.Hour))
	case "delete":
		v.DeleteKey(key)
	case "anew":
		v.ForgetKey(key)
		v.AddKey(key, azureserver.KeySeed{})
	case "version":
		v.AddKey(key, azureserver.KeySeed{})
	}
	return nil
}
