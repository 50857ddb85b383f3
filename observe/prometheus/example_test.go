package prometheus_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/observe/prometheus"
	"github.com/nebula-credential/nebula/provider"
)

// A small service: the configuration chooses the backend, /metrics shows what
// its store does, and a signal ends it in order.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	home, err := os.MkdirTemp("", "nebula-example-") // stands for the user's home directory
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(home)

	c, err := config.Load(config.Source{Environ: []string{"HOME=" + home, "XDG_DATA_HOME=" + filepath.Join(home, "data"),
		"XDG_CONFIG_HOME=" + filepath.Join(home, "config")}})
	if err != nil {
		log.Fatal(err)
	}
	metrics := new(provider.StorageMetrics)
	store, err := c.Open(ctx, "", config.OpenOptions{
		Logger: slog.Default(),
		Provider: []provider.Option{
			provider.WithMetrics(metrics),
			provider.WithLogger(slog.Default()), // a line for each operation, at level Debug
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	registry := client.NewRegistry()
	registry.MustRegister(prometheus.NewCollector(c.Provider(""), metrics))

	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		token, err := store.Get(r.Context(), "api_token")
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		defer token.Secret.Wipe()
		fmt.Fprintln(w, "logged in with", token.Secret) // prints [REDACTED]
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()

	use(ctx, store.Store, "http://"+listener.Addr().String())
	stop() // in place of the signal

	<-ctx.Done()
	shutdown, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(shutdown); err != nil {
		log.Print(err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		log.Print(err)
	}
	// The store is closed last: requests may still use it until here.
	fmt.Println("closed:", store.Close())
	// Output:
	// logged in with [REDACTED]
	// nebula_storage_operation_duration_seconds_count{operation="store",provider="local"} 2
	// closed: <nil>
}
