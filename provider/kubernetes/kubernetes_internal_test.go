package kubernetes

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

func unconnected(t testing.TB) *driver {
	t.Helper()
	c := DefaultConfigIn(func(string) string { return "" })
	c.Namespace = "team"
	c.KubeconfigPath = write(t, map[string]string{"config": minimal("server: https://k.example.com", "token: x")}) + "/config"
	d, err := newDriver(c, provider.NewOptions())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Every failure of the server has its own kind and hint. The server's words are
// shown, in quotes, only if nothing else says what is wrong.
func TestExplainAnswers(t *testing.T) {
	d := unconnected(t)
	status := func(reason, message, details string) string {
		text, err := json.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		return `{"kind":"Status","status":"Failure","reason":"` + reason + `","message":` + string(text) + `,"details":{` + details + `}}`
	}
	const (
		rbac    = `secrets "canary" is forbidden: User "u" cannot patch resource "secrets" in API group "" in the namespace "team"`
		policy  = `secrets "x" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: `
		webhook = `admission webhook "w" denied the request: `
		words   = "the server's \x1b words"
		shown   = `the server's \x1b words"`
	)
	for _, c := range []struct {
		code    int
		body    string
		kind    nebula.Kind
		text    string
		unclear bool
	}{
		{400, status("BadRequest", words, ""), nebula.ErrInternal, shown, false},
		{400, status("", webhook+words, ""), nebula.ErrPermissionDenied, shown, false},
		{401, status("Unauthorized", "canary", ""), nebula.ErrUnauthenticated, "context c of the kubeconfig", false},
		{401, "", nebula.ErrUnauthenticated, "token or certificate", false},
		{401, status("Unauthorized", webhook+words, ""), nebula.ErrPermissionDenied, shown, false},
		{403, status("Forbidden", rbac, `"kind":"secrets"`), nebula.ErrPermissionDenied, `verb patch on secrets in namespace team is not granted`, false},
		{403, status("Forbidden", `secrets "canary" is forbidden: User "system:anonymous" cannot patch resource "secrets"`, `"kind":"secrets"`),
			nebula.ErrUnauthenticated, "does not know the caller", false},
		{403, "<html>canary</html>", nebula.ErrPermissionDenied, "before the API server refuses to patch secrets", false},
		{403, status("Forbidden", "canary is forbidden: unable to create new content in namespace", `"causes":[{"reason":"NamespaceTerminating"}]`), nebula.ErrInvalidConfig, "being deleted", false},
		{403, status("Forbidden", "is forbidden: exceeded quota: x", ""), nebula.ErrPermissionDenied, "describe quota", false},
		{403, status("Forbidden", policy+"a Secret cannot be without the LABEL team", `"kind":"secrets"`), nebula.ErrPermissionDenied, "default_labels; or ask", false},
		{403, status("Forbidden", `secrets "x" is forbidden: a plugin cannot patch resource "secrets"`, ""), nebula.ErrPermissionDenied, "admission control", false},
		{404, status("NotFound", "canary", `"kind":"secrets"`), nebula.ErrNotFound, "", false},
		{404, status("NotFound", webhook+words, `"kind":"secrets"`), nebula.ErrPermissionDenied, shown, false},
		{404, status("NotFound", "canary", `"kind":"namespaces"`), nebula.ErrInvalidConfig, `no namespace "team"`, false},
		{404, "404 page not found", nebula.ErrInvalidConfig, "not the API server", false},
		{404, `{"errors":["canary"]}`, nebula.ErrInvalidConfig, "not the API server", false},
		{405, "", nebula.ErrInvalidConfig, "not the API server", false},
		{409, status("Conflict", "canary", ""), nebula.ErrConflict, "", false},
		{409, status("Conflict", webhook+words, ""), nebula.ErrPermissionDenied, shown, false},
		{410, status("Expired", "canary", ""), nebula.ErrUnavailable, "410", false},
		{413, status("RequestEntityTooLarge", "canary", ""), nebula.ErrTooLarge, "", false},
		{413, status("RequestEntityTooLarge", policy+words, ""), nebula.ErrTooLarge, shown, false},
		{422, status("Invalid", "", `"causes":[{"reason":"FieldValueTooLong","field":"data"}]`), nebula.ErrTooLarge, "", false},
		{422, status("Invalid", "", `"causes":[{"reason":"FieldValueTooLong","field":"metadata.annotations"}]`), nebula.ErrInvalidMetadata, "256 KiB", false},
		{422, status("Invalid", words, ""), nebula.ErrInternal, shown, false},
		{422, status("Invalid", policy+"labels and annotations are missing", ""), nebula.ErrPermissionDenied, "default_labels, annotations that it asks for in default_annotations", false},
		{422, status("Invalid", policy+"on Sundays nothing is stored", ""), nebula.ErrPermissionDenied, "ask the cluster's administrator", false},
		{429, status("TooManyRequests", "canary", ""), nebula.ErrUnavailable, "429", false},
		{500, status("InternalError", "etcdserver: request timed out", ""), nebula.ErrUnavailable, `500: "etcdserver: request timed out"`, true},
		{500, status("InternalError", webhook+words, ""), nebula.ErrUnavailable, shown, false},
		{503, "", nebula.ErrUnavailable, "503", true},
		{504, status("Timeout", "", ""), nebula.ErrUnavailable, "504", true},
		{307, "", nebula.ErrInvalidConfig, "not followed", false},
		{418, status("canary canary", "canary", ""), nebula.ErrInternal, "418", false},
	} {
		cause := parseStatus(c.code, []byte(c.body), request{method: http.MethodPatch, verb: "patch", resource: "secrets"})
		name, _ := nebula.ID("x").Name()
		got := d.Explain(name, cause)
		var answered *StatusError
		var e *nebula.Error
		if !errors.Is(got, c.kind) || !errors.As(got, &answered) || answered.Code != c.code || !errors.As(got, &e) ||
			!strings.Contains(e.Error()+"\n"+e.Hint, c.text) {
			t.Errorf("%d %.60s: %v", c.code, c.body, got)
		}
		if errors.Is(got, provider.ErrUnclear) != c.unclear {
			t.Errorf("%d %.60s: unclear is %v", c.code, c.body, !c.unclear)
		}
		if shown := got.Error() + e.Hint + answered.Error(); strings.Contains(shown, "canary") || strings.Contains(shown, "\x1b") {
			t.Errorf("%d: the server's words are repeated: %v", c.code, got)
		}
	}
}

func TestProjection(t *testing.T) {
	d := unconnected(t)
	name, _ := nebula.ID("x").Name()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC)
	m := nebula.Metadata{CreatedAt: at, LastModified: at.Add(time.Hour), LastAccessed: at.Add(2 * time.Hour), CreatedBy: "Zoë 🔑", Scope: "a\u00a0b",
		RotationPolicy: nebula.RotationPolicy{IntervalDays: 90},
		Tags:           map[string]string{"empty": "", "e": "=", "k": "v", "a.b_c-d": "X", "sla/sh": "v", "<": "\u2028"}}
	e, err := nebula.SealRecord([32]byte{1}, name, nebula.NewSecret([]byte("v")), m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.project(name, e, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := unproject(s.Metadata)
	if !ok || !got.CreatedAt.Equal(m.CreatedAt) || !got.LastModified.Equal(m.LastModified) || !got.LastAccessed.Equal(m.LastAccessed) ||
		got.CreatedBy != m.CreatedBy || got.Scope != m.Scope || got.RotationPolicy != m.RotationPolicy || !maps.Equal(got.Tags, m.Tags) {
		t.Errorf("%+v became %+v", m, got)
	}
	if past := s.Metadata.past(); !slices.Equal(past, []string{digest(e.Bytes())[:16]}) {
		t.Errorf("the past is %q", past)
	}
	want := map[string]string{"app.kubernetes.io/name": "nebula-credential", "app.kubernetes.io/component": "credential-storage",
		"nebula-credential/store": "478d76eee5f384b1", "nebula-credential/key": "2d711642", "tag.nebula-credential/empty": "", "tag.nebula-credential/k": "v", "tag.nebula-credential/a.b_c-d": "X"}
	if !maps.Equal(s.Metadata.Labels, want) {
		t.Errorf("labels %v", s.Metadata.Labels)
	}
	for what, annotation := range map[string]string{"none": "", "no JSON": "x", "no time": "{}", "a wrong tag": `{"created_at":"2026-01-02T03:04:05Z","last_modified":"2026-01-02T03:04:05Z","tags":{"a=b":"c"}}`} {
		s.Metadata.Annotations[metadataAnnotation] = annotation
		if _, ok := unproject(s.Metadata); ok {
			t.Errorf("%s: foreign metadata was taken for ours", what)
		}
	}
}

// A patch tests before it writes. If labels of others are to stay, it names each key
// by itself.
func TestOperations(t *testing.T) {
	d := unconnected(t)
	name, _ := nebula.ID("x").Name()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e, err := nebula.SealRecord([32]byte{1}, name, nebula.NewSecret([]byte("v")), nebula.Metadata{CreatedAt: at, LastModified: at})
	if err != nil {
		t.Fatal(err)
	}
	object, err := d.project(name, e, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range (writing{name: name, object: object, stale: []string{tagLabel("b"), tagLabel("a")}, version: "7"}).operations() {
		got = append(got, o.Op+" "+o.Path)
	}
	want := []string{
		"test /metadata/annotations/nebula-credential~1id", "test /type", "test /metadata/deletionTimestamp",
		"add /data", "replace /metadata/resourceVersion",
		"add /metadata/annotations/nebula-credential~1id", "add /metadata/annotations/nebula-credential~1metadata",
		"add /metadata/labels/app.kubernetes.io~1component", "add /metadata/labels/app.kubernetes.io~1name", "add /metadata/labels/nebula-credential~1key",
		"add /metadata/labels/nebula-credential~1store",
		"add /metadata/labels/tag.nebula-credential~1a", "remove /metadata/labels/tag.nebula-credential~1a",
		"add /metadata/labels/tag.nebula-credential~1b", "remove /metadata/labels/tag.nebula-credential~1b",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	// Written over what was seen, the labels of tags go that the record does not have.
	seen := objectMeta{ResourceVersion: "8", Labels: map[string]string{tagLabel("old"): "1", "theirs": "x"}, Annotations: map[string]string{"theirs": "y"}}
	for _, o := range (writing{name: name, object: object}).operationsOn(seen) {
		marks, _ := o.Value.(map[string]string)
		if _, stays := marks[tagLabel("old")]; stays || marks != nil && marks["theirs"] == "" {
			t.Errorf("%s has %v", o.Path, marks)
		}
	}
}

// If the answer to a write was lost, what is stored shows what became of it.
func TestOutcome(t *testing.T) {
	d := unconnected(t)
	name, _ := nebula.ID("x").Name()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var records []objectMeta
	var before []string
	for range maxPast + 4 {
		e, err := nebula.SealRecord([32]byte{1}, name, nebula.NewSecret([]byte("v")), nebula.Metadata{CreatedAt: at, LastModified: at})
		if err != nil {
			t.Fatal(err)
		}
		object, err := d.project(name, e, before)
		if err != nil {
			t.Fatal(err)
		}
		m := object.Metadata
		m.ResourceVersion = strconv.Itoa(len(records) + 1)
		records = append(records, m)
		d.note(name, m)
		before = d.before(name, nebula.StoreOptions{Precondition: nebula.IfVersion(m.version())})
	}
	const lost = 2
	w := writing{object: secret{Metadata: records[lost]}, version: records[lost-1].version()}
	for i, want := range map[int]outcome{lost - 1: undone, lost: current, lost + 1: overwritten, lost + maxPast: overwritten, lost + maxPast + 1: unknown} {
		if got := w.outcome(records[i]); got != want {
			t.Errorf("of record %d, with record %d there: %v, want %v", lost, i, got, want)
		}
	}
	e, err := nebula.SealRecord([32]byte{1}, name, nebula.NewSecret([]byte("v")), nebula.Metadata{CreatedAt: at, LastModified: at})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.before(name, nebula.StoreOptions{Precondition: nebula.IfVersion("1"), Previous: e}); !slices.Equal(got, []string{digest(e.Bytes())[:16]}) {
		t.Errorf("before a version that was not read are %q", got)
	}
	rival, err := d.project(name, e, w.object.Metadata.past()[1:])
	if err != nil {
		t.Fatal(err)
	}
	if got := w.outcome(rival.Metadata); got != undone {
		t.Errorf("with a rival's write over the same record: %v", got)
	}
	alone, err := d.project(name, e, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.outcome(alone.Metadata); got != unknown {
		t.Errorf("with a write of somebody who did not read: %v", got)
	}
}

func TestRevisions(t *testing.T) {
	for _, good := range []string{"1", "42", "18446744073709551615"} {
		if !isRevision(good) {
			t.Errorf("%q is not a revision", good)
		}
	}
	for _, wrong := range []string{"", "0", "01", "-1", "1 ", "1a", "latest", "999999999999999999999", "\x00"} {
		if isRevision(wrong) {
			t.Errorf("%q is a revision", wrong)
		}
	}
}

// FuzzNames: each id has a name that Kubernetes takes, no two have the same one, and
// a Secret that is listed under another name or prefix is not ours.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"github_token", "github-token", "GitHub-Token", "a", "keyring", "--keyring", ".keyring", strings.Repeat("X", 128)} {
		f.Add(s, "other", "nebula-cred-")
		f.Add(s, strings.Repeat("X", 127), strings.Repeat("p", 199))
	}
	f.Fuzz(func(t *testing.T, a, b, prefix string) {
		one, err := nebula.ID(a).Name()
		other, err2 := nebula.ID(b).Name()
		if err != nil || err2 != nil || wrongPrefix(prefix) != "" {
			return
		}
		n := names{namespace: "x", prefix: prefix}
		for _, name := range []nebula.Name{one, other, nebula.KeyringName()} {
			if s := n.secret(name); len(s) > maxName || !isSubdomain(s) || !strings.HasPrefix(s, prefix) {
				t.Fatalf("%q with prefix %q is %q", name, prefix, s)
			}
		}
		if (n.secret(one) == n.secret(other)) != (a == b) || n.secret(one) == n.secret(nebula.KeyringName()) {
			t.Fatalf("%q and %q are %q and %q", a, b, n.secret(one), n.secret(other))
		}
		listed := objectMeta{Name: n.secret(one), Annotations: map[string]string{idAnnotation: a}}
		if got, ok := n.parse(listed); !ok || got != one {
			t.Fatalf("%q is listed as %q, %v", a, got, ok)
		}
		listed.Annotations[idAnnotation] = b
		if _, ok := n.parse(listed); ok != (a == b) {
			t.Fatalf("the Secret of %q is taken for %q", a, b)
		}
	})
}

// FuzzAnnotation: any text in the annotation can be read without harm, and only
// metadata is taken for metadata.
func FuzzAnnotation(f *testing.F) {
	for _, s := range []string{"", "{}", "null", `{"created_at":"2026-01-02T03:04:05Z","last_modified":"2026-01-02T03:04:05Z","tags":{"a":"b"}}`,
		`{"created_at":"9999-12-31T23:59:59.999999999-14:00"}`, `{"tags":{"":""}}`, strings.Repeat("[", 1000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m := objectMeta{Annotations: map[string]string{metadataAnnotation: text}}
		if metadata, ok := unproject(m); ok && metadata.Validate() != nil {
			t.Fatalf("%q is taken for metadata: %v", text, metadata.Validate())
		}
		_ = m.past()
	})
}

// FuzzStatus: whatever a server sends with a failure, the error has a kind and
// repeats nothing but words.
func FuzzStatus(f *testing.F) {
	d := unconnected(f)
	f.Add(404, `{"kind":"Status","reason":"NotFound","details":{"kind":"secrets"}}`)
	f.Add(403, `{"kind":"Status","reason":"Forbidden","message":"\u0000 cannot "}`)
	f.Add(410, `{"kind":"Status","metadata":{"continue":"x"}}`)
	f.Add(422, `{"kind":"Status","reason":"I\nx","details":{"causes":[{"field":"data"}]}}`)
	f.Fuzz(func(t *testing.T, code int, body string) {
		if code < 300 || code > 599 {
			return
		}
		s := parseStatus(code, []byte(body), request{verb: "get", resource: "secrets"})
		if s.Reason != "" && !isWord(s.Reason) {
			t.Fatalf("the reason is %q", s.Reason)
		}
		if e := d.Explain(nebula.Name{}, s); e.Kind == "" || e.Message == "" {
			t.Fatalf("%d %q: %+v", code, body, e)
		}
	})
}

// Only the module bench uses client-go: see the package's documentation.
func TestLinksNoClientGo(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-test", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if deps := string(out); strings.Contains(deps, "k8s.io/client-go") || strings.Contains(deps, "k8s.io/api") || !strings.Contains(deps, "sigs.k8s.io/yaml\n") {
		t.Errorf("it pulls in\n%s", deps)
	}
}

// If a Secret is marked as the credential's and holds something else, it was damaged.
// If it has no mark, it is somebody else's.
func TestReplacedRecord(t *testing.T) {
	name, err := nebula.ID("x").Name()
	if err != nil {
		t.Fatal(err)
	}
	for what, s := range map[string]secret{
		"no record":    {Type: opaque},
		"another type": {Type: "kubernetes.io/tls", Data: map[string][]byte{recordKey: []byte("{}")}},
	} {
		if _, err := s.record(name); !errors.Is(err, nebula.ErrNotARecord) {
			t.Errorf("%s, unmarked: %v", what, err)
		}
		s.Metadata.Annotations = map[string]string{idAnnotation: "x"}
		if _, err := s.record(name); !errors.Is(err, nebula.ErrCorrupted) || errors.Is(err, nebula.ErrNotARecord) {
			t.Errorf("%s, marked: %v", what, err)
		}
	}
}
