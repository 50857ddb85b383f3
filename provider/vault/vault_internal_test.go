package vault

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/provider"
)

func TestVersions(t *testing.T) {
	const created = "2026-01-02T03:04:05.123456789Z"
	v := formatVersion(17, created)
	if n, ok := parseVersion(v); !ok || n != 17 || !strings.HasPrefix(string(v), "17-") {
		t.Errorf("%q is read as %d, %v", v, n, ok)
	}
	if formatVersion(17, "2026-01-02T03:04:05.123456788Z") == v {
		t.Error("the time makes no difference")
	}
	// Without a time that tells a purged secret from the next one, the number is all.
	for created, want := range map[string]nebula.Version{"": "17", "x": "17", "1969-12-31T23:59:59Z": "17", "1970-01-01T00:00:00Z": "17", "1970-01-01T00:00:00.000000001Z": "17-1"} {
		if got := formatVersion(17, created); got != want {
			t.Errorf("created at %q, it is %q", created, got)
		}
	}
	for _, wrong := range []nebula.Version{"", "0", "-1", "1-", "01", "1-?", "1-01", "1-A", "1--", "1-1-1", "+1", "99999999999", " 1"} {
		if n, ok := parseVersion(wrong); ok {
			t.Errorf("%q is read as %d", wrong, n)
		}
	}
}

// Every failure of the server has its own kind and hint.
func TestExplainAnswers(t *testing.T) {
	d, err := newDriver(DefaultConfig(), provider.NewOptions())
	if err != nil {
		t.Fatal(err)
	}
	data := "secret/data/nebula/credentials/x"
	for _, c := range []struct {
		status int
		method string
		path   string
		said   string
		kind   nebula.Kind
		text   string
	}{
		{403, "GET", data, "permission denied", nebula.ErrPermissionDenied, `read on secret/data/nebula/credentials/x`},
		{403, "PATCH", data, "permission denied", nebula.ErrPermissionDenied, `path "secret/data/nebula/credentials/*" { capabilities = ["patch"] }`},
		{403, "POST", data, "permission denied", nebula.ErrPermissionDenied, `capabilities = ["create", "update"]`},
		{403, "GET", data, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n", nebula.ErrUnauthenticated, "expired"},
		{400, "POST", "auth/approle/login", "invalid role or secret ID", nebula.ErrUnauthenticated, "secret id"},
		{400, "POST", data, "check-and-set parameter did not match the current version", nebula.ErrConflict, ""},
		{404, "GET", data, "", nebula.ErrNotFound, ""},
		{404, "POST", data, `no handler for route "secret/data/x". route entry not found.`, nebula.ErrInvalidConfig, "vault secrets enable"},
		{412, "GET", data, "required index state not present", nebula.ErrUnavailable, "412"},
		{413, "POST", data, "", nebula.ErrTooLarge, ""},
		{429, "GET", data, "rate limit quota exceeded", nebula.ErrUnavailable, "429"},
		{473, "GET", data, "", nebula.ErrUnavailable, "standby"},
		{500, "POST", data, "JSON string value exceeds allowed length", nebula.ErrTooLarge, ""},
		{500, "POST", data, "put failed due to value being too large", nebula.ErrTooLarge, ""},
		{500, "POST", data, "internal error", nebula.ErrUnavailable, ""},
		{503, "GET", data, "Vault is sealed", nebula.ErrUnavailable, "unseal"},
	} {
		cause := &refusal{Method: c.method, Path: c.path, Status: c.status, Errors: []string{c.said}}
		name, _ := nebula.ID("x").Name()
		got := d.Explain(name, cause)
		var answered *ResponseError
		if !errors.Is(got, c.kind) || !errors.As(got, &answered) || !strings.Contains(got.Error(), c.text) {
			t.Errorf("%d %s %q: %v", c.status, c.method, c.said, got)
		}
	}
}

// FuzzNames: a name is one segment of a path that no URL changes, no two names
// are alike, and a key of a list leads back to its id.
func FuzzNames(f *testing.F) {
	seeds := []string{"github_token", "github-token", "GitHub-Token", "a", "..", ".", "a/b", "con", ".keyring", "%2e%2e", strings.Repeat("x", 128)}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s, "other")
	}
	where := paths{mount: "secret", prefix: "nebula/credentials"}
	f.Fuzz(func(t *testing.T, a, b string) {
		key, ok := parseKey(a)
		id, err := nebula.ParseID(a)
		if ok != (err == nil) {
			t.Fatalf("key %q is an id: %v, %v", a, ok, err)
		}
		if !ok {
			return
		}
		path := where.secret("data", key)
		if path != "secret/data/nebula/credentials/"+a || key.ID() != id || strings.Contains(a, "/") || a == "." || a == ".." {
			t.Fatalf("%q is at %q", a, path)
		}
		request, err := http.NewRequest(http.MethodGet, "http://h/v1/"+path, nil)
		if err != nil || request.URL.Path != "/v1/"+path || request.URL.RequestURI() != "/v1/"+path {
			t.Fatalf("%q is sent as %q", path, request.URL.RequestURI())
		}
		if other, ok := parseKey(b); ok && a != b && where.secret("data", other) == path {
			t.Fatalf("%q and %q are at the same place", a, b)
		}
	})
}

