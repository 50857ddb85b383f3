package service

import (
	"fmt"
	"net/http"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/jsonread"
)

// maxBatch is the greatest number of credentials in one request.
const maxBatch = 100

// batchGet answers several credentials in their order. If one cannot be read, there is
// a failure in its place. It sends the answer while it reads, so that no more values
// are in memory than the store reads at once.
func (s *Service) batchGet(c *call) (answer, error) {
	if _, err := c.conditions(); err != nil {
		return answer{}, err
	}
	ids, err := batchIDs(c)
	if err != nil {
		return answer{}, err
	}
	c.noted = true
	h := c.w.Header()
	h["Content-Type"] = jsonContent
	c.w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(c.w)
	first := []byte(`{"items":[`)
	for len(ids) > 0 {
		part := ids[:min(len(ids), s.store.MaxConcurrency())]
		ids = ids[len(part):]
		if err := s.sendPart(c, part, first); err != nil {
			break // the client has gone
		}
		first = []byte(",")
		_ = out.Flush() // what has no Flush is sent at the end
	}
	_, _ = c.w.Write([]byte(`]}`))
	return answer{status: http.StatusOK, sent: true}, nil
}

// sendPart reads some credentials at once and sends them, after their audit lines.
func (s *Service) sendPart(c *call, ids []nebula.ID, before []byte) error {
	results := s.readPart(c, ids)
	defer func() {
		for _, r := range results {
			r.Credential.Secret.Wipe()
		}
	}()
	for i, r := range results {
		err := r.Err
		if failed := s.note(c, string(ids[i]), r.Credential.Version, err); failed != nil {
			err = s.unnoted(c, failed)
		}
		var b []byte
		if err == nil {
			b = appendCredential(nil, r.Credential)
		} else {
			b = appendText([]byte(`{"id":`), string(ids[i]))
			b = append(appendFailure(append(b, `,"error":`...), c, ids[i], err), '}')
		}
		_, failed := c.w.Write(before)
		if failed == nil {
			_, failed = c.w.Write(b)
		}
		clear(b)
		if failed != nil {
			return failed
		}
		before = []byte(",")
	}
	return nil
}

// readPart returns a result for each id, in their order.
func (s *Service) readPart(c *call, ids []nebula.ID) []nebula.GetResult {
	results := make([]nebula.GetResult, len(ids))
	var covered []nebula.ID
	var at []int
	for i, id := range ids {
		if !c.grant.Covers(string(id)) {
			results[i].Err = outside(id)
			continue
		}
		covered, at = append(covered, id), append(at, i)
	}
	if err := s.stillServed(c); err != nil {
		for _, i := range at {
			results[i].Err = err
		}
		return results
	}
	for i, r := range s.store.GetMany(c.ctx, covered) {
		results[at[i]] = r
	}
	return results
}

// stillServed returns the reason to send no more values, or nil. A stream may take
// long: the token may have been removed, or there may be no more room for audit
// lines.
func (s *Service) stillServed(c *call) error {
	if err := s.recheck(c); err != nil {
		return err
	}
	return s.options.Audit.Healthy()
}

// batchIDs reads {"ids": […]}.
func batchIDs(c *call) ([]nebula.ID, error) {
	var ids []nebula.ID
	var refused error
	err := readJSON(c, maxIDsJSON, func(r *jsonread.Reader) map[string]func() {
		return map[string]func(){"ids": func() {
			r.Array(func(i int) {
				id, err := nebula.ParseID(r.Text())
				switch {
				case r.Failed():
				case i == maxBatch:
					refused = usage(fmt.Sprintf("there are more than %d ids", maxBatch), "take them in parts")
					r.Fail()
				case err != nil:
					refused = err
					r.Fail()
				}
				ids = append(ids, id)
			})
		}}
	})
	switch {
	case refused != nil:
		return nil, refused
	case err == nil && len(ids) == 0:
		err = usage(`"ids" names none`, "")
	}
	return ids, err
}
