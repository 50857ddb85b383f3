package config

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/memory"
)

// Whatever the configuration chooses gets what the program asked for, and the
// program's own options come last.
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

// The local store is measured as every other.
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

// The default base path obeys the environment that the configuration was read
// from, not that of the process.
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
