package service

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/api"
)

// How long a result counts whether the backend answers, and how long the answer may
// take.
const (
	keepReady   = 30 * time.Second
	readyWithin = 10 * time.Second
)

// readiness is the last known state of the backend.
type readiness struct {
	mu  sync.Mutex
	at  time.Time
	err error
}

// alive answers while the process runs.
func (s *Service) alive(*call) (answer, error) { return fine(), nil }

func fine() answer {
	return answer{status: http.StatusOK, contentType: "text/plain; charset=utf-8", body: []byte("ok\n")}
}

// isReady answers whether requests can be served. It asks the backend at most once in
// 30 seconds, however many clients ask. It tells strangers only the kind of a problem.
func (s *Service) isReady(c *call) (answer, error) {
	err := s.options.Audit.Healthy()
	if err == nil {
		err = s.options.Tokens.Ready()
	}
	if err == nil {
		err = s.ready.look(c.r.Context(), s)
	}
	if s.closed.Load() {
		err = &nebula.Error{Kind: nebula.ErrClosed}
	}
	if err != nil {
		return answer{}, &nebula.Error{Kind: nebula.ErrUnavailable, Message: "the service cannot serve now: " + kindOf(err).Error()}
	}
	return fine(), nil
}

func (r *readiness) look(ctx context.Context, s *Service) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := s.options.Now()
	if !r.at.IsZero() && now.Sub(r.at) < keepReady {
		return r.err
	}
	// Others may wait for the same result, so it does not end with this request.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyWithin)
	defer cancel()
	found, err := s.store.HasKeyring(ctx)
	if err == nil && !found {
		err = nebula.ErrNotInitialised
	}
	if err != nil {
		s.options.Logger.Warn("the service is not ready", "error", err)
	}
	r.at, r.err = now, err
	return err
}

// contract answers the description of the API.
func (s *Service) contract(*call) (answer, error) {
	return answer{status: http.StatusOK, contentType: "application/yaml", body: api.OpenAPI}, nil
}
