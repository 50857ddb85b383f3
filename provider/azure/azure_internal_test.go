package azure

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/azureapi"
	"github.com/nebula-credential/nebula/provider"
)

func testDriver(t *testing.T) *driver {
	t.Helper()
	c := DefaultConfigIn(func(string) string { return "" })
	c.VaultURL = "https://team.vault.azure.net"
	d, err := newDriver(c, provider.NewOptions())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// answered returns the SDK's error for an answer of the vault.
func answered(method, path string, status int, code, inner string) error {
	body := fmt.Sprintf(`{"error":{"code":%q,"message":"canary"}}`, code)
	if inner != "" {
		body = fmt.Sprintf(`{"error":{"code":%q,"message":"canary","innererror":{"code":%q}}}`, code, inner)
	}
	u := &url.URL{Scheme: "https", Host: "team.vault.azure.net", Path: path}
	return runtime.NewResponseError(&http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: &http.Request{Method: method, URL: u}})
}

// Every failure of the vault has its own kind and hint, and shows nothing that the
// vault said.
func TestExplainAnswers(t *testing.T) {
	d := testDriver(t)
	const x, deleted = "/secrets/nebula-credentials-x", "/deletedsecrets/nebula-credentials-x"
	for _, c := range []struct {
		method, path string
		status       int
		code, inner  string
		kind         nebula.Kind
		text         string
	}{
		{"GET", x + "/", 404, "SecretNotFound", "", nebula.ErrNotFound, ""},
		{"GET", x + "/", 404, "NotFound", "", nebula.ErrInvalidConfig, "not Azure Key Vault"},
		{"GET", x + "/", 401, "Unauthorized", "", nebula.ErrUnauthenticated, "status 401, Unauthorized"},
		{"GET", x + "/", 403, "Forbidden", "SecretDisabled", nebula.ErrConflict, "--vault-name team --name nebula-credentials-x --enabled true"},
		{"GET", x + "/", 403, "Forbidden", "SecretExpired", nebula.ErrConflict, "has expired"},
		{"GET", x + "/", 403, "Forbidden", "ForbiddenByRbac", nebula.ErrPermissionDenied, "Microsoft.KeyVault/vaults/secrets/getSecret/action on the vault team"},
		{"PUT", x, 403, "Forbidden", "ForbiddenByRbac", nebula.ErrPermissionDenied, `secrets/setSecret/action on the vault team; az role assignment create --role "Key Vault Secrets Officer"`},
		{"DELETE", x, 403, "Forbidden", "ForbiddenByRbac", nebula.ErrPermissionDenied, "secrets/delete on"},
		{"GET", "/secrets", 403, "Forbidden", "ForbiddenByRbac", nebula.ErrPermissionDenied, "secrets/readMetadata/action"},
		{"GET", x + "/versions", 403, "Forbidden", "ForbiddenByRbac", nebula.ErrPermissionDenied, "secrets/readMetadata/action"},
		{"GET", deleted, 403, "Forbidden", "ForbiddenByRbac", nebula.ErrPermissionDenied, "secrets/readMetadata/action"},
		{"POST", deleted + "/recover", 403, "Forbidden", "ForbiddenByRbac", nebula.ErrPermissionDenied, "secrets/recover/action"},
		{"DELETE", deleted, 403, "Forbidden", "ForbiddenByRbac", nebula.ErrPermissionDenied, "secrets/purge/action"},
		{"GET", x + "/", 403, "Forbidden", "AccessDenied", nebula.ErrPermissionDenied, `lacks the secret permission "get"`},
		{"GET", "/secrets", 403, "Forbidden", "AccessDenied", nebula.ErrPermissionDenied, "--secret-permissions list"},
		{"PUT", x, 403, "Forbidden", "ForbiddenByPolicy", nebula.ErrPermissionDenied, "--secret-permissions set"},
		{"POST", deleted + "/recover", 403, "Forbidden", "AccessDenied", nebula.ErrPermissionDenied, "--secret-permissions recover"},
		{"GET", x + "/", 403, "Forbidden", "ForbiddenByFirewall", nebula.ErrPermissionDenied, "az keyvault network-rule add --name team"},
		{"DELETE", deleted, 403, "Forbidden", "", nebula.ErrNotSupported, "purge protection"},
		{"GET", x + "/", 403, "Forbidden", "", nebula.ErrPermissionDenied, `or its access policy the secret permission "get"`},
		{"PUT", x, 409, "Conflict", "ObjectIsBeingDeleted", nebula.ErrConflict, "is being deleted"},
		{"PUT", x, 409, "Conflict", "ObjectIsDeletedButRecoverable", nebula.ErrConflict, "is deleted"},
		{"PUT", x, 409, "Conflict", "ObjectIsBeingRecovered", nebula.ErrConflict, "is being recovered"},
		{"PUT", x, 409, "Conflict", "", nebula.ErrConflict, "just purged"},
		{"PUT", x, 409, "Conflict", "Other", nebula.ErrConflict, "a state that does not allow this"},
		{"PUT", x, 400, "BadParameter", "", nebula.ErrInternal, "status 400, BadParameter"},
		{"PUT", x, 413, "RequestEntityTooLarge", "", nebula.ErrTooLarge, ""},
		{"GET", x + "/", 429, "Throttled", "", nebula.ErrUnavailable, "429"},
		{"GET", x + "/", 500, "InternalServerError", "", nebula.ErrUnavailable, "500"},
		{"GET", x + "/", 503, "ServiceUnavailable", "", nebula.ErrUnavailable, "503"},
		{"GET", x + "/", 307, "", "", nebula.ErrInvalidConfig, "redirects"},
	} {
		name, _ := nebula.ID("x").Name()
		got := d.Explain(name, answered(c.method, c.path, c.status, c.code, c.inner))
		var sdk *azcore.ResponseError
		if !errors.Is(got, c.kind) || nebula.KindOf(got) != c.kind || errors.As(got, &sdk) || !strings.Contains(got.Error(), c.text) ||
			strings.Contains(got.Error(), "canary") {
			t.Errorf("%s %s %d %s/%s: %v", c.method, c.path, c.status, c.code, c.inner, got)
		}
		if unclear := errors.Is(got, provider.ErrUnclear); unclear != (c.status == 500) {
			t.Errorf("%d: the outcome is unclear: %v", c.status, unclear)
		}
	}
}

