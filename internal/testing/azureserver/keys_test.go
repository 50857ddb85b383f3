package azureserver

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// use sends a value to a key and returns the result.
func (x *tester) use(t *testing.T, path string, value []byte) reply {
	t.Helper()
	return x.call(t, http.MethodPost, path, map[string]any{"alg": "RSA-OAEP-256", "value": base64.RawURLEncoding.EncodeToString(value)})
}

// result is the value of an answer.
func (r reply) result(t *testing.T) []byte {
	t.Helper()
	text, _ := r.body["value"].(string)
	value, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(value) == 0 {
		t.Fatalf("%d %s", r.status, r.text)
	}
	return value
}

// A key of each size unwraps what it wrapped, by the version that wrapped it.
func TestKeyWraps(t *testing.T) {
	x := newTester(t)
	for _, c := range []struct {
		body map[string]any
		size int
	}{{map[string]any{"kty": "RSA"}, 256}, {map[string]any{"kty": "RSA-HSM", "key_size": 3072}, 384}, {map[string]any{"kty": "RSA", "key_size": 4096}, 512}} {
		made := x.call(t, http.MethodPost, "/keys/Team-Key/create", c.body)
		kid, _ := at(made.body, "key", "kid").(string)
		version := kid[strings.LastIndex(kid, "/")+1:]
		if kind := at(made.body, "key", "kty"); made.status != 200 || kind != c.body["kty"] {
			t.Fatalf("%d %s", made.status, made.text)
		}
		for _, path := range []string{"/keys/team-key/wrapkey", "/keys/team-key//wrapkey", "/keys/team-key/" + version + "/wrapkey"} {
			wrapped := x.use(t, path, []byte("secret"))
			if got := wrapped.result(t); len(got) != c.size || wrapped.body["kid"] != kid {
				t.Errorf("%s: %d bytes by %v", path, len(got), wrapped.body["kid"])
			}
			if got := x.use(t, "/keys/TEAM-KEY/"+version+"/unwrapkey", wrapped.result(t)).result(t); string(got) != "secret" {
				t.Errorf("the value became %q", got)
			}
		}
	}
	old := x.use(t, "/keys/n/wrapkey", []byte("secret"))
	if old.status != 404 || old.code() != "KeyNotFound" {
		t.Errorf("%d %s", old.status, old.text)
	}
}

// If a key has two versions, each opens what it wrapped and not what the other wrapped.
func TestKeyVersions(t *testing.T) {
	x := newTester(t)
	first := x.AddKey("n", KeySeed{})
	wrapped := x.use(t, "/keys/n/wrapkey", []byte("secret")).result(t)
	second := x.AddKey("n", KeySeed{})
	path := func(kid string) string { return strings.TrimPrefix(kid, x.URL()) + "/unwrapkey" }
	if got := x.use(t, path(first), wrapped).result(t); string(got) != "secret" {
		t.Errorf("the value became %q", got)
	}
	if got := x.use(t, path(second), wrapped); got.status != 400 || got.code() != "BadParameter" {
		t.Errorf("another version: %d %s", got.status, got.text)
	}
	if got := x.use(t, "/keys/n/"+strings.Repeat("0", 32)+"/unwrapkey", wrapped); got.status != 404 || got.code() != "KeyNotFound" {
		t.Errorf("no version: %d %s", got.status, got.text)
	}
}

// A key refuses uses that it is not for, or not now.
func TestKeyRefuses(t *testing.T) {
	const none = ""
	for what, c := range map[string]struct {
		change       map[string]any
		seed         KeySeed
		wrap, unwrap string
	}{
		"enabled":       {map[string]any{}, KeySeed{}, none, none},
		"disabled":      {map[string]any{"attributes": map[string]any{"enabled": false}}, KeySeed{}, "KeyDisabled", "KeyDisabled"},
		"expired":       {map[string]any{"attributes": map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}}, KeySeed{}, "KeyExpired", none},
		"not yet valid": {map[string]any{"attributes": map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}}, KeySeed{}, "KeyNotYetValid", none},
		"to wrap only":  {map[string]any{"key_ops": []string{"wrapKey"}}, KeySeed{}, none, "KeyOperationForbidden"},
		"to sign only":  {map[string]any{"key_ops": []string{"sign"}}, KeySeed{}, "KeyOperationForbidden", "KeyOperationForbidden"},
		"EC":            {map[string]any{}, KeySeed{Type: "EC"}, "KeyOperationForbidden", "KeyOperationForbidden"},
	} {
		x := newTester(t)
		kid := x.AddKey("n", c.seed)
		value := []byte("secret")
		if c.seed.Type == "" {
			value = x.use(t, "/keys/n/wrapkey", value).result(t)
		}
		if r := x.call(t, http.MethodPatch, strings.TrimPrefix(kid, x.URL()), c.change); r.status != 200 {
			t.Fatalf("%s: %d %s", what, r.status, r.text)
		}
		wrap, unwrap := x.use(t, "/keys/n/wrapkey", []byte("v")), x.use(t, "/keys/n/unwrapkey", value)
		show := x.call(t, http.MethodGet, "/keys/n", nil)
		if wrap.inner() != c.wrap || unwrap.inner() != c.unwrap || show.status != 200 {
			t.Errorf("%s: wrap %s, unwrap %s, show %s", what, wrap.text, unwrap.text, show.text)
		}
	}
}

