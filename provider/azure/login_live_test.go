package azure_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/provider/azure"
)

// connects makes a provider, logs in, and returns the error.
func (r *rig) connects(t *testing.T, c azure.Config) error {
	t.Helper()
	p := r.made(t, c).(nebula.Connector)
	defer p.Close()
	return p.Connect(t.Context())
}

// If the token file of a workload identity is missing, empty or not a token, the
// error names it, and the login is not asked.
func TestLiveFederatedTokenFile(t *testing.T) {
	r := newRig(t)
	folder := t.TempDir()
	for what, c := range map[string]struct {
		holds []byte
		text  string
	}{
		"missing": {nil, "no such file"},
		"empty":   {[]byte(" \n"), "is empty"},
		"binary":  {[]byte("a\x00canary"), "characters that no token has"},
	} {
		file := filepath.Join(folder, what)
		if c.holds != nil {
			if err := os.WriteFile(file, c.holds, 0o600); err != nil {
				t.Fatal(err)
			}
		} else if runtime.GOOS == "windows" {
			c.text = "cannot find"
		}
		config := r.principal()
		config.Credential = azure.Credential{Type: azure.TypeWorkloadIdentity, TenantID: azureserver.TenantID, ClientID: azureserver.ClientID, FederatedTokenFile: file}
		err := r.connects(t, config)
		wants(t, err, nebula.ErrUnauthenticated, "credential.federated_token_file", filepath.Base(file), c.text, "or AZURE_FEDERATED_TOKEN_FILE")
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("the error shows the content of the file: %v", err)
		}
	}
	if n := r.Server.Count(azureserver.Token); n != 0 {
		t.Errorf("%d tokens were requested", n)
	}
}

// If there are several managed identities, one has to be chosen. A single one is
// used.
func TestLiveSeveralIdentities(t *testing.T) {
	r := newRig(t)
	r.Server.SetIdentities(false, azureserver.UserIdentity, otherTenant)
	wants(t, r.connects(t, r.machine("")), nebula.ErrUnauthenticated, "several managed identities", "credential.client_id", "AZURE_CLIENT_ID")
	if err := r.connects(t, r.machine(otherTenant)); err != nil {
		t.Error(err)
	}
	r.Server.SetIdentities(false, azureserver.UserIdentity)
	if err := r.connects(t, r.machine("")); err != nil {
		t.Error(err)
	}
	wants(t, r.connects(t, r.machine(otherTenant)), nebula.ErrUnauthenticated, "is not assigned to this machine", "AZURE_CLIENT_ID")
}

// Arc's agent asks for a file. If it cannot be read, the error names it.
func TestLiveArcKey(t *testing.T) {
	r := newRig(t)
	t.Setenv("IDENTITY_ENDPOINT", r.Server.ArcEndpoint())
	t.Setenv("IMDS_ENDPOINT", "http://127.0.0.1:40342")
	wants(t, r.connects(t, r.machine("")), nebula.ErrUnauthenticated, "Azure Arc", azureserver.ArcFolder, ".key", "no such file", "himds")
	folder := t.TempDir()
	r.Server.SetArcFolder(folder)
	wants(t, r.connects(t, r.machine("")), nebula.ErrUnauthenticated, folder, "not where the agent puts its keys")
}

// While an identity is set up, its endpoint answers with 404, and while the endpoint
// is updated, with 410. Both pass.
func TestLiveIdentityBeingSetUp(t *testing.T) {
	for _, status := range []int{404, 410} {
		r := newRig(t)
		remove := r.Server.Inject(azureserver.IdentityUpdating(status))
		wants(t, r.connects(t, r.machine("")), nebula.ErrUnavailable, "is being set up", "try again in a minute")
		remove()
		passing := azureserver.IdentityUpdating(status)
		passing.Times = 2
		r.Server.Inject(passing)
		if err := r.connects(t, r.machine("")); err != nil {
			t.Errorf("after %d had passed: %v", status, err)
		}
	}
	// App Service does not answer like that.
	r := newRig(t)
	t.Setenv("IDENTITY_ENDPOINT", r.Server.IdentityEndpoint())
	t.Setenv("IDENTITY_HEADER", r.Server.IdentityHeader())
	r.Server.Inject(azureserver.IdentityUpdating(404))
	wants(t, r.connects(t, r.machine("")), nebula.ErrUnauthenticated, "status 404")
}

