package service

import (
	"maps"
	"net/http"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/jsonread"
)

// tag sets and removes tags. A tag that is both set and removed is removed.
func (s *Service) tag(c *call) (answer, error) {
	set, remove, err := changedTags(c)
	if err != nil {
		return answer{}, err
	}
	if err := s.wantScope(c); err != nil {
		return answer{}, err
	}
	_, ifVersion, err := s.ofWrite(c)
	if err != nil {
		return answer{}, err
	}
	c.changed = true
	var v nebula.Version
	if ifVersion == "" {
		v, err = s.store.Tag(c.ctx, c.id(), set, remove)
	} else {
		v, err = s.tagVersion(c, ifVersion, set, remove)
	}
	if err != nil {
		return answer{}, failedCondition(err, ifVersion)
	}
	return written(c, http.StatusOK, v), nil
}

// changedTags reads {"set"?: {…}, "remove"?: […]}.
func changedTags(c *call) (set map[string]string, remove []string, err error) {
	var refused error
	set = make(map[string]string)
	err = readJSON(c, maxTagJSON, func(r *jsonread.Reader) map[string]func() {
		return map[string]func(){
			"set":    func() { tags(r, set, &refused) },
			"remove": func() { r.Array(func(int) { remove = append(remove, r.Text()) }) },
		}
	})
	if refused != nil {
		err = refused
	}
	return set, remove, err
}

// tagVersion changes the tags if the version is still that one.
func (s *Service) tagVersion(c *call, v nebula.Version, set map[string]string, remove []string) (nebula.Version, error) {
	found, err := s.store.Get(c.ctx, c.id())
	if err != nil {
		return "", err
	}
	defer found.Secret.Wipe()
	if found.Version != v {
		return "", &nebula.Error{Kind: nebula.ErrConflict, ID: c.id(), Message: "the version is another"}
	}
	changed := make(map[string]string)
	maps.Copy(changed, found.Metadata.Tags)
	maps.Copy(changed, set)
	for _, key := range remove {
		delete(changed, key)
	}
	return s.store.Put(c.ctx, c.id(), found.Secret, nebula.PutOptions{Previous: &found, ClearTags: true, Tags: changed})
}
