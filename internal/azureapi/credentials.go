package azureapi

import (
	"context"
	"errors"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	sdkcloud "github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
)

// The settings that name files, as messages name them.
const (
	clientSecretFile   = "credential.client_secret_file"
	federatedTokenFile = "credential.federated_token_file"
)

func (a *authenticator) options() azcore.ClientOptions {
	return azcore.ClientOptions{
		Cloud:     sdkcloud.Configuration{ActiveDirectoryAuthorityHost: "https://" + a.cloud.login + "/"},
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{ApplicationID: "nebula"},
		Transport: a.client,
	}
}

func (a *authenticator) ofMachine(ctx context.Context, asked policy.TokenRequestOptions) (azcore.AccessToken, error) {
	options := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: a.options()}
	if a.config.ClientID != "" {
		options.ID = azidentity.ClientID(a.config.ClientID)
	}
	credential, err := azidentity.NewManagedIdentityCredential(options)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	// Claims are not sent to these endpoints. With them the SDK bypasses its
	// cache, which the whole process shares.
	asked.Claims = "{}"
	return credential.GetToken(ctx, asked)
}

func (a *authenticator) ofPrincipal(ctx context.Context, asked policy.TokenRequestOptions) (azcore.AccessToken, error) {
	secret, err := a.secret()
	if err != nil {
		return azcore.AccessToken{}, err
	}
	// The login's host is on our list. Asking it whether it is Microsoft's
	// would cost a call and prove nothing.
	credential, err := azidentity.NewClientSecretCredential(a.config.TenantID, a.config.ClientID, secret,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: a.options(), DisableInstanceDiscovery: true})
	if err != nil {
		return azcore.AccessToken{}, err
	}
	return credential.GetToken(ctx, asked)
}

func (a *authenticator) ofWorkload(ctx context.Context, asked policy.TokenRequestOptions) (azcore.AccessToken, error) {
	assertion, err := a.readFile(federatedTokenFile, "AZURE_FEDERATED_TOKEN_FILE", a.config.FederatedTokenFile)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	credential, err := azidentity.NewClientAssertionCredential(a.config.TenantID, a.config.ClientID,
		func(context.Context) (string, error) { return assertion, nil },
		&azidentity.ClientAssertionCredentialOptions{ClientOptions: a.options(), DisableInstanceDiscovery: true})
	if err != nil {
		return azcore.AccessToken{}, err
	}
	return credential.GetToken(ctx, asked)
}

// secret returns that of a service principal.
func (a *authenticator) secret() (string, error) {
	c := a.config
	if c.ClientSecretFile != "" {
		return a.readFile(clientSecretFile, "AZURE_CLIENT_SECRET in its place", c.ClientSecretFile)
	}
	secret := strings.TrimSpace(string(c.ClientSecret.Reveal()))
	return secret, httpx.CheckToken("AZURE_CLIENT_SECRET", secret)
}

// readFile returns the secret that a file holds, or an error that says which
// setting or variable to look at.
func (a *authenticator) readFile(setting, variable, path string) (string, error) {
	setting = a.section + "." + setting
	secret, err := httpx.ReadSecretFile(setting, path)
	var e *nebula.Error
	if !errors.As(err, &e) {
		return secret, err
	}
	hinted := *e
	hinted.Hint = "look at " + setting + ", or " + variable
	return "", &hinted
}

// ofTools asks az, and azd if az gives no token.
func (a *authenticator) ofTools(ctx context.Context, asked policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if asked.TenantID = a.config.TenantID; asked.TenantID == "" {
		asked.TenantID = a.vaultTenant()
	}
	az, err := azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{TenantID: a.config.TenantID})
	if err != nil {
		return azcore.AccessToken{}, err
	}
	got, err := az.GetToken(ctx, asked)
	if err == nil {
		return got, nil
	}
	azd, failed := azidentity.NewAzureDeveloperCLICredential(&azidentity.AzureDeveloperCLICredentialOptions{TenantID: a.config.TenantID})
	if failed == nil {
		got, failed = azd.GetToken(ctx, asked)
	}
	if failed == nil {
		return got, nil
	}
	return azcore.AccessToken{}, &toolsError{az: err, azd: failed}
}
