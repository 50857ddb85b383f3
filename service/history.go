package service

import (
	"net/http"
	"strconv"

	"github.com/nebula-credential/nebula"
)

// versions answers the history of a credential, the newest first.
func (s *Service) versions(c *call) (answer, error) {
	if err := s.wantScope(c); err != nil {
		return answer{}, err
	}
	list, err := s.store.History(c.ctx, c.id())
	if err != nil {
		return answer{}, err
	}
	b := []byte(`{"items":[`)
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendVersion(b, v)
	}
	return answer{status: http.StatusOK, contentType: jsonType, body: append(b, `]}`...)}, nil
}

func appendVersion(b []byte, v nebula.VersionInfo) []byte {
	b = appendText(append(b, `{"version":`...), string(v.Version))
	b = appendTime(append(b, `,"created_at":`...), v.CreatedAt)
	b = strconv.AppendBool(append(b, `,"current":`...), v.Current)
	b = strconv.AppendBool(append(b, `,"deleted":`...), v.Deleted)
	return append(b, '}')
}

// restore brings back a deleted credential.
func (s *Service) restore(c *call) (answer, error) {
	if err := s.prepareChange(c); err != nil {
		return answer{}, err
	}
	if err := s.store.Restore(c.ctx, c.id()); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}

// purge removes a credential for good, live or deleted.
func (s *Service) purge(c *call) (answer, error) {
	if err := s.prepareChange(c); err != nil {
		return answer{}, err
	}
	if _, err := s.store.Purge(c.ctx, c.id()); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}

// prepareChange is for changes that take no conditions.
func (s *Service) prepareChange(c *call) error {
	if _, err := c.conditions(); err != nil {
		return err
	}
	if err := s.wantLive(c); err != nil {
		return err
	}
	c.changed = true
	return nil
}
