package livetest

import (
	"errors"
	"net/http"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula/internal/testing/azureserver"
)

// azureClient returns Microsoft's own client, with nothing changed except where its
// connections go.
func azureClient(t *testing.T, vault *AzureVault, credential func(policy.ClientOptions) (azcore.TokenCredential, error)) *azsecrets.Client {
	t.Helper()
	transport := vault.Server.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	options := policy.ClientOptions{Transport: &http.Client{Transport: transport}, Retry: policy.RetryOptions{MaxRetries: -1}}
	token, err := credential(options)
	if err != nil {
		t.Fatal(err)
	}
	client, err := azsecrets.NewClient(vault.URL(), token, &azsecrets.ClientOptions{ClientOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func principal(vault *AzureVault, secret string) func(policy.ClientOptions) (azcore.TokenCredential, error) {
	return func(o policy.ClientOptions) (azcore.TokenCredential, error) {
		return azidentity.NewClientSecretCredential(azureserver.TenantID, azureserver.ClientID, secret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: o})
	}
}

func identity(id azidentity.ManagedIDKind) func(policy.ClientOptions) (azcore.TokenCredential, error) {
	return func(o policy.ClientOptions) (azcore.TokenCredential, error) {
		return azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ClientOptions: o, ID: id})
	}
}

// Microsoft's client works with the server as with the service: it logs in, answers the
// challenge, writes, reads, and follows pages.
func TestLiveAzureSDK(t *testing.T) {
	for name, credential := range map[string]func(*testing.T, *AzureVault) func(policy.ClientOptions) (azcore.TokenCredential, error){
		"service principal": func(_ *testing.T, v *AzureVault) func(policy.ClientOptions) (azcore.TokenCredential, error) {
			return principal(v, v.Server.ClientSecret())
		},
		"system identity of a machine": func(*testing.T, *AzureVault) func(policy.ClientOptions) (azcore.TokenCredential, error) {
			return identity(nil)
		},
		"user identity of a machine": func(*testing.T, *AzureVault) func(policy.ClientOptions) (azcore.TokenCredential, error) {
			return identity(azidentity.ClientID(azureserver.UserIdentity))
		},
		"identity of App Service": func(t *testing.T, v *AzureVault) func(policy.ClientOptions) (azcore.TokenCredential, error) {
			t.Setenv("IDENTITY_ENDPOINT", v.Server.IdentityEndpoint())
			t.Setenv("IDENTITY_HEADER", v.Server.IdentityHeader())
			return identity(nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			vault := NewAzure(t, azureserver.Options{})
			useSDK(t, vault, azureClient(t, vault, credential(t, vault)))
			// Each operation took one request, and all of them one challenge.
			if sets, challenges := vault.Count(azureserver.SetSecret), vault.Count(azureserver.Challenge); sets != 3 || challenges != 1 {
				t.Errorf("%d requests to write, %d challenges", sets, challenges)
			}
			// The token of an identity can come from an earlier test.
			principals, identities := vault.Server.Count(azureserver.Token), vault.Server.Count(azureserver.IdentityToken)
			if principals+identities > 1 || principals != 1 && name == "service principal" {
				t.Errorf("%d and %d tokens were asked for", principals, identities)
			}
		})
	}
}

// useSDK writes three secrets, reads one and lists all.
func useSDK(t *testing.T, vault *AzureVault, client *azsecrets.Client) {
	t.Helper()
	for _, secret := range []string{"b", "A", "c"} {
		parameters := azsecrets.SetSecretParameters{Value: new("value of " + secret), Tags: map[string]*string{"k": new("v")}}
		if _, err := client.SetSecret(t.Context(), secret, parameters, nil); err != nil {
			t.Fatal(err)
		}
	}
	got, err := client.GetSecret(t.Context(), "a", "", nil)
	if err != nil || *got.Value != "value of A" || *got.Tags["k"] != "v" {
		t.Errorf("%+v, %v", got.Secret, err)
	}
	var listed string
	vault.SetPages(1, 0)
	for pager := client.NewListSecretPropertiesPager(nil); pager.More(); {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Value {
			listed += item.ID.Name()
		}
	}
	if listed != "Abc" {
		t.Errorf("listed %s", listed)
	}
}

func TestLiveAzureWrongSecret(t *testing.T) {
	vault := NewAzure(t, azureserver.Options{})
	client := azureClient(t, vault, principal(vault, "wrong"))
	_, err := client.GetSecret(t.Context(), "a", "", nil)
	var failed *azidentity.AuthenticationFailedError
	if !errors.As(err, &failed) || failed.RawResponse.StatusCode != http.StatusUnauthorized {
		t.Errorf("%v", err)
	}
	if n := vault.Count(azureserver.GetSecret); n != 0 {
		t.Errorf("%d requests with a token", n)
	}
}

// A vault that names another tenant, login or resource gets no token.
func TestLiveAzureForeignChallenge(t *testing.T) {
	for _, challenge := range []string{
		`Bearer authorization="https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555", resource="https://vault.azure.net"`,
		`Bearer authorization="https://login.microsoftonline.com/` + azureserver.TenantID + `", resource="https://vault.example.org"`,
	} {
		vault := NewAzure(t, azureserver.Options{})
		vault.SetChallenge(challenge)
		client := azureClient(t, vault, principal(vault, vault.Server.ClientSecret()))
		if _, err := client.GetSecret(t.Context(), "a", "", nil); err == nil {
			t.Error("no error")
		}
		for _, r := range vault.Requests() {
			if r.WithToken {
				t.Errorf("%s received a token after the challenge %s", r.Host, challenge)
			}
		}
	}
}

func TestLiveAzureVaultsAreApart(t *testing.T) {
	a, b := Azure(t), Azure(t)
	if a.Server != b.Server {
		t.Error("there are two servers")
	}
	a.Add(azureserver.Seed{Name: "n", Value: "v"})
	if _, err := b.Value("n"); err == nil || a.URL() == b.URL() {
		t.Errorf("%s and %s are one vault", a.URL(), b.URL())
	}
	begin := a.Server.Requests()
	client := azureClient(t, a, principal(a, a.Server.ClientSecret()))
	if _, err := client.GetSecret(t.Context(), "n", "", nil); err != nil {
		t.Fatal(err)
	}
	if len(begin) == len(a.Server.Requests()) || len(b.Requests()) != 0 || a.Count(azureserver.GetSecret) != 1 {
		t.Errorf("%d and %d requests", len(a.Requests()), len(b.Requests()))
	}
}
