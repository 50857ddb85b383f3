package azure_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
)

// retag replaces the tags of a secret, as another tool does.
func (r *rig) retag(t *testing.T, secret string, tags map[string]string) {
	t.Helper()
	latest, err := r.Latest(secret)
	if err != nil {
		t.Fatal(err)
	}
	latest.Tags = tags
	r.Add(latest)
}

// entries lists everything.
func entries(ctx context.Context, t *testing.T, p nebula.Provider, f nebula.Filter) []nebula.Entry {
	t.Helper()
	pager := p.List(ctx, f)
	defer pager.Close()
	var all []nebula.Entry
	for {
		page, err := pager.NextPage(ctx)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, slices.Clone(page)...)
	}
}

// If another tool removed the tags of a record, the record is recognised by its
// content: it is read, listed, and marked again by the next write.
func TestLiveTagsTakenAway(t *testing.T) {
	for what, tags := range map[string]map[string]string{
		"all":      nil,
		"replaced": {"costcenter": "7"},
		"broken":   {"nebula-": `{"id":`, "costcenter": "7"},
		"copied":   {"nebula-": `{"id":"github"}`},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			ctx := t.Context()
			name, e := record(t, "team_token", "v", map[string]string{"env": "prod"})
			if _, err := r.all(t, r.principal()).Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
				t.Fatal(err)
			}
			const secret = "nebula-credentials-team-5ftoken"
			r.retag(t, secret, tags)
			p := r.all(t, r.principal())
			listed := entries(ctx, t, p, nebula.Filter{Tags: map[string]string{"env": "prod"}})
			if len(listed) != 1 || listed[0].ID != "team_token" || listed[0].Err != nil || listed[0].Metadata.Tags["env"] != "prod" {
				t.Errorf("the list is %+v", listed)
			}
			if others := entries(ctx, t, p, nebula.Filter{Tags: map[string]string{"env": "test"}}); len(others) != 0 {
				t.Errorf("with another tag the list is %+v", others)
			}
			got, err := p.Retrieve(ctx, name)
			if err != nil || string(got.Envelope.Bytes()) != string(e.Bytes()) {
				t.Fatalf("it is not read: %v", err)
			}
			if found, err := p.Exists(ctx, name); err != nil || !found {
				t.Errorf("it exists: %v, %v", found, err)
			}
			_, next := record(t, "team_token", "next", map[string]string{"env": "prod"})
			if _, err := r.all(t, r.principal()).Store(ctx, name, next, nebula.StoreOptions{Precondition: nebula.IfVersion(got.Version)}); err != nil {
				t.Fatalf("it is not written: %v", err)
			}
			latest, err := r.Latest(secret)
			if err != nil || !strings.Contains(latest.Tags["nebula-"], "team_token") || latest.Tags["env"] != "prod" || latest.Tags["costcenter"] != tags["costcenter"] {
				t.Errorf("the tags are %v, %v", latest.Tags, err)
			}
		})
	}
}

// Only a tag has the id of a long name. If that is lost, an older version may have
// it; otherwise the list names the secret.
func TestLiveLongNameTagsTakenAway(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	id := strings.Repeat("Long_", 25)
	name, e := record(t, id, "v", nil)
	if _, err := r.all(t, r.principal()).Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	secret := r.only(t)
	r.retag(t, secret, nil)
	p := r.all(t, r.principal())
	if listed := entries(ctx, t, p, nebula.Filter{}); len(listed) != 1 || string(listed[0].ID) != id || listed[0].Err != nil {
		t.Errorf("with an older version that has the tag, the list is %+v", listed)
	}
	if _, err := p.Retrieve(ctx, name); err != nil {
		t.Error(err)
	}
	if _, err := p.Purge(ctx, name); err == nil {
		t.Error("a secret that may be another store's was purged")
	}
	other := newRig(t)
	other.Add(azureserver.Seed{Name: secret, Value: string(e.Bytes())})
	other.Add(azureserver.Seed{Name: strings.Replace(secret, "-4c", "-4d", 1), Value: "a stranger's"})
	listed := entries(ctx, t, other.all(t, other.principal()), nebula.Filter{Prefix: "x"})
	if len(listed) != 1 || string(listed[0].ID) != "secrets/"+secret {
		t.Fatalf("without any tag the list is %+v", listed)
	}
	wants(t, listed[0].Err, nebula.ErrCorrupted, "which held its id")
	if _, err := other.all(t, other.principal()).Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Errorf("it is not written: %v", err)
	}
	if listed := entries(ctx, t, other.all(t, other.principal()), nebula.Filter{}); len(listed) != 1 || string(listed[0].ID) != id {
		t.Errorf("after a write the list is %+v", listed)
	}
}

