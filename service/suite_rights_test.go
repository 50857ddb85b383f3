package service_test

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nebula-credential/nebula/service/token"
)

func (s *suite) describes() {
	var d struct {
		Provider  string          `json:"provider"`
		Version   string          `json:"version"`
		Limits    map[string]int  `json:"limits"`
		Abilities map[string]bool `json:"abilities"`
		Token     map[string]any  `json:"token"`
	}
	s.want(ask{method: "GET", path: "/v1/store"}, 200, "").decode(s.t, &d)
	want := map[string]bool{"conditions": s.abilities.Preconditions, "restore": s.abilities.Restore, "purge": true, "versions": s.abilities.History}
	if d.Provider != s.store.Describe().Provider || d.Version != "1.2.3" || !maps.Equal(d.Abilities, want) ||
		d.Limits["record_bytes"] != s.store.Describe().MaxRecordSize || d.Limits["list_items"] != 1000 || d.Limits["batch_ids"] != 100 {
		s.t.Errorf("%+v", d)
	}
	limited := s.token(token.Grant{Name: "limited", Allow: []token.Verb{token.Read, token.List}, Prefix: "a_", Scope: "team",
		Expires: time.Date(2100, 1, 2, 3, 4, 5, 0, time.UTC)})
	d.Token = nil
	s.want(ask{method: "GET", path: "/v1/store", token: limited}, 200, "").decode(s.t, &d)
	wantToken := map[string]any{"name": "limited", "allow": []any{"list", "read"}, "prefix": "a_", "scope": "team", "expires": "2100-01-02T03:04:05Z"}
	if !reflect.DeepEqual(d.Token, wantToken) {
		s.t.Errorf("it describes the token as %v", d.Token)
	}
}

// operations returns all requests for an id that need a verb.
func operations(id string) map[token.Verb][]ask {
	return map[token.Verb][]ask{
		token.List: {{method: "GET", path: "/v1/credentials"}},
		token.Read: {{method: "GET", path: at(id)}, {method: "HEAD", path: at(id)}, {method: "GET", path: at(id) + "/versions"},
			{method: "POST", path: "/v1/batch-get", body: `{"ids":["` + id + `"]}`, header: asJSON()}},
		token.Write: {{method: "PUT", path: at(id), body: "x", header: asBytes()}, {method: "PATCH", path: at(id) + "/tags", body: `{"set":{"a":"b"}}`, header: asJSON()},
			{method: "POST", path: at(id) + "/restore"}},
		token.Delete: {{method: "DELETE", path: at(id)}},
		token.Admin:  {{method: "POST", path: at(id) + "/purge"}, {method: "GET", path: "/metrics"}},
	}
}

// If a token lacks the verb, the status is 403, whether or not the credential exists.
func (s *suite) verbs() {
	s.set("verbs", "v")
	for _, id := range []string{"verbs", "verbs-none"} {
		for verb, asks := range operations(id) {
			others := slices.DeleteFunc(slices.Clone(token.Verbs()), func(v token.Verb) bool { return v == verb })
			without := s.token(token.Grant{Name: "no-" + string(verb) + id, Allow: others})
			for _, a := range asks {
				a.token = without
				s.want(a, 403, "not_allowed")
			}
			s.want(ask{method: "GET", path: "/v1/store", token: without}, 200, "")
		}
	}
	if v := s.value("verbs"); v != "v" {
		s.t.Errorf("the value is %q", v)
	}
}

// Outside a token's prefix nothing exists, whatever is asked for.
func (s *suite) prefix() {
	s.set("prefix-out", "secret")
	s.set("prefix-in", "mine")
	narrow := s.token(token.Grant{Name: "narrow", Allow: token.Verbs(), Prefix: "prefix-in"})
	for _, asks := range operations("prefix-out") {
		for _, a := range asks {
			a.token = narrow
			if !strings.HasPrefix(a.path, "/v1/credentials/") {
				continue
			}
			got := s.want(a, 404, "not_found")
			a.path = strings.Replace(a.path, "prefix-out", "prefix-xxx", 1)
			s.alike(got, s.want(a, 404, "not_found"), "prefix-out", "prefix-xxx")
		}
	}
	there := s.want(ask{method: "GET", path: at("prefix-out"), token: narrow}, 404, "not_found")
	s.alike(there, s.want(ask{method: "GET", path: at("prefix-in-none"), token: narrow}, 404, "not_found"), "prefix-out", "prefix-in-none")
	got := s.want(ask{method: "POST", path: "/v1/batch-get", token: narrow, body: `{"ids":["prefix-out","prefix-in","prefix-in-none"]}`, header: asJSON()}, 200, "")
	all := got.items(s.t).Items
	if len(all) != 3 || all[0].Error == nil || all[0].Error.Status != 404 || all[1].Value != "mine" || all[2].Error == nil || all[0].Error.Detail != all[2].Error.Detail {
		s.t.Errorf("%s", got.body)
	}
	for query, want := range map[string]int{"": 1, "?prefix=prefix-": 1, "?prefix=prefix-in": 1, "?prefix=prefix-inn": 0, "?prefix=prefix-out": 0, "?prefix=p": 1} {
		if all := s.want(ask{method: "GET", path: "/v1/credentials" + query, token: narrow}, 200, "").items(s.t).Items; len(all) != want {
			s.t.Errorf("%s: %+v", query, all)
		}
	}
	if v := s.value("prefix-out"); v != "secret" {
		s.t.Errorf("the value is %q", v)
	}
}