func TestMoving(t *testing.T) {
	for inner, want := range map[string]bool{"ObjectIsBeingDeleted": true, "ObjectIsBeingRecovered": true, "": true,
		"ObjectIsDeletedButRecoverable": false, "Other": false} {
		if got := isMoving(answered("PUT", "/secrets/x", 409, "Conflict", inner)); got != want {
			t.Errorf("%q: %v", inner, got)
		}
	}
	if isMoving(answered("PUT", "/secrets/x", 404, "SecretNotFound", "")) || isMoving(errors.New("x")) || isMoving(nil) {
		t.Error("another error counts as a conflict")
	}
}

func sealed(t *testing.T, id string, m nebula.Metadata) (nebula.Name, *nebula.Envelope) {
	t.Helper()
	name, err := nebula.ID(id).Name()
	if err != nil {
		t.Fatal(err)
	}
	e, err := nebula.SealRecord([32]byte{1}, name, nebula.NewSecret([]byte("v")), m)
	if err != nil {
		t.Fatal(err)
	}
	return name, e
}

// projected returns the tags of a secret on which others put none.
func projected(name nebula.Name, e *nebula.Envelope, defaults map[string]string, at time.Time) (map[string]*string, error) {
	p, err := project(name, e, defaults, at)
	if err != nil {
		return nil, err
	}
	return p.with(nil)
}

