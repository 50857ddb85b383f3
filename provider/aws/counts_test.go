package aws_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

func pages(ctx context.Context, p nebula.Provider, f nebula.Filter) error {
	pager := p.List(ctx, f)
	defer pager.Close()
	for {
		if _, err := pager.NextPage(ctx); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// calls returns the operations on the wire since it was last called.
func calls(s *awsserver.Server) []string {
	var all []string
	for _, r := range s.Requests() {
		all = append(all, r.Operation)
	}
	s.ResetLog()
	return all
}

// These are the calls of each operation on the wire: the table of
// docs/providers/aws.md.
func TestCalls(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	p := open(t, configFor(s))
	ctx := t.Context()
	costs := func(what string, err error, want ...string) {
		t.Helper()
		if got := calls(s); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, calls\n%q, want\n%q", what, err, got, want)
		}
	}
	costs("connect", nil)
	name, first := record(t, "a", "1", map[string]string{"team": "x"})
	_, second := record(t, "a", "2", map[string]string{"team": "x"})
	_, retagged := record(t, "a", "3", map[string]string{"team": "y"})
	_, other := record(t, "a", "4", map[string]string{"other": "z"})
	store := func(e *nebula.Envelope, o nebula.StoreOptions) (nebula.Version, error) {
		return p.Store(ctx, name, e, o)
	}
	_, err := store(first, nebula.StoreOptions{})
	costs("store new", err, "DescribeSecret", "CreateSecret")
	_, err = store(second, nebula.StoreOptions{Previous: first})
	costs("store again", err, "PutSecretValue")
	_, err = store(first, nebula.StoreOptions{})
	costs("store again without the previous one", err, "DescribeSecret", "PutSecretValue")
	_, err = store(retagged, nebula.StoreOptions{Previous: first})
	costs("changed tag", err, "PutSecretValue", "TagResource")
	v, err := store(other, nebula.StoreOptions{Previous: retagged})
	costs("changed tags", err, "PutSecretValue", "UntagResource", "TagResource")
	current, err := store(other, nebula.StoreOptions{Previous: other, Precondition: nebula.IfVersion(v)})
	costs("store on condition", err, "PutSecretValue", "UpdateSecretVersionStage")
	_, err = store(other, nebula.StoreOptions{Precondition: nebula.IfVersion(v)})
	if nebula.KindOf(err) != nebula.ErrConflict {
		t.Errorf("an old version: %v", err)
	}
	costs("a conflict", nil, "DescribeSecret")
	_, err = p.Retrieve(ctx, name)
	costs("retrieve", err, "GetSecretValue")
	_, err = p.Exists(ctx, name)
	costs("exists", err, "DescribeSecret")
	costs("list", pages(ctx, p, nebula.Filter{}), "ListSecrets")
	costs("list with a filter", pages(ctx, p, nebula.Filter{Tags: map[string]string{"other": "z"}}), "ListSecrets")
	costs("delete", remove(ctx, p, name), "DescribeSecret", "DeleteSecret")
	costs("restore", p.Restore(ctx, name), "DescribeSecret", "RestoreSecret")
	_ = remove(ctx, p, name)
	calls(s)
	_, err = store(other, nebula.StoreOptions{Precondition: nebula.IfVersion(current)})
	wants(t, err, nebula.ErrConflict)
	costs("store on condition of what is deleted", nil, "DescribeSecret")
	_, err = store(other, nebula.StoreOptions{})
	costs("store over a deleted one", err, "DescribeSecret", "RestoreSecret", "PutSecretValue")
	_ = remove(ctx, p, name)
	calls(s)
	_, err = store(other, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	costs("if absent over a deleted one", err, "CreateSecret", "DescribeSecret", "RestoreSecret", "PutSecretValue",
		"UpdateSecretVersionStage")
	_, err = store(other, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	wants(t, err, nebula.ErrAlreadyExists)
	costs("if absent, over one", nil, "CreateSecret", "DescribeSecret")
	fresh, e := record(t, "b", "1", nil)
	_, err = p.Store(ctx, fresh, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	costs("if absent", err, "CreateSecret")
}

// These are the calls of a put in a new process: the goals, and the table of
// docs/providers/aws.md. The keyring is read at the same time as the record.
func TestCallsOfPut(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	stores := openStores(t, configFor(s), 8)
	put := func(i int, id nebula.ID, o nebula.PutOptions, want ...string) {
		t.Helper()
		s.ResetLog()
		if _, err := stores[i].Put(t.Context(), id, nebula.NewSecret([]byte("v")), o); err != nil {
			t.Fatal(err)
		}
		if got := calls(s); !slices.Equal(got, want) {
			t.Errorf("store %d: calls\n%q, want\n%q", i, got, want)
		}
	}
	const keyring, read = "GetSecretValue", "GetSecretValue"
	put(1, "a", nebula.PutOptions{}, keyring, read, "CreateSecret")
	put(2, "a", nebula.PutOptions{}, keyring, read, "PutSecretValue", "UpdateSecretVersionStage")
	put(2, "a", nebula.PutOptions{}, read, "PutSecretValue", "UpdateSecretVersionStage")
	put(3, "b", nebula.PutOptions{IfAbsent: true}, keyring, "CreateSecret")
	put(4, "a", nebula.PutOptions{Tags: map[string]string{"k": "v"}}, keyring, read, "PutSecretValue", "UpdateSecretVersionStage", "TagResource")
	put(4, "a", nebula.PutOptions{}, read, "PutSecretValue", "UpdateSecretVersionStage")
	put(4, "a", nebula.PutOptions{Tags: map[string]string{"k": "w"}}, read, "PutSecretValue", "UpdateSecretVersionStage", "TagResource")
	put(5, "a", nebula.PutOptions{}, keyring, read, "DescribeSecret", "PutSecretValue", "UpdateSecretVersionStage")
	put(5, "a", nebula.PutOptions{}, read, "PutSecretValue", "UpdateSecretVersionStage")
	put(6, "a", nebula.PutOptions{}, keyring, read, "PutSecretValue", "UpdateSecretVersionStage")
	put(7, "a", nebula.PutOptions{ClearTags: true}, keyring, read, "PutSecretValue", "UpdateSecretVersionStage", "UntagResource", "TagResource")
}

// A thousand credentials are read in 50 calls and listed in 10, fewer with a
// prefix.
func TestThousand(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	p := open(t, configFor(s))
	ctx := t.Context()
	var names []nebula.Name
	for i := range 1000 {
		name, e := record(t, fmt.Sprintf("n%03d", i), "v", map[string]string{"half": fmt.Sprint(i % 2)})
		if _, err := p.Store(ctx, name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()}); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	s.ResetLog()
	results, err := p.RetrieveBatch(ctx, names)
	if err != nil || len(results) != len(names) {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for i, r := range results {
		if r.Err != nil || r.Record.Version == "" {
			t.Fatalf("%s: %v", names[i], r.Err)
		}
	}
	if got := calls(s); len(got) != 50 || slices.ContainsFunc(got, func(op string) bool { return op != "BatchGetSecretValue" }) {
		t.Errorf("%d calls to read", len(got))
	}
	for _, c := range []struct {
		filter         nebula.Filter
		entries, calls int
	}{
		{nebula.Filter{}, 1000, 10},
		{nebula.Filter{Prefix: "n00"}, 10, 1},
		{nebula.Filter{Tags: map[string]string{"half": "1"}}, 500, 10},
		{nebula.Filter{Tags: map[string]string{"half": "2"}}, 0, 10},
	} {
		s.ResetLog()
		seen := make(map[nebula.ID]bool)
		pager := p.List(ctx, c.filter)
		for {
			page, err := pager.NextPage(ctx)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range page {
				seen[entry.ID] = true
			}
		}
		got := calls(s)
		if len(seen) != c.entries || len(got) != c.calls || got[0] != "ListSecrets" {
			t.Errorf("%+v: %d entries in %d calls, want %d in %d", c.filter, len(seen), len(got), c.entries, c.calls)
		}
	}
}
