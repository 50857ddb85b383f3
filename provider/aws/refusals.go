package aws

import "time"

// maxRefusals bounds how often in a row AWS may refuse to act on a secret that is
// live, and just as it was before: then nobody came between, and it is AWS that does
// not allow it, of replicas for example.
const maxRefusals = 6

// refusals counts how often in a row a secret was found live and unchanged after
// AWS refused to act on it.
type refusals struct {
	changed time.Time
	current string
	alike   int
}

// add takes what the secret is found to be; the zero secret if that failed.
func (r *refusals) add(s secret) {
	if !s.live() || s.current != r.current || !s.changed.Equal(r.changed) {
		r.alike = 0
	}
	r.alike, r.current, r.changed = r.alike+1, s.current, s.changed
}

// last reports whether another attempt would end no otherwise.
func (r *refusals) last() bool { return r.alike >= maxRefusals }