// A managed identity is the default. If there is none, the error names the kind of
// login that the environment suggests.
func TestLiveNoIdentityHints(t *testing.T) {
	r := newRig(t)
	r.Server.SetIdentities(false)
	c := r.machine("")
	wants(t, r.connects(t, c), nebula.ErrUnauthenticated, "workload_identity, service_principal or developer_tools")
	c.Credential.ClientSecret = nebula.NewSecret([]byte("canary"))
	err := r.connects(t, c)
	wants(t, err, nebula.ErrUnauthenticated, "AZURE_CLIENT_SECRET is set", "service_principal")
	if strings.Contains(err.Error(), "canary") {
		t.Error("the secret is shown")
	}
	c.Credential.FederatedTokenFile = "/var/run/secrets/azure/tokens/azure-identity-token"
	wants(t, r.connects(t, c), nebula.ErrUnauthenticated, "AZURE_FEDERATED_TOKEN_FILE is set", "workload_identity")
}

// The output of az and azd is shown on one line, at limited length, and without what
// may be a token, a key or a secret.
func TestLiveToolsSaid(t *testing.T) {
	r := newRig(t)
	c := r.principal()
	c.Credential = azure.Credential{Type: azure.TypeDeveloperTools}
	token := "eyJ" + strings.Repeat("canary", 20)
	secret := "abc8Q~" + strings.Repeat("canary", 6)
	tools(t, "echo 'ERROR: AADSTS70043: The refresh token has expired.'>&2; echo 'Trace ID: "+otherTenant+" see https://aka.ms/azsdk/go/identity/x/y/z/canarynot "+token+" --password="+secret+"' >&2; exit 1",
		"yes 'a very long story' | head -n 1000 >&2; exit 1")
	err := r.connects(t, c)
	wants(t, err, nebula.ErrUnauthenticated, `az said "ERROR: AADSTS70043: The refresh token has expired. Trace ID: `+otherTenant, "https://aka.ms/azsdk", "azd said")
	if err != nil && (strings.Contains(err.Error(), "canarycanary") || len(err.Error()) > 1000 || strings.Contains(err.Error(), "\n")) {
		t.Errorf("%d characters: %v", len(err.Error()), err)
	}
	tools(t, "exit 127", "exit 127")
	wants(t, r.connects(t, c), nebula.ErrUnauthenticated, "executable not found on path")
}

// Variables of other tools can choose an identity. Nebula does not read them, and a
// warning says so.
func TestLiveUnreadVariables(t *testing.T) {
	r := newRig(t)
	base := azure.DefaultConfigIn(func(name string) string {
		return map[string]string{"AZURE_TOKEN_CREDENTIALS": "prod", "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.us"}[name]
	})
	c := r.principal()
	base.VaultURL, base.Transport, base.Credential = c.VaultURL, c.Transport, c.Credential
	checker, _ := nebula.As[nebula.Checker](r.open(t, base))
	var said []string
	for _, f := range checker.Check(t.Context()) {
		if f.Severity != nebula.SeverityOK {
			said = append(said, f.Message+"; "+f.Fix)
		}
	}
	if len(said) != 2 || !strings.Contains(said[0], "AZURE_TOKEN_CREDENTIALS is set, and is not read") || !strings.Contains(said[0], "credential.type") ||
		!strings.Contains(said[1], "AZURE_AUTHORITY_HOST") {
		t.Errorf("%q", said)
	}
}

// Configuration meets the demands of a policy, and a refusal names the settings.
func TestLivePolicyDemands(t *testing.T) {
	r := newRig(t)
	name, e := record(t, "a", "v", nil)
	store := func(contentType string, after time.Duration) error {
		t.Helper()
		c := r.principal()
		c.ContentType, c.ExpiresAfter = contentType, after
		_, err := r.open(t, c).Store(context.Background(), name, e, nebula.StoreOptions{})
		return err
	}
	r.SetPolicy(azureserver.Policy{ContentType: true, Expiry: true, MaxValidity: 90 * 24 * time.Hour})
	wants(t, store("", 0), nebula.ErrPermissionDenied, "a policy of Azure does not allow the secret as it is", "content_type or expires_after", "--secret-permissions set")
	wants(t, store("", time.Hour), nebula.ErrPermissionDenied, "content_type")
	wants(t, store("application/json", 0), nebula.ErrPermissionDenied, "expires_after")
	wants(t, store("application/json", 91*24*time.Hour), nebula.ErrPermissionDenied, "what the policy demands")
	began := r.clock.Now()
	if err := store("application/json", 90*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	latest, err := r.Latest("nebula-credentials-a")
	if after := latest.Expires.Sub(began); err != nil || latest.ContentType != "application/json" || after < 89*24*time.Hour || after > 91*24*time.Hour {
		t.Errorf("%+v, %v", latest, err)
	}
	// The same holds for the keyring.
	r = newRig(t)
	r.SetPolicy(azureserver.Policy{ContentType: true, Expiry: true})
	c := r.principal()
	c.ContentType, c.ExpiresAfter = "application/json", 24*time.Hour
	r.storeOn(t, r.made(t, c))
}
