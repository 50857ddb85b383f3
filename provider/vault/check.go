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
	"github.com/nebula-credential/nebula/internal/remote"
)

// Check asks the server how it is, whether the engine is the right one, and for
// what the token may do. It makes four calls and changes nothing.
func (p *Provider) Check(ctx context.Context) []nebula.Finding {
	x := &examination{p: p}
	if err := p.life.Enter(ctx); err != nil {
		x.Failed("state", x.p.explain(err))
		return x.Findings
	}
	defer p.life.Leave()
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
	p *Provider
	remote.Findings
}

func serverVersion(a *answer) (string, error) {
	var body struct {
		Version string `json:"version"`
	}
	err := json.Unmarshal(a.body, &body)
	return body.Version, err
}

// server examines whether Vault answers, and its clock. Standbys count as well.
func (x *examination) server(ctx context.Context) bool {
	const check = "server"
	began := x.p.clock.Now()
	a, err := x.p.wire.do(ctx, request{method: http.MethodGet, path: "sys/health", root: true,
		query: map[string][]string{"standbyok": {"true"}, "perfstandbyok": {"true"}}})
	if err != nil {
		x.Failed(check, x.p.explain(err))
		return false
	}
	version, err := serverVersion(a)
	if err != nil {
		x.Failed(check, errForeignAnswer())
		return false
	}
	x.Add(check, nebula.SeverityOK, x.p.wire.address.Host+", Vault "+version, "")
	if at, err := http.ParseTime(a.header.Get("Date")); err == nil {
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
	asked        string // a path that stands for all
	line         string // the path in a policy
	capabilities []string
}

func (p *Provider) needs() []need {
	example, _ := nebula.ID("nebula_check").Name()
	of := func(tree string, capabilities ...string) need {
		return need{asked: p.paths.secret(tree, example), line: p.paths.policyPath(tree), capabilities: capabilities}
	}
	return []need{
		of("data", "create", "read", "update", "patch", "delete"),
		of("metadata", "read", "update", "delete"),
		{asked: p.paths.folder("metadata") + "/", line: p.paths.folder("metadata") + "/", capabilities: []string{"list"}},
		of("undelete", "update"),
	}
}

// permissions asks the server what the token may do, and names each line that
// its policy lacks.
func (x *examination) permissions(ctx context.Context) bool {
	const check = "permissions"
	needs := x.p.needs()
	asked := make([]string, len(needs))
	for i, n := range needs {
		asked[i] = n.asked
	}
	a, err := x.p.call(ctx, request{method: http.MethodPost, path: "sys/capabilities-self", body: map[string][]string{"paths": asked}})
	if err != nil {
		x.Failed(check, x.p.explain(err))
		return false
	}
	granted, err := decode[map[string]any](a)
	if err != nil {
		x.Failed(check, x.p.explain(err))
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
		if slices.Equal(missing, []string{"patch"}) {
			severity = nebula.SeverityWarning
			message += ": a write on condition of a version takes a call more"
		}
		x.Add(check, severity, message, n.policy())
	}
	if whole {
		x.Add(check, nebula.SeverityOK, "the token may do all that is needed", "")
	}
	return true
}

func (n need) missing(granted any) []string {
	var has []string
	list, _ := granted.([]any)
	for _, g := range list {
		if text, ok := g.(string); ok {
			has = append(has, text)
		}
	}
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
	a, err := x.p.call(ctx, request{method: http.MethodGet, path: "sys/internal/ui/mounts/" + x.p.paths.mount})
	if hasStatus(err, http.StatusForbidden) || hasStatus(err, http.StatusNotFound) || hasStatus(err, http.StatusBadRequest) {
		x.Failed(check, x.p.errMount())
		return
	}
	if err != nil {
		x.Failed(check, x.p.explain(err))
		return
	}
	mount, err := decode[struct {
		Type    string            `json:"type"`
		Options map[string]string `json:"options"`
	}](a)
	if err != nil || mount.Type != "kv" || mount.Options["version"] != "2" {
		x.Failed(check, x.p.errMount())
		return
	}
	x.Add(check, nebula.SeverityOK, "KV version 2 at "+x.p.paths.mount, "")
}

// lifetimes warns where the engine deletes versions by itself. A token that may
// not read the configuration is no fault.
func (x *examination) lifetimes(ctx context.Context) {
	a, err := x.p.call(ctx, request{method: http.MethodGet, path: x.p.paths.mount + "/config"})
	if err != nil {
		return
	}
	config, err := decode[struct {
		After string `json:"delete_version_after"`
	}](a)
	after, wrong := time.ParseDuration(config.After)
	if err != nil || wrong != nil || after <= 0 {
		return
	}
	x.Add("lifetimes", nebula.SeverityWarning,
		fmt.Sprintf("the engine deletes every version after %v, and plain lists leave such credentials out", after),
		"vault write "+x.p.paths.mount+"/config delete_version_after=0s")
}
