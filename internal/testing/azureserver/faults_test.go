package azureserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		fault        Fault
		method, path string
		status       int
		inner        string
		message      []string
	}{
		{ForbiddenByRbac(GetSecret), "GET", "/secrets/n", 403, "ForbiddenByRbac", []string{"Action: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'", "/vaults/test/secrets/n'"}},
		{ForbiddenByRbac(SetSecret), "PUT", "/secrets/n", 403, "ForbiddenByRbac", []string{"secrets/setSecret/action"}},
		{ForbiddenByRbac(ListSecrets), "GET", "/secrets", 403, "ForbiddenByRbac", []string{"secrets/readMetadata/action"}},
		{ForbiddenByRbac(DeleteSecret), "DELETE", "/secrets/n", 403, "ForbiddenByRbac", []string{"vaults/secrets/delete'"}},
		{ForbiddenByRbac(PurgeSecret), "DELETE", "/deletedsecrets/n", 403, "ForbiddenByRbac", []string{"secrets/purge/action"}},
		{ForbiddenByRbac(RecoverSecret), "POST", "/deletedsecrets/n/recover", 403, "ForbiddenByRbac", []string{"secrets/recover/action"}},
		{AccessDenied(ListVersions), "GET", "/secrets/n/versions", 403, "AccessDenied", []string{"secrets list permission", "appid=", "test;location="}},
		{AccessDenied(UpdateSecret), "PATCH", "/secrets/n", 403, "AccessDenied", []string{"secrets set permission"}},
		{ForbiddenByPolicy(GetSecret), "GET", "/secrets/n", 403, "ForbiddenByPolicy", []string{"Operation get"}},
		{ForbiddenByFirewall(), "GET", "/secrets/n", 403, "ForbiddenByFirewall", []string{"Client address"}},
		{Throttled(), "GET", "/secrets/n", 429, "", []string{"VaultRequestTypeLimitReached"}},
		{Unavailable(503), "GET", "/secrets/n", 503, "", nil},
	} {
		t.Run(c.fault.Inner+" "+c.method+" "+c.path, func(t *testing.T) {
			x := newTester(t)
			x.Add(Seed{Name: "n", Value: "old"})
			remove := x.Inject(c.fault)
			r := x.call(t, c.method, c.path, map[string]any{"value": "new"})
			if r.status != c.status || r.inner() != c.inner || r.header.Get("Retry-After") != "" {
				t.Errorf("%d %s", r.status, r.text)
			}
			for _, part := range c.message {
				if message := at(r.body, "error", "message").(string); !strings.Contains(message, part) {
					t.Errorf("no %q in %q", part, message)
				}
			}
			if value, _ := x.Value("n"); value != "old" || x.State("n") != "live" {
				t.Errorf("the request took effect: %s, %q", x.State("n"), value)
			}
			remove()
			if r := x.call(t, http.MethodGet, "/secrets/n", nil); r.status != 200 {
				t.Errorf("after its removal: %d", r.status)
			}
		})
	}
}

func TestFaultsAreCountedAndNamed(t *testing.T) {
	x := newTester(t)
	other := &tester{Vault: x.server.Vault("other"), server: x.server, clock: x.clock, client: x.client, token: x.token}
	for _, v := range []*tester{x, other} {
		v.Add(Seed{Name: "a", Value: "v"})
		v.Add(Seed{Name: "b", Value: "v"})
	}
	x.Inject(Fault{Operation: GetSecret, Name: "A", After: 1, Times: 2, Status: 500, RetryAfter: "7"})
	var got []int
	for range 4 {
		r := x.call(t, http.MethodGet, "/secrets/a", nil)
		got = append(got, r.status)
		if r.status == 500 && r.header.Get("Retry-After") != "7" {
			t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
		}
		for _, v := range []reply{x.call(t, http.MethodGet, "/secrets/b", nil), other.call(t, http.MethodGet, "/secrets/a", nil)} {
			if v.status != 200 {
				t.Errorf("another name or vault: %d", v.status)
			}
		}
	}
	if fmt.Sprint(got) != "[200 500 500 200]" {
		t.Errorf("%v", got)
	}
}

func TestLostAnswers(t *testing.T) {
	for _, c := range []struct {
		fault Fault
		want  string
	}{
		{Fault{Operation: SetSecret, CutBefore: true, Times: 1}, "absent"},
		{Fault{Operation: SetSecret, CutAfter: true, Times: 1}, "live"},
	} {
		x := newTester(t)
		x.Inject(c.fault)
		if r, err := x.try(http.MethodPut, "/secrets/n", map[string]any{"value": "v"}); err == nil {
			t.Errorf("an answer: %d", r.status)
		}
		if got := x.State("n"); got != c.want {
			t.Errorf("the secret is %s, not %s", got, c.want)
		}
		requests := x.Requests()
		if last := requests[len(requests)-1]; last.Status != 0 || last.Operation != SetSecret {
			t.Errorf("remembered as %+v", last)
		}
	}
}

