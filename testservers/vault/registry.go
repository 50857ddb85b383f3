package main

import (
	"github.com/hashicorp/vault/sdk/helper/consts"
)

// registry names the plugins that are linked in. Vault's own registry would
// link every plugin there is.
type registry struct{}

func (registry) Keys(kind consts.PluginType) []string {
	switch kind {
	case consts.PluginTypeSecrets:
		return []string{"kv", "transit"}
	case consts.PluginTypeCredential:
		return []string{"approle"}
	}
	return nil
}

func (r registry) Contains(name string, kind consts.PluginType) bool {
	for _, known := range r.Keys(kind) {
		if name == known {
			return true
		}
	}
	return false
}

// Get is for plugins that Vault makes itself: the core was given the factories.
func (registry) Get(string, consts.PluginType) (func() (any, error), bool) { return nil, false }

func (r registry) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, r.Contains(name, kind)
}

func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
