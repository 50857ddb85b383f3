package awsserver

import "time"

// SetListDelay makes lists late by d: newer secrets are missing, and deleted ones are
// still there. The service's documentation allows 5 minutes.
func (s *Server) SetListDelay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listDelay = d
}

// SetPageSize limits every page of lists to n items, if the client does not ask for
// fewer. 0 means the service's own limit.
func (s *Server) SetPageSize(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pageSize = n
}

// SetClockSkew sets how far the server's time is ahead of ours: in the Date header, and
// when it checks the time of signatures, which may be 5 minutes off.
func (s *Server) SetClockSkew(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew = d
}

// SetDeprecatedStay makes the server find no deprecated version when a label is to be
// moved to it. Nobody recorded what the service does. AWS documents in the API
// reference, UpdateSecretVersionStage, that such a version can be deleted. A client has
// to cope with both. By default the move succeeds.
func (s *Server) SetDeprecatedStay(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deprecatedStay = on
}

// Labels returns the staging labels of all versions of a secret, sorted.
func (s *Server) Labels(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	if found := s.secrets[name]; found != nil {
		return found.labels()
	}
	return nil
}

// AddRotationFunction makes RotateSecret accept this function, which rotates at once,
// to a value of its own. No other function can be invoked.
func (s *Server) AddRotationFunction(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.functions[arn] = true
}

// Versions returns how many versions of the secret exist, deprecated ones included, and
// 0 if it does not exist. A secret that is to be deleted exists.
func (s *Server) Versions(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	if found := s.secrets[name]; found != nil {
		return len(found.versions)
	}
	return 0
}

// Names returns all secrets that exist, also those that are to be deleted, in the order
// of their creation.
func (s *Server) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	var names []string
	for _, one := range s.inOrder() {
		names = append(names, one.name)
	}
	return names
}
