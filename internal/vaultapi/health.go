package vaultapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// Health is what a server tells anybody about itself.
type Health struct {
	Version    string `json:"version"`
	Enterprise bool   `json:"enterprise"` // since 1.17
	ClusterID  string `json:"cluster_id"`

	dated bool          // whether it told its time
	ahead time.Duration // of its clock before this machine's
}

// Health asks the server for its state. Standbys answer as well.
func (c *Client) Health(ctx context.Context) (Health, error) {
	began := c.clock.Now()
	a, err := c.Do(ctx, Request{Method: http.MethodGet, Path: "sys/health", Root: true,
		Query: map[string][]string{"standbyok": {"true"}, "perfstandbyok": {"true"}}})
	if err != nil {
		return Health{}, err
	}
	var h Health
	if json.Unmarshal(a.Body, &h) != nil || h.Version == "" {
		return Health{}, c.Foreign(a)
	}
	if at, err := http.ParseTime(a.Header.Get("Date")); err == nil {
		h.dated, h.ahead = true, at.Sub(began)
	}
	return h, nil
}

// HasNamespaces reports whether the server has namespaces. Vault without
// Enterprise reads and writes the same data in every namespace. OpenBao, whose
// versions begin with 2, has them.
func (h Health) HasNamespaces() bool {
	return h.Enterprise || strings.Contains(h.Version, "+ent") || !strings.HasPrefix(h.Version, "1.")
}

// CheckServer examines whether Vault answers, and its clock.
func (c *Client) CheckServer(ctx context.Context, findings *provider.Findings) (Health, bool) {
	const check = "server"
	h, err := c.Health(ctx)
	if err != nil {
		findings.Failed(check, c.Explain(err, nil))
		return h, false
	}
	findings.Add(check, nebula.SeverityOK, c.address.Host+", Vault "+h.Version, "")
	if off := h.ahead.Abs(); off > time.Minute {
		findings.Add("clock", nebula.SeverityWarning, fmt.Sprintf("this machine's clock and the server's differ by %v", off.Round(time.Second)),
			"set the clock: rotation dates and the life of tokens depend on it")
	} else if h.dated {
		findings.Add("clock", nebula.SeverityOK, "agrees with the server's", "")
	}
	return h, true
}

// Capabilities asks what the token may do on each of the paths.
func (c *Client) Capabilities(ctx context.Context, paths []string) (map[string][]string, error) {
	a, err := c.Call(ctx, Request{Method: http.MethodPost, Path: "sys/capabilities-self", Body: map[string][]string{"paths": paths}})
	if err != nil {
		return nil, err
	}
	granted, err := Decode[map[string]any](c, a)
	if err != nil {
		return nil, err
	}
	has := make(map[string][]string, len(paths))
	for _, path := range paths {
		list, _ := granted[path].([]any)
		for _, g := range list {
			if text, ok := g.(string); ok {
				has[path] = append(has[path], text)
			}
		}
	}
	return has, nil
}
