package service

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// Limits of a [Server].
const (
	maxConnections = 1024 // at each listener; further ones wait
	maxHeader      = 64 << 10
	headerTime     = 10 * time.Second
	readTime       = time.Minute      // for the header and the body
	writeTime      = time.Minute      // for a client to take what is written at once
	longest        = 15 * time.Minute // for all of a request: to purge takes some backends minutes
	idleTime       = 2 * time.Minute
)

// How long requests under way have to end.
const (
	DefaultDrain = 20 * time.Second
	lastMoment   = 5 * time.Second // after they were told to
)

// Server serves HTTP/1.1, and over TLS HTTP/2, within limits: 1,024 connections at
// a listener, 64 KiB of header, which may take 10 seconds to come, a minute for
// header and body, and two minutes between requests.
type Server struct {
	Handler http.Handler

	// Drain is how long requests under way have to end when the server ends. 0 means
	// DefaultDrain. The others are then told to end, and answer that they were
	// interrupted.
	Drain time.Duration
}

// Site is a listener with its handler.
type Site struct {
	*Listener
	Handler http.Handler // nil: that of the server
}

// Serve serves until the context ends, or until a listener fails, whose error it
// returns. Then it listens no more, and returns when no request is under way. It is
// called once.
func (s *Server) Serve(ctx context.Context, sites ...Site) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var all sync.WaitGroup
	for _, site := range sites {
		server := s.newServer(requests, site)
		all.Go(func() {
			if err := serve(server, site.Listener); !errors.Is(err, http.ErrServerClosed) {
				stop(err)
			}
		})
		all.Go(func() {
			<-ctx.Done()
			s.end(server, cut)
		})
	}
	all.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// end lets requests under way finish, then tells them to end, then cuts them
// off.
func (s *Server) end(server *http.Server, cut func()) {
	drain := s.Drain
	if drain == 0 {
		drain = DefaultDrain
	}
	if shutdown(server, drain) == nil {
		return
	}
	cut()
	if shutdown(server, lastMoment) != nil {
		_ = server.Close()
	}
}

func shutdown(server *http.Server, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return server.Shutdown(ctx)
}

func serve(server *http.Server, l *Listener) error {
	limited := netutil.LimitListener(l, maxConnections)
	if l.certificate != nil {
		return server.ServeTLS(limited, "", "")
	}
	return server.Serve(limited)
}

func (s *Server) newServer(requests context.Context, site Site) *http.Server {
	handler := site.Handler
	if handler == nil {
		handler = s.Handler
	}
	server := &http.Server{
		Handler:                      timed(handler),
		DisableGeneralOptionsHandler: true, // the service answers OPTIONS * itself
		ReadHeaderTimeout:            headerTime,
		ReadTimeout:                  readTime,
		WriteTimeout:                 longest,
		IdleTimeout:                  idleTime,
		MaxHeaderBytes:               maxHeader,
		BaseContext:                  func(net.Listener) context.Context { return requests },
		// It would log a line for each mistake of a stranger, and fill the log.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	if site.certificate != nil {
		server.TLSConfig = site.certificate.tlsConfig()
	}
	return server
}

// MetricsOnly serves /metrics of a [Service], and nothing else of it.
func MetricsOnly(s *Service) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			s.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "there is nothing but /metrics here", http.StatusNotFound)
	})
}

// timed limits the time in which a client takes an answer. One limit for a whole
// request would end requests for which a backend needs minutes.
func timed(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(&timedWriter{w, http.NewResponseController(w)}, r)
	})
}

type timedWriter struct {
	http.ResponseWriter
	deadlines *http.ResponseController
}

// Write implements [io.Writer].
func (w *timedWriter) Write(p []byte) (int, error) {
	_ = w.deadlines.SetWriteDeadline(time.Now().Add(writeTime))
	return w.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
