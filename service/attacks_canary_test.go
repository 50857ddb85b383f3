package service_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/service"
)

// A value leaves only in an answer to a token that may read it, and a token never.
// Whatever fails, neither is in another answer, the log, the audit log or a metric.
func TestAttackForSecrets(t *testing.T) {
	var log service.Log
	a := attack(t, func(o *service.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	const value = "CaNaRy-of-a-value/7f3a+=="
	spellings := []string{value, base64.StdEncoding.EncodeToString([]byte(value)), base64.RawURLEncoding.EncodeToString([]byte(value)),
		hex.EncodeToString([]byte(value)), url.QueryEscape(value), "CaNaRy"}
	removed := a.token(grantOf("removed", "", ""))
	if err := a.tokens.Remove(t.Context(), "removed"); err != nil {
		t.Fatal(err)
	}
	tokens := []string{a.all, removed, a.token(grantOf("narrow", "n", "")), a.token(grantOf("scoped", "", "other")), "nbt_" + strings.Repeat("Q", 49)}

	var secrets []string
	for _, secret := range tokens {
		secrets = append(secrets, secret[4:20], base64.StdEncoding.EncodeToString([]byte(secret))[8:24])
	}
	check := func(where, text string, forbidden ...[]string) {
		t.Helper()
		for _, list := range forbidden {
			for _, secret := range list {
				if strings.Contains(text, secret) {
					t.Errorf("%s shows %.10s…: %s", where, secret, text)
				}
			}
		}
	}
	asks := []ask{
		{method: "PUT", path: at("a"), body: value, header: asBytes()},
		{method: "PUT", path: at("a"), body: `{"value":"` + spellings[1] + `","encoding":"base64"}`, header: asJSON()},
		{method: "PUT", path: at("a"), body: `{"value":"` + value + `","tags":{"a\u0000":"b"}}`, header: asJSON()},
		{method: "PUT", path: at("a"), body: `{"value":"` + value, header: asJSON()},
		{method: "PUT", path: at("a"), body: `"` + value + `"`, header: asJSON()},
		{method: "PUT", path: at("a"), body: value, header: asJSON()},
		{method: "PUT", path: at("a"), body: value, header: map[string]string{"Content-Type": "text/plain"}},
		{method: "PUT", path: at("a"), body: `{"value":"` + value + `","encoding":"` + "rot13" + `"}`, header: asJSON()},
		{method: "PUT", path: at("a"), body: value, header: with(asBytes(), "If-Match", `"999"`)},
		{method: "PUT", path: at("a"), body: value, header: with(asBytes(), "If-None-Match", "*")},
		{method: "POST", path: "/v1/batch-get", body: `{"ids":["a","b"]}`, header: asJSON()},
		{method: "GET", path: at("a") + "?version=1&access_token=" + a.all},
		{method: "GET", path: "/openapi.yaml"}, {method: "GET", path: "/"}, {method: "GET", path: "/healthz"}, {method: "GET", path: "/readyz"}, {method: "GET", path: "/v1/store"},
	}
	for _, verb := range []string{"list", "read", "write", "delete", "admin"} {
		for v, more := range operations("a") {
			if string(v) == verb {
				asks = append(asks, more...)
			}
		}
	}
	for _, fault := range []nebula.Kind{"", nebula.ErrUnavailable, nebula.ErrCorrupted, nebula.ErrPermissionDenied, nebula.ErrTooLarge, nebula.ErrInternal} {
		a.store.Mend()
		a.store.Set("a", value)
		if fault != "" {
			a.store.Fail(fault)
		}
		for _, s := range a.sites {
			for _, secret := range append(tokens, "-") {
				for _, q := range asks {
					q.token = secret
					got := s.do(q)
					where := fmt.Sprintf("%s: %s %.60s with %q: %d", s.name, q.method, q.path, fault, got.StatusCode)
					header := fmt.Sprint(got.Header)
					reads := got.StatusCode == 200 && (q.method == "GET" && q.path == at("a") || q.path == "/v1/batch-get")
					check(where, header, secrets, spellings)
					check(where, got.body, secrets)
					if !reads {
						check(where, got.body, spellings)
					}
					if fault == "" && q.method == "DELETE" || strings.HasSuffix(q.path, "/purge") {
						a.store.Set("a", value)
					}
				}
			}
		}
	}
	a.store.Mend()
	if err := a.log.Close(); err != nil { // this writes the counts
		t.Fatal(err)
	}
	lines, err := os.ReadFile(a.audit)
	if err != nil || !strings.Contains(string(lines), `"outcome":"unauthenticated"`) {
		t.Fatalf("the audit log holds %s, %v", lines, err)
	}
	told := log.Take()
	if !strings.Contains(told, "a request failed") {
		t.Errorf("the log holds %s", told)
	}
	for line := range strings.Lines(string(lines) + told) {
		check("a line", line, secrets, spellings)
	}
}
