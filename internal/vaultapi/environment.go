package vaultapi

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// Environment has the variables that Vault's own tools read and this package
// does not. Anyone whose "vault kv get" works expects them to count.
type Environment struct {
	address string   // VAULT_ADDR
	unread  []string // the names of those that are set, sorted
}

// instead says what to use instead of a variable that is not read.
func instead(variable string) string {
	switch variable {
	case "VAULT_CACERT", "VAULT_CAPATH", "VAULT_CACERT_BYTES":
		return "name the server's authority in ca_cert"
	case "VAULT_SKIP_VERIFY":
		return "certificates are always verified: name the server's authority in ca_cert"
	case "VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY":
		return "certificates of clients are not supported: set auth.method to token or approle"
	case "VAULT_TLS_SERVER_NAME":
		return "set address to a name that is in the server's certificate"
	case "VAULT_HTTP_PROXY", "VAULT_PROXY_ADDR":
		return "set HTTPS_PROXY"
	case "VAULT_AGENT_ADDR":
		return "set address to the agent's"
	}
	return ""
}

func environmentOf(getenv func(string) string) Environment {
	e := Environment{address: getenv("VAULT_ADDR")}
	for _, variable := range []string{"VAULT_AGENT_ADDR", "VAULT_CACERT", "VAULT_CACERT_BYTES", "VAULT_CAPATH", "VAULT_CLIENT_CERT",
		"VAULT_CLIENT_KEY", "VAULT_HTTP_PROXY", "VAULT_PROXY_ADDR", "VAULT_SKIP_VERIFY", "VAULT_TLS_SERVER_NAME"} {
		if getenv(variable) != "" {
			e.unread = append(e.unread, variable)
		}
	}
	return e
}

// aboutAuthorities says, after the name of the setting, that a variable which
// leads Vault's tools to a certificate was not read.
func (e Environment) aboutAuthorities() string {
	for _, variable := range []string{"VAULT_CACERT", "VAULT_CAPATH", "VAULT_CACERT_BYTES", "VAULT_SKIP_VERIFY"} {
		if slices.Contains(e.unread, variable) {
			return " (" + variable + " is not read)"
		}
	}
	return ""
}

// CheckEnvironment warns of variables that do not count here.
func (c Config) CheckEnvironment(findings *provider.Findings) {
	const check = "environment"
	setting := func(name string) string { return c.Section + name }
	if e := c.Environment; e.address != "" && !sameAddress(e.address, c.Address) {
		findings.Add(check, nebula.SeverityWarning, setting("address")+" is "+strconv.Quote(c.Address)+", and VAULT_ADDR names another server, which is not asked",
			"remove one of the two")
	}
	for _, variable := range c.Environment.unread {
		if strings.HasPrefix(variable, "VAULT_CA") && c.CACert != "" {
			continue // the setting says what the variable would
		}
		findings.Add(check, nebula.SeverityWarning, variable+" is set, and is not read", instead(variable))
	}
}

func sameAddress(a, b string) bool {
	return strings.EqualFold(strings.TrimRight(a, "/"), strings.TrimRight(b, "/"))
}
