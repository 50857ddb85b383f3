package nebula

// perCall is the number of records under way for each allowed call, if the
// provider stores records together that are stored at the same time.
const perCall = 16

// MaxConcurrency returns that of [Options], or the default.
func (s *Store) MaxConcurrency() int { return s.options.MaxConcurrency }

// Jobs returns how many credentials to have under way at once when many are
// written: MaxConcurrency of [Options], and 16 times as many if the provider is
// a [BatchStorer], unless MaxConcurrency is 1.
func (s *Store) Jobs() int {
	n := s.options.MaxConcurrency
	if _, ok := As[BatchStorer](s.provider); ok && n > 1 {
		n *= perCall
	}
	return n
}
