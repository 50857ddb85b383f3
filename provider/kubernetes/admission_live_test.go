package kubernetes_test

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/authority"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider/kubernetes"
)

const admissionAPI = "apis/admissionregistration.k8s.io/v1/"

// admit sets up an object of admission control for the duration of the test. The
// namespace gives it its name.
func admit(t *testing.T, s *livetest.KubernetesServer, plural, namespace string, object map[string]any) {
	t.Helper()
	object["metadata"] = map[string]any{"name": namespace}
	s.API(t, http.MethodPost, admissionAPI+plural, object)
	t.Cleanup(func() {
		if status, answer, err := s.Do(s.AdminToken, http.MethodDelete, admissionAPI+plural+"/"+namespace, nil); err != nil || status != http.StatusOK {
			t.Errorf("%s is left: %d %s, %v", namespace, status, answer, err)
		}
	})
}

func inNamespace(namespace string) map[string]any {
	return map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": namespace}}
}

func changesOfSecrets() []any {
	return []any{map[string]any{"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE", "UPDATE", "DELETE"}, "resources": []any{"secrets"}}}
}

// awaitRefusal stores until the guard of the namespace has taken effect: the server
// learns of it by a watch.
func awaitRefusal(t *testing.T, c kubernetes.Config) error {
	t.Helper()
	p := open(t, c)
	name, e := record(t, "await", "v", nil)
	for range 200 {
		if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("nothing is refused")
	return nil
}

// A policy says what it asks for, and the error names the setting that meets it. With
// that setting, credentials are stored.
func TestLivePolicy(t *testing.T) {
	s := livetest.Kubernetes(t)
	c := liveConfig(t, s, s.Namespace(t))
	admit(t, s, "validatingadmissionpolicies", c.Namespace, map[string]any{"spec": map[string]any{
		"matchConstraints": map[string]any{"resourceRules": changesOfSecrets()},
		"validations": []any{map[string]any{"message": "a Secret cannot be without the label team",
			"expression": "request.operation == 'DELETE' || has(object.metadata.labels) && 'team' in object.metadata.labels"}}}})
	admit(t, s, "validatingadmissionpolicybindings", c.Namespace, map[string]any{"spec": map[string]any{"policyName": c.Namespace,
		"validationActions": []any{"Deny"}, "matchResources": map[string]any{"namespaceSelector": inNamespace(c.Namespace)}}})
	awaitRefusal(t, c)
	p := open(t, c)
	for _, id := range []string{"await", "new"} { // a patch and a creation
		name, e := record(t, id, "v", nil)
		_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
		wants(t, err, nebula.ErrPermissionDenied, "admission control", `denied request: a Secret cannot be without the label team"`, "default_labels")
	}
	checker, _ := nebula.As[nebula.Checker](p)
	if kind, message := worst(checker.Check(t.Context())); kind != nebula.ErrPermissionDenied || !strings.Contains(message, "default_labels") {
		t.Errorf("doctor: %s %s", kind, message)
	}
	c.DefaultLabels["team"] = "x"
	p = open(t, c)
	for _, id := range []string{"await", "new"} {
		name, e := record(t, id, "v", nil)
		if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
			t.Error(err)
		}
	}
}

// A webhook may refuse with any code. None of them is taken for an answer of the API,
// and each call is made once.
func TestLiveWebhook(t *testing.T) {
	s := livetest.Kubernetes(t)
	ca, err := authority.New("Nebula test webhook")
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := ca.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	var verdict atomic.Value
	hook := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			Request struct {
				UID string `json:"uid"`
			} `json:"request"`
		}
		if json.NewDecoder(r.Body).Decode(&review) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		response := map[string]any{"uid": review.Request.UID, "allowed": false, "status": verdict.Load()}
		if verdict.Load() == nil {
			response["allowed"] = true
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
	}))
	hook.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}}
	hook.StartTLS()
	defer hook.Close()
	c := liveConfig(t, s, s.Namespace(t))
	wire := &recorder{inner: transport(t, s)}
	c.Transport = wire
	p := open(t, c)
	name, e := record(t, "x", "v", nil)
	v, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	admit(t, s, "validatingwebhookconfigurations", c.Namespace, map[string]any{"webhooks": []any{map[string]any{
		"name": "policy.example.com", "sideEffects": "None", "admissionReviewVersions": []any{"v1"}, "namespaceSelector": inNamespace(c.Namespace),
		"clientConfig": map[string]any{"url": hook.URL, "caBundle": ca.PEM()}, "rules": changesOfSecrets()}}})
	verdict.Store(map[string]any{"message": "not today"})
	wants(t, awaitRefusal(t, c), nebula.ErrPermissionDenied, `\"policy.example.com\" denied the request: not today"`)
	for _, status := range []map[string]any{
		{}, {"code": 403, "reason": "Forbidden", "message": "no"}, {"code": 401, "reason": "Unauthorized", "message": "no"},
		{"code": 404, "reason": "NotFound", "message": "no", "details": map[string]any{"kind": "secrets"}},
		{"code": 409, "reason": "Conflict", "message": "no"}, {"code": 409, "reason": "AlreadyExists", "message": "no"}, {"code": 422, "reason": "Invalid", "message": "no"},
	} {
		verdict.Store(status)
		wire.since()
		for op, call := range map[string]func() error{
			"create":             func() error { return storeAs(t, p, "new", nebula.IfAbsent()) },
			"store on condition": func() error { return storeAs(t, p, "x", nebula.IfVersion(v)) },
			"delete":             func() error { return remove(t.Context(), p, name) },
		} {
			wants(t, call(), nebula.ErrPermissionDenied, "admission control", "denied the request")
			if calls, _ := wire.since(); len(calls) > 2 {
				t.Errorf("%v: %s made the calls %q", status, op, calls)
			}
		}
	}
	if got := currentVersion(t, p, name); got != v {
		t.Errorf("the version was %q and is %q", v, got)
	}
}

func storeAs(t *testing.T, p nebula.Provider, id string, condition nebula.Precondition) error {
	t.Helper()
	name, e := record(t, id, "another", nil)
	_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: condition})
	return err
}

// A Secret that somebody made immutable is not tried repeatedly.
func TestLiveImmutableAtOnce(t *testing.T) {
	l := newLiveStore(t)
	if _, err := l.Put(t.Context(), "x", nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	livetest.Kubernetes(t).API(t, http.MethodPatch, strings.TrimPrefix(secretsOf(l.config), "/")+"/nebula-cred-x", map[string]any{"immutable": true})
	l.wire.since()
	_, err := l.Put(t.Context(), "x", nebula.NewSecret([]byte("w")), nebula.PutOptions{})
	wants(t, err, nebula.ErrPermissionDenied, "immutable", "delete the credential")
	if calls, _ := l.wire.since(); len(calls) > 3 {
		t.Errorf("%d calls, want the read, the patch and a look", len(calls))
	}
}
