// Command vault is the real Vault server, made for tests: one node, one unseal
// key, KV version 2 at secret/ and version 1 at kv1/, transit at transit/,
// AppRole to be enabled.
// It listens on the loopback interface and ends with its standard input, so
// that no server outlives the process that started it.
//
// When it is ready it prints one line of JSON: address, root_token and
// unseal_key of a new server, ca_file with -tls.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	log "github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/sdk/physical/inmem"
)

type options struct {
	listen   string
	storage  string
	unseal   string
	tlsDir   string
	logLevel string
}

// announcement is the line that says that the server is ready.
type announcement struct {
	Address   string `json:"address"`
	RootToken string `json:"root_token,omitempty"`
	UnsealKey string `json:"unseal_key"`
	CAFile    string `json:"ca_file,omitempty"`
}

func main() {
	var o options
	flag.StringVar(&o.listen, "listen", "127.0.0.1:0", "loopback address to listen on")
	flag.StringVar(&o.storage, "storage", "inmem", "inmem, or file:DIR")
	flag.StringVar(&o.unseal, "unseal", "", "key that unseals data which exists already")
	flag.StringVar(&o.tlsDir, "tls", "", "serve HTTPS, with a CA made and kept in this directory")
	flag.StringVar(&o.logLevel, "log", "error", "level of the log on standard error")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	listener, err := listen(o)
	if err != nil {
		return err
	}
	defer listener.Close()
	logger := log.New(&log.LoggerOptions{Name: "vault", Level: log.LevelFromString(o.logLevel), Output: os.Stderr})
	backend, err := storage(o.storage, logger)
	if err != nil {
		return err
	}
	core, secrets, err := start(backend, o.unseal, logger)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler(core)}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	ready := announcement{Address: "http://" + listener.Addr().String(), RootToken: secrets.root, UnsealKey: secrets.unseal}
	if o.tlsDir != "" {
		ready.Address = "https://" + listener.Addr().String()
		ready.CAFile = caFile(o.tlsDir)
	}
	if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	case <-ended():
	}
	// Connections are cut, as by a server that is turned off. The storage is
	// flushed by its own writes.
	_ = server.Close()
	return core.ShutdownWait()
}

func storage(kind string, logger log.Logger) (physical.Backend, error) {
	if dir, ok := strings.CutPrefix(kind, "file:"); ok && dir != "" {
		return file.NewFileBackend(map[string]string{"path": dir}, logger)
	}
	if kind != "inmem" {
		return nil, fmt.Errorf("-storage %q is neither inmem nor file:DIR", kind)
	}
	return inmem.NewInmem(nil, logger)
}

// listen refuses every interface but the loopback: the root token is printed.
func listen(o options) (net.Listener, error) {
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, errors.New("-listen is not a loopback address")
	}
	if o.tlsDir == "" {
		return net.Listen("tcp", o.listen)
	}
	return listenTLS(o.listen, o.tlsDir)
}

// ended is closed on a signal and at the end of standard input.
func ended() <-chan struct{} {
	done := make(chan struct{})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	input := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(input)
	}()
	go func() {
		select {
		case <-signals:
		case <-input:
		}
		close(done)
	}()
	return done
}
