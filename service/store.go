package service

import (
	"encoding/json"
	"net/http"
)

// description is what /v1/store answers. Where the backend is, nobody needs to know.
type description struct {
	Provider  string             `json:"provider"`
	Version   string             `json:"version,omitempty"` // of the service
	Limits    describedLimits    `json:"limits"`
	Abilities describedAbilities `json:"abilities"`
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

func (s *Service) describe(*call) (answer, error) {
	d, a := s.store.Describe(), s.store.Abilities()
	body, err := json.Marshal(description{
		Provider: d.Provider,
		Version:  s.options.Version,
		Limits: describedLimits{
			RecordBytes: s.limits.record, ValueBytes: s.limits.value, JSONBytes: s.limits.json,
			ListItems: maxItems, BatchIDs: maxBatch, ListLag: int(d.ListLag.Seconds()),
		},
		Abilities: describedAbilities{Conditions: a.Preconditions, Restore: a.Restore, Purge: true, Versions: a.History && a.OldVersions},
	})
	return answer{status: http.StatusOK, contentType: jsonType, body: body}, err
}
