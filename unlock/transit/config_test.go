package transit_test

import (
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/unlock/transit"
)

func TestConfig(t *testing.T) {
	env := map[string]string{"VAULT_ADDR": "https://vault.example.com", "VAULT_NAMESPACE": "team-a", "VAULT_TOKEN": "hvs.x"}
	c := transit.DefaultConfigIn(func(name string) string { return env[name] })
	if c.Address != "https://vault.example.com" || c.Namespace != "team-a" || string(c.Auth.Token.Reveal()) != "hvs.x" || c.MountPath != "transit" {
		t.Errorf("the defaults are %+v", c)
	}
	wants(t, c.Validate(), "")
	c.Key, c.Also = "nebula", []string{"old_key.2-x", "x"}
	wants(t, c.Validate(), "")
	for name, change := range map[string]func(*transit.Config){
		"key":                   func(c *transit.Config) { c.Key = "a b" },
		"belongs in mount_path": func(c *transit.Config) { c.Key = "transit/nebula" },
		"also":                  func(c *transit.Config) { c.Also = []string{"x", ""} },
		"and also is for":       func(c *transit.Config) { c.Key = "" },
		"mount_path":            func(c *transit.Config) { c.MountPath = "../sys" },
		"address":               func(c *transit.Config) { c.Address = "http://vault.example.com" },
		"namespace":             func(c *transit.Config) { c.Namespace = "a//b" },
		"ca_cert":               func(c *transit.Config) { c.CACert = "/nowhere" },
		"auth.method":           func(c *transit.Config) { c.Auth.Method = "kubernetes" },
	} {
		wrong := c
		change(&wrong)
		wants(t, wrong.Validate(), nebula.ErrInvalidConfig, name)
		_, err := transit.New(wrong)
		wants(t, err, nebula.ErrInvalidConfig, name)
	}
	for _, bad := range []string{"", "a/b", "-a", "a-", "a b", "é", "..", "a?b"} {
		wants(t, transit.CheckKey(bad), nebula.ErrUsage)
	}
	wants(t, transit.CheckKey("nebula"), "")
}