// only returns the name of the vault's only secret whose name begins as ours do.
func (r *rig) only(t *testing.T) string {
	t.Helper()
	for _, request := range r.Requests() {
		if request.Operation == azureserver.SetSecret {
			return request.Name
		}
	}
	t.Fatal("nothing was written")
	return ""
}

// If a secret cannot be recognised because its value cannot be read, the list names
// it.
func TestLiveUntold(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	r.Add(azureserver.Seed{Name: "nebula-credentials-off", Value: "x", Disabled: true})
	r.Add(azureserver.Seed{Name: "nebula-credentials-theirs", Value: "x"})
	listed := entries(ctx, t, r.all(t, r.principal()), nebula.Filter{})
	if len(listed) != 1 || listed[0].ID != "off" {
		t.Fatalf("the list is %+v", listed)
	}
	wants(t, listed[0].Err, nebula.ErrConflict, "disabled", "only its value tells")
	r.Inject(azureserver.ForbiddenByRbac(azureserver.GetSecret))
	listed = entries(ctx, t, r.all(t, r.principal()), nebula.Filter{})
	if len(listed) != 2 {
		t.Fatalf("the list is %+v", listed)
	}
	wants(t, listed[1].Err, nebula.ErrPermissionDenied, "getSecret/action", "only its value tells")
}

// If the secrets of a page could not be recognised, the next call serves that page.
func TestLiveListGoesOn(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	name, e := record(t, "a", "v", nil)
	p := r.all(t, r.principal())
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	r.retag(t, "nebula-credentials-a", nil)
	c := r.principal()
	c.Retry.MaxRetries = 0
	pager := r.all(t, c).List(ctx, nebula.Filter{})
	defer pager.Close()
	remove := r.Inject(azureserver.Throttled())
	defer remove()
	if _, err := pager.NextPage(ctx); nebula.KindOf(err) != nebula.ErrUnavailable {
		t.Errorf("throttled: %v", err)
	}
	remove()
	r.Inject(azureserver.Fault{Operation: azureserver.GetSecret, Status: 429, Times: 1})
	if _, err := pager.NextPage(ctx); nebula.KindOf(err) != nebula.ErrUnavailable {
		t.Errorf("throttled while it reads an item: %v", err)
	}
	if page, err := pager.NextPage(ctx); err != nil || len(page) != 1 || page[0].ID != "a" {
		t.Errorf("%+v, %v", page, err)
	}
	if _, err := pager.NextPage(ctx); err != io.EOF {
		t.Errorf("the end is %v", err)
	}
}

