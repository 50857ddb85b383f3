package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/provider"
)

// Check asks the server for its state, whether the engine is the right one, and
// what the token may do. It makes five calls and changes nothing.
func (d *driver) Check(ctx context.Context) []nebula.Finding {
	x := &examination{d: d}
	x.environment()
	if !x.server(ctx) {
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

func serverVersion(a *httpx.Answer) (string, error) {
	var body struct {
		Version string `json:"version"`
	}
	err := json.Unmarshal(a.Body, &body)
	return body.Version, err
}

// server examines whether Vault answers, and its clock. Standbys count as well.
func (x *examination) server(ctx context.Context) bool {
	const check = "server"
	began := x.d.options.Clock.Now()
	a, err := x.d.wire.do(ctx, request{method: http.MethodGet, path: "sys/health", root: true,
		query: map[string][]string{"standbyok": {"true"}, "perfstandbyok": {"true"}}})
	if err != nil {
		x.Failed(check, x.d.Explain(nebula.Name{}, err))
		return false
	}
	version, err := serverVersion(a)
	if err != nil || version == "" {
		x.Failed(check, x.d.wire.errForeign(a))
		return false
	}
	x.Add(check, nebula.SeverityOK, x.d.wire.address.Host+", Vault "+version, "")
	if at, err := http.ParseTime(a.Header.Get("Date")); err == nil {
		if off := at.Sub(began).Abs(); off > time.Minute {
			x.Add("clock", nebula.SeverityWarning, fmt.Sprintf("this machine's clock and the server's differ by %v", off.Round(time.Second)),
				"set the clock: rotation dates and the life of tokens depend on it")
		} else {
			x.Add("clock", nebula.SeverityOK, "agrees with the server's", "")
		}
	}
	return true
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
	a, err := x.d.call(ctx, request{method: http.MethodPost, path: "sys/capabilities-self", body: map[string][]string{"paths": asked}})
	if err != nil {
		x.Failed(check, x.d.Explain(nebula.Name{}, err))
		return false
	}
	granted, err := decode[map[string]any](x.d.wire, a)
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
		x.Add(check, severity, message, n.policy())
	}
	if whole {
		x.Add(check, nebula.SeverityOK, "the token may do all that is needed", "")
	}
	return true
}

// costOf says what happens without the missing capabilities if other calls can
// take their place, and "" if none can.
func (d *driver) costOf(n need, missing []string, granted map[string]any) string {
	needs := d.needs()
	data, deletion := needs[0], needs[3]
	switch {
	case n.line == data.line && slices.Equal(missing, []string{"patch"}):
		return "a write on condition of a version takes a call more"
	case n.line == deletion.line && slices.Contains(capabilities(granted[data.asked]), "delete"):
		return "no deletion on condition of a version is possible, and one that is late deletes what is newer"
	}
	return ""
}

func capabilities(granted any) (has []string) {
	list, _ := granted.([]any)
	for _, g := range list {
		if text, ok := g.(string); ok {
			has = append(has, text)
		}
	}
	return has
}

func (n need) missing(granted any) []string {
	has := capabilities(granted)
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

func (n need) policy() string {
	return fmt.Sprintf(`path %q { capabilities = ["%s"] }`, n.line, strings.Join(n.capabilities, `", "`))
}

// engine examines what is mounted.
func (x *examination) engine(ctx context.Context) {
	const check = "engine"
	a, err := x.d.call(ctx, request{method: http.MethodGet, path: "sys/internal/ui/mounts/" + x.d.paths.mount})
	if hasStatus(err, http.StatusForbidden) || hasStatus(err, http.StatusNotFound) || hasStatus(err, http.StatusBadRequest) {
		x.Failed(check, x.d.errMount())
		return
	}
	if err != nil {
		x.Failed(check, x.d.Explain(nebula.Name{}, err))
		return
	}
	mount, err := decode[struct {
		Type    string            `json:"type"`
		Options map[string]string `json:"options"`
	}](x.d.wire, a)
	if err != nil || mount.Type != "kv" || mount.Options["version"] != "2" {
		x.Failed(check, x.d.errMount())
		return
	}
	x.Add(check, nebula.SeverityOK, "KV version 2 at "+x.d.paths.mount, "")
}

// lifetimes warns if Vault deletes versions by itself: the keyring, above all.
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
	a, err := x.d.call(ctx, request{method: http.MethodGet, path: x.d.paths.mount + "/config"})
	if err != nil {
		return
	}
	config, err := decode[struct {
		After string `json:"delete_version_after"`
	}](x.d.wire, a)
	after, wrong := time.ParseDuration(config.After)
	if err != nil || wrong != nil || after <= 0 {
		return
	}
	x.Add("lifetimes", nebula.SeverityWarning,
		fmt.Sprintf("the engine deletes every version after %v, and plain lists leave such credentials out", after),
		"vault write "+x.d.paths.mount+"/config delete_version_after=0s")
}