func TestRedirectAndForeignChallenge(t *testing.T) {
	x := newTester(t)
	x.server.AddHost("evil.example.org")
	remove := x.Inject(Fault{Operation: GetSecret, Status: 307, Location: "https://evil.example.org/secrets/n"})
	r := x.call(t, http.MethodGet, "/secrets/n", nil)
	if r.status != 307 || r.header.Get("Location") != "https://evil.example.org/secrets/n" {
		t.Errorf("%d %v", r.status, r.header)
	}
	if r := x.call(t, http.MethodGet, r.header.Get("Location"), nil); r.status != 404 {
		t.Errorf("the other host: %d", r.status)
	}
	requests := x.server.Requests()
	if last := requests[len(requests)-1]; last.Host != "evil.example.org" || !last.WithToken {
		t.Errorf("remembered as %+v", last)
	}
	remove()
	x.SetChallenge(`Bearer authorization="https://evil.example.org/t", resource="https://vault.azure.net"`)
	x.token = ""
	if r := x.call(t, http.MethodGet, "/secrets/n", nil); !strings.Contains(r.header.Get("WWW-Authenticate"), "evil") {
		t.Errorf("%v", r.header)
	}
}

// met reports whether a request met the first fault.
func (x *tester) met() bool {
	faults := &x.server.faults
	faults.mu.Lock()
	defer faults.mu.Unlock()
	return faults.list[0].met > 0
}

func TestDelayedAnswer(t *testing.T) {
	x := newTester(t)
	x.Inject(Fault{Operation: ListSecrets, Delay: time.Hour, Times: 1})
	request, err := x.prepare(http.MethodGet, "/secrets", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil && !x.met() {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := send(x.client, request.WithContext(ctx)); !errors.Is(err, context.Canceled) {
		t.Errorf("the request did not wait: %v", err)
	}
	if r := x.call(t, http.MethodGet, "/secrets", nil); r.status != 200 {
		t.Errorf("the next one: %d", r.status)
	}
}

func TestTokenFaults(t *testing.T) {
	x := newTester(t)
	x.server.Inject(Fault{Operation: Token, Status: 503, Times: 1})
	for _, want := range []int{503, 200} {
		if r := x.ask(t, login+TenantID+"/oauth2/v2.0/token", x.form()); r.status != want {
			t.Errorf("%d, not %d", r.status, want)
		}
	}
}

// The list of requests shows what happened, and holds nothing secret.
func TestRequestsAreRemembered(t *testing.T) {
	x := newTester(t)
	x.token = ""
	x.call(t, http.MethodPut, "/secrets/Name", nil)
	x.token = x.server.IssueToken(resource, TenantID, time.Hour)
	x.call(t, http.MethodPut, "/secrets/Name", map[string]any{"value": "hush-value"})
	x.ask(t, login+TenantID+"/oauth2/v2.0/token", x.form())
	all := fmt.Sprintf("%+v", x.server.Requests())
	for _, secret := range []string{"hush-value", x.token, x.server.ClientSecret()} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is in %s", secret, all)
		}
	}
	requests := x.Requests()
	if len(requests) != 2 || x.Count(Challenge) != 1 || x.Count(SetSecret) != 1 || x.server.Count(Token) != 1 {
		t.Fatalf("%+v", requests)
	}
	want := Request{Time: x.clock.Now(), Host: x.host, Method: "PUT", Path: "/secrets/Name", Operation: SetSecret, Name: "Name",
		WithToken: true, Received: len(`{"value":"hush-value"}`), Status: 200, Sent: requests[1].Sent}
	if requests[1] != want || want.Sent == 0 {
		t.Errorf("%+v", requests[1])
	}
	x.server.ForgetRequests()
	if len(x.server.Requests()) != 0 {
		t.Error("the requests were not forgotten")
	}
}

func TestManyCallers(t *testing.T) {
	x := newTester(t)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			for j := range 20 {
				path := fmt.Sprintf("/secrets/n%d", i)
				value := fmt.Sprint(j)
				if r, err := x.try(http.MethodPut, path, map[string]any{"value": value}); err != nil || r.status != 200 {
					t.Errorf("set: %d %v", r.status, err)
				}
				if r, err := x.try(http.MethodGet, path, nil); err != nil || r.body["value"] != value {
					t.Errorf("get: %d %v", r.status, err)
				}
			}
		})
	}
	wg.Wait()
	if n := x.Count(SetSecret); n != 1000 {
		t.Errorf("%d writes", n)
	}
}
