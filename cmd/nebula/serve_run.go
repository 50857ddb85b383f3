package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/process"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/service"
	"github.com/nebula-credential/nebula/service/audit"
	"github.com/nebula-credential/nebula/service/metrics"
	"github.com/nebula-credential/nebula/service/token"
)

func (a *app) serve(ctx context.Context, override func(*config.Serve)) error {
	c, err := a.load()
	if err != nil {
		return err
	}
	settings := c.Serve()
	override(&settings)
	logger := slog.New(warnings{a})
	tokens, err := serveTokens(ctx, settings)
	if err != nil {
		return err
	}
	certificate, err := serveCertificate(settings, logger)
	if err != nil {
		return err
	}
	log, err := audit.Open(settings.Audit, audit.Options{Sync: settings.AuditSync})
	if err != nil {
		return err
	}
	err = a.serveStore(ctx, c, settings, certificate, service.Options{Tokens: tokens, Audit: log, Version: version().Version, Logger: logger})
	if closed := log.Close(); err == nil {
		err = closed
	}
	return err
}

// serveTokens returns the file of tokens. The file may be made later.
func serveTokens(ctx context.Context, s config.Serve) (*token.File, error) {
	if s.Tokens == "" {
		return nil, usage("there is no home directory to keep a file of tokens in", "name one with --tokens, or NEBULA_SERVE_TOKENS")
	}
	file := token.NewFile(s.Tokens)
	if s.TokensGroupRead {
		file.AllowGroupRead()
	}
	_, err := file.List(ctx)
	return file, err
}

// serveCertificate returns nil if none is named.
func serveCertificate(s config.Serve, logger *slog.Logger) (*service.Certificate, error) {
	if s.TLSCert == "" && s.TLSKey == "" {
		return nil, nil
	}
	if s.TLSCert == "" || s.TLSKey == "" {
		return nil, usage("a certificate and its key are two files, and only one is named", "name both: --tls-cert and --tls-key, or tls_cert and tls_key in [serve]")
	}
	return service.LoadCertificate(s.TLSCert, s.TLSKey, logger)
}

// serveStore opens the store and serves it until the context ends.
func (a *app) serveStore(ctx context.Context, c *config.Config, settings config.Serve, certificate *service.Certificate, o service.Options) (err error) {
	counted := &provider.StorageMetrics{}
	options := a.options()
	options.Provider = append(options.Provider, provider.WithMetrics(counted))
	store, err := c.Open(ctx, a.global.store, options)
	if err != nil {
		return err
	}
	defer func() {
		if closed := store.Close(); err == nil {
			err = closed
		}
	}()
	a.global.where = store.Keys.Where()
	// Problems with the keys show now.
	if err := a.unlockToServe(ctx, store); err != nil {
		return err
	}
	o.Metrics = func(w io.Writer) {
		metrics.WriteProvider(w, store.Describe().Provider, counted)
		metrics.WriteCache(w, store.Name, store.Store)
	}
	at, err := listen(ctx, settings, certificate)
	if err != nil {
		return err
	}
	defer at.close() // where serving does not begin
	if o.Hosts, err = at.hosts(settings.Hosts); err != nil {
		return err
	}
	handler, err := service.New(store.Store, o)
	if err != nil {
		return err
	}
	defer handler.Close()
	defer a.reopenAt(o.Audit, syscall.SIGHUP)()
	context.AfterFunc(ctx, func() { process.Notify("STOPPING=1") })
	sites := a.sites(at, handler)
	if list, err := o.Tokens.List(ctx); err == nil && len(list) == 0 {
		a.tell("there are no tokens yet, and nothing is served without one; make the first with: nebula serve token add NAME --allow read")
	}
	process.Notify("READY=1")
	return (&service.Server{Handler: handler}).Serve(ctx, sites...)
}

// unlockToServe opens the keyring. It makes a store in memory, since there is none
// before.
func (a *app) unlockToServe(ctx context.Context, store *config.Opened) error {
	err := store.Unlock(ctx)
	if !isMemory(store) || !errors.Is(err, nebula.ErrNotInitialised) {
		return err
	}
	key, err := store.Keys.First(ctx)
	if err != nil {
		return err
	}
	a.warn(memoryEnds)
	_, err = store.Init(ctx, key.Key)
	return err
}

// places are the places where the service listens.
type places struct {
	api     []*service.Listener
	metrics *service.Listener // of the metrics alone; nil: nowhere
}

func listen(ctx context.Context, settings config.Serve, certificate *service.Certificate) (at places, err error) {
	if len(settings.Listen) == 0 {
		return at, usage("there is nowhere to listen", "name an address: --listen unix:PATH, --listen 127.0.0.1:8200, or listen in [serve]")
	}
	defer func() {
		if err != nil {
			at.close()
		}
	}()
	for _, address := range settings.Listen {
		l, err := service.Listen(ctx, address, certificate)
		if err != nil {
			return at, err
		}
		at.api = append(at.api, l)
	}
	if settings.MetricsListen != "" {
		at.metrics, err = service.Listen(ctx, settings.MetricsListen, certificate)
	}
	return at, err
}

func (p places) close() {
	for _, l := range p.api {
		_ = l.Close() // again, where it has served
	}
	if p.metrics != nil {
		_ = p.metrics.Close()
	}
}

func (p places) hosts(names []string) (hosts []string, err error) {
	for _, l := range p.api {
		more, err := l.Hosts(names)
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, more...)
	}
	return hosts, nil
}

// sites returns the sites of the service, and says who can send requests there.
func (a *app) sites(at places, handler *service.Service) (sites []service.Site) {
	for _, l := range at.api {
		a.tell("serving at " + l.URL() + ", to " + l.Reach())
		sites = append(sites, service.Site{Listener: l})
	}
	if at.metrics != nil {
		a.tell("serving metrics alone at " + at.metrics.URL() + ", to " + at.metrics.Reach())
		sites = append(sites, service.Site{Listener: at.metrics, Handler: service.MetricsOnly(handler)})
	}
	return sites
}

// reopenAt opens the audit log again at a signal, until stop is called.
func (a *app) reopenAt(log *audit.Log, s os.Signal) (stop func()) {
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, s)
	go func() {
		defer close(done)
		for range signals {
			if err := log.Reopen(); err != nil {
				a.warn(a.failureOf(err).String())
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}
