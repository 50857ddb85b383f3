package azurekey

import (
	"context"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/azureapi"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/provider"
)

// callTimeout is the limit of one call, and of getting a token.
const callTimeout = 5 * time.Second

// setting has the addresses, in messages.
const setting = "url and also of [key.azure_key]"

// client calls vaults. A call that fails and may succeed later is repeated like
// the calls of providers.
type client struct {
	config Config
	clock  provider.Clock

	mu     sync.Mutex
	vaults map[string]*vault // by host
}

// vault is a vault with a key, and the SDK's client for it.
type vault struct {
	*azureapi.Vault
	keys *azkeys.Client
}

func newClient(c Config) *client {
	clock := c.Clock
	if clock == nil {
		clock = provider.SystemClock{}
	}
	return &client{config: c, clock: clock, vaults: make(map[string]*vault)}
}

// vault returns the vault of a key. It asks nothing.
func (c *client) vault(k vaultKey) (*vault, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.vaults[k.host]; v != nil {
		return v, nil
	}
	v, err := azureapi.NewVault(azureapi.Options{URL: k.vaultURL(), Setting: setting, Section: "key.azure_key", Credential: azureapi.Credential(c.config.Credential),
		Timeout: callTimeout, Transport: c.config.Transport, Clock: c.clock, Warn: func(string) {}})
	if err != nil {
		return nil, err
	}
	keys, err := azkeys.NewClient(v.URL(), nil, &azkeys.ClientOptions{ClientOptions: v.ClientOptions()})
	if err != nil {
		return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "the client cannot be made", Err: err}
	}
	c.vaults[k.host] = &vault{v, keys}
	return c.vaults[k.host], nil
}

// call logs in and makes a call. Errors are explained. No connection is kept: the
// next call, if there is one, comes much later.
func (c *client) call(ctx context.Context, r request, do func(context.Context, *azkeys.Client) error) error {
	v, err := c.vault(r.key)
	if err != nil {
		return err
	}
	defer v.CloseIdle()
	return provider.Repeat(ctx, provider.DefaultRetryPolicy(), c.clock, func(ctx context.Context) error {
		err := v.Login(ctx)
		if err == nil {
			ctx, cancel := context.WithTimeout(ctx, callTimeout)
			defer cancel()
			err = do(ctx, v.keys)
		}
		if err == nil {
			return nil
		}
		return r.explain(v, err)
	})
}

// wrap has the current version of a key wrap a secret.
func (c *client) wrap(ctx context.Context, k vaultKey, secret []byte) (data slotdata.AzureKey, err error) {
	err = c.call(ctx, request{key: k, use: wraps}, func(ctx context.Context, keys *azkeys.Client) error {
		out, err := keys.WrapKey(ctx, k.name, "", parameters(secret), nil)
		if err != nil {
			return err
		}
		version, err := versionOf(out.KID, k)
		data = slotdata.AzureKey{URL: version, Wrapped: out.Result}
		return err
	})
	return data, err
}

// unwrap has the version that wrapped a slot's secret unwrap it. It takes only the
// version and the wrapped secret from the slot.
func (c *client) unwrap(ctx context.Context, k vaultKey, slotID string, data slotdata.AzureKey) (secret []byte, err error) {
	r := request{key: k, use: unwraps, version: data.URL.Version, slotID: slotID}
	err = c.call(ctx, r, func(ctx context.Context, keys *azkeys.Client) error {
		out, err := keys.UnwrapKey(ctx, k.name, data.URL.Version, parameters(data.Wrapped), nil)
		if err != nil {
			return err
		}
		version, err := versionOf(out.KID, k)
		if err == nil && version.Version != data.URL.Version {
			err = errForeign
		}
		secret = out.Result
		return err
	})
	return secret, err
}

func parameters(value []byte) azkeys.KeyOperationParameters {
	return azkeys.KeyOperationParameters{Algorithm: to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: value}
}
