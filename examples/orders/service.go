package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	client "github.com/prometheus/client_golang/prometheus"

	"github.com/nebula-credential/nebula"
)

const (
	databasePassword nebula.ID = "orders_database"
	invoiceKey       nebula.ID = "orders_invoice_key"

	// requestTimeout is the time for a whole request, so that none hangs if the database
	// or the backend does.
	requestTimeout = 3 * time.Second
)

var (
	errNoPassword = errors.New("the password of the database is not known yet")
	errLogin      = errors.New("the database refuses the password")
)

// service answers the requests.
type service struct {
	store    *nebula.Store
	watcher  *nebula.Watcher
	database string // its address
	client   *http.Client
	logger   *slog.Logger
	routes   *http.ServeMux

	mu       sync.Mutex
	password nebula.Secret
	changed  chan struct{} // closed when the password changes
}

func newService(store *nebula.Store, database string, logger *slog.Logger) *service {
	s := &service{store: store, watcher: store.Watch(nebula.WatchOptions{}, databasePassword), database: database, client: http.DefaultClient,
		logger: logger, routes: http.NewServeMux(), changed: make(chan struct{})}
	s.routes.HandleFunc("GET /orders", s.orders)
	s.routes.HandleFunc("GET /invoice", s.invoice)
	s.routes.HandleFunc("GET /ready", s.ready)
	return s
}

// ServeHTTP implements [http.Handler].
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	s.routes.ServeHTTP(w, r.WithContext(ctx))
}

// watch holds the newest password until the context ends. If it is deleted or
// cannot be read, the last one is kept: the database decides what is valid.
func (s *service) watch(ctx context.Context) {
	for change := range s.watcher.Changes(ctx) {
		if change.Err != nil {
			s.logger.Error("the password of the database cannot be read", "error", change.Err)
			continue
		}
		s.hold(nebula.NewSecret(change.Credential.Secret.Reveal())) // the loop's own is wiped
	}
	s.hold(nebula.Secret{})
}

func (s *service) hold(password nebula.Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.password.Wipe()
	s.password = password
	close(s.changed)
	s.changed = make(chan struct{})
}

// held returns a copy of the password, which the caller wipes, and a channel that is
// closed when the password changes.
func (s *service) held() (nebula.Secret, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return nebula.NewSecret(s.password.Reveal()), s.changed
}

func (s *service) orders(w http.ResponseWriter, r *http.Request) {
	answer, err := s.query(r.Context())
	if err != nil {
		explain(w, r, err, s.logger)
		return
	}
	_, _ = w.Write(answer)
}

// query asks the database. If that refuses the password, the watcher has not seen the
// new one yet, and query makes it look at once.
func (s *service) query(ctx context.Context) ([]byte, error) {
	password, changed := s.held()
	answer, err := s.ask(ctx, password)
	if !errors.Is(err, errLogin) {
		return answer, err
	}
	s.watcher.Refresh(databasePassword)
	select {
	case <-changed:
	case <-ctx.Done():
		return nil, err
	}
	password, _ = s.held()
	return s.ask(ctx, password)
}

// ask stands for a database's driver: it logs in with the password, wipes it, and
// returns the answer.
func (s *service) ask(ctx context.Context, password nebula.Secret) ([]byte, error) {
	defer password.Wipe()
	if password.Len() == 0 {
		return nil, errNoPassword
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.database, nil)
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth("orders", string(password.Reveal()))
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
		return io.ReadAll(answer.Body)
	case http.StatusUnauthorized:
		return nil, errLogin
	}
	return nil, fmt.Errorf("the database answers %s", answer.Status)
}

// invoice signs with the key that is stored now: a revoked key signs no more.
func (s *service) invoice(w http.ResponseWriter, r *http.Request) {
	key, err := s.store.Get(r.Context(), invoiceKey)
	if err != nil {
		explain(w, r, err, s.logger)
		return
	}
	defer key.Secret.Wipe()
	const text = "1 invoice\n"
	mac := hmac.New(sha256.New, key.Secret.Reveal())
	mac.Write([]byte(text))
	w.Header().Set("X-Signature", hex.EncodeToString(mac.Sum(nil)))
	_, _ = io.WriteString(w, text)
}

// ready is for the probe of an orchestrator.
func (s *service) ready(w http.ResponseWriter, r *http.Request) {
	password, _ := s.held()
	defer password.Wipe()
	if password.Len() == 0 {
		explain(w, r, errNoPassword, s.logger)
	}
}

// age is a metric to alert on: it grows while the backend cannot be read.
func (s *service) age() client.Collector {
	return client.NewGaugeFunc(client.GaugeOpts{Name: "orders_password_age_seconds",
		Help: "Seconds since the password of the database was last known to be the stored one; negative before the first time."},
		func() float64 { return s.watcher.Age().Seconds() })
}
