package vaultapi

import (
	"net/url"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula/internal/httpx"
)

// FuzzAnswer: every answer is Vault's data or refusal, or is reported as foreign. The
// error repeats nothing that a refusal says, because that may repeat what was sent.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"", "{}", "null", `{"data":null}`, `{"data":{"keys":["a"]}}`, `{"data":{"keys":"a"}}`, `{"errors":["permission denied"]}`, `{"errors":[null]}`, "<html>HTTPS"} {
		f.Add(200, []byte(s))
		f.Add(403, []byte(s))
	}
	c := &Client{address: &url.URL{Scheme: "http", Host: "h"}}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a := &httpx.Answer{Status: status, Body: body}
		data, err := Decode[struct {
			Keys []string `json:"keys"`
		}](c, a)
		if err != nil && (data.Keys != nil || !strings.Contains(err.Error(), "http://h")) {
			t.Fatalf("%q: %v, %v", body, data, err)
		}
		if err == nil && !hasForm(body) {
			t.Fatalf("%q has data, but not the form of an answer", body)
		}
		refused := responseError(Request{Method: "GET", Path: "p"}, a)
		for _, said := range refused.Errors {
			if len(said) > 5 && strings.Contains(refused.Error(), said) {
				t.Fatalf("the error repeats %q", said)
			}
		}
	})
}
