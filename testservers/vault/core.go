package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"

	log "github.com/hashicorp/go-hclog"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/helper/namespace"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/vault"
)

// secrets are what opens a server. The root token is known only of a new one.
type secrets struct {
	root   string
	unseal string
}

func handler(core *vault.Core) http.Handler {
	return vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{}})
}

// start makes an unsealed server on the storage. Without a key it initialises it.
func start(storage physical.Backend, key string, logger log.Logger) (*vault.Core, secrets, error) {
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:           storage,
		Logger:             logger,
		DisableMlock:       true,
		LogicalBackends:    map[string]logical.Factory{"kv": kv.Factory, "transit": transit.Factory},
		CredentialBackends: map[string]logical.Factory{"approle": approle.Factory},
		BuiltinRegistry:    registry{},
	})
	if err != nil {
		return nil, secrets{}, err
	}
	opened := secrets{unseal: key}
	if key == "" {
		if opened, err = initialize(core); err != nil {
			return nil, secrets{}, err
		}
	}
	raw, err := base64.StdEncoding.DecodeString(opened.unseal)
	if err != nil {
		return nil, secrets{}, fmt.Errorf("the unseal key: %w", err)
	}
	if unsealed, err := core.Unseal(raw); err != nil {
		return nil, secrets{}, fmt.Errorf("unseal: %w", err)
	} else if !unsealed {
		return nil, secrets{}, errors.New("it stayed sealed")
	}
	if key == "" {
		err = mount(core, opened.root)
	}
	return core, opened, err
}

func initialize(core *vault.Core) (secrets, error) {
	result, err := core.Initialize(context.Background(), &vault.InitParams{
		BarrierConfig: &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
	})
	if err != nil {
		return secrets{}, err
	}
	key := base64.StdEncoding.EncodeToString(result.SecretShares[0])
	return secrets{root: result.RootToken, unseal: key}, nil
}

// mount adds the secret engines that every test may count on.
func mount(core *vault.Core, token string) error {
	for path, engine := range map[string]map[string]any{
		"secret":  {"type": "kv", "options": map[string]any{"version": "2"}},
		"kv1":     {"type": "kv", "options": map[string]any{"version": "1"}},
		"transit": {"type": "transit"},
	} {
		response, err := core.HandleRequest(namespace.RootContext(context.Background()), &logical.Request{
			Operation:   logical.UpdateOperation,
			Path:        "sys/mounts/" + path,
			ClientToken: token,
			Data:        engine,
		})
		if err != nil {
			return fmt.Errorf("mount %s: %w", path, err)
		}
		if response.IsError() {
			return fmt.Errorf("mount %s: %w", path, response.Error())
		}
	}
	return nil
}
