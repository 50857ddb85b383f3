package service

import (
	"cmp"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/service/audit"
	"github.com/nebula-credential/nebula/service/token"
)

// DefaultMaxRequests is how many requests are served at once, unless Options set
// another number.
const DefaultMaxRequests = 256

// Options goes with [New].
type Options struct {
	Tokens *token.File // who may do what; required
	Audit  *audit.Log  // required

	// Hosts are the names that a request's Host may have, each with its port:
	// "vault.example.org:8200". Clients may leave out the port of the scheme. On a
	// Unix socket "localhost" is allowed too.
	Hosts []string

	// Metrics appends to the answer of /metrics, in the text format of
	// Prometheus. It may be nil.
	Metrics func(io.Writer)

	// MaxRequests is how many requests with a valid token are served at once. 0
	// means DefaultMaxRequests. Further requests are answered with 503.
	MaxRequests int

	Version string           // of the program, shown by /v1/store
	Logger  *slog.Logger     // failures of the backend and of the audit log; nil: they are dropped
	Now     func() time.Time // nil is time.Now
}

// Service is an [http.Handler] over a store.
type Service struct {
	store   *nebula.Store
	options Options
	hosts   map[string]bool
	routes  *routes
	limits  limits
	turns   chan struct{} // of the requests that are served
	lists   *listings
	ready   readiness
	metrics *metrics
	closed  atomic.Bool

	strangers repeated // failures of requests whose token is not known
}

// New returns a service over a store, which the caller closes. Error:
// ErrInvalidConfig if something required is missing, or a host has no port.
func New(store *nebula.Store, options Options) (*Service, error) {
	if store == nil || options.Tokens == nil || options.Audit == nil {
		return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Op: "serve", Message: "a service needs a store, a file of tokens and an audit log"}
	}
	hosts, err := hostsOf(options.Hosts)
	if err != nil {
		return nil, err
	}
	options.MaxRequests = cmp.Or(options.MaxRequests, DefaultMaxRequests)
	if options.MaxRequests < 0 {
		return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Op: "serve", Message: "the number of requests at once is negative"}
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	s := &Service{
		store:   store,
		options: options,
		hosts:   hosts,
		routes:  newRoutes(),
		limits:  limitsOf(store.Describe()),
		turns:   make(chan struct{}, options.MaxRequests),
		lists:   newListings(options.Now),
		metrics: newMetrics(),
	}
	return s, nil
}

// Close makes the service answer further requests with 503, and drops the names
// that were kept for lists. It does not change requests under way.
func (s *Service) Close() error {
	s.closed.Store(true)
	s.lists.drop()
	return nil
}

// ServeHTTP implements [http.Handler].
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{w: w, r: r, request: newRequestID()}
	setHeaders(w.Header(), c.request)
	if isAmbiguous(r) {
		w.Header()["Connection"] = []string{"close"}
	}
	began := time.Now()
	s.metrics.running.Add(1)
	defer s.metrics.running.Add(-1)
	a := s.serve(c)
	if r.ContentLength != 0 && !c.drained && r.ProtoMajor == 1 {
		// net/http would wait for the rest of the body before it answers.
		w.Header()["Connection"] = []string{"close"}
	}
	a.write(w, r.Method)
	s.metrics.add(servedOf(c.route, r.Method), a.status, time.Since(began))
}

// serve returns the answer to a request. It refuses everything that an attacker
// could make a browser send before it reads the token, and does nothing with
// credentials before it knows the token.
func (s *Service) serve(c *call) answer {
	if err := s.guard(c); err != nil {
		return s.refuse(c, err)
	}
	var found bool
	if c.route, c.name, found = s.routes.find(c.r.URL.Path); found && c.route.open {
		return s.serveOpen(c)
	}
	if err := s.authenticate(c); err != nil {
		return s.refuse(c, err)
	}
	if err := s.options.Audit.Healthy(); err != nil {
		return s.refuse(c, err)
	}
	a, err := s.perform(c)
	if err != nil {
		a = s.refuse(c, err)
	}
	if c.noted { // line by line
		if err != nil {
			panic(http.ErrAbortHandler) // in the middle of a stream: no end is better than a wrong one
		}
		return a
	}
	if err := s.note(c, c.name, c.version, err); err != nil {
		a.wipe()
		return s.refuse(c, s.unnoted(c, err))
	}
	return a
}

// serveOpen answers requests that need no token.
func (s *Service) serveOpen(c *call) answer {
	op := c.route.operation(c.r.Method)
	if op == nil {
		return s.refuse(c, methodNotAllowed(c.route))
	}
	c.op = op
	if err := c.check(); err != nil {
		return s.refuse(c, err)
	}
	a, err := op.handle(s, c)
	if err != nil {
		return s.refuse(c, err)
	}
	return a
}

// perform carries out a request that needs a token.
func (s *Service) perform(c *call) (a answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			a.wipe()
			a, err = answer{}, s.recovered(c, p)
		}
	}()
	if err := s.admit(c); err != nil {
		return answer{}, err
	}
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	default:
		return answer{}, busy()
	}
	if s.closed.Load() {
		return answer{}, &nebula.Error{Kind: nebula.ErrClosed, Message: "the service is ending"}
	}
	return c.op.handle(s, c)
}
