// Command orders is an example: a service whose passwords are in nebula. Only its
// configuration says in which backend.
//
// GET /orders logs in to a database with a password that is watched. GET /invoice
// signs with a key that is read for each request.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/observe/prometheus"
	"github.com/nebula-credential/nebula/provider"
)

func main() {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, logger); err != nil {
		logger.Error("orders", "error", err)
		os.Exit(1)
	}
}

// run serves until the context ends. The environment says where the configuration of
// the store is. It has the address to listen on in LISTEN, and the address of the
// database in DATABASE_URL.
func run(ctx context.Context, logger *slog.Logger) error {
	c, err := config.Load(config.Source{Environ: os.Environ()})
	if err != nil {
		return err
	}
	metrics := new(provider.StorageMetrics)
	store, err := c.Open(ctx, "", config.OpenOptions{Logger: logger, Provider: []provider.Option{provider.WithMetrics(metrics)}})
	if err != nil {
		return err
	}
	s := newService(store.Store, os.Getenv("DATABASE_URL"), logger)
	registry := client.NewRegistry()
	registry.MustRegister(prometheus.NewCollector(c.Provider(""), metrics), prometheus.NewCache("orders", store.Store), s.age())
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("/", s)
	return errors.Join(serve(ctx, mux, s, logger), store.Close())
}

// serve ends in order: it accepts no new requests, finishes those under way, and then
// ends the watcher. After that the caller closes the store.
func serve(ctx context.Context, handler http.Handler, s *service, logger *slog.Logger) error {
	listener, err := net.Listen("tcp", address())
	if err != nil {
		return err
	}
	watch, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	watched := make(chan struct{})
	go func() { defer close(watched); s.watch(watch) }()
	defer func() { stopWatching(); <-watched }()

	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	logger.Info("listening", "address", listener.Addr().String())
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	shutdown, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(shutdown)
}

func address() string {
	if at := os.Getenv("LISTEN"); at != "" {
		return at
	}
	return "127.0.0.1:8080"
}

// explain answers a request that has failed. The store's error goes only to the log,
// because it names ids and places.
func explain(w http.ResponseWriter, r *http.Request, err error, logger *slog.Logger) {
	logger.Error("a request failed", "path", r.URL.Path, "error", err)
	status := http.StatusInternalServerError
	switch nebula.KindOf(err) {
	case nebula.ErrUnavailable, nebula.ErrTimeout:
		status = http.StatusServiceUnavailable
	}
	if errors.Is(err, errNoPassword) || errors.Is(err, errLogin) {
		status = http.StatusServiceUnavailable
	}
	http.Error(w, fmt.Sprint(status, " ", http.StatusText(status)), status)
}
