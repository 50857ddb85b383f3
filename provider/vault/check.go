package vault

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/vaultapi"
	"github.com/nebula-credential/nebula/provider"
)

// Check asks the server for its state, whether the engine is the right one, and
// what the token may do. It makes five calls and changes nothing.
func (d *driver) Check(ctx context.Context) []nebula.Finding {
	x := &examination{d: d}
	d.config.api().CheckEnvironment(&x.Findings)
	if _, ok := d.api.CheckServer(ctx, &x.Findings); !ok {
		return x.Findings
	}
	if x.permissions(ctx) {
		x.engine(ctx)
		x.lifetimes(ctx)
	}
	return x.Findings
}

// examination collects findings.
type examination struct {
	d *driver
	provider.Findings
}

// need is a line of the policy that a token must have.
type need struct {
	asked        string // a path as an example for all
	line         string // the path in a policy
	capabilities []string
}

func (d *driver) needs() []need {
	example, _ := nebula.ID("nebula_check").Name()
	of := func(tree string, capabilities ...string) need {
		return need{asked: d.paths.secret(tree, example), line: d.paths.policyPath(tree), capabilities: capabilities}
	}
	return []need{
		of("data", "create", "read", "update", "patch"),
		of("metadata", "read", "update", "delete"),
		{asked: d.paths.folder("metadata") + "/", line: d.paths.folder("metadata") + "/", capabilities: []string{"list"}},
		of("delete", "update"),
		of("undelete", "update"),
	}
}

// permissions asks the server what the token may do, and names each line that
// its policy lacks.
func (x *examination) permissions(ctx context.Context) bool {
	const check = "permissions"
	needs := x.d.needs()
	asked := make([]string, len(needs))
	for i, n := range needs {
		asked[i] = n.asked
	}
	granted, err := x.d.api.Capabilities(ctx, asked)
	if err != nil {
		x.Failed(check, x.d.Explain(nebula.Name{}, err))
		return false
	}
	whole := true
	for _, n := range needs {
		missing := n.missing(granted[n.asked])
		if len(missing) == 0 {
			continue
		}
		whole = false
		severity, message := nebula.SeverityError, "the token lacks "+strings.Join(missing, ", ")+" on "+n.line
		if cost := x.d.costOf(n, missing, granted); cost != "" {
			severity, message = nebula.SeverityWarning, message+": "+cost
		}
		x.Add(check, severity, message, vaultapi.PolicyLine(n.line, n.capabilities...))
	}
	if whole {
		x.Add(check, nebula.SeverityOK, "the token may do all that is needed", "")
	}
	return true
}

// costOf says what happens without the missing capabilities if other calls can
// take their place, and "" if none can.
func (d *driver) costOf(n need, missing []string, granted map[string][]string) string {
	needs := d.needs()
	data, deletion := needs[0], needs[3]
	switch {
	case n.line == data.line && slices.Equal(missing, []string{"patch"}):
		return "a write on condition of a version takes a call more"
	case n.line == deletion.line && slices.Contains(granted[data.asked], "delete"):
		return "no deletion on condition of a version is possible, and one that is late deletes what is newer"
	}
	return ""
}

func (n need) missing(has []string) []string {
	if slices.Contains(has, "root") {
		return nil
	}
	var missing []string
	for _, c := range n.capabilities {
		if !slices.Contains(has, c) {
			missing = append(missing, c)
		}
	}
	return missing
}

// engine examines what is mounted.
func (x *examination) engine(ctx context.Context) {
	const check = "engine"
	a, err := x.d.api.Call(ctx, vaultapi.Request{Method: http.MethodGet, Path: "sys/internal/ui/mounts/" + x.d.paths.mount})
	if vaultapi.HasStatus(err, http.StatusForbidden) || vaultapi.HasStatus(err, http.StatusNotFound) || vaultapi.HasStatus(err, http.StatusBadRequest) {
		x.Failed(check, x.d.errMount())
		return
	}
	if err != nil {
		x.Failed(check, x.d.Explain(nebula.Name{}, err))
		return
	}
	mount, err := vaultapi.Decode[struct {
		Type    string            `json:"type"`
		Options map[string]string `json:"options"`
	}](x.d.api, a)
	if err != nil || mount.Type != "kv" || mount.Options["version"] != "2" {
		x.Failed(check, x.d.errMount())
		return
	}
	x.Add(check, nebula.SeverityOK, "KV version 2 at "+x.d.paths.mount, "")
}

// lifetimes warns if Vault deletes versions by itself, above all the keyring.
func (x *examination) lifetimes(ctx context.Context) {
	keyring := nebula.KeyringName()
	if m, err := x.d.readMetadata(ctx, keyring); err == nil {
		latest, _ := m.latest()
		if at, ends := endOf(latest.DeletionTime, m.now); ends {
			x.Add("lifetimes", nebula.SeverityWarning, x.d.keyringEnds(m.CurrentVersion, at), x.d.keep(keyring, m.CurrentVersion))
		}
	}
	x.engineLifetime(ctx)
}

// engineLifetime reads the configuration of the engine. A token without that
// right is no fault: answers to writes show the same.
func (x *examination) engineLifetime(ctx context.Context) {
	a, err := x.d.api.Call(ctx, vaultapi.Request{Method: http.MethodGet, Path: x.d.paths.mount + "/config"})
	if err != nil {
		return
	}
	config, err := vaultapi.Decode[struct {
		After string `json:"delete_version_after"`
	}](x.d.api, a)
	after, wrong := time.ParseDuration(config.After)
	if err != nil || wrong != nil || after <= 0 {
		return
	}
	x.Add("lifetimes", nebula.SeverityWarning,
		fmt.Sprintf("the engine deletes every version after %v, and plain lists leave such credentials out", after),
		"vault write "+x.d.paths.mount+"/config delete_version_after=0s")
}
