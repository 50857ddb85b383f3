package nebula

// perCall is how many records are under way for each call that may be, if the
// provider stores together what is stored at the same time.
const perCall = 16

// MaxConcurrency is that of [Options], or what it is by default.
func (s *Store) MaxConcurrency() int { return s.options.MaxConcurrency }

// Jobs is how many credentials to have under way at once where many are written:
// MaxConcurrency of [Options], and 16 times as many if the provider is a
// [BatchStorer], unless that is 1.
func (s *Store) Jobs() int {
	n := s.options.MaxConcurrency
	if _, ok := As[BatchStorer](s.provider); ok && n > 1 {
		n *= perCall
	}
	return n
}
