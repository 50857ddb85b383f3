package service_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/service"
	"github.com/nebula-credential/nebula/service/token"
)

// A token that is removed, or expires, while a stream of values is on its way opens
// none that was not read yet.
func TestTokenEndsDuringStream(t *testing.T) {
	const count = 100      // in parts, a fifth of a second each
	var ahead atomic.Int64 // of the clock
	for what, end := range map[string]func(*rig){
		"removed": func(r *rig) {
			if err := r.tokens.Remove(t.Context(), "g"); err != nil {
				t.Error(err)
			}
		},
		"expired": func(*rig) { ahead.Store(int64(2 * time.Hour)) },
	} {
		t.Run(what, func(t *testing.T) {
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
			response, err := r.client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			in := bufio.NewReader(response.Body)
			if _, err := in.Peek(len(`{"items":[{`)); err != nil {
				t.Fatal(err)
			}
			end(r)
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
					t.Errorf("an answer is %+v", i)
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

// grantOf returns a grant of all verbs.
func grantOf(name, prefix, scope string) token.Grant {
	return token.Grant{Name: name, Allow: token.Verbs(), Prefix: prefix, Scope: scope}
}

func itoa(n int) string { return fmt.Sprint(n) }
