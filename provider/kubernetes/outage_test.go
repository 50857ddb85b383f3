package kubernetes_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
)

// The API server stops and starts again under load. Each call makes at most the
// attempts of the policy. Each acknowledged write is stored, and a write with a
// condition was done once.
func TestLiveStopAndStart(t *testing.T) {
	s := livetest.NewKubernetes(t)
	wire := &recorder{inner: transport(t, s)}
	c := liveConfig(t, s, s.Namespace(t))
	c.Transport = wire
	c.Retry.MaxRetries, c.Retry.MaxDelayMS = 10, 3000 // a server of this kind takes seconds to start
	metrics := new(provider.StorageMetrics)
	p := open(t, c, provider.WithMetrics(metrics))
	const writers, minWrites = 8, 12
	started := make(chan bool)
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			condition := nebula.IfAbsent()
			for j, more := 0, minWrites; more > 0; j++ {
				select {
				case <-started:
					more--
				default:
				}
				name, e := record(t, fmt.Sprintf("w%d", i), fmt.Sprint(j), nil)
				v, err := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: condition})
				if err != nil {
					t.Errorf("writer %d, write %d: %v", i, j, err)
					return
				}
				// Nobody else writes: a conflict would be with the write itself.
				condition = nebula.IfVersion(v)
				got, err := p.Retrieve(t.Context(), name)
				if err != nil || !bytes.Equal(got.Envelope.Bytes(), e.Bytes()) || got.Version != v {
					t.Errorf("writer %d, write %d: %q became %q, %v", i, j, v, got.Version, err)
					return
				}
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	s.Stop(t)
	time.Sleep(300 * time.Millisecond)
	s.Start(t)
	close(started)
	group.Wait()
	if metrics.RetryCount() == 0 {
		t.Error("nothing was retried: the outage hit no call")
	}

	// While the server is down, each call makes the attempts of the policy and no
	// more.
	c.Retry.BaseDelayMS, c.Retry.MaxRetries = 10, 5
	counted := open(t, c)
	name, _ := record(t, "w0", "", nil)
	if _, err := counted.Retrieve(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	s.Stop(t)
	wire.since()
	_, err := counted.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrUnavailable)
	if calls, _ := wire.since(); len(calls) != 6 {
		t.Errorf("%d attempts, want 6", len(calls))
	}

	// A process that the server has never answered reports the failure at once.
	first := open(t, c)
	_, err = first.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrUnavailable, "refuses the connection")
	if calls, _ := wire.since(); len(calls) != 1 {
		t.Errorf("%d attempts, want one", len(calls))
	}
}

// The server really forgets the state of a list that has begun.
func TestLiveCompacted(t *testing.T) {
	t.Parallel() // it mostly waits
	s := livetest.NewKubernetes(t, "--etcd-compaction-interval=1s", "--watch-cache=false")
	c := liveConfig(t, s, s.Namespace(t))
	wire := &recorder{inner: transport(t, s)}
	c.Transport = wire
	p := open(t, c)
	const many = 1200
	fill(t, p, many, 1)
	ctx := t.Context()
	pager := p.List(ctx, nebula.Filter{})
	seen := make(map[nebula.ID]int)
	page, err := pager.NextPage(ctx)
	if err != nil || len(page) != 500 {
		t.Fatalf("%d entries, %v", len(page), err)
	}
	for _, e := range page {
		seen[e.ID]++
	}
	awaitExpiry(t, s, c.Namespace, p)
	wire.since()
	rest := 0
	for {
		page, err := pager.NextPage(ctx)
		if err != nil {
			break
		}
		for _, e := range page {
			seen[e.ID]++
			rest++
		}
	}
	for i := range many {
		if n := seen[nebula.ID(fmt.Sprintf("N%05d", i))]; n != 1 {
			t.Fatalf("N%05d is listed %d times", i, n)
		}
	}
	if calls, _ := wire.since(); len(calls) != 3 || rest < many-500 {
		t.Errorf("%d calls, want a refused one and two pages", len(calls))
	}
}

// awaitExpiry writes until a list that begins now cannot continue.
func awaitExpiry(t *testing.T, s *livetest.KubernetesServer, namespace string, p nebula.Provider) {
	t.Helper()
	path := "api/v1/namespaces/" + namespace + "/secrets?limit=1"
	begun := s.API(t, http.MethodGet, path, nil)["metadata"].(map[string]any)["continue"].(string)
	name, e := record(t, "zz", "v", nil)
	for range 200 {
		if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := remove(t.Context(), p, name); err != nil {
			t.Fatal(err)
		}
		status, answer, err := s.Do(s.AdminToken, http.MethodGet, path+"&continue="+url.QueryEscape(begun), nil)
		if err == nil && status == http.StatusGone {
			if !strings.Contains(string(answer), `"continue"`) {
				t.Errorf("the server gives no continue token: %s", answer)
			}
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("no list expires")
}