// A deleted key cannot be used until it is recovered, and its name is taken.
func TestKeyDeleted(t *testing.T) {
	x := newTester(t)
	x.AddKey("n", KeySeed{})
	wrapped := x.use(t, "/keys/n/wrapkey", []byte("secret")).result(t)
	step := func(method, path string, want string) {
		t.Helper()
		r := x.call(t, method, path, map[string]any{"kty": "RSA"})
		if got := strings.TrimSpace(fmt.Sprint(r.status, " ", r.code(), " ", r.inner())); got != want {
			t.Errorf("%s %s: %s, want %s", method, path, got, want)
		}
	}
	step(http.MethodDelete, "/keys/n", "200")
	step(http.MethodPost, "/keys/n/create", "409 Conflict ObjectIsBeingDeleted")
	x.clock.Advance(time.Minute)
	if r := x.use(t, "/keys/n/unwrapkey", wrapped); r.status != 404 || r.code() != "KeyNotFound" {
		t.Errorf("deleted: %d %s", r.status, r.text)
	}
	step(http.MethodPost, "/keys/n/create", "409 Conflict ObjectIsDeletedButRecoverable")
	step(http.MethodGet, "/deletedkeys/n", "200")
	step(http.MethodPost, "/deletedkeys/n/recover", "200")
	x.clock.Advance(time.Minute)
	if got := x.use(t, "/keys/n/unwrapkey", wrapped).result(t); string(got) != "secret" {
		t.Errorf("the value became %q", got)
	}
	step(http.MethodDelete, "/keys/n", "200")
	x.clock.Advance(time.Minute)
	step(http.MethodDelete, "/deletedkeys/n", "204")
	x.clock.Advance(time.Minute)
	step(http.MethodGet, "/deletedkeys/n", "404 KeyNotFound")
	step(http.MethodPost, "/keys/n/create", "200")
	step(http.MethodPost, "/keys/n/import", "400 BadParameter")
	step(http.MethodPost, "/keys/n/sign", "400 BadParameter")
}

// A key that cannot be made is refused, and the refusal names keys and the action.
func TestKeyErrors(t *testing.T) {
	x := newTester(t)
	for what, body := range map[string]any{"kty": map[string]any{"kty": "RSA2"}, "key_size": map[string]any{"kty": "RSA", "key_size": 1024},
		"key_ops": map[string]any{"kty": "EC", "key_ops": []string{"wrapKey"}}, "crv": map[string]any{"kty": "EC", "crv": "P-521"}} {
		if r := x.call(t, http.MethodPost, "/keys/n/create", body); r.status != 400 || r.code() != "BadParameter" {
			t.Errorf("%s: %d %s", what, r.status, r.text)
		}
	}
	for fault, want := range map[*Fault]string{
		new(ForbiddenByRbac(UnwrapKey)): "Microsoft.KeyVault/vaults/keys/unwrap/action", new(AccessDenied(UnwrapKey)): "keys unwrapKey permission"} {
		remove := x.Inject(*fault)
		if r := x.use(t, "/keys/n/unwrapkey", []byte("v")); r.status != 403 || !strings.Contains(string(r.text), want) {
			t.Errorf("%d %s", r.status, r.text)
		}
		remove()
	}
	x.AddKey("n", KeySeed{})
	x.Allow(WrapKey.Action(), GetSecret.Action())
	if wrap, unwrap := x.use(t, "/keys/n/wrapkey", []byte("v")), x.use(t, "/keys/n/unwrapkey", []byte("v")); wrap.status != 200 || unwrap.inner() != "ForbiddenByRbac" {
		t.Errorf("with a role to wrap: %d, %d %s", wrap.status, unwrap.status, unwrap.text)
	}
}