func TestProjection(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC)
	m := nebula.Metadata{CreatedAt: at, LastModified: at.Add(time.Hour), CreatedBy: "Zoë 🔑", Scope: strings.Repeat("ü🔑", 200),
		RotationPolicy: nebula.RotationPolicy{IntervalDays: 90}, Tags: map[string]string{"empty": "", "nebula": "x", "Nebula": "y"}}
	name, e := sealed(t, strings.Repeat("x", 128), m)
	tags, err := projected(name, e, map[string]string{"env": "prod", "nebula": "other"}, at)
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range tags {
		if length(key) > maxTagKey || length(*value) > maxTagValue {
			t.Errorf("%q: %d characters", key, length(*value))
		}
	}
	l, got, ok := unproject(tags)
	if !ok || l.ID != name.String() || l.Stored != at.UnixMicro() || !got.CreatedAt.Equal(m.CreatedAt) || !got.LastModified.Equal(m.LastModified) ||
		got.CreatedBy != m.CreatedBy || got.Scope != m.Scope || got.RotationPolicy != m.RotationPolicy || !maps.Equal(got.Tags, m.Tags) {
		t.Errorf("%+v became %+v", m, got)
	}
	if _, _, ok := unproject(map[string]*string{"k": new(string), "nebula-": nil}); ok {
		t.Error("foreign tags were taken for ours")
	}
	m.Scope = strings.Repeat("s", 4000)
	name, e = sealed(t, "x", m)
	if _, err := project(name, e, nil, at); !errors.Is(err, nebula.ErrInvalidMetadata) {
		t.Errorf("a scope over all limits: %v", err)
	}
}

