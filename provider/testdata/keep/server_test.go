package keep_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// server is the backend of the example: a store of texts over HTTP, with entity tags
// for comparison.
type server struct {
	*httptest.Server
	busy  atomic.Int32 // how many of the next requests get 503
	calls atomic.Int32

	mu    sync.Mutex
	texts map[string][]byte
}

func newServer(t *testing.T) *server {
	s := &server{texts: make(map[string][]byte)}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	if s.busy.Add(-1) >= 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/texts/")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	text, found := s.texts[name]
	switch {
	case name == "":
		var names []string
		for name := range s.texts {
			names = append(names, name)
		}
		_ = json.NewEncoder(w).Encode(names)
		return
	case r.Header.Get("If-None-Match") == "*" && found,
		r.Header.Get("If-Match") != "" && (!found || r.Header.Get("If-Match") != tag(text)):
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	case r.Method == http.MethodPut:
		s.texts[name] = body
		text = body
	case !found:
		w.WriteHeader(http.StatusNotFound)
		return
	case r.Method == http.MethodDelete:
		delete(s.texts, name)
	}
	w.Header().Set("ETag", tag(text))
	if r.Method == http.MethodGet {
		_, _ = w.Write(text)
	}
}

func tag(text []byte) string {
	sum := sha256.Sum256(text)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}
