package testclients

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/nebulatest"
	"github.com/nebula-credential/nebula/provider/local"
	"github.com/nebula-credential/nebula/service"
	"github.com/nebula-credential/nebula/service/audit"
	"github.com/nebula-credential/nebula/service/token"
)

// live is a service that runs, and notes the requests.
type live struct {
	t      *testing.T
	url    string
	store  *nebula.Store
	tokens *token.File

	mu       sync.Mutex
	requests []request
	instead  http.HandlerFunc // may answer in the place of the service
}

type request struct {
	method, path, query string
	header              http.Header
}

// serve serves a store on a loopback port, like the command.
func serve(t *testing.T, store *nebula.Store) *live {
	t.Helper()
	dir := t.TempDir()
	l := &live{t: t, store: store, tokens: token.NewFile(filepath.Join(dir, "tokens"))}
	log, err := audit.Open(filepath.Join(dir, "audit.log"), audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	server := httptest.NewUnstartedServer(nil)
	s, err := service.New(store, service.Options{Tokens: l.tokens, Audit: log, Hosts: []string{server.Listener.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.requests = append(l.requests, request{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Clone()})
		instead := l.instead
		l.mu.Unlock()
		recorder := &answered{ResponseWriter: w}
		if instead != nil {
			instead(recorder, r)
		}
		if !recorder.begun {
			s.ServeHTTP(w, r)
		}
	})
	server.Start()
	t.Cleanup(func() {
		server.Close()
		_ = s.Close()
	})
	l.url = server.URL + "/"
	return l
}

// answered notes whether there was an answer.
type answered struct {
	http.ResponseWriter
	begun bool
}

func (a *answered) WriteHeader(status int) {
	a.begun = true
	a.ResponseWriter.WriteHeader(status)
}

func (a *answered) Write(b []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(b)
}

// token makes a token that may do everything, or only the given verbs.
func (l *live) token(name string, allow ...token.Verb) string {
	l.t.Helper()
	if allow == nil {
		allow = token.Verbs()
	}
	secret, err := l.tokens.Add(context.Background(), token.Grant{Name: name, Allow: allow})
	if err != nil {
		l.t.Fatal(err)
	}
	return string(secret.Reveal())
}

// put stores a value, like another program.
func (l *live) put(id nebula.ID, value string, tags ...string) {
	l.t.Helper()
	options := nebula.PutOptions{}
	if tags != nil {
		options.Tags = make(map[string]string)
		for _, tag := range tags {
			k, v, _ := strings.Cut(tag, "=")
			options.Tags[k] = v
		}
	}
	if _, err := l.store.Put(context.Background(), id, nebula.NewSecret([]byte(value)), options); err != nil {
		l.t.Fatal(err)
	}
}

// value returns the stored value, "" if there is none.
func (l *live) value(id nebula.ID) string {
	l.t.Helper()
	c, err := l.store.Get(context.Background(), id)
	if nebula.KindOf(err) == nebula.ErrNotFound {
		return ""
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return string(c.Secret.Reveal())
}

// asked returns the requests with that method and path.
func (l *live) asked(method, path string) []request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.requests), func(r request) bool { return r.method != method || r.path != path })
}

// answer lets f answer first. The service answers the requests that f does not.
func (l *live) answer(f http.HandlerFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.instead = f
}

// backends are the backends that the page is tested with. Memory can do everything. Files
// lack versions, restoring, and tags in the list.
var backends = map[string]func(*testing.T) *nebula.Store{
	"memory": func(t *testing.T) *nebula.Store { return nebulatest.NewStore(t).Store },
	"local": func(t *testing.T) *nebula.Store {
		config := local.DefaultConfig()
		config.BasePath = filepath.Join(t.TempDir(), "store")
		p, err := local.New(config)
		if err != nil {
			t.Fatal(err)
		}
		key := &nebula.KeyFile{Path: filepath.Join(t.TempDir(), "key")}
		if err := nebula.CreateKeyFile(key.Path); err != nil {
			t.Fatal(err)
		}
		store, err := nebula.Open(context.Background(), p, nebula.Options{Keys: []nebula.Key{key}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		if _, err := store.Init(context.Background(), key); err != nil {
			t.Fatal(err)
		}
		return store
	},
}
