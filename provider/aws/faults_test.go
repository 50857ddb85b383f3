package aws_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/internal/testing/faultproxy"
	"github.com/nebula-credential/nebula/internal/testing/histories"
	"github.com/nebula-credential/nebula/provider/aws"
)

// faulty returns a configuration that leads over TLS through a proxy to the server.
func faulty(t *testing.T, s *awsserver.Server) (aws.Config, *faultproxy.Proxy) {
	t.Helper()
	environment(t)
	proxy := faultproxy.Start(t, faultproxy.Options{Target: s.URL(), TLS: true})
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, proxy.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	c := configFor(s)
	c.EndpointURL = proxy.URL()
	return c, proxy
}

func isCall(operation string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+operation)
	}
}

// A router that forgot a connection drops its requests without an answer. The
// provider notices, and repeats the call on another connection.
func TestDeadConnection(t *testing.T) {
	s := newServer(t, awsserver.Options{})
	c, proxy := faulty(t, s)
	at, err := url.Parse(proxy.URL())
	if err != nil {
		t.Fatal(err)
	}
	tunnel := faultproxy.StartTunnel(t, at.Host)
	c.EndpointURL = "https://" + tunnel.Address()
	p := open(t, c)
	name, e := record(t, "x", "1", nil)
	v, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n := tunnel.Drop(); n != 1 {
		t.Fatalf("%d connections are open, want one", n)
	}
	_, next := record(t, "x", "2", nil)
	var both sync.WaitGroup
	both.Go(func() {
		if _, err := p.Retrieve(t.Context(), name); err != nil {
			t.Error(err)
		}
	})
	both.Go(func() {
		if _, err := p.Store(t.Context(), name, next, nebula.StoreOptions{Precondition: nebula.IfVersion(v)}); err != nil {
			t.Error(err)
		}
	})
	both.Wait()
	if n := tunnel.Connections(); n < 2 || n > 3 { // both calls may dial
		t.Errorf("%d connections were made, want one or two more", n)
	}
}

// A change that was given up arrives after later ones that were acknowledged. The
// later ones stay.
func TestLateChanges(t *testing.T) {
	s := newServer(t, awsserver.Options{})
	c, proxy := faulty(t, s)
	p := open(t, c)
	name, late := record(t, "x", "late", nil)
	_, later := record(t, "x", "later", nil)
	_, first := record(t, "x", "first", nil)
	_, _ = p.Exists(t.Context(), name)
	for what, test := range map[string]struct {
		operation string
		absent    bool // at first
	}{
		"a version":      {operation: "PutSecretValue"},
		"the move to it": {operation: "UpdateSecretVersionStage"},
		"a creation":     {operation: "CreateSecret", absent: true},
	} {
		t.Run(what, func(t *testing.T) {
			if err := purge(t.Context(), p, name); err != nil {
				t.Fatal(err)
			}
			condition := nebula.IfAbsent()
			if !test.absent {
				v, err := p.Store(t.Context(), name, first, nebula.StoreOptions{})
				if err != nil {
					t.Fatal(err)
				}
				condition = nebula.IfVersion(v)
			}
			end := proxy.Add(faultproxy.Rule{Match: isCall(test.operation), Times: 1, Fault: faultproxy.Late(0)})
			defer end()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := p.Store(ctx, name, late, nebula.StoreOptions{Precondition: condition, Previous: first})
			wants(t, err, nebula.ErrTimeout)
			v, err := p.Store(t.Context(), name, later, nebula.StoreOptions{Precondition: condition, Previous: first})
			if err != nil {
				t.Fatal(err)
			}
			if n := proxy.Release(); n != 1 {
				t.Fatalf("%d requests arrive late, want one", n)
			}
			got, err := p.Retrieve(t.Context(), name)
			if err != nil || got.Version != v || string(got.Envelope.Bytes()) != string(later.Bytes()) {
				t.Errorf("an acknowledged write is gone: %v", err)
			}
		})
	}
}

// Whatever the network does to the requests, the histories of callers in several
// processes have an order.
func TestHistoriesThroughFaults(t *testing.T) {
	s := newServer(t, awsserver.Options{Now: time.Now})
	c, proxy := faulty(t, s)
	c.Timeout, c.Retry.BaseDelayMS, c.Retry.MaxDelayMS, c.Retry.MaxRetries = time.Second, 10, 2000, 10
	name, _ := record(t, "contested", "", nil)
	providers := make([]nebula.Provider, 4)
	for i := range providers {
		providers[i] = open(t, c)
		_, _ = providers[i].Exists(t.Context(), name) // so that the server has answered once
	}
	proxy.Add(faultproxy.Mix(0.15)...)
	h := histories.Contend(t, name, func(i int) nebula.Provider { return providers[i] }, histories.Load{Callers: len(providers), Rounds: 5, Seed: proxy.Seed()})
	h.Verify(t)
	if left := oursOf(s, c.SecretPrefix+"contested"); len(left) > 1 {
		t.Errorf("stages %q are left", left)
	}
}

// If sixteen processes write one credential at once, their histories have an order.
func TestHistoriesOfManyWriters(t *testing.T) {
	environment(t)
	for _, stay := range []bool{false, true} {
		s := newServer(t, awsserver.Options{Now: time.Now})
		s.SetDeprecatedStay(stay)
		c := configFor(s)
		name, _ := record(t, "contested", "", nil)
		h := histories.Contend(t, name, func(int) nebula.Provider { return open(t, c) }, histories.Load{Callers: 16, Rounds: 2, Seed: 1})
		h.Verify(t)
		t.Log(fmt.Sprint("deprecated versions stay ", stay, ": "), s.Count(""), "calls,", s.Versions(c.SecretPrefix+"contested"), "versions")
	}
}
