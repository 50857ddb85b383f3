package azurekey_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
)

// A check has a line for each finding, and changes nothing.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		want   []string
	}{
		"all well": {func(*world) {}, []string{"ok the service principal", "ok agrees with", "ok https://team.vault.azure.net/keys/team is enabled, its version is ", "ok https://team.vault.azure.net/keys/team may wrap"}},
		"expires far away": {func(w *world) { _ = w.ChangeKey("team", "", true, time.Now().AddDate(2, 0, 0)) },
			[]string{"ok the service principal", "ok agrees with", "ok https://team.vault.azure.net/keys/team is enabled", "ok https://team.vault.azure.net/keys/team may wrap"}},
		"expires soon": {func(w *world) { _ = w.ChangeKey("team", "", true, time.Now().AddDate(0, 0, 7)) },
			[]string{"ok the service principal", "ok agrees with", "warning https://team.vault.azure.net/keys/team is enabled, its version is", "ok https://team.vault.azure.net/keys/team may wrap"}},
		"expired": {func(w *world) { _ = w.ChangeKey("team", "", true, time.Now().Add(-time.Hour)) },
			[]string{"ok the service principal", "ok agrees with", "warning the Azure key https://team.vault.azure.net/keys/team has expired or is not valid yet: it unwraps"}},
		"not yet valid": {func(w *world) { w.AddKey("team", azureserver.KeySeed{NotBefore: time.Now().Add(time.Hour)}) },
			[]string{"ok the service principal", "ok agrees with", "warning the Azure key https://team.vault.azure.net/keys/team has expired or is not valid yet: it unwraps"}},
		"disabled": {func(w *world) { _ = w.ChangeKey("team", "", false, time.Time{}) },
			[]string{"ok the service principal", "ok agrees with", "error the Azure key https://team.vault.azure.net/keys/team is disabled"}},
		"EC":        {func(w *world) { w.AddKey("team", azureserver.KeySeed{Type: "EC"}) }, []string{"ok the service principal", "ok agrees with", "error the Azure key https://team.vault.azure.net/keys/team is not for unwrapKey"}},
		"wrap only": {func(w *world) { w.AddKey("team", azureserver.KeySeed{Operations: []string{"unwrapKey"}}) }, []string{"ok the service principal", "ok agrees with", "error the Azure key https://team.vault.azure.net/keys/team is not for wrapKey"}},
		"deleted":   {func(w *world) { w.DeleteKey("team") }, []string{"error the vault team does not have the Azure key"}},
		"may not read": {func(w *world) { w.Inject(azureserver.ForbiddenByRbac(azureserver.GetKey)) },
			[]string{"ok the service principal", "ok agrees with", "warning its state is not known: the Azure key https://team.vault.azure.net/keys/team: the identity lacks the action Microsoft.KeyVault/vaults/keys/read", "ok https://team.vault.azure.net/keys/team may wrap"}},
		"may not wrap": {func(w *world) { w.Inject(azureserver.AccessDenied(azureserver.WrapKey)) },
			[]string{"ok the service principal", "ok agrees with", "ok https://team.vault.azure.net/keys/team is enabled", "ok https://team.vault.azure.net/keys/team may not wrap"}},
		"firewall": {func(w *world) { w.Inject(azureserver.ForbiddenByFirewall()) }, []string{"error the Azure key https://team.vault.azure.net/keys/team: the firewall of the vault team"}},
		"away":     {func(w *world) { w.Inject(azureserver.Unavailable(503)) }, []string{"error the Azure key https://team.vault.azure.net/keys/team: Key Vault answered with status 503"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.change(w)
			found := w.key(t).(nebula.Checker).Check(t.Context())
			var got []string
			for _, f := range found {
				got = append(got, fmt.Sprint(f.Severity, " ", f.Message))
				if f.Severity != nebula.SeverityOK && f.Fix == "" && name != "away" {
					t.Errorf("it does not say what to do: %+v", f)
				}
			}
			if len(got) != len(c.want) {
				t.Fatalf("found:\n%s", strings.Join(got, "\n"))
			}
			for i, want := range c.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("found %q, not %q", got[i], want)
				}
			}
		})
	}
}

// The check reports a clock that is off, and two keys cost one login.
func TestCheckTwoKeys(t *testing.T) {
	w := newWorld(t)
	w.AddKey("other", azureserver.KeySeed{})
	found := w.key(t, w.url("other")).(nebula.Checker).Check(t.Context())
	if got, want := w.calls(), (calls{logins: 2, wraps: 2, reads: 2, all: 6}); got != want || len(found) != 6 {
		t.Errorf("the calls are %+v, found %+v", got, found)
	}
	clock := azureserver.NewClock()
	clock.Advance(time.Hour)
	server, err := azureserver.New(azureserver.Options{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	transport := server.Transport()
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close() })
	ahead := &world{server.Vault("team"), server, transport}
	ahead.AddKey("team", azureserver.KeySeed{})
	found = ahead.key(t).(nebula.Checker).Check(t.Context())
	if len(found) < 2 || found[1].Severity != nebula.SeverityWarning || !strings.Contains(found[1].Message, "differ by") {
		t.Errorf("found %+v", found)
	}
}
