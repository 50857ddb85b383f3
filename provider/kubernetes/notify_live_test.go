package kubernetes_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// If the user may not watch, Notify says so.
func TestLiveNotifyDenied(t *testing.T) {
	s := livetest.Kubernetes(t)
	namespace := s.Namespace(t)
	account := s.ServiceAccount(t, namespace)
	s.Allow(t, namespace, livetest.KubernetesUser(namespace, account),
		livetest.KubernetesRule{Verbs: []string{"get", "list", "create", "patch", "delete"}, Resources: []string{"secrets"}})
	p := open(t, as(t, s, namespace, s.Token(t, namespace, account, time.Hour)))
	name, _ := record(t, "a", "1", nil)
	told := false
	err := p.(nebula.Notifier).Notify(t.Context(), []nebula.Name{name}, func(...nebula.Name) { told = true })
	wants(t, err, nebula.ErrPermissionDenied, "verb watch on secrets", `verbs: ["watch"]`)
	if told {
		t.Error("it said that it listens")
	}
}

// If the server has forgotten the state, or is behind it, the provider looks again:
// it reports all names once more.
func TestLiveNotifyBeginsAnew(t *testing.T) {
	const gone = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}`
	type expiry struct {
		fake func(*http.Request) *http.Response
		told int // names reported until the second watch listens
	}
	answers := map[string]expiry{
		"in the stream": {func(r *http.Request) *http.Response { return answer(r, 200, `{"type":"ERROR","object":`+gone+`}`) }, 2},
		"at once":       {func(r *http.Request) *http.Response { return answer(r, 410, gone) }, 1},
	}
	for what, expired := range answers {
		t.Run(what, func(t *testing.T) {
			s := livetest.Kubernetes(t)
			c := liveConfig(t, s, s.Namespace(t))
			c.SecretPrefix = uniquePrefix()
			wire := &recorder{inner: transport(t, s)}
			c.Transport = wire
			p := open(t, c)
			name, e := record(t, "a", "1", nil)
			if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
				t.Fatal(err)
			}
			var watches atomic.Int32
			wire.set(func(r *http.Request) (*http.Response, error) {
				if r.URL.Query().Get("watch") == "" || watches.Add(1) > 1 {
					return nil, nil
				}
				return expired.fake(r), nil
			}, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			told := 0
			err := p.(nebula.Notifier).Notify(ctx, []nebula.Name{name}, func(names ...nebula.Name) {
				if told += len(names); watches.Load() == 2 {
					cancel()
				}
			})
			if told != expired.told || watches.Load() != 2 {
				t.Errorf("%d names were reported in %d watches", told, watches.Load())
			}
			wants(t, err, nebula.ErrInterrupted)
		})
	}
}

func answer(r *http.Request, status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}
}