// A deleted record without tags can be restored and written over. It is not purged,
// since nothing says whose it is. A live one is purged if it is sealed under the key
// of the keyring.
func TestLiveDeletedTagsTakenAway(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	p := r.all(t, r.principal())
	if _, err := r.store(t).Put(ctx, "a", nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	name, others := record(t, "a", "v", nil)
	sealed, err := p.Retrieve(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	fresh := func() full { return r.all(t, r.principal()) }
	r.retag(t, "nebula-credentials-a", nil)
	if existed, err := fresh().Delete(ctx, name, nebula.Precondition{}); err != nil || !existed {
		t.Fatalf("deleted: %v, %v", existed, err)
	}
	r.clock.ahead.Add(int64(10 * time.Second)) // until the deletion can be seen
	_, err = fresh().Purge(ctx, name)
	wants(t, err, nebula.ErrCorrupted, "others removed the tags")
	if err := fresh().Restore(ctx, name); err != nil {
		t.Fatal(err)
	}
	if existed, err := fresh().Delete(ctx, name, nebula.Precondition{}); err != nil || !existed {
		t.Fatalf("deleted: %v, %v", existed, err)
	}
	if _, err := fresh().Store(ctx, name, sealed.Envelope, nebula.StoreOptions{Precondition: nebula.IfAbsent()}); err != nil {
		t.Fatal(err)
	}
	r.retag(t, "nebula-credentials-a", nil)
	if existed, err := fresh().Purge(ctx, name); err != nil || !existed {
		t.Errorf("purged: %v, %v", existed, err)
	}
	// A record under another key may be another store's.
	if _, err := p.Store(ctx, name, others, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	r.retag(t, "nebula-credentials-a", nil)
	_, err = fresh().Delete(ctx, name, nebula.Precondition{})
	wants(t, err, nebula.ErrCorrupted, "another store's")
	_, err = fresh().Purge(ctx, name)
	wants(t, err, nebula.ErrCorrupted, "another store's")
	if state := r.State("nebula-credentials-a"); state != "live" {
		t.Errorf("it is %s", state)
	}
}

// deleteBehind deletes a secret as another tool does.
func (r *rig) deleteBehind(t *testing.T, secret string) {
	t.Helper()
	transport := r.Server.Transport()
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, r.URL()+"/secrets/"+secret+"?api-version=7.4", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+r.Server.IssueToken("https://vault.azure.net", azureserver.TenantID, time.Hour))
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
}

// A deleted secret of somebody else is not restored: it is deleted again.
func TestLiveStrangersDeleted(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	for _, id := range []string{"a", "b"} {
		r.Add(azureserver.Seed{Name: "nebula-credentials-" + id, Value: "theirs"})
		r.deleteBehind(t, "nebula-credentials-"+id)
	}
	p := r.all(t, r.principal())
	a, _ := record(t, "a", "", nil)
	wants(t, p.Restore(ctx, a), nebula.ErrCorrupted, "not a nebula record", "was deleted again")
	b, e := record(t, "b", "ours", nil)
	_, err := p.Store(ctx, b, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrCorrupted, "not a nebula record", "was deleted again")
	for _, id := range []string{"a", "b"} {
		if value, err := r.Value("nebula-credentials-" + id); err != nil || value != "theirs" || strings.HasPrefix(r.State("nebula-credentials-"+id), "live") {
			t.Errorf("%s is %q, %s, %v", id, value, r.State("nebula-credentials-"+id), err)
		}
	}
}

// Two stores are in one vault, and the prefix of one begins with the prefix of the
// other. They leave each other alone: prefix and id together decide whose a secret
// is.
func TestLivePrefixOfAPrefix(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	inner, outer := r.principal(), r.principal()
	outer.SecretPrefix = "nebula-"
	ids := map[string][]string{"nebula-credentials-": {"2dx", "github", "credentials-y"}, "nebula-": {"credentials-z", "github", "token"}}
	long := strings.Repeat("Long_", 25)
	for prefix := range ids {
		ids[prefix] = append(ids[prefix], long)
		slices.Sort(ids[prefix])
	}
	for prefix, c := range map[string]nebula.Provider{"nebula-credentials-": r.open(t, inner), "nebula-": r.open(t, outer)} {
		for _, id := range ids[prefix] {
			name, e := record(t, id, prefix, nil)
			if _, err := c.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	lists := func(c nebula.Provider, want []string) {
		t.Helper()
		var got []string
		for _, e := range entries(ctx, t, c, nebula.Filter{}) {
			got = append(got, string(e.ID))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("the list is %q, want %q", got, want)
		}
	}
	lists(r.open(t, inner), ids["nebula-credentials-"])
	lists(r.open(t, outer), ids["nebula-"])
	// The outer store could take a secret for its credentials-x, but it is the inner
	// store's.
	p := r.all(t, outer)
	name, e := record(t, "credentials-x", "taken", nil)
	_, err := p.Store(ctx, name, e, nebula.StoreOptions{})
	wants(t, err, nebula.ErrCorrupted)
	_, err = p.Retrieve(ctx, name)
	wants(t, err, nebula.ErrCorrupted)
	_, err = p.Purge(ctx, name)
	wants(t, err, nebula.ErrCorrupted)
	for _, e := range entries(ctx, t, p, nebula.Filter{}) {
		n, _ := e.ID.Name()
		if _, err := p.Purge(ctx, n); err != nil {
			t.Error(err)
		}
	}
	lists(p, nil)
	lists(r.open(t, inner), ids["nebula-credentials-"])
}