// FuzzTexts: texts are encoded injectively, in a form that Vault accepts.
func FuzzTexts(f *testing.F) {
	for _, s := range []string{"", "=", "==", "x", "=x", `="x"`, "ü", "\u2028", "\u00a0", "🔑", `"`, `\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		encoded := encodeText(s)
		got, ok := decodeText(encoded)
		if strings.ToValidUTF8(s, "") == s && (!ok || got != s) {
			t.Fatalf("%q became %q and then %q", s, encoded, got)
		}
		if encoded == "" || !isPrintable(encoded) {
			t.Fatalf("%q became %q, which Vault refuses", s, encoded)
		}
		if back, ok := decodeText(s); ok && encodeText(back) != s {
			t.Fatalf("%q and %q stand for the same text", s, encodeText(back))
		}
	})
}

func TestProjection(t *testing.T) {
	name, _ := nebula.ID("x").Name()
	m := nebula.Metadata{CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC), CreatedBy: "Zoë 🔑", Scope: "a\u00a0b",
		RotationPolicy: nebula.RotationPolicy{IntervalDays: 90}, Tags: map[string]string{"empty": "", "e": "=", "k": "v"}}
	custom, err := project(name, m)
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range custom {
		if key == "" || value == "" || !isPrintable(key+value) {
			t.Errorf("%q: %q", key, value)
		}
	}
	got, ok := unproject(custom)
	if !ok || !got.CreatedAt.Equal(m.CreatedAt) || got.CreatedBy != m.CreatedBy || got.Scope != m.Scope ||
		got.RotationPolicy != m.RotationPolicy || !maps.Equal(got.Tags, m.Tags) {
		t.Errorf("%+v became %+v", m, got)
	}
	m.Scope = strings.Repeat("s", 600)
	if _, err := project(name, m); !errors.Is(err, nebula.ErrInvalidMetadata) {
		t.Errorf("a scope over the limit: %v", err)
	}
	if _, ok := unproject(map[string]string{"k": "v"}); ok {
		t.Error("foreign metadata was taken for ours")
	}
}

// Metadata of others stays beside the tags, if Vault has room for all.
func TestMerge(t *testing.T) {
	name, _ := nebula.ID("x").Name()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	before, err := project(name, nebula.Metadata{CreatedAt: at, Tags: map[string]string{"old": "1", "kept": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	after, err := project(name, nebula.Metadata{CreatedAt: at, Tags: map[string]string{"kept": "2"}})
	if err != nil {
		t.Fatal(err)
	}
	before["owner"] = "team"
	got := merge(before, after)
	if len(got) != 3 || got["owner"] != "team" || got["kept"] != "2" {
		t.Errorf("%v", got)
	}
	if m, ok := unproject(got); !ok || !maps.Equal(m.Tags, map[string]string{"kept": "2"}) {
		t.Errorf("metadata of others is a tag: %v, %v", m.Tags, ok)
	}
	delete(got, "kept")
	if _, ok := unproject(got); ok {
		t.Error("a tag that others removed is not noticed")
	}
	for i := range maxCustomKeys - 2 {
		got[fmt.Sprint("theirs", i)] = "x"
	}
	if merged := merge(got, after); len(merged) != maxCustomKeys+1 || !errors.Is(tooManyKeys(merged, after), nebula.ErrInvalidMetadata) {
		t.Errorf("%d keys are not too many", len(merged))
	}
	if keyring := merge(map[string]string{"owner": "team"}, nil); !maps.Equal(keyring, map[string]string{"owner": "team"}) {
		t.Errorf("the keyring's custom metadata becomes %v", keyring)
	}
}

// A version is an attempt's only if it is not older, by the server's clock.
func TestAttemptBefore(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ahead := secretMetadata{now: now.Add(time.Hour)} // the server's clock
	a := attempt{number: 1, began: now.Add(-10 * time.Second)}
	for created, want := range map[time.Duration]bool{-20 * time.Second: true, -9 * time.Second: false, -11 * time.Second: false, 0: false} {
		if got := a.before(ahead.now.Add(created).Format(time.RFC3339Nano), ahead, now); got != want {
			t.Errorf("created %v ago: %v", -created, got)
		}
	}
	if a.before("", ahead, now) {
		t.Error("a version that is gone counts as older")
	}
}

// What is gone, the server's clock decides, not this machine's.
func TestGone(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	before, after := now.Add(-time.Second).Format(time.RFC3339Nano), now.Add(time.Second).Format(time.RFC3339Nano)
	m := secretMetadata{now: now}
	for _, c := range []struct {
		version versionMetadata
		want    bool
	}{
		{versionMetadata{}, false}, {versionMetadata{Destroyed: true}, true},
		{versionMetadata{DeletionTime: before}, true}, {versionMetadata{DeletionTime: now.Format(time.RFC3339Nano)}, true},
		{versionMetadata{DeletionTime: after}, false}, {versionMetadata{DeletionTime: after, Destroyed: true}, true}, {versionMetadata{DeletionTime: "x"}, false},
	} {
		if got := m.gone(c.version); got != c.want {
			t.Errorf("%+v is gone: %v", c.version, got)
		}
	}
	d, err := newDriver(DefaultConfigIn(func(string) string { return "" }), provider.NewOptions())
	if err != nil {
		t.Fatal(err)
	}
	a := &httpx.Answer{Header: http.Header{"Date": {now.Format(http.TimeFormat)}}}
	if got := d.serverTime(a); !got.Equal(now.Add(time.Second)) {
		t.Errorf("with a date, the server's time is %v", got)
	}
	if got := d.serverTime(&httpx.Answer{Header: http.Header{"Date": {"x"}}}); time.Since(got).Abs() > time.Minute {
		t.Errorf("without a date, the server's time is %v", got)
	}
}
