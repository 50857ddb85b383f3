package aws

import "time"

// maxRefusals limits how often in a row AWS may refuse to act on a secret that is
// live and has not changed. Then nobody came between, and AWS does not allow the
// action, for example on replicas.
const maxRefusals = 6

// refusals counts how often in a row a secret was found live and unchanged after
// AWS refused to act on it.
type refusals struct {
	changed time.Time
	current string
	alike   int
}

// add takes the state of the secret, or the zero secret if it could not be
// read.
func (r *refusals) add(s secret) {
	if !s.live() || s.current != r.current || !s.changed.Equal(r.changed) {
		r.alike = 0
	}
	r.alike, r.current, r.changed = r.alike+1, s.current, s.changed
}

// last reports whether another attempt would end in the same way.
func (r *refusals) last() bool { return r.alike >= maxRefusals }
