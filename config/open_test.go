package config

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/memory"
)

// Every provider gets the program's options. The program's own provider options come
// last.
func TestOptionsReachTheProvider(t *testing.T) {
	var got provider.Options
	made := 0
	recording := Register("recording", func(func(string) string) memory.Config { return memory.DefaultConfig() },
		func(c memory.Config, options ...provider.Option) (nebula.Provider, error) {
			got = provider.NewOptions(options...)
			made++
			return memory.New(c, options...)
		})
	c, err := Load(Source{Environ: []string{"NEBULA_STORAGE_PROVIDER=recording"}, Providers: append(Providers(), recording)})
	if err != nil {
		t.Fatal(err)
	}
	if made != 0 {
		t.Error("a provider was made to load the configuration")
	}
	metrics, said := new(provider.StorageMetrics), new(bytes.Buffer)
	logger := slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	outer := 0
	s, err := c.Open(t.Context(), "", OpenOptions{OneShot: true, Stderr: said, Logger: logger, Provider: []provider.Option{
		provider.WithMetrics(metrics), provider.WithInterceptors(func(ctx context.Context, _ provider.Call, next func(context.Context) error) error {
			outer++
			return next(ctx)
		})}})
	if err != nil {
		t.Fatal(err)
	}
	if made != 1 || !got.OneShot || got.Stderr != said || got.Warnings != logger || got.Logger != nil {
		t.Errorf("made %d times, with %+v", made, got)
	}
	if _, err := s.Exists(t.Context(), "x"); err != nil && nebula.KindOf(err) != nebula.ErrNotFound {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if metrics.ExistsCount() == 0 || outer < 2 {
		t.Errorf("%d calls of exists were counted, %d calls intercepted", metrics.ExistsCount(), outer)
	}
}

// The local store has metrics, like every other.
func TestLocalIsMeasured(t *testing.T) {
	c, err := load(t, "[storage.local]\nbase_path = \"HOME/credentials\"\n")
	if err != nil {
		t.Fatal(err)
	}
	metrics := new(provider.StorageMetrics)
	s, err := c.Open(t.Context(), "", OpenOptions{Provider: []provider.Option{provider.WithMetrics(metrics)}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Put(t.Context(), "x", nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if metrics.StoreCount() != 2 || metrics.StoreLatencySum() <= 0 {
		t.Errorf("%d stores in %v were counted, want those of the keyring and of the record", metrics.StoreCount(), metrics.StoreLatencySum())
	}
}

// The default base path comes from the environment of the source, not from that of the
// process.
func TestDefaultBasePathOfTheSource(t *testing.T) {
	home := t.TempDir()
	c, err := Load(Source{Environ: []string{"HOME=" + home, "XDG_DATA_HOME=" + home}})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Directory(""); !isWithin(home, got) {
		t.Errorf("the store is in %s, want below %s", got, home)
	}
}

// Each operation is one line of JSON that names the credential and never has its value.
func TestLogLineForEachOperation(t *testing.T) {
	for chosen, text := range map[string]string{"local": "[storage.local]\nbase_path = \"HOME/credentials\"\n", "memory": "[storage]\nprovider = \"memory\"\n"} {
		t.Run(chosen, func(t *testing.T) { logsEachOperation(t, chosen, text) })
	}
}

func logsEachOperation(t *testing.T, chosen, text string) {
	c, err := load(t, text+"[key]\nfile = \"HOME/key\"\n")
	if err != nil {
		t.Fatal(err)
	}
	log := new(bytes.Buffer)
	logger := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := c.Open(t.Context(), "", OpenOptions{Provider: []provider.Option{provider.WithLogger(logger)}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	first, err := s.Keys.First(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Init(t.Context(), first.Key); err != nil {
		t.Fatal(err)
	}
	log.Reset()
	if _, err := s.Put(t.Context(), "db_password", nebula.NewSecret([]byte("canary")), nebula.PutOptions{Tags: map[string]string{"team": "canary"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "db_password"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "missing"); nebula.KindOf(err) != nebula.ErrNotFound {
		t.Fatal(err)
	}
	if strings.Contains(log.String(), "canary") {
		t.Errorf("the log shows what was stored:\n%s", log)
	}
	var got []string
	for line := range strings.Lines(log.String()) {
		var said struct {
			Op, Provider, ID, Outcome string
			Duration                  *int64
		}
		if err := json.Unmarshal([]byte(line), &said); err != nil || said.Provider != chosen || said.Duration == nil {
			t.Errorf("%v: %s", err, line)
		}
		got = append(got, said.Op+" "+said.ID+" "+said.Outcome)
	}
	want := []string{"retrieve db_password not_found", "store db_password ok", "retrieve db_password ok", "retrieve missing not_found"}
	if !slices.Equal(got, want) {
		t.Errorf("the operations %q were logged, want %q", got, want)
	}
}

// TestCache: the settings of the cache reach the store, here a named one. A new process
// reads the last known values from the state directory.
func TestCache(t *testing.T) {
	away := false
	fault := provider.WithInterceptors(func(ctx context.Context, c provider.Call, next func(context.Context) error) error {
		if away {
			return &nebula.Error{Kind: nebula.ErrUnavailable, Op: c.Op, Message: "connection refused"}
		}
		return next(ctx)
	})
	c, err := load(t, "[stores.x]\ncache_last_known = \"1h\"\ncache_on_disk = true\n[stores.x.local]\nbase_path = \"HOME/x\"\n[stores.x.key]\nfile = \"HOME/key\"\n")
	if err != nil {
		t.Fatal(err)
	}
	said := new(bytes.Buffer)
	options := OpenOptions{Logger: slog.New(slog.NewTextHandler(said, nil)), Provider: []provider.Option{fault}}
	open := func(options OpenOptions) *Opened {
		t.Helper()
		s, err := c.Open(t.Context(), "x", options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	s := open(options)
	path := c.env.home() + "/key"
	if err := nebula.CreateKeyFile(path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Init(t.Context(), &nebula.KeyFile{Path: path}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "a", nebula.NewSecret([]byte("one")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	away = true
	got, err := open(options).Get(t.Context(), "a")
	if err != nil || string(got.Secret.Reveal()) != "one" || got.LastKnown.IsZero() {
		t.Fatalf("%q, %v, %v", got.Secret.Reveal(), got.LastKnown, err)
	}
	if !strings.Contains(said.String(), "the backend is unavailable") || strings.Contains(said.String(), "one") {
		t.Errorf("logged: %s", said)
	}
	options.Examine = true
	if _, err := c.Open(t.Context(), "x", options); nebula.KindOf(err) != nebula.ErrUnavailable {
		t.Errorf("with Examine: %v", err)
	}
}
