package service_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/histories"
	"github.com/nebula-credential/nebula/provider/local"
	memoryprovider "github.com/nebula-credential/nebula/provider/memory"
)

// Writers write one credential with If-Match, through two services over one backend.
// What they see fits one order of the writes.
func TestHistories(t *testing.T) {
	dir, inMemory := t.TempDir(), memoryprovider.NewBackend()
	for name, open := range map[string]func() (nebula.Provider, error){
		"local": func() (nebula.Provider, error) {
			config := local.DefaultConfig()
			config.BasePath = filepath.Join(dir, "store")
			return local.New(config)
		},
		"memory": func() (nebula.Provider, error) {
			config := memoryprovider.DefaultConfig()
			config.Backend = inMemory
			return memoryprovider.New(config)
		},
	} {
		t.Run(name, func(t *testing.T) { contend(t, open, 2, 8, 12) })
	}
}

// contend makes callers read and write one credential through several services.
func contend(t *testing.T, open func() (nebula.Provider, error), services, callers, rounds int) {
	t.Helper()
	key := newKeyFile(t)
	rigs := make([]*rig, services)
	for i := range rigs {
		p, err := open()
		if err != nil {
			t.Fatal(err)
		}
		store, err := nebula.Open(t.Context(), p, nebula.Options{Keys: []nebula.Key{key}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		if i == 0 {
			if _, err := store.Init(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
		rigs[i] = newRig(t, store)
	}
	h := histories.New()
	var wg sync.WaitGroup
	for i := range callers {
		c := contender{rig: rigs[i%services], client: h.Client(), random: rand.New(rand.NewPCG(1, uint64(i))), name: fmt.Sprint("writer", i)}
		wg.Go(func() {
			for n := range rounds {
				c.round(n)
			}
		})
	}
	wg.Wait()
	h.Verify(t)
	if h.Count(histories.Put, histories.Done) == 0 || h.Count(histories.Put, histories.Refused) == 0 {
		t.Errorf("%d writes were done, %d refused: they did not contend", h.Count(histories.Put, histories.Done), h.Count(histories.Put, histories.Refused))
	}
	if n := h.Count(histories.Put, histories.Unclear) + h.Count(histories.Get, histories.Unclear); n > 0 {
		t.Errorf("%d calls failed", n)
	}
}

type contender struct {
	*rig
	client *histories.Client
	random *rand.Rand
	name   string
}

// round reads the credential, and writes or deletes it if it is still the same.
func (c *contender) round(n int) {
	version := c.read()
	header := map[string]string{"If-None-Match": "*"}
	if version != "" {
		header = map[string]string{"If-Match": `"` + version + `"`}
	}
	if version != "" && c.random.IntN(5) == 0 {
		end := c.client.Begin(histories.Call{Kind: histories.Delete, IfVersion: version})
		end(outcomeOf(c.do(ask{method: "DELETE", path: at("contested"), header: header})), "", "")
		return
	}
	value := fmt.Sprint(c.name, "-", n)
	end := c.client.Begin(histories.Call{Kind: histories.Put, Value: value, IfAbsent: version == "", IfVersion: version})
	got := c.do(ask{method: "PUT", path: at("contested"), body: value, header: with(header, "Content-Type", "application/octet-stream")})
	written := ""
	if got.StatusCode < 300 {
		written = got.item(c.t).Version
	}
	end(outcomeOf(got), "", written)
}

func (c *contender) read() (version string) {
	end := c.client.Begin(histories.Call{Kind: histories.Get})
	got := c.do(ask{method: "GET", path: at("contested"), header: map[string]string{"Accept": "application/octet-stream"}})
	if got.StatusCode == http.StatusOK {
		version = strings.TrimSuffix(strings.Trim(got.Header.Get("ETag"), `"`), "-raw")
	}
	end(outcomeOf(got), got.body, version)
	return version
}

func outcomeOf(r reply) histories.Outcome {
	switch {
	case r.StatusCode < 300:
		return histories.Done
	case r.StatusCode == http.StatusNotFound:
		return histories.Absent
	case r.StatusCode == http.StatusPreconditionFailed:
		return histories.Refused
	}
	return histories.Unclear
}
