package azureserver

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestPolicies(t *testing.T) {
	x := newTester(t)
	day := x.clock.Now().Add(24 * time.Hour).Unix()
	year := x.clock.Now().Add(365 * 24 * time.Hour).Unix()
	body := func(contentType string, expires int64) map[string]any {
		out := map[string]any{"value": "v"}
		if contentType != "" {
			out["contentType"] = contentType
		}
		if expires != 0 {
			out["attributes"] = map[string]any{"exp": expires}
		}
		return out
	}
	for _, c := range []struct {
		policy Policy
		body   map[string]any
		words  string // of the refusal
	}{
		{Policy{}, body("", 0), ""},
		{Policy{ContentType: true}, body("", day), "content type"},
		{Policy{ContentType: true}, body("text/plain", 0), ""},
		{Policy{Expiry: true}, body("text/plain", 0), "expiration date"},
		{Policy{Expiry: true}, body("", year), ""},
		{Policy{MaxValidity: 90 * 24 * time.Hour}, body("", year), "maximum validity"},
		{Policy{MaxValidity: 90 * 24 * time.Hour}, body("", 0), "maximum validity"},
		{Policy{ContentType: true, Expiry: true, MaxValidity: 90 * 24 * time.Hour}, body("text/plain", day), ""},
	} {
		x.SetPolicy(c.policy)
		r := x.call(t, http.MethodPut, "/secrets/n", c.body)
		if c.words == "" && r.status == 200 {
			continue
		}
		message, _ := at(r.body, "error", "message").(string)
		if c.words == "" || r.status != 403 || r.code() != "Forbidden" || r.inner() != "ForbiddenByPolicy" || !strings.Contains(message, c.words) {
			t.Errorf("%+v %v: %d %s", c.policy, c.body, r.status, r.text)
		}
	}
}

// A change that breaks the policy changes nothing. A version from before the policy can
// be read.
func TestPoliciesAndWhatIsThere(t *testing.T) {
	x := newTester(t)
	x.Add(Seed{Name: "n", Value: "v"})
	x.SetPolicy(Policy{ContentType: true})
	if r := x.call(t, http.MethodGet, "/secrets/n", nil); r.status != 200 {
		t.Errorf("read: %d %s", r.status, r.text)
	}
	change := map[string]any{"tags": map[string]string{"k": "v"}}
	if r := x.call(t, http.MethodPatch, "/secrets/n", change); r.status != 403 {
		t.Errorf("changed: %d %s", r.status, r.text)
	}
	if s, err := x.Latest("n"); err != nil || len(s.Tags) != 0 {
		t.Errorf("%+v %v", s, err)
	}
	change["contentType"] = "text/plain"
	if r := x.call(t, http.MethodPatch, "/secrets/n", change); r.status != 200 {
		t.Errorf("met: %d %s", r.status, r.text)
	}
}

// The answers to a write over a deleted secret, until its recovery is complete.
func TestWritesAfterARecovery(t *testing.T) {
	x := newTester(t)
	x.SetDelays(Delays{Delete: time.Second, Recover: time.Second, RecoverWrite: time.Hour, Purge: time.Second})
	x.Add(Seed{Name: "n", Value: "old"})
	x.call(t, http.MethodDelete, "/secrets/n", nil)
	x.clock.Advance(time.Second)
	put := func() reply { return x.call(t, http.MethodPut, "/secrets/n", map[string]any{"value": "new"}) }
	if r := put(); r.inner() != "ObjectIsDeletedButRecoverable" {
		t.Errorf("deleted: %d %s", r.status, r.text)
	}
	if r := x.call(t, http.MethodPost, "/deletedsecrets/n/recover", nil); r.status != 200 {
		t.Errorf("recover: %d %s", r.status, r.text)
	}
	throttled := Throttled()
	throttled.Operation, throttled.Times = SetSecret, 1
	x.Inject(throttled)
	if r := put(); r.status != 429 {
		t.Errorf("throttled: %d %s", r.status, r.text)
	}
	x.clock.Advance(time.Second)
	if r := x.call(t, http.MethodGet, "/secrets/n", nil); r.status != 200 || r.body["value"] != "old" {
		t.Errorf("the old value is not back: %d %s", r.status, r.text)
	}
	if r := put(); r.inner() != "ObjectIsBeingRecovered" {
		t.Errorf("it is there, and not writable: %d %s", r.status, r.text)
	}
	if r := x.call(t, http.MethodDelete, "/secrets/n", nil); r.status != 200 {
		t.Errorf("deleted again: %d %s", r.status, r.text)
	}
}
