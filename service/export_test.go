package service

// Patterns are the paths of all routes, as in the contract.
func Patterns() []string {
	var all []string
	for _, r := range newRoutes().all {
		all = append(all, r.pattern)
	}
	return all
}

// KeepEntries sets how many entries of lists are kept.
func KeepEntries(s *Service, n int) { s.lists.room = n }