// alike compares two answers, except for the ids and the data of a single request.
func (s *suite) alike(a, b reply, idA, idB string) {
	s.t.Helper()
	plain := func(r reply, id string) string {
		body := strings.ReplaceAll(r.body, id, "ID")
		h := r.Header.Clone()
		body = strings.ReplaceAll(body, h.Get("X-Request-Id"), "REQUEST")
		for _, name := range []string{"X-Request-Id", "Date", "Content-Length"} {
			h.Del(name)
		}
		return fmt.Sprint(r.StatusCode, h, body)
	}
	if x, y := plain(a, idA), plain(b, idB); x != y {
		s.t.Errorf("the answers differ:\n%s\n%s", x, y)
	}
}

// In another scope than the token's, nothing exists either.
func (s *suite) scope() {
	blue := s.token(token.Grant{Name: "blue", Allow: token.Verbs(), Scope: "blue"})
	red := s.token(token.Grant{Name: "red", Allow: token.Verbs(), Scope: "red"})
	s.want(ask{method: "PUT", path: at("scope"), token: blue, body: "b", header: asBytes()}, 201, "")
	for _, asks := range operations("scope") {
		for _, a := range asks {
			a.token = red
			if !strings.HasPrefix(a.path, "/v1/credentials/") || !s.abilities.History && strings.HasSuffix(a.path, "/versions") {
				continue
			}
			if a.method == "PUT" {
				s.want(a, 404, "not_found")
				if s.abilities.Preconditions {
					a.header = with(asBytes(), "If-None-Match", "*")
				}
			}
			s.want(a, 404, "not_found")
		}
	}
	got := s.want(ask{method: "POST", path: "/v1/batch-get", token: red, body: `{"ids":["scope"]}`, header: asJSON()}, 200, "").items(s.t).Items
	if len(got) != 1 || got[0].Error == nil || got[0].Error.Kind != "not_found" {
		s.t.Errorf("%+v", got)
	}
	for tok, want := range map[string]int{blue: 1, red: 0} {
		if all := s.want(ask{method: "GET", path: "/v1/credentials", token: tok}, 200, "").items(s.t).Items; len(all) != want {
			s.t.Errorf("%+v", all)
		}
	}
	i := s.want(ask{method: "GET", path: at("scope"), token: blue}, 200, "").item(s.t)
	if i.Value != "b" || i.Metadata.Scope != "blue" || i.Metadata.CreatedBy != "blue" {
		s.t.Errorf("%+v %+v", i, i.Metadata)
	}
	s.want(ask{method: "PATCH", path: at("scope") + "/tags", token: blue, body: `{"set":{"a":"b"}}`, header: asJSON()}, 200, "")
	s.want(ask{method: "PUT", path: at("scope"), token: blue, body: "c", header: asBytes()}, 200, "")
	s.want(ask{method: "DELETE", path: at("scope"), token: blue}, 204, "")
	s.want(ask{method: "DELETE", path: at("scope"), token: red}, 204, "") // red has no such credential

	// Nobody knows the scope of a deleted credential: only a token without one reaches it.
	for _, change := range []string{"/restore", "/purge"} {
		for _, t := range []string{red, blue} {
			s.want(ask{method: "POST", path: at("scope") + change, token: t}, 404, "not_found")
		}
	}
	if s.abilities.Restore {
		s.want(ask{method: "POST", path: at("scope") + "/restore"}, 204, "")
		if i := s.want(ask{method: "GET", path: at("scope"), token: blue}, 200, "").item(s.t); i.Value != "c" {
			s.t.Errorf("%+v", i)
		}
		s.want(ask{method: "POST", path: at("scope") + "/purge", token: blue}, 204, "")
	}
}

func (s *suite) ids() {
	for _, id := range []string{"-a", "a.b", "a%20b", "%00", "%C3%A9", "con", "LPT1", strings.Repeat("x", 129), "a+b", "a:b", "a@b"} {
		for _, asks := range operations(id) {
			for _, a := range asks {
				if strings.HasPrefix(a.path, "/v1/credentials/") {
					s.want(a, http.StatusBadRequest, "invalid_id")
				}
			}
		}
	}
	s.set(strings.Repeat("x", 128), "longest")
	s.set("ID-case", "1")
	s.set("id-case", "2")
	if v := s.value("ID-case"); v != "1" {
		s.t.Errorf("the value is %q", v)
	}
}
