package azure_test

import (
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
)

// findings returns the findings that are not ok, and all of them as text.
func (r *rig) findings(t *testing.T) (bad []nebula.Finding, all string) {
	t.Helper()
	checker, _ := nebula.As[nebula.Checker](r.open(t, r.principal()))
	var words strings.Builder
	for _, f := range checker.Check(t.Context()) {
		words.WriteString(string(f.Severity) + " " + f.Check + ": " + f.Message + " → " + f.Fix + "\n")
		if f.Severity != nebula.SeverityOK {
			bad = append(bad, f)
		}
	}
	return bad, words.String()
}

// Doctor names each right that is missing, with what to grant: the table of
// docs/providers/azure.md.
func TestLiveCheckRights(t *testing.T) {
	for _, c := range []struct {
		op             azureserver.Operation
		action, policy string
		severity       nebula.Severity
	}{
		{azureserver.ListSecrets, "readMetadata/action", "list", nebula.SeverityError},
		{azureserver.GetSecret, "getSecret/action", "get", nebula.SeverityError},
		{azureserver.SetSecret, "setSecret/action", "set", nebula.SeverityError},
		{azureserver.DeleteSecret, "delete", "delete", nebula.SeverityError},
		{azureserver.GetDeletedSecret, "readMetadata/action", "get", nebula.SeverityError},
		{azureserver.RecoverSecret, "recover/action", "recover", nebula.SeverityError},
		{azureserver.PurgeSecret, "purge/action", "purge", nebula.SeverityWarning},
	} {
		for _, fault := range []struct {
			azureserver.Fault
			message, fix string
		}{
			{azureserver.ForbiddenByRbac(c.op), "Microsoft.KeyVault/vaults/secrets/" + c.action, `--role "Key Vault Secrets Officer"`},
			{azureserver.AccessDenied(c.op), `secret permission "` + c.policy + `"`, "--secret-permissions " + c.policy},
		} {
			r := newRig(t)
			r.Inject(fault.Fault)
			bad, all := r.findings(t)
			if len(bad) != 1 || bad[0].Severity != c.severity || !strings.Contains(bad[0].Message, fault.message) || !strings.Contains(bad[0].Fix, fault.fix) {
				t.Errorf("%s:\n%s", c.op, all)
			}
		}
	}
}

func TestLiveCheckFindings(t *testing.T) {
	r := newRig(t)
	if bad, all := r.findings(t); bad != nil {
		t.Errorf("everything is right, but doctor says:\n%s", all)
	}
	p := r.open(t, r.principal())
	name, e := record(t, "off", "v", nil)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	latest, err := r.Latest("nebula-credentials-off")
	if err != nil {
		t.Fatal(err)
	}
	latest.Disabled = true
	r.Add(latest)
	r.Add(azureserver.Seed{Name: "nebula-credentials-theirs", Value: "x"})
	r.Add(azureserver.Seed{Name: "elsewhere", Value: "x"})
	stripped, record := record(t, "stripped", "v", nil)
	if _, err := p.Store(t.Context(), stripped, record, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	r.retag(t, "nebula-credentials-stripped", nil)
	r.SetPurgeProtection(true)
	_, all := r.findings(t)
	for _, want := range []string{"warning foreign secrets: of others, under our prefix: nebula-credentials-theirs →",
		"warning tags: others removed the tags of nebula from nebula-credentials-stripped → store the credentials again",
		"warning disabled secrets: cannot be read: nebula-credentials-off →", "ok purge protection: on"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not among\n%s", want, all)
		}
	}
	r.Inject(azureserver.ForbiddenByFirewall())
	if bad, all := r.findings(t); len(bad) != 1 || !strings.Contains(all, "az keyvault network-rule add") {
		t.Errorf("behind a firewall:\n%s", all)
	}
}
