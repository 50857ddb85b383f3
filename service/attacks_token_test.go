package service_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/service"
	"github.com/nebula-credential/nebula/service/token"
)

// If a token is removed or expires during a stream of values, it opens no value that was
// not read before.
func TestTokenEndsDuringStream(t *testing.T) {
	const count = 100 // in several parts, each takes a fifth of a second
	for what, end := range map[string]func(*rig, *atomic.Int64){
		"removed": func(r *rig, _ *atomic.Int64) {
			if err := r.tokens.Remove(t.Context(), "g"); err != nil {
				t.Error(err)
			}
		},
		"expired": func(_ *rig, ahead *atomic.Int64) { ahead.Store(int64(2 * time.Hour)) },
	} {
		t.Run(what, func(t *testing.T) {
			var ahead atomic.Int64 // of the clock
			r, store := memory(t, func(o *service.Options) {
				o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			})
			var ids []string
			for i := range count {
				ids = append(ids, fmt.Sprintf("c%02d", i))
				store.Set(nebula.ID(ids[i]), "secret-value")
			}
			g := token.Grant{Name: "g", Allow: []token.Verb{token.Read}, Expires: time.Now().Add(time.Hour)}
			secret := r.token(g)
			body, _ := json.Marshal(map[string]any{"ids": ids})
			request, err := http.NewRequestWithContext(t.Context(), "POST", r.server.URL+"/v1/batch-get", strings.NewReader(string(body)))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+secret)
			request.Header.Set("Content-Type", "application/json")
			store.Slow(200 * time.Millisecond)
			response, err := r.server.Client().Do(request) // not r.client, which reads to the end
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			in := bufio.NewReader(response.Body)
			if _, err := in.Peek(len(`{"items":[{`)); err != nil {
				t.Fatal(err)
			}
			end(r, &ahead)
			store.Slow(0)
			var got items
			if err := json.NewDecoder(in).Decode(&got); err != nil {
				t.Fatal(err)
			}
			values, refused := 0, 0
			for _, i := range got.Items {
				switch {
				case i.Value != "" && refused == 0:
					values++
				case i.Error != nil && i.Error.Kind == "invalid_token" && i.Value == "":
					refused++
				default:
					t.Errorf("an item is %+v", i)
				}
			}
			if values == 0 || refused == 0 || values+refused != count {
				t.Errorf("%d values, %d refused", values, refused)
			}
			if n := store.Calls(provider.OpRetrieve); n > values+store.MaxConcurrency() {
				t.Errorf("the backend was asked %d times", n)
			}
		})
	}
}

// grantOf returns a grant with all verbs.
func grantOf(name, prefix, scope string) token.Grant {
	return token.Grant{Name: name, Allow: token.Verbs(), Prefix: prefix, Scope: scope}
}

func itoa(n int) string { return fmt.Sprint(n) }

// Ten thousand wrong tokens do not delay a good one. They are looked up in memory,
// reach no backend, and share a line of the audit log.
func TestAttackWithManyTokens(t *testing.T) {
	const wrong, clients = 10_000, 16
	a := attack(t)
	a.store.Set("a", "v")
	s := a.sites[0]
	guess := a.token(grantOf("guess", "", ""))
	if err := a.tokens.Remove(t.Context(), "guess"); err != nil {
		t.Fatal(err)
	}
	s.want(ask{method: "GET", path: at("a")}, 200, "")
	calls, lines := a.store.Calls(provider.OpRetrieve), len(s.lines())
	var guesses atomic.Int64
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for guesses.Add(1) <= wrong {
				request, err := http.NewRequest("GET", s.server.URL+at("a"), nil)
				if err != nil {
					t.Error(err)
					return
				}
				request.Header.Set("Authorization", "Bearer "+guess)
				response, err := client.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode != 401 {
					t.Errorf("a wrong token: %s", response.Status)
				}
			}
		})
	}
	good := 0
	for guesses.Load() <= wrong {
		s.want(ask{method: "GET", path: at("a")}, 200, "")
		good++
	}
	all.Wait()
	t.Logf("%d good tokens beside %d wrong ones", good, wrong)
	if n := a.store.Calls(provider.OpRetrieve) - calls; n > good {
		t.Errorf("the backend was called %d times for %d good tokens", n, good)
	}
	// Wrong tokens get a line only when the minute is over, and then one for all.
	refused := 0
	for _, line := range s.lines()[lines:] {
		if line["outcome"] == "unauthenticated" {
			refused++
		}
	}
	if refused > 1 || len(s.lines())-lines-refused != good {
		t.Errorf("%d lines, %d of wrong tokens, for %d good tokens", len(s.lines())-lines, refused, good)
	}
	if body := s.want(ask{method: "GET", path: "/metrics"}, 200, "").body; !strings.Contains(body, fmt.Sprintf("nebula_http_refused_logins_total %d\n", wrong)) {
		t.Errorf("the metrics are %s", body)
	}
	if err := a.log.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(a.audit)
	if err != nil {
		t.Fatal(err)
	}
	counted := 0
	for line := range strings.Lines(string(text)) {
		var l struct {
			Outcome, Address string
			Count            int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.Outcome == "unauthenticated" && l.Address == "127.0.0.1" {
			counted += l.Count
		}
	}
	if counted != wrong {
		t.Errorf("%d of %d wrong tokens were counted", counted, wrong)
	}
}
