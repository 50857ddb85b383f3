package azure_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/azure"
)

// tagged returns the tags of a secret without nebula's own.
func (r *rig) tagged(t *testing.T, secret string) map[string]string {
	t.Helper()
	latest, err := r.Latest(secret)
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(latest.Tags, func(key, _ string) bool { return strings.HasPrefix(key, "nebula-") })
	return latest.Tags
}

// addTags adds tags to a secret and removes others, as another tool does.
func (r *rig) addTags(t *testing.T, secret string, add map[string]string, remove ...string) {
	t.Helper()
	latest, err := r.Latest(secret)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(latest.Tags, add)
	for _, key := range remove {
		delete(latest.Tags, key)
	}
	r.Add(latest)
}

// Tags that others put on a secret stay through every kind of write. The credential's
// own and the configured ones are as they have to be.
func TestLiveForeignTags(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	c := r.principal()
	c.DefaultTags = map[string]string{"env": "prod"}
	const secret = "nebula-credentials-a"
	s := r.storeOn(t, r.made(t, c))
	put := func(tags map[string]string) {
		t.Helper()
		if _, err := s.Put(ctx, "a", nebula.NewSecret([]byte("v")), nebula.PutOptions{Tags: tags}); err != nil {
			t.Fatal(err)
		}
	}
	has := func(what string, want map[string]string) {
		t.Helper()
		if got := r.tagged(t, secret); !maps.Equal(got, want) {
			t.Errorf("after %s the tags are %v, want %v", what, got, want)
		}
	}
	put(map[string]string{"team": "x", "tier": "1"})
	has("put", map[string]string{"env": "prod", "team": "x", "tier": "1"})
	r.addTags(t, secret, map[string]string{"costcenter": "7", "team": "theirs", "long": strings.Repeat("v", 500), "x-": "y"}, "tier")
	foreign := map[string]string{"costcenter": "7", "long": strings.Repeat("v", 500), "x-": "y"}
	with := func(own map[string]string) map[string]string {
		all := maps.Clone(foreign)
		maps.Copy(all, own)
		return all
	}
	// Lists show the credential's own tags, also before the next write.
	lists := func(want map[string]string) {
		t.Helper()
		listed := entries(ctx, t, r.open(t, c), nebula.Filter{})
		if len(listed) != 1 || !maps.Equal(listed[0].Metadata.Tags, want) {
			t.Errorf("the list is %+v, want tags %v", listed, want)
		}
	}
	lists(map[string]string{"team": "theirs"})
	put(map[string]string{"team": "x"})
	has("put again", with(map[string]string{"env": "prod", "team": "x", "tier": "1"}))
	put(nil)
	has("one more", with(map[string]string{"env": "prod", "team": "x", "tier": "1"}))
	if _, err := s.Tag(ctx, "a", map[string]string{"new": "1"}, []string{"tier"}); err != nil {
		t.Fatal(err)
	}
	has("tag", with(map[string]string{"env": "prod", "team": "x", "new": "1"}))
	lists(map[string]string{"team": "x", "new": "1"})
	// A write removes a tag that the configuration no longer has.
	name, e := record(t, "a", "v", nil)
	if _, err := r.open(t, r.principal()).Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	has("a write by another configuration", foreign)
	// These are a record that was there before, and one that nobody read.
	r.clock.ahead.Add(int64(time.Minute))
	p := r.open(t, r.principal())
	for range 2 {
		if _, err := p.Store(ctx, name, e, nebula.StoreOptions{Previous: e}); err != nil {
			t.Fatal(err)
		}
		has("a write that knows the record", foreign)
		r.clock.ahead.Add(int64(time.Minute))
		r.addTags(t, secret, map[string]string{"later": "1"})
		foreign["later"] = "1"
	}
}

// Foreign tags of the keyring stay as well.
func TestLiveForeignTagsOfKeyring(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	_ = r.store(t)
	p := r.open(t, r.principal())
	keyring, err := p.Retrieve(ctx, nebula.KeyringName())
	if err != nil {
		t.Fatal(err)
	}
	r.addTags(t, "nebula-credentials---keyring", map[string]string{"costcenter": "7"})
	r.clock.ahead.Add(int64(time.Minute))
	if _, err := p.Store(ctx, nebula.KeyringName(), keyring.Envelope, nebula.StoreOptions{Previous: keyring.Envelope}); err != nil {
		t.Fatal(err)
	}
	if got := r.tagged(t, "nebula-credentials---keyring"); got["costcenter"] != "7" {
		t.Errorf("the tags are %v", got)
	}
}

// If foreign tags do not fit beside the credential's, the write is refused before it
// is sent, and the error names them.
func TestLiveForeignTagsTooMany(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	p := r.all(t, r.principal())
	own := make(map[string]string)
	for i := range 12 {
		own[fmt.Sprint("t", i)] = "x"
	}
	name, e := record(t, "a", "v", own)
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	r.addTags(t, "nebula-credentials-a", map[string]string{"costcenter": "7", "owner": "ops"})
	r.clock.ahead.Add(int64(time.Minute))
	own["t12"] = "x"
	name, next := record(t, "a", "next", own)
	r.Server.ForgetRequests()
	_, err := p.Store(ctx, name, next, nebula.StoreOptions{})
	wants(t, err, nebula.ErrInvalidMetadata, "16 tags would be needed", "1 of them for nebula's own data", `2 that others put there ("costcenter", "owner")`, "Key Vault keeps 15")
	if n := r.Count("set"); n != 0 {
		t.Errorf("%d writes were sent", n)
	}
	delete(own, "t12")
	name, next = record(t, "a", "next", own)
	if _, err := p.Store(ctx, name, next, nebula.StoreOptions{}); err != nil {
		t.Error(err)
	}
}

// A content type that others set stays. A configured one is set.
func TestLiveContentType(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	name, e := record(t, "a", "v", nil)
	write := func(c azure.Config) string {
		t.Helper()
		if _, err := r.open(t, c).Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
		latest, err := r.Latest("nebula-credentials-a")
		if err != nil {
			t.Fatal(err)
		}
		return latest.ContentType
	}
	c := r.principal()
	if got := write(c); got != "" {
		t.Errorf("the content type is %q", got)
	}
	latest, _ := r.Latest("nebula-credentials-a")
	latest.ContentType = "text/theirs"
	r.Add(latest)
	if got := write(c); got != "text/theirs" {
		t.Errorf("the content type is %q", got)
	}
	c.ContentType = "application/json"
	if got := write(c); got != "application/json" {
		t.Errorf("the content type is %q", got)
	}
}
