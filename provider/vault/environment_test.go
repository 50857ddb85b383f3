package vault_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/vault"
)

// Doctor names the variables of Vault's own tools that have no effect here. So does
// the error if a certificate is not accepted.
func TestUnreadEnvironment(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	environment := func(c map[string]string, address string) nebula.Provider {
		config := vault.DefaultConfigIn(func(variable string) string { return c[variable] })
		config.Address, config.Retry.MaxRetries = address, 0
		config.Auth.Token = nebula.NewSecret([]byte(secretToken))
		return open(t, config, provider.OneShot())
	}
	about := func(p nebula.Provider) (text string) {
		checker, _ := nebula.As[nebula.Checker](p)
		for _, f := range checker.Check(t.Context()) {
			if f.Check == "environment" {
				text += string(f.Severity) + ": " + f.Message + "; " + f.Fix + "\n"
			}
		}
		return text
	}
	p := environment(map[string]string{"VAULT_ADDR": "https://u:pw@vault.example.com", "VAULT_CACERT": "/ca.pem", "VAULT_SKIP_VERIFY": "1"}, server.URL)
	text := about(p)
	for _, want := range []string{"VAULT_ADDR", "VAULT_CACERT is set, and is not read; name the server's authority in ca_cert", "VAULT_SKIP_VERIFY"} {
		if !strings.Contains(text, "warning: ") || !strings.Contains(text, want) {
			t.Errorf("doctor does not say %q: %q", want, text)
		}
	}
	if strings.Contains(text, "pw") {
		t.Errorf("doctor shows a password: %q", text)
	}
	name, _ := record(t, "x", "", nil)
	_, err := p.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrUnavailable, "certificate", "ca_cert (VAULT_CACERT is not read)")
	if text := about(environment(map[string]string{"VAULT_ADDR": server.URL + "/"}, server.URL)); text != "" {
		t.Errorf("doctor warns of %q", text)
	}
}
