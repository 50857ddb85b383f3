package nebula_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/nebulatest"
)

// Every block of Go in README and docs/library.md is in code that tests compile and run:
// here, in the example service, or in an example of the documentation.
func TestGoBlocks(t *testing.T) {
	var code strings.Builder
	for _, path := range []string{"docs_library_test.go", "examples/orders/main.go", "examples/orders/service.go", "examples/orders/service_test.go"} {
		text, err := os.ReadFile(filepath.FromSlash(path))
		if err != nil {
			t.Fatal(err)
		}
		code.WriteString(unindented(string(text)))
	}
	for page, least := range map[string]int{"README.md": 1, "docs/library.md": 8} {
		text, err := os.ReadFile(filepath.FromSlash(page))
		if err != nil {
			t.Fatal(err)
		}
		blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(text), -1)
		if len(blocks) < least {
			t.Errorf("%s has %d blocks", page, len(blocks))
		}
		for _, block := range blocks {
			if !strings.Contains(code.String(), unindented(block[1])) {
				t.Errorf("%s: nothing runs this block:\n%s", page, block[1])
			}
		}
	}
}

// unindented removes the blanks at the beginning of each line.
func unindented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimLeft(line, "\t "))
	}
	return b.String()
}

func TestLibraryOpen(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	for _, name := range []string{"XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "APPDATA", "LOCALAPPDATA"} {
		t.Setenv(name, filepath.Join(os.Getenv("HOME"), name))
	}
	ctx := t.Context()
	err := func() error {
		c, err := config.Load(config.Source{Environ: os.Environ()})
		if err != nil {
			return err
		}
		store, err := c.Open(ctx, "", config.OpenOptions{})
		if err != nil {
			return err
		}
		defer store.Close()
		_, err = store.Put(ctx, "github_token", nebula.NewSecret([]byte("1")), nebula.PutOptions{})
		return err
	}()
	if err != nil {
		t.Error(err)
	}

	var used string
	use := func(value []byte) error { used = string(value); return nil }
	err = func() error {
		c, err := config.Load(config.Source{Environ: os.Environ()})
		if err != nil {
			return err
		}
		store, err := c.Open(ctx, "", config.OpenOptions{})
		if err != nil {
			return err
		}
		defer store.Close()

		credential, err := store.Get(ctx, "github_token")
		if errors.Is(err, nebula.ErrNotFound) {
			return errors.New("put it first: nebula put github_token")
		} else if err != nil {
			return err
		}
		defer credential.Secret.Wipe()
		return use(credential.Secret.Reveal()) // the one method that shows it: printers show [REDACTED]
	}()
	if err != nil || used != "1" {
		t.Errorf("%q, %v", used, err)
	}
}

func TestLibraryGet(t *testing.T) {
	ctx, store := t.Context(), nebulatest.NewStore(t)
	store.Set("api_token", "t0ken")
	sent := ""
	send := func(token []byte) error { sent = string(token); return nil }
	err := func() error {
		credential, err := store.Get(ctx, "api_token")
		if err != nil {
			return err
		}
		defer credential.Secret.Wipe()
		return send(credential.Secret.Reveal())
	}()
	if err != nil || sent != "t0ken" {
		t.Errorf("%q, %v", sent, err)
	}
}

func TestLibraryGetMany(t *testing.T) {
	ctx, store := t.Context(), nebulatest.NewStore(t)
	store.Set("database_user", "ann")
	store.Set("database_password", "s3cret")
	var err error
	use := func(user, password []byte) string { return string(user) + ":" + string(password) }
	var got string
	func() {
		read := store.GetMany(ctx, []nebula.ID{"database_user", "database_password"})
		for _, r := range read {
			defer r.Secret.Wipe()
			err = errors.Join(err, r.Err)
		}
		if err == nil {
			got = use(read[0].Secret.Reveal(), read[1].Secret.Reveal())
		}
	}()
	if got != "ann:s3cret" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

func TestLibraryErrors(t *testing.T) {
	ctx, store := t.Context(), nebulatest.NewStore(t)
	store.Set("there", "v")
	explain := func(id nebula.ID) string {
		_, err := store.Get(ctx, id)
		switch {
		case err == nil:
			return "there"
		case errors.Is(err, nebula.ErrNotFound):
			return "no such credential"
		case errors.Is(err, nebula.ErrUnavailable), errors.Is(err, nebula.ErrTimeout):
			return "try later"
		}
		if e, ok := errors.AsType[*nebula.Error](err); ok {
			return fmt.Sprintf("%s: %s", e.Kind, e.Hint) // for an operator, not for a user
		}
		return err.Error()
	}
	for id, want := range map[nebula.ID]string{"there": "there", "absent": "no such credential", "not an id": "invalid id: an id has"} {
		if got := explain(id); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", id, got)
		}
	}
	store.Fail(nebula.ErrUnavailable)
	if got := explain("there"); got != "try later" {
		t.Error(got)
	}
}

func TestLibraryWrite(t *testing.T) {
	ctx, store := t.Context(), nebulatest.NewStore(t)
	store.Set("counter", "1")
	next := func(value []byte) nebula.Secret { return nebula.NewSecret(append(value, '+')) }
	update := func() error {
		credential, err := store.Get(ctx, "counter")
		if err != nil {
			return err
		}
		_, err = store.Put(ctx, "counter", next(credential.Secret.Reveal()), nebula.PutOptions{IfVersion: credential.Version})
		return err // ErrConflict: somebody else was faster; read again, and decide again
	}
	store.BeforeWrite(func() { store.Set("counter", "2") })
	if err := update(); !errors.Is(err, nebula.ErrConflict) {
		t.Error(err)
	}
	if err := update(); err != nil || store.Value("counter") != "2+" {
		t.Error(store.Value("counter"), err)
	}
}

func TestLibraryTesting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := nebulatest.NewStore(t)
		store.Set("token", "old")
		seen := make(chan string, 2)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for change := range store.Watch(nebula.WatchOptions{}, "token").Changes(ctx) {
				seen <- string(change.Credential.Secret.Reveal())
			}
		}()
		time.Sleep(time.Second)
		store.Set("token", "new")
		time.Sleep(time.Second)
		stop()
		<-ended
		if a, b := <-seen, <-seen; a != "old" || b != "new" {
			t.Error(a, b)
		}
	})
}

func TestLibraryCache(t *testing.T) {
	ctx, log := t.Context(), &printed{}
	store := nebulatest.NewStoreWith(t, nebula.Options{Cache: nebula.CacheOptions{MaxAge: time.Minute, LastKnown: time.Hour}})
	store.Set("db", "secret")
	get := func() error {
		credential, err := store.Get(ctx, "db")
		if err != nil {
			return err
		}
		if !credential.LastKnown.IsZero() {
			log.Printf("the backend is away; the password is the one of %v", credential.LastKnown)
		}
		return nil
	}
	if err := get(); err != nil || log.lines != 0 {
		t.Errorf("%v, %d lines", err, log.lines)
	}
	store.Fail(nebula.ErrUnavailable)
	store.Refresh("db")
	if err := get(); err != nil || log.lines != 1 {
		t.Errorf("in an outage: %v, %d lines", err, log.lines)
	}
}

type printed struct{ lines int }

func (p *printed) Printf(string, ...any) { p.lines++ }