// Tags of others are told apart from the credential's own with as few reserved tags
// as possible: if there is no room, only the foreign tags known at the last write are
// recognised.
func TestForeignTagsAreTold(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	own := map[string]string{"a": "1", "b": "2", "c": "3"}
	told := map[bool]int{}
	for n := range 256 {
		name, e := sealed(t, "x", nebula.Metadata{CreatedAt: at, LastModified: at, Scope: strings.Repeat("s", n), Tags: own})
		p, err := project(name, e, map[string]string{"d": "default"}, at)
		if err != nil {
			t.Fatal(err)
		}
		without := len(p.tags) + len(split(string(must(json.Marshal(p.listed)))))
		tags, err := p.with(map[string]string{"before": "x"})
		if err != nil || len(tags) > without+2 || len(tags) > without+1 && n < 60 {
			t.Fatalf("scope of %d: %d tags became %d, %v", n, without, len(tags), err)
		}
		tags["since"] = new(string)
		_, m, ok := unproject(tags)
		_, shown := m.Tags["since"]
		told[!shown]++
		delete(m.Tags, "since")
		if !ok || !maps.Equal(m.Tags, own) {
			t.Errorf("scope of %d: %v are the credential's", n, m.Tags)
		}
	}
	if told[true] < 128 || told[false] == 0 {
		t.Errorf("tags put there since are recognised: %v", told)
	}
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

// A credential can have as many tags as Key Vault keeps, less our own.
func TestTagCount(t *testing.T) {
	tags := make(map[string]string)
	for i := range 14 {
		tags[fmt.Sprint("t", i)] = "x"
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		id    string
		scope string
		works bool
	}{{"x", "", true}, {strings.Repeat("x", 128), "", true}, {"x", strings.Repeat("s", 300), false}} {
		name, e := sealed(t, c.id, nebula.Metadata{CreatedAt: at, LastModified: at, Scope: c.scope, Tags: tags})
		got, err := projected(name, e, nil, at)
		if (err == nil) != c.works || err == nil && len(got) != maxTags || err != nil && !errors.Is(err, nebula.ErrInvalidMetadata) {
			t.Errorf("id of %d, scope of %d: %d tags, %v", len(c.id), len(c.scope), len(got), err)
		}
	}
}

// If versions have the same second, the current one is the newest, then our own time
// decides. Anything that is not a version is left out.
func TestOrder(t *testing.T) {
	second := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	version := func(digit string, created time.Time, stored string) *azsecrets.SecretProperties {
		id := azsecrets.ID("https://h/secrets/x/" + strings.Repeat(digit, 32))
		text := `{"id":"x","stored":` + stored + `}`
		return &azsecrets.SecretProperties{ID: &id, Attributes: &azsecrets.SecretAttributes{Created: &created}, Tags: map[string]*string{"nebula-": &text}}
	}
	nonsense := azsecrets.ID("x")
	got := order([]*azsecrets.SecretProperties{nil, {}, {ID: &nonsense, Attributes: &azsecrets.SecretAttributes{Created: &second}},
		version("0", second, "1"), version("1", second, "3"), version("2", second, "2"), version("3", second.Add(-time.Hour), "9")},
		nebula.Version(strings.Repeat("2", 32)))
	var digits string
	for _, v := range got {
		digits += string(v.Version[:1])
	}
	if digits != "2103" || !got[0].Current || got[1].Current {
		t.Errorf("%s: %+v", digits, got)
	}
}

// FuzzNames: Key Vault takes every name, no two names are alike in any case, and a
// place belongs to the one id that is stored there.
func FuzzNames(f *testing.F) {
	seeds := []string{"github_token", "github-token", "GitHub-Token", "a", "A", "_", "2dx", "credentials-x", "checked", strings.Repeat("X", 128), strings.Repeat("x", 127)}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s, "other", "nebula-credentials-")
		f.Add(s, strings.ToLower(s)+"_", strings.Repeat("p", maxPrefix))
	}
	f.Fuzz(func(t *testing.T, a, b, prefix string) {
		if len(prefix) > maxPrefix || !azureapi.IsName(prefix) {
			return
		}
		one, err := nebula.ID(a).Name()
		if err != nil {
			return
		}
		n := names{prefix: strings.ToLower(prefix)}
		secret := n.secret(one)
		if len(secret) > maxName || !azureapi.IsName(secret) || secret != strings.ToLower(secret) {
			t.Fatalf("%q is at %q", a, secret)
		}
		if got, ok := n.holds(strings.ToUpper(secret), a); !ok || got != one {
			t.Fatalf("%q does not own %q", a, secret)
		}
		if got, place := n.place(strings.ToUpper(secret)); place == elsewhere || place == spelt && got != one {
			t.Fatalf("%q is read as %v, %v", secret, got, place)
		}
		if _, version, ok := parseSecretID("https://h/secrets/" + secret + "/0123456789abcdef0123456789abcdef"); !ok || version == "" {
			t.Fatalf("the id in %q is not found", secret)
		}
		other, err := nebula.ID(b).Name()
		if err != nil || a == b {
			return
		}
		if n.secret(other) == secret {
			t.Fatalf("%q and %q are at the same place", a, b)
		}
		if _, ok := n.holds(secret, b); ok {
			t.Fatalf("%q owns the place of %q", b, a)
		}
	})
}

// FuzzForeign: whatever a server sends, the worst outcome is a refusal.
func FuzzForeign(f *testing.F) {
	seeds := []string{"", "https://h/secrets/x/0123456789abcdef0123456789abcdef", "https://h/secrets//", "://secrets/", `{"id":"x"}`,
		`{"error":null}`}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if secret, version, ok := parseSecretID(a); ok && (!azureapi.IsName(secret) || version != "" && !isVersion(version)) {
			t.Fatalf("%q was read as %q, %q", a, secret, version)
		}
		l, m, ok := unproject(map[string]*string{"nebula-": &a, "nebula-2-": &b, "k": &b})
		if ok && (l.ID == "" || m.Tags["nebula-"] != "" || m.Tags["nebula-2-"] != "") {
			t.Fatalf("%q and %q were read as %+v, %+v", a, b, l, m)
		}
		parts := split(a)
		if strings.Join(parts, "") != a {
			t.Fatalf("%q was split into %q", a, parts)
		}
		for _, part := range parts {
			if length(part) > maxTagValue {
				t.Fatalf("a part of %q has %d characters", a, length(part))
			}
		}
	})
}
