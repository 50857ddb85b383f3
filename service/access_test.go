package service_test

import (
	"strings"
	"testing"

	"github.com/nebula-credential/nebula/service/token"
)

// Only a valid token is accepted, and every other token gets the same answer.
func TestTokens(t *testing.T) {
	r, _ := memory(t)
	removed := r.token(token.Grant{Name: "removed", Allow: token.Verbs()})
	r.want(ask{method: "GET", path: "/v1/credentials", token: removed}, 200, "")
	if err := r.tokens.Remove(t.Context(), "removed"); err != nil {
		t.Fatal(err)
	}
	var first string
	for _, a := range []ask{
		{token: removed}, {token: "x"}, {token: r.all[:len(r.all)-1]}, {token: r.all + "x"}, {token: strings.ToUpper(r.all)},
	} {
		a.method, a.path = "GET", "/v1/credentials"
		got := r.want(a, 401, "invalid_token")
		if got.Header.Get("WWW-Authenticate") != `Bearer realm="nebula", error="invalid_token"` {
			t.Errorf("%v", got.Header)
		}
		p := got.problem(t)
		if first == "" {
			first = p.Detail + p.Hint
		}
		if p.Detail+p.Hint != first {
			t.Errorf("another refusal than the first: %s", got.body)
		}
	}
	got := r.want(ask{method: "GET", path: "/v1/credentials", token: "-"}, 401, "invalid_token")
	if got.Header.Get("WWW-Authenticate") != `Bearer realm="nebula"` {
		t.Errorf("%v", got.Header)
	}
	for value, status := range map[string]int{"bearer " + r.all: 200, "BEARER " + r.all: 200, "Basic " + r.all: 401, r.all: 401, "Bearer": 401, "Bearer ": 401, "Bearer  " + r.all: 401} {
		r.want(ask{method: "GET", path: "/v1/credentials", token: "-", header: map[string]string{"Authorization": value}}, status, "")
	}
	if body := r.want(ask{method: "GET", path: "/metrics"}, 200, "").body; !strings.Contains(body, "nebula_http_refused_logins_total 11\n") {
		t.Error(body)
	}
}
