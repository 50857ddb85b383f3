package kubernetes_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider/kubernetes"
)

// listed returns the ids that a store lists, each with its error.
func listed(t *testing.T, l liveStore, f nebula.Filter) map[nebula.ID]error {
	t.Helper()
	found := make(map[nebula.ID]error)
	for e, err := range l.List(t.Context(), nebula.ListOptions{Filter: f}) {
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := found[e.ID]; twice {
			t.Errorf("%s is listed twice", e.ID)
		}
		found[e.ID] = e.Err
	}
	return found
}

func onlyListed(t *testing.T, l liveStore, f nebula.Filter, want ...nebula.ID) {
	t.Helper()
	found := listed(t, l, f)
	got := slices.Sorted(maps.Keys(found))
	if !slices.Equal(got, want) {
		t.Errorf("the list of %+v is %q, want %q", f, got, want)
	}
	for id, err := range found {
		if err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// doctor returns the finding about the marks.
func doctor(t *testing.T, c kubernetes.Config) nebula.Finding {
	t.Helper()
	checker, _ := nebula.As[nebula.Checker](open(t, c))
	for _, f := range checker.Check(t.Context()) {
		if f.Check == "marks" {
			return f
		}
	}
	t.Fatal("doctor does not look at the marks")
	return nebula.Finding{}
}

func change(t *testing.T, l liveStore, object string, metadata map[string]any) {
	t.Helper()
	livetest.Kubernetes(t).API(t, http.MethodPatch, strings.TrimPrefix(secretsOf(l.config), "/")+"/"+object, map[string]any{"metadata": metadata})
}

func metadataOf(t *testing.T, l liveStore, object string) (labels, annotations map[string]any) {
	t.Helper()
	metadata, _ := livetest.Kubernetes(t).API(t, http.MethodGet, strings.TrimPrefix(secretsOf(l.config), "/")+"/"+object, nil)["metadata"].(map[string]any)
	labels, _ = metadata["labels"].(map[string]any)
	annotations, _ = metadata["annotations"].(map[string]any)
	return labels, annotations
}

// Another tool removes our labels and annotations. The credential is recognised by
// its place: it is read, listed, named by doctor and deleted. Its next write marks it
// again, and leaves what others put on it.
func TestLiveMarksTakenAway(t *testing.T) {
	const object = "nebula-cred--54oken"
	for what, taken := range map[string]map[string]any{
		"the id":        {"annotations": map[string]any{"nebula-credential/id": nil}},
		"the metadata":  {"annotations": map[string]any{"nebula-credential/metadata": nil}},
		"the store":     {"labels": map[string]any{"nebula-credential/store": nil}},
		"another store": {"labels": map[string]any{"nebula-credential/store": "x"}},
		"labels":        {"labels": nil},
		"everything":    {"labels": nil, "annotations": nil},
	} {
		t.Run(what, func(t *testing.T) {
			l := newLiveStore(t)
			ctx := t.Context()
			if _, err := l.Put(ctx, "other", nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Put(ctx, "Token", nebula.NewSecret([]byte("v")), nebula.PutOptions{Tags: map[string]string{"env": "a"}}); err != nil {
				t.Fatal(err)
			}
			change(t, l, object, taken)
			change(t, l, object, map[string]any{"labels": map[string]any{"theirs": "x"}, "annotations": map[string]any{"theirs": "y"}})
			seen := func() {
				t.Helper()
				if got, err := l.reopen().Get(ctx, "Token"); err != nil || got.Metadata.Tags["env"] != "a" {
					t.Errorf("get: %v", err)
				}
				if found, err := l.Exists(ctx, "Token"); !found || err != nil {
					t.Errorf("exists: %v, %v", found, err)
				}
				onlyListed(t, l, nebula.Filter{}, "Token", "other")
				onlyListed(t, l, nebula.Filter{Tags: map[string]string{"env": "a"}}, "Token")
				onlyListed(t, l, nebula.Filter{Prefix: "T"}, "Token")
				_, err := l.Put(ctx, "Token", nebula.NewSecret([]byte("w")), nebula.PutOptions{IfAbsent: true})
				wants(t, err, nebula.ErrAlreadyExists)
			}
			seen()
			if f := doctor(t, l.config); f.Severity != nebula.SeverityWarning || !strings.Contains(f.Message, "1 of 2 credentials have lost labels or annotations of ours: Token") {
				t.Errorf("doctor: %+v", f)
			}
			if _, err := l.Tag(ctx, "Token", map[string]string{"more": "1"}, nil); err != nil {
				t.Fatal(err)
			}
			seen()
			if f := doctor(t, l.config); f.Severity != nebula.SeverityOK {
				t.Errorf("doctor after a write: %+v", f)
			}
			labels, annotations := metadataOf(t, l, object)
			for key, want := range map[string]string{"tag.nebula-credential/env": "a", "tag.nebula-credential/more": "1", "theirs": "x", "app.kubernetes.io/name": "nebula-credential"} {
				if labels[key] != want {
					t.Errorf("the label %s is %v", key, labels[key])
				}
			}
			if annotations["nebula-credential/id"] != "Token" || annotations["theirs"] != "y" {
				t.Errorf("the annotations are %v", annotations)
			}
			change(t, l, object, taken)
			if existed, err := l.Delete(ctx, "Token", nebula.DeleteOptions{}); !existed || err != nil {
				t.Errorf("delete: %v, %v", existed, err)
			}
			onlyListed(t, l, nebula.Filter{}, "other")
		})
	}
}

// Only an annotation has the id of a name that is too long. Without it the list names
// the Secret, and anyone who knows the id can read and mend it.
func TestLiveIDLost(t *testing.T) {
	l := newLiveStore(t)
	ctx := t.Context()
	id := nebula.ID(strings.Repeat("X", 128))
	name, err := id.Name()
	if err != nil {
		t.Fatal(err)
	}
	object := kubernetes.SecretName(l.config, name)
	if _, err := l.Put(ctx, id, nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for what, taken := range map[string]map[string]any{"the id": {"annotations": nil}, "everything": {"annotations": nil, "labels": nil}} {
		change(t, l, object, taken)
		for _, f := range []nebula.Filter{{}, {Tags: map[string]string{"env": "a"}}} {
			found := listed(t, l, f)
			if len(f.Tags) > 0 && what == "the id" {
				continue // its labels do not have the tag
			}
			wants(t, found[nebula.ID(object)], nebula.ErrCorrupted, object, "has lost the annotation nebula-credential/id")
			if len(found) != 1 {
				t.Errorf("%s: %v", what, found)
			}
		}
		if f := doctor(t, l.config); f.Severity != nebula.SeverityError || !strings.Contains(f.Message, object) {
			t.Errorf("%s: doctor: %+v", what, f)
		}
		if _, err := l.reopen().Get(ctx, id); err != nil {
			t.Errorf("%s: get: %v", what, err)
		}
		if _, err := l.Tag(ctx, id, map[string]string{"t": what[:3]}, nil); err != nil {
			t.Fatal(err)
		}
		onlyListed(t, l, nebula.Filter{}, id)
	}
}

// A Secret of somebody else under the prefix is not a record: it is not listed and
// not written, and the hint says how its values become credentials.
func TestLiveStranger(t *testing.T) {
	l := newLiveStore(t)
	s, ctx := livetest.Kubernetes(t), t.Context()
	path := strings.TrimPrefix(secretsOf(l.config), "/")
	for _, object := range []string{"nebula-cred-x", "nebula-cred-a--" + strings.Repeat("a", 52), "nebula-cred-Not-an-id"} {
		s.API(t, http.MethodPost, path, map[string]any{"metadata": map[string]any{"name": strings.ToLower(object)}, "stringData": map[string]any{"record": "p", "password": "p"}})
	}
	if _, err := l.Put(ctx, "mine", nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	onlyListed(t, l, nebula.Filter{}, "mine")
	if f := doctor(t, l.config); f.Severity != nebula.SeverityOK || !strings.Contains(f.Message, "2 Secrets of somebody else") {
		t.Errorf("doctor: %+v", f)
	}
	_, got := l.Get(ctx, "x")
	_, put := l.Put(ctx, "x", nebula.NewSecret([]byte("v")), nebula.PutOptions{})
	_, absent := l.Put(ctx, "x", nebula.NewSecret([]byte("v")), nebula.PutOptions{IfAbsent: true})
	_, exists := l.Exists(ctx, "x")
	_, deleted := l.Delete(ctx, "x", nebula.DeleteOptions{})
	for op, err := range map[string]error{"get": got, "put": put, "put if absent": absent, "exists": exists, "delete": deleted} {
		wants(t, err, nebula.ErrCorrupted, "nebula-cred-x", "is not a nebula record", "nebula import kubernetes:nebula-cred-x")
		if strings.Contains(fmt.Sprint(err), "damaged") {
			t.Errorf("%s: %v", op, err)
		}
	}
}

// If the record of another credential is in the place of one, it is a record, and
// opens only under its own id: it is listed, the error of a read names it, and it is
// not written over without a request.
func TestLiveMisplacedRecord(t *testing.T) {
	l := newLiveStore(t)
	s, ctx := livetest.Kubernetes(t), t.Context()
	path := strings.TrimPrefix(secretsOf(l.config), "/")
	if _, err := l.Put(ctx, "mine", nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	mine := s.API(t, http.MethodGet, path+"/nebula-cred-mine", nil)
	s.API(t, http.MethodPost, path, map[string]any{"metadata": map[string]any{"name": "nebula-cred-x"}, "data": mine["data"]})
	onlyListed(t, l, nebula.Filter{}, "mine", "x")
	_, err := l.Get(ctx, "x")
	wants(t, err, nebula.ErrCorrupted)
	_, err = l.Put(ctx, "x", nebula.NewSecret([]byte("v")), nebula.PutOptions{})
	wants(t, err, nebula.ErrCorrupted)
	if after := s.API(t, http.MethodGet, path+"/nebula-cred-x", nil); fmt.Sprint(after["data"]) != fmt.Sprint(mine["data"]) {
		t.Error("it was replaced")
	}
}

// If somebody removed the label of a tag, or all labels, they come back.
func TestLiveLabelsTakenAway(t *testing.T) {
	s, l := livetest.Kubernetes(t), newLiveStore(t)
	ctx := t.Context()
	if _, err := l.Put(ctx, "Token", nebula.NewSecret([]byte("v")), nebula.PutOptions{Tags: map[string]string{"env": "a"}}); err != nil {
		t.Fatal(err)
	}
	object := "api/v1/namespaces/" + l.config.Namespace + "/secrets/nebula-cred--54oken"
	for _, taken := range []any{map[string]any{"tag.nebula-credential/env": nil}, nil} {
		s.API(t, http.MethodPatch, object, map[string]any{"metadata": map[string]any{"labels": taken}})
		if _, err := l.Tag(ctx, "Token", map[string]string{"more": "1"}, []string{"env"}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Tag(ctx, "Token", map[string]string{"env": "b"}, nil); err != nil {
			t.Fatal(err)
		}
		var ids []nebula.ID
		for item, err := range l.List(ctx, nebula.ListOptions{Filter: nebula.Filter{Tags: map[string]string{"env": "b", "more": "1"}}}) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, item.ID)
		}
		if !slices.Equal(ids, []nebula.ID{"Token"}) {
			t.Errorf("the list is %v", ids)
		}
	}
}

// The prefix of one store may be the beginning of another's. Prefix and id decide
// whose a Secret is. If its marks are gone, the label that names the store decides.
func TestLivePrefixOfAPrefix(t *testing.T) {
	s := livetest.Kubernetes(t)
	c := liveConfig(t, s, s.Namespace(t))
	c.SecretPrefix = "a-"
	one := open(t, c)
	long := c
	long.SecretPrefix = "a-b-"
	other := open(t, long)
	stored := func(p nebula.Provider, ids ...string) {
		t.Helper()
		for _, id := range ids {
			name, e := record(t, id, "v", map[string]string{"team": "x"})
			if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	stored(one, "x", "b-x", "bA")
	stored(other, "x", "42", "long-"+strings.Repeat("X", 100))
	lists := func(p nebula.Provider, want ...nebula.ID) {
		t.Helper()
		for _, f := range []nebula.Filter{{}, {Tags: map[string]string{"team": "x"}}} {
			entries, err := list(t.Context(), p, f)
			var got []nebula.ID
			for _, e := range entries {
				got = append(got, e.ID)
				if e.Err != nil {
					t.Errorf("%s: %v", e.ID, e.Err)
				}
			}
			slices.Sort(got)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("the list is %q, %v, want %q", got, err, want)
			}
		}
	}
	longID := nebula.ID("long-" + strings.Repeat("X", 100))
	lists(one, "b-x", "bA", "x")
	lists(other, "42", longID, "x")

	// One name of a Secret is the place of bA in one store and of 41 in the other.
	name, e := record(t, "41", "v", nil)
	_, err := other.Store(t.Context(), name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrCorrupted, "a-b-41")
	wants(t, remove(t.Context(), other, name), nebula.ErrCorrupted, "a-b-41")
	path := strings.TrimPrefix(secretsOf(c), "/")
	s.API(t, http.MethodPatch, path+"/a-b-41", map[string]any{"metadata": map[string]any{"annotations": nil}})
	lists(one, "b-x", "bA", "x")
	lists(other, "42", longID, "x")
	bA, _ := record(t, "bA", "", nil)
	if _, err := one.Retrieve(t.Context(), bA); err != nil {
		t.Error(err)
	}
	_, err = other.Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrCorrupted, "is not this credential's")

	for _, p := range []nebula.Provider{one, other} {
		x, _ := record(t, "x", "", nil)
		if err := remove(t.Context(), p, x); err != nil {
			t.Error(err)
		}
	}
	lists(one, "b-x", "bA")
	lists(other, "42", longID)
}
