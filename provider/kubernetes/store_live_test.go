package kubernetes_test

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider/kubernetes"
)

// liveStore is a store with the documented role, in its own namespace, and opens it
// again as another process would.
type liveStore struct {
	*nebula.Store
	reopen  func() *nebula.Store
	wire    *recorder
	config  kubernetes.Config
	account string
}

func newLiveStore(t *testing.T) liveStore {
	t.Helper()
	s := livetest.Kubernetes(t)
	namespace := s.Namespace(t)
	l := liveStore{wire: &recorder{inner: transport(t, s)}, account: applyManifest(t, s, namespace)}
	l.config = as(t, s, namespace, s.Token(t, namespace, l.account, time.Hour))
	l.config.Transport = l.wire
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := nebula.CreateKeyFile(keyFile); err != nil {
		t.Fatal(err)
	}
	key := &nebula.KeyFile{Path: keyFile}
	l.reopen = func() *nebula.Store {
		store, err := nebula.Open(t.Context(), open(t, l.config), nebula.Options{Keys: []nebula.Key{key}})
		if err != nil {
			t.Fatal(err)
		}
		l.wire.since()
		return store
	}
	if _, err := l.reopen().Init(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	l.Store = l.reopen()
	return l
}

// A new process reads record and keyring at once, doctor finds nothing missing, and a
// purge is a deletion.
func TestLiveStore(t *testing.T) {
	l := newLiveStore(t)
	ctx := t.Context()
	v, err := l.Put(ctx, "Token", nebula.NewSecret([]byte("one")), nebula.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.reopen().Get(ctx, "Token")
	if err != nil || string(got.Secret.Reveal()) != "one" || got.Version != v {
		t.Fatalf("%v, %v", got.Version, err)
	}
	if calls, _ := l.wire.since(); len(calls) != 2 || !slices.ContainsFunc(calls, func(c string) bool { return strings.HasSuffix(c, "--keyring") }) {
		t.Errorf("a get of a new process: %q, want record and keyring", calls)
	}
	if _, err := l.Put(ctx, "Token", nebula.NewSecret([]byte("two")), nebula.PutOptions{Previous: &got}); err != nil {
		t.Fatal(err)
	}
	if calls, _ := l.wire.since(); len(calls) != 1 || !strings.HasPrefix(calls[0], "PATCH ") {
		t.Errorf("a put over what was read: %q, want one call", calls)
	}
	checker, _ := nebula.As[nebula.Checker](open(t, l.config))
	identified := false
	for _, f := range checker.Check(ctx) {
		if f.Severity != nebula.SeverityOK {
			t.Errorf("doctor: %+v", f)
		}
		identified = identified || strings.Contains(f.Message, livetest.KubernetesUser(l.config.Namespace, l.account))
	}
	if !identified {
		t.Error("doctor does not name the caller")
	}
	if existed, err := l.Purge(ctx, "Token"); err != nil || !existed {
		t.Fatal(err)
	}
	if err := l.Restore(ctx, "Token"); nebula.KindOf(err) != nebula.ErrNotSupported {
		t.Errorf("restore: %v", err)
	}
}

// Marks of others on the Secret stay, whatever the writer knew of them. A tag that is
// removed goes.
func TestLiveLabelsOfOthers(t *testing.T) {
	l := newLiveStore(t)
	ctx := t.Context()
	const object = "nebula-cred--54oken"
	theirs := map[string]any{"labels": map[string]any{"argocd.example.com/instance": "x", "team": "z"},
		"annotations": map[string]any{"backup.example.com/at": "12:00"}}
	p := open(t, l.config)
	name, unread := record(t, "Token", "v", map[string]string{"env": "b"})
	for what, write := range map[string]func() error{
		"tag": func() error {
			_, err := l.Tag(ctx, "Token", map[string]string{"env": "b"}, []string{"team"})
			return err
		},
		"put": func() error {
			_, err := l.Put(ctx, "Token", nebula.NewSecret([]byte("w")), nebula.PutOptions{ClearTags: true, Tags: map[string]string{"env": "b"}})
			return err
		},
		"force": func() error {
			_, err := l.Put(ctx, "Token", nebula.NewSecret([]byte("w")), nebula.PutOptions{Force: true, ClearTags: true, Tags: map[string]string{"env": "b"}})
			return err
		},
		"what was not read": func() error { _, err := p.Store(ctx, name, unread, nebula.StoreOptions{}); return err },
	} {
		if err := remove(ctx, p, name); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Put(ctx, "Token", nebula.NewSecret([]byte("v")), nebula.PutOptions{Tags: map[string]string{"team": "x", "env": "a"}}); err != nil {
			t.Fatal(err)
		}
		change(t, l, object, theirs)
		if err := write(); err != nil {
			t.Fatal(err)
		}
		labels, annotations := metadataOf(t, l, object)
		if labels["argocd.example.com/instance"] != "x" || labels["team"] != "z" || annotations["backup.example.com/at"] != "12:00" ||
			labels["tag.nebula-credential/env"] != "b" || labels["app.kubernetes.io/name"] != "nebula-credential" {
			t.Errorf("%s: labels %v, annotations %v", what, labels, annotations)
		}
		if _, there := labels["tag.nebula-credential/team"]; there {
			t.Errorf("%s: a removed tag is still a label: %v", what, labels)
		}
	}
}

// A Secret of others in the place of a credential is not read as one, listed, written
// or deleted.
func TestLiveForeign(t *testing.T) {
	s := livetest.Kubernetes(t)
	p, _, c := liveOpen(t)
	ctx := t.Context()
	path := strings.TrimPrefix(secretsOf(c), "/")
	mine, e := record(t, "mine", "v", map[string]string{"team": "x"})
	if _, err := p.Store(ctx, mine, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	ours := s.API(t, http.MethodGet, path+"/nebula-cred-mine", nil)["metadata"].(map[string]any)
	for what, foreign := range map[string]map[string]any{
		"bare": {"metadata": map[string]any{"name": "nebula-cred-x"}, "stringData": map[string]any{"password": "p"}},
		"a copy of another": {"metadata": map[string]any{"name": "nebula-cred-x", "labels": ours["labels"], "annotations": ours["annotations"]},
			"stringData": map[string]any{"record": string(e.Bytes())}},
		"of another type": {"type": "example.com/other", "stringData": map[string]any{"username": "u"},
			"metadata": map[string]any{"name": "nebula-cred-x", "annotations": map[string]any{"nebula-credential/id": "x"}}},
	} {
		before := s.API(t, http.MethodPost, path, foreign)["metadata"].(map[string]any)
		name, e := record(t, "x", "v", nil)
		_, err := p.Retrieve(ctx, name)
		wants(t, err, nebula.ErrCorrupted)
		for _, condition := range []nebula.Precondition{{}, nebula.IfVersion(nebula.Version(before["resourceVersion"].(string)))} {
			_, err = p.Store(ctx, name, e, nebula.StoreOptions{Precondition: condition})
			wants(t, err, nebula.ErrCorrupted, "nebula-cred-x", "left alone")
		}
		_, err = p.Store(ctx, name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
		if what == "of another type" { // its annotation says that it is ours
			wants(t, err, nebula.ErrAlreadyExists)
		} else {
			wants(t, err, nebula.ErrCorrupted, "left alone")
			wants(t, remove(ctx, p, name), nebula.ErrCorrupted, "left alone")
			_, err = p.Exists(ctx, name)
			wants(t, err, nebula.ErrCorrupted)
			for _, f := range []nebula.Filter{{}, {Tags: map[string]string{"team": "x"}}} {
				if entries, err := list(ctx, p, f); err != nil || len(entries) != 1 || entries[0].ID != "mine" {
					t.Errorf("%s: listed as %+v, %v", what, entries, err)
				}
			}
		}
		if after := s.API(t, http.MethodGet, path+"/nebula-cred-x", nil)["metadata"].(map[string]any); after["resourceVersion"] != before["resourceVersion"] {
			t.Errorf("%s: it was changed", what)
		}
		s.API(t, http.MethodDelete, path+"/nebula-cred-x", nil)
	}
}

// If somebody puts another Secret there between the look and the deletion, that one
// is not deleted.
func TestLiveDeleteRaced(t *testing.T) {
	s := livetest.Kubernetes(t)
	p, wire, c := liveOpen(t)
	path := strings.TrimPrefix(secretsOf(c), "/")
	name, e := record(t, "x", "v", nil)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	replaced := false
	wire.set(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodDelete && !replaced {
			replaced = true
			s.API(t, http.MethodDelete, path+"/nebula-cred-x", nil)
			s.API(t, http.MethodPost, path, map[string]any{"metadata": map[string]any{"name": "nebula-cred-x"}})
		}
		return nil, nil
	}, nil)
	wants(t, remove(t.Context(), p, name), nebula.ErrCorrupted, "left alone")
	s.API(t, http.MethodGet, path+"/nebula-cred-x", nil)
	if !replaced {
		t.Error("nothing was deleted at all")
	}
}

func TestLiveImmutableAndFinalized(t *testing.T) {
	s := livetest.Kubernetes(t)
	p, _, c := liveOpen(t)
	ctx := t.Context()
	path := strings.TrimPrefix(secretsOf(c), "/") + "/nebula-cred-x"
	name, e := record(t, "x", "v", nil)
	_, next := record(t, "x", "w", nil)
	v, err := p.Store(ctx, name, e, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.API(t, http.MethodPatch, path, map[string]any{"immutable": true})
	for _, condition := range []nebula.Precondition{{}, nebula.IfVersion(currentVersion(t, p, name))} {
		_, err = p.Store(ctx, name, next, nebula.StoreOptions{Precondition: condition, Previous: e})
		wants(t, err, nebula.ErrPermissionDenied, "immutable", "delete the credential")
	}
	if err := remove(ctx, p, name); err != nil {
		t.Fatal(err)
	}
	_, err = p.Store(ctx, name, next, nebula.StoreOptions{Precondition: nebula.IfVersion(v)})
	wants(t, err, nebula.ErrConflict)
	if _, err = p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}

	// If it is deleted and a finalizer holds it back, it is gone for readers, and not
	// written.
	s.API(t, http.MethodPatch, path, map[string]any{"metadata": map[string]any{"finalizers": []any{"example.com/hold"}}})
	for range 2 {
		if err := remove(ctx, p, name); err != nil {
			t.Fatal(err)
		}
	}
	_, err = p.Retrieve(ctx, name)
	wants(t, err, nebula.ErrNotFound)
	if found, err := p.Exists(ctx, name); found || err != nil {
		t.Errorf("exists: %v, %v", found, err)
	}
	if entries, err := list(ctx, p, nebula.Filter{}); len(entries) != 0 || err != nil {
		t.Errorf("listed: %v, %v", entries, err)
	}
	for kind, condition := range map[nebula.Kind]nebula.Precondition{nebula.ErrUnavailable: nebula.IfAbsent(), nebula.ErrConflict: nebula.IfVersion("1")} {
		_, err = p.Store(ctx, name, next, nebula.StoreOptions{Precondition: condition})
		wants(t, err, kind)
	}
	_, err = p.Store(ctx, name, next, nebula.StoreOptions{})
	wants(t, err, nebula.ErrUnavailable, "finalizer")
	s.API(t, http.MethodPatch, path, map[string]any{"metadata": map[string]any{"finalizers": nil}})
	if _, err = p.Store(ctx, name, next, nebula.StoreOptions{Precondition: nebula.IfAbsent()}); err != nil {
		t.Error(err)
	}
}

func currentVersion(t *testing.T, p nebula.Provider, name nebula.Name) nebula.Version {
	t.Helper()
	r, err := p.Retrieve(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return r.Version
}

// If a namespace is being deleted, its credentials can be read as long as they are
// there, and it takes nothing new. If it does not exist, the error names it.
func TestLiveNamespaces(t *testing.T) {
	s := livetest.Kubernetes(t)
	ctx := t.Context()
	c := liveConfig(t, s, s.Namespace(t))
	p := open(t, c)
	name, e := record(t, "x", "v", nil)
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	s.API(t, http.MethodDelete, "api/v1/namespaces/"+c.Namespace, nil)
	if _, err := p.Retrieve(ctx, name); err != nil {
		t.Error(err)
	}
	other, f := record(t, "y", "v", nil)
	for range 100 { // the server learns of it by a watch
		if _, err := p.Store(ctx, other, f, nebula.StoreOptions{Precondition: nebula.IfAbsent()}); err != nil {
			wants(t, err, nebula.ErrInvalidConfig, c.Namespace, "being deleted")
			break
		}
		if err := remove(ctx, p, other); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	_, err := p.Store(ctx, other, f, nebula.StoreOptions{})
	wants(t, err, nebula.ErrInvalidConfig, "being deleted")

	c = liveConfig(t, s, "nowhere")
	p = open(t, c)
	_, err = p.Store(ctx, name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrInvalidConfig, `no namespace "nowhere"`, "kubectl create namespace nowhere")
	_, err = p.Retrieve(ctx, name)
	wants(t, err, nebula.ErrNotFound)
	checker, _ := nebula.As[nebula.Checker](p)
	if kind, message := worst(checker.Check(ctx)); kind != nebula.ErrInvalidConfig || !strings.Contains(message, "nowhere") {
		t.Errorf("doctor: %s %s", kind, message)
	}
}

func worst(findings []nebula.Finding) (nebula.Kind, string) {
	for _, f := range findings {
		if f.Severity == nebula.SeverityError {
			return f.Kind, f.Check + ": " + f.Message + " " + f.Fix
		}
	}
	return "", ""
}

// Anyone who has rights in one namespace has none in another. The error says which
// verb is missing on what and where. The same ids in two namespaces are two
// credentials.
func TestLiveIsolation(t *testing.T) {
	s := livetest.Kubernetes(t)
	ctx := t.Context()
	mine, other := s.Namespace(t), s.Namespace(t)
	token := s.Token(t, mine, applyManifest(t, s, mine), time.Hour)
	name, e := record(t, "x", "v", nil)
	_, f := record(t, "x", "w", nil)
	a, b := open(t, as(t, s, mine, token)), open(t, liveConfig(t, s, other))
	for p, e := range map[nebula.Provider]*nebula.Envelope{a: e, b: f} {
		if _, err := p.Store(ctx, name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()}); err != nil {
			t.Fatal(err)
		}
	}
	if err := remove(ctx, a, name); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Retrieve(ctx, name); err != nil || string(got.Envelope.Bytes()) != string(f.Bytes()) {
		t.Errorf("the other namespace: %v", err)
	}
	if entries, err := list(ctx, a, nebula.Filter{}); len(entries) != 0 || err != nil {
		t.Errorf("mine has %v, %v", entries, err)
	}

	denied := open(t, as(t, s, other, token))
	_, err := denied.Retrieve(ctx, name)
	wants(t, err, nebula.ErrPermissionDenied, "verb get on secrets", other, `verbs: ["get"]`)
	_, err = denied.Exists(ctx, name)
	wants(t, err, nebula.ErrPermissionDenied, "verb get", other)
	_, err = denied.Store(ctx, name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrPermissionDenied, "verb patch", other)
	_, err = denied.Store(ctx, name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	wants(t, err, nebula.ErrPermissionDenied, "verb create", other)
	_, err = list(ctx, denied, nebula.Filter{})
	wants(t, err, nebula.ErrPermissionDenied, "verb list", other)
	wants(t, remove(ctx, denied, name), nebula.ErrPermissionDenied, "verb get", other)
}

// Doctor names each verb that is missing, and what to add.
func TestLiveMissingVerbs(t *testing.T) {
	s := livetest.Kubernetes(t)
	all := []string{"get", "list", "watch", "create", "patch", "delete"}
	for _, missing := range all {
		namespace := s.Namespace(t)
		account := s.ServiceAccount(t, namespace)
		verbs := slices.DeleteFunc(slices.Clone(all), func(v string) bool { return v == missing })
		s.Allow(t, namespace, livetest.KubernetesUser(namespace, account), livetest.KubernetesRule{Verbs: verbs, Resources: []string{"secrets"}})
		c := as(t, s, namespace, s.Token(t, namespace, account, time.Hour))
		checker, _ := nebula.As[nebula.Checker](open(t, c))
		var wrong []nebula.Finding
		for _, f := range checker.Check(t.Context()) {
			if f.Severity != nebula.SeverityOK {
				wrong = append(wrong, f)
			}
		}
		kind := nebula.ErrPermissionDenied
		if missing == "watch" {
			kind = "" // it works without
		}
		if len(wrong) != 1 || wrong[0].Kind != kind || !strings.Contains(wrong[0].Message, "verb "+missing+" on secrets in namespace "+namespace) ||
			!strings.Contains(wrong[0].Fix, `verbs: ["`+missing+`"]`) {
			t.Errorf("without %s: %+v", missing, wrong)
		}
	}
}

// A user who has only the verbs get and list reads everything, and writes nothing.
func TestLiveReader(t *testing.T) {
	s := livetest.Kubernetes(t)
	p, _, c := liveOpen(t)
	ctx := t.Context()
	name, e := record(t, "x", "v", nil)
	other, f := record(t, "y", "v", nil)
	for name, e := range map[nebula.Name]*nebula.Envelope{name: e, other: f} {
		if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	account := s.ServiceAccount(t, c.Namespace)
	s.Allow(t, c.Namespace, livetest.KubernetesUser(c.Namespace, account), livetest.KubernetesRule{Verbs: []string{"get", "list"}, Resources: []string{"secrets"}})
	reader := open(t, as(t, s, c.Namespace, s.Token(t, c.Namespace, account, time.Hour)))
	if _, err := reader.Retrieve(ctx, name); err != nil {
		t.Error(err)
	}
	if found, err := reader.Exists(ctx, name); !found || err != nil {
		t.Error(err)
	}
	if entries, err := list(ctx, reader, nebula.Filter{}); len(entries) != 2 || err != nil {
		t.Error(err)
	}
	batch, _ := nebula.As[nebula.BatchRetriever](reader)
	if results, err := batch.RetrieveBatch(ctx, []nebula.Name{name, other}); err != nil || results[0].Err != nil || results[1].Err != nil {
		t.Errorf("%+v, %v", results, err)
	}
	_, err := reader.Store(ctx, name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrPermissionDenied, "verb patch")
	wants(t, remove(ctx, reader, name), nebula.ErrPermissionDenied, "verb delete")
}

// If the user is unknown, the error says so.
func TestLiveUnauthenticated(t *testing.T) {
	s := livetest.Kubernetes(t)
	c := as(t, s, s.Namespace(t), "wrong-canary")
	p := open(t, c)
	name, _ := record(t, "x", "v", nil)
	_, err := p.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrUnauthenticated, "token or certificate", "context test of the kubeconfig")
	if strings.Contains(fmt.Sprint(err), "canary") {
		t.Errorf("the error shows the token: %v", err)
	}
	checker, _ := nebula.As[nebula.Checker](p)
	if kind, _ := worst(checker.Check(t.Context())); kind != nebula.ErrUnauthenticated {
		t.Errorf("doctor: %s", kind)
	}
	// The server ignores a password, so its user is anonymous.
	c.KubeconfigPath = s.Kubeconfig(t, map[string]any{"username": "alice", "password": "canary"}, "")
	p = open(t, c)
	_, err = p.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrUnauthenticated, "system:anonymous", "no password")
	checker, _ = nebula.As[nebula.Checker](p)
	if kind, _ := worst(checker.Check(t.Context())); kind != nebula.ErrUnauthenticated {
		t.Errorf("doctor: %s", kind)
	}
}

// If writers have the same precondition, exactly one wins, many times.
func TestLiveTwoWriters(t *testing.T) {
	s := livetest.Kubernetes(t)
	c := liveConfig(t, s, s.Namespace(t))
	writers := []nebula.Provider{open(t, c), open(t, c)}
	ctx := t.Context()
	name, _ := record(t, "race", "", nil)
	condition := nebula.IfAbsent()
	for round := range 40 {
		var group sync.WaitGroup
		versions := make([]nebula.Version, len(writers))
		errs := make([]error, len(writers))
		for i, p := range writers {
			_, e := record(t, "race", fmt.Sprint(round, " by ", i), nil)
			group.Go(func() {
				versions[i], errs[i] = p.Store(ctx, name, e, nebula.StoreOptions{Precondition: condition})
			})
		}
		group.Wait()
		won := 0
		for i, err := range errs {
			switch kind := nebula.KindOf(err); {
			case err == nil:
				won++
				condition = nebula.IfVersion(versions[i])
			case kind != nebula.ErrConflict && kind != nebula.ErrAlreadyExists:
				t.Fatal(err)
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d writers won: %v", round, won, errs)
		}
	}
}

// The limit is exactly the API server's, and is checked before anything is sent.
func TestLiveSize(t *testing.T) {
	p, wire, _ := liveOpen(t)
	ctx := t.Context()
	size := func(value int) (nebula.Name, *nebula.Envelope) {
		return record(t, "size", strings.Repeat("v", value), nil)
	}
	value := 780_000
	for _, e := size(value); len(e.Bytes()) <= kubernetes.MaxRecord; _, e = size(value) {
		value += max(1, (kubernetes.MaxRecord-len(e.Bytes()))*3/4)
	}
	name, over := size(value)
	wire.since()
	_, err := p.Store(ctx, name, over, nebula.StoreOptions{})
	wants(t, err, nebula.ErrTooLarge, fmt.Sprint(len(over.Bytes())), "1048576", "kubernetes")
	if calls, _ := wire.since(); len(calls) != 0 {
		t.Errorf("%q were sent", calls)
	}
	_, fits := size(value - 4)
	if len(fits.Bytes()) < kubernetes.MaxRecord-8 || len(fits.Bytes()) > kubernetes.MaxRecord {
		t.Fatalf("%d bytes", len(fits.Bytes()))
	}
	for range 2 {
		if _, err := p.Store(ctx, name, fits, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := p.Retrieve(ctx, name); err != nil || len(got.Envelope.Bytes()) != len(fits.Bytes()) {
		t.Error(err)
	}
}

// Annotations over the limit are refused before anything is sent. If the annotations
// of others exceed the limit, the error explains it.
func TestLiveAnnotations(t *testing.T) {
	p, wire, c := liveOpen(t)
	tags := func(n int) map[string]string {
		m := make(map[string]string)
		for i := range n {
			m[fmt.Sprintf("%0128d", i)] = strings.Repeat("ü", 256)
		}
		return m
	}
	name, e := record(t, "x", "v", tags(410))
	wire.since()
	_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrInvalidMetadata, "262144")
	if calls, _ := wire.since(); len(calls) != 0 {
		t.Errorf("%q were sent", calls)
	}
	name, e = record(t, "x", "v", tags(395))
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if entries, err := list(t.Context(), p, nebula.Filter{Tags: tags(1)}); err != nil || len(entries) != 1 || len(entries[0].Metadata.Tags) != 395 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	_, e = record(t, "x", "v", nil)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	livetest.Kubernetes(t).API(t, http.MethodPatch, strings.TrimPrefix(secretsOf(c), "/")+"/nebula-cred-x", map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{"example.com/large": strings.Repeat("x", 200_000)}}})
	_, e = record(t, "x", "v", tags(300))
	_, err = p.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrInvalidMetadata, "256 KiB")
}

// These are the calls of each operation in a new process: the documentation has the
// same figures.
func TestLiveStoreCalls(t *testing.T) {
	l := newLiveStore(t)
	ctx := t.Context()
	value := nebula.NewSecret([]byte("v"))
	for _, test := range []struct {
		what string
		call func(s *nebula.Store) error
		want string // methods, sorted
	}{
		{"put new", func(s *nebula.Store) error { _, err := s.Put(ctx, "a", value, nebula.PutOptions{}); return err }, "GET GET POST"},
		{"put again", func(s *nebula.Store) error {
			_, err := s.Put(ctx, "a", value, nebula.PutOptions{Tags: map[string]string{"env": "a"}})
			return err
		}, "GET GET PATCH"},
		{"remove a tag", func(s *nebula.Store) error { _, err := s.Tag(ctx, "a", nil, []string{"env"}); return err }, "GET GET PATCH"},
		{"put if absent", func(s *nebula.Store) error {
			_, err := s.Put(ctx, "b", value, nebula.PutOptions{IfAbsent: true})
			return err
		}, "GET POST"},
		{"get", func(s *nebula.Store) error { _, err := s.Get(ctx, "a"); return err }, "GET GET"},
		{"exists", func(s *nebula.Store) error { _, err := s.Exists(ctx, "a"); return err }, "GET"},
		{"list", func(s *nebula.Store) error { return drain(s.List(ctx, nebula.ListOptions{Details: true})) }, "GET"},
		{"verify", func(s *nebula.Store) error { return drain(s.List(ctx, nebula.ListOptions{Verify: true})) }, "GET GET GET"},
		{"delete", func(s *nebula.Store) error { _, err := s.Delete(ctx, "a", nebula.DeleteOptions{}); return err }, "DELETE GET"},
	} {
		s := l.reopen()
		err := test.call(s)
		calls, _ := l.wire.since()
		for i, call := range calls {
			calls[i], _, _ = strings.Cut(call, " ")
		}
		slices.Sort(calls)
		if got := strings.Join(calls, " "); err != nil || got != test.want {
			t.Errorf("%s: %v, the calls are %s, want %s", test.what, err, got, test.want)
		}
	}
}

func drain(entries iter.Seq2[nebula.Entry, error]) error {
	for e, err := range entries {
		if err != nil || e.Err != nil {
			return errors.Join(err, e.Err)
		}
	}
	return nil
}
