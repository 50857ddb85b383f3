package service

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/nebula-credential/nebula/service/token"
)

// description is the answer of /v1/store. It does not say where the backend is,
// because no client needs that.
type description struct {
	Provider  string             `json:"provider"`
	Version   string             `json:"version,omitempty"` // of the service
	Limits    describedLimits    `json:"limits"`
	Abilities describedAbilities `json:"abilities"`
	Token     describedToken     `json:"token"`
}

type describedLimits struct {
	RecordBytes int `json:"record_bytes,omitempty"` // as it is stored; absent if no limit is known
	ValueBytes  int `json:"value_bytes"`            // of the body of a PUT of bytes
	JSONBytes   int `json:"json_bytes"`             // of a PUT of JSON
	ListItems   int `json:"list_items"`
	BatchIDs    int `json:"batch_ids"`
	ListLag     int `json:"list_lag_seconds"` // for how long a list may show what was
}

type describedAbilities struct {
	Conditions bool `json:"conditions"` // If-Match and If-None-Match
	Restore    bool `json:"restore"`
	Purge      bool `json:"purge"` // where nothing is kept of what is deleted, deleting does it
	Versions   bool `json:"versions"`
}

// describedToken is what the token of the request may do: a client offers no more.
type describedToken struct {
	Name    string       `json:"name"`
	Allow   []token.Verb `json:"allow"`
	Prefix  string       `json:"prefix,omitempty"`
	Scope   string       `json:"scope,omitempty"`
	Expires *time.Time   `json:"expires,omitempty"`
}

func describeToken(g token.Grant) describedToken {
	d := describedToken{Name: g.Name, Allow: g.Allow, Prefix: g.Prefix, Scope: g.Scope}
	if !g.Expires.IsZero() {
		d.Expires = &g.Expires
	}
	return d
}

func (s *Service) describe(c *call) (answer, error) {
	d, a := s.store.Describe(), s.store.Abilities()
	body, err := json.Marshal(description{
		Provider: d.Provider,
		Version:  s.options.Version,
		Limits: describedLimits{
			RecordBytes: s.limits.record, ValueBytes: s.limits.value, JSONBytes: s.limits.json,
			ListItems: maxItems, BatchIDs: maxBatch, ListLag: int(d.ListLag.Seconds()),
		},
		Abilities: describedAbilities{Conditions: a.Preconditions, Restore: a.Restore, Purge: true, Versions: a.History && a.OldVersions},
		Token:     describeToken(c.grant),
	})
	return answer{status: http.StatusOK, contentType: jsonType, body: body}, err
}
