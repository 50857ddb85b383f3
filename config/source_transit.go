package config

import (
	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/unlock/transit"
)

// vaultTransit is the source of keys that Vault's transit engine keeps.
func vaultTransit() keySource {
	return keySource{
		kind: nebula.SlotVaultTransit, name: "the transit key", flag: "--vault-transit KEY",
		isSet: func(k *Keys) bool { return k.store.key.VaultTransit.Key != "" },
		fits:  func(k *Keys, slot nebula.Slot) bool { return k.store.key.VaultTransit.MayOpen(slot) },
		key: func(k *Keys) (nebula.Key, error) {
			if k.store.key.VaultTransit.Key == "" {
				return nil, nil
			}
			return k.vaultTransit(k.store.key.VaultTransit)
		},
		service: &keyService{
			section:  "vault_transit",
			setting:  "key",
			usage:    "open it with `KEY` of Vault's transit engine",
			named:    func(k *keyKeys) string { return k.VaultTransit.Key },
			validate: func(k *keyKeys) error { return k.VaultTransit.Validate() },
			check:    transit.CheckKey,
			forKey: func(k *Keys, name string) (nebula.Key, error) {
				c := k.store.key.VaultTransit
				c.Key, c.Also = name, nil
				return k.vaultTransit(c)
			},
			obeys: map[string]string{"address": "VAULT_ADDR", "namespace": "VAULT_NAMESPACE"},
			concern: func(k *Keys, _ string) string {
				if !k.store.key.VaultTransit.IsAt(k.description) {
					return ""
				}
				return "the transit key is in the Vault that also holds the store: anyone who operates that Vault can read the store"
			},
		},
	}
}

func (k *Keys) vaultTransit(c transit.Config) (nebula.Key, error) {
	c.Tell = k.options.Tell
	return transit.New(c)
}
