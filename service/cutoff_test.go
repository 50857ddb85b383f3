package service_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	memoryprovider "github.com/nebula-credential/nebula/provider/memory"
)

// The test cuts off one in ten of 10,000 requests midway, and answers one in thirty
// calls of the backend with 503, some after they took effect. Every acknowledged write
// is there, no part of a body is stored, and nothing keeps running.
func TestCutOff(t *testing.T) {
	const clients, requests = 16, 10_000
	before := goleak.IgnoreCurrent()
	var faults atomic.Int64
	var healthy atomic.Bool
	p, err := memoryprovider.New(memoryprovider.DefaultConfig(), provider.WithInterceptors(func(ctx context.Context, call provider.Call, next func(context.Context) error) error {
		if call.Op == provider.OpConnect || call.Name.IsKeyring() || healthy.Load() {
			return next(ctx)
		}
		switch failed := unavailable(call); rand.IntN(60) {
		case 0:
			faults.Add(1)
			return failed
		case 1:
			faults.Add(1)
			return errors.Join(failed, next(ctx))
		}
		return next(ctx)
	}))
	healthy.Store(true)
	r := newRig(t, openStore(t, p, err))
	healthy.Store(false)
	r.client = r.server.Client()
	workers := make([]*worker, clients)
	var wg sync.WaitGroup
	for i := range workers {
		workers[i] = &worker{rig: r, random: rand.New(rand.NewPCG(7, uint64(i))), number: i, may: make(map[string][]string)}
		wg.Go(func() {
			for range requests / clients {
				workers[i].round()
			}
		})
	}
	wg.Wait()
	r.server.Close() // waits for requests under way
	r.client.CloseIdleConnections()
	healthy.Store(true)
	cuts, acknowledged := 0, 0
	for _, w := range workers {
		cuts, acknowledged = cuts+w.cuts, acknowledged+w.acknowledged
		w.verify()
	}
	if cuts < requests/15 || faults.Load() < 100 || acknowledged < requests/4 {
		t.Errorf("%d requests were cut off, %d acknowledged, %d calls failed", cuts, acknowledged, faults.Load())
	}
	if err := r.store.Close(); err != nil {
		t.Error(err)
	}
	if err := r.log.Close(); err != nil {
		t.Error(err)
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

func unavailable(call provider.Call) error {
	return &nebula.Error{Kind: nebula.ErrUnavailable, Op: call.Op, Provider: call.Provider, ID: call.Name.ID(), Message: "503"}
}

// worker sends one request after another for ids of its own. A request that was cut off
// may take effect later, so the worker then takes another id.
type worker struct {
	*rig
	random       *rand.Rand
	number, next int
	id           string
	may          map[string][]string // the values that an id may have; "" is none
	cuts         int
	acknowledged int
}

func (w *worker) round() {
	if w.id == "" {
		w.id = fmt.Sprintf("w%d-%d", w.number, w.next)
		w.may[w.id] = []string{""}
	}
	w.next++
	value := fmt.Sprintf("<%d:%s>", w.next, strings.Repeat("x", w.random.IntN(2000)))
	put := ask{method: "PUT", path: at(w.id), body: value, header: asBytes()}
	switch n := w.random.IntN(20); {
	case n < 2:
		w.cut(put)
	case n < 10:
		w.write(put, value)
	case n < 12:
		w.write(ask{method: "DELETE", path: at(w.id)}, "")
	case n < 14:
		w.do(ask{method: "PATCH", path: at(w.id) + "/tags", body: `{"set":{"a":"b"}}`, header: asJSON()})
	case n < 15:
		w.do(ask{method: "POST", path: "/v1/batch-get", body: `{"ids":["` + w.id + `"]}`, header: asJSON()})
	default:
		w.read()
	}
}

// write sends a change. If it is not acknowledged, it may have been made.
func (w *worker) write(a ask, value string) {
	got := w.do(a)
	switch {
	case got.StatusCode < 300:
		w.acknowledged++
		w.may[w.id] = []string{value}
	case got.StatusCode == http.StatusServiceUnavailable:
		w.may[w.id] = append(w.may[w.id], value)
	default:
		w.t.Errorf("%s: %d: %s", a.method, got.StatusCode, got.body)
	}
}

func (w *worker) read() {
	got := w.do(ask{method: "GET", path: at(w.id), header: map[string]string{"Accept": "application/octet-stream"}})
	switch got.StatusCode {
	case http.StatusOK:
		w.holds(w.id, got.body)
	case http.StatusNotFound:
		w.holds(w.id, "")
	case http.StatusServiceUnavailable:
	default:
		w.t.Errorf("GET: %d: %s", got.StatusCode, got.body)
	}
}

func (w *worker) holds(id, value string) {
	if !slices.Contains(w.may[id], value) {
		w.t.Errorf("%s holds %.40q, and may hold %.80q", id, value, w.may[id])
	}
}

// cut sends a part of a PUT, or all of it, and does not wait for the answer.
func (w *worker) cut(put ask) {
	w.cuts++
	text := fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n%s",
		put.path, w.server.Listener.Addr(), w.all, len(put.body), put.body)
	part := text[:w.random.IntN(len(text))]
	if w.random.IntN(2) == 0 {
		part = text
		w.may[w.id] = append(w.may[w.id], put.body)
	}
	conn, err := net.DialTimeout("tcp", w.server.Listener.Addr().String(), time.Minute)
	if err != nil {
		w.t.Error(err)
		return
	}
	if _, err := io.WriteString(conn, part); err != nil {
		w.t.Error(err)
	}
	if err := conn.Close(); err != nil {
		w.t.Error(err)
	}
	w.id = ""
}

// verify reads the final values.
func (w *worker) verify() {
	for id := range w.may {
		c, err := w.store.Get(w.t.Context(), nebula.ID(id))
		if err != nil && !errors.Is(err, nebula.ErrNotFound) {
			w.t.Errorf("%s: %v", id, err)
			continue
		}
		w.holds(id, string(c.Secret.Reveal()))
	}
}
