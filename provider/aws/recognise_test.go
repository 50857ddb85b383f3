package aws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/provider/aws"
)

// untag removes all our tags, as tools of others do.
func untag(t *testing.T, c aws.Config, id string, keys ...string) {
	t.Helper()
	id = c.SecretPrefix + id
	in := &secretsmanager.UntagResourceInput{SecretId: &id, TagKeys: append(keys, "nebula=")}
	if _, err := directClient(c).UntagResource(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

func tagsOf(t *testing.T, c aws.Config, id string) map[string]string {
	t.Helper()
	id = c.SecretPrefix + id
	out, err := directClient(c).DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &id})
	if err != nil {
		t.Fatal(err)
	}
	tags := make(map[string]string)
	for _, tag := range out.Tags {
		tags[*tag.Key] = *tag.Value
	}
	return tags
}

func entries(t *testing.T, p nebula.Provider, f nebula.Filter) []nebula.Entry {
	t.Helper()
	pager := p.List(t.Context(), f)
	defer pager.Close()
	var all []nebula.Entry
	for {
		page, err := pager.NextPage(t.Context())
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
	}
}

func lists(t *testing.T, p nebula.Provider, f nebula.Filter, want ...nebula.ID) {
	t.Helper()
	var got []nebula.ID
	for _, e := range entries(t, p, f) {
		if e.Err != nil {
			t.Errorf("%s: %v", e.ID, e.Err)
		}
		got = append(got, e.ID)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("listed are %v, want %v", got, want)
	}
}

func storeTagged(t *testing.T, p nebula.Provider, id, value, team string, o nebula.StoreOptions) (nebula.Name, *nebula.Envelope, nebula.Version) {
	t.Helper()
	name, e := record(t, id, value, map[string]string{"team": team})
	v, err := p.Store(t.Context(), name, e, o)
	if err != nil {
		t.Fatal(err)
	}
	return name, e, v
}

// If another tool removed the tags of a credential, the credential is listed with
// what its record says. Every write that can see this restores its tags.
func TestLostTagsAreMended(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	for what, mend := range map[string]func(p full, name nebula.Name, e *nebula.Envelope, v nebula.Version) error{
		"store": func(p full, name nebula.Name, e *nebula.Envelope, _ nebula.Version) error {
			_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
			return err
		},
		"store on condition": func(p full, name nebula.Name, e *nebula.Envelope, v nebula.Version) error {
			_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfVersion(v)})
			return err
		},
		"sweep": func(p full, name nebula.Name, e *nebula.Envelope, v nebula.Version) error {
			lists(t, p, nebula.Filter{}, name.ID())
			_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfVersion(v), Previous: e})
			return err
		},
		"changed tags": func(p full, name nebula.Name, e *nebula.Envelope, v nebula.Version) error {
			_, other := record(t, name.String(), "v", map[string]string{"team": "x", "more": "1"})
			_, err := p.Store(t.Context(), name, other, nebula.StoreOptions{Precondition: nebula.IfVersion(v), Previous: e})
			return err
		},
		"delete and restore": func(p full, name nebula.Name, _ *nebula.Envelope, _ nebula.Version) error {
			return errors.Join(remove(t.Context(), p, name), p.Restore(t.Context(), name))
		},
		"restore of a live one": func(p full, name nebula.Name, _ *nebula.Envelope, _ nebula.Version) error {
			if err := p.Restore(t.Context(), name); err != nil {
				return err
			}
			if err := p.Restore(t.Context(), name); !errors.Is(err, nebula.ErrConflict) {
				return fmt.Errorf("again: %w", err)
			}
			return nil
		},
		"delete and store": func(p full, name nebula.Name, e *nebula.Envelope, _ nebula.Version) error {
			err := remove(t.Context(), p, name)
			_, failed := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
			return errors.Join(err, failed)
		},
	} {
		t.Run(what, func(t *testing.T) {
			p := open(t, c)
			name, e, v := storeTagged(t, p, "a", "v", "x", nebula.StoreOptions{})
			untag(t, c, "a", "team")
			lists(t, open(t, c), nebula.Filter{}, "a")
			lists(t, open(t, c), nebula.Filter{Tags: map[string]string{"team": "x"}}, "a")
			lists(t, open(t, c), nebula.Filter{Tags: map[string]string{"team": "y"}})
			if err := mend(open(t, c), name, e, v); err != nil {
				t.Fatal(err)
			}
			if got := tagsOf(t, c, "a"); got["team"] != "x" || got["nebula="] == "" {
				t.Errorf("the tags are %v", got)
			}
			if err := purge(t.Context(), p, name); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Such a credential can also be deleted and purged. One that is deleted and has no
// tags cannot be recognised, and stays.
func TestLostTagsRemoval(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	p := open(t, c)
	name, _, _ := storeTagged(t, p, "a", "v", "x", nebula.StoreOptions{})
	untag(t, c, "a", "team")
	if existed, err := p.Delete(t.Context(), name, nebula.Precondition{}); err != nil || !existed {
		t.Errorf("existed %v, %v", existed, err)
	}
	wants(t, purge(t.Context(), p, name), nebula.ErrConflict, "restore it first")
	if err := p.Restore(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	untag(t, c, "a", "team")
	if existed, err := p.Purge(t.Context(), name); err != nil || !existed {
		t.Errorf("existed %v, %v", existed, err)
	}
}

// A secret that cannot be recognised is listed with the reason: somebody changed its
// tag and its value is not a record, or it may not be read.
func TestDoubtfulSecretsAreListed(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	p := open(t, c)
	storeTagged(t, p, "denied", "v", "x", nebula.StoreOptions{})
	untag(t, c, "denied")
	s.Inject(awsserver.Fault{Operation: "GetSecretValue", Secret: c.SecretPrefix + "denied", Deny: true})
	name, _, _ := storeTagged(t, p, "changed", "v", "x", nebula.StoreOptions{})
	corrupt(t, c, name, []byte("no record"))
	id, key, value := c.SecretPrefix+"changed", "nebula=", "something"
	tagging := &secretsmanager.TagResourceInput{SecretId: &id, Tags: theirTags()}
	tagging.Tags[0].Key, tagging.Tags[0].Value = &key, &value
	if _, err := directClient(c).TagResource(t.Context(), tagging); err != nil {
		t.Fatal(err)
	}
	all := entries(t, p, nebula.Filter{})
	if len(all) != 2 {
		t.Fatalf("listed are %v", all)
	}
	for _, e := range all {
		kind := map[nebula.ID]nebula.Kind{"denied": nebula.ErrPermissionDenied, "changed": nebula.ErrCorrupted}[e.ID]
		wants(t, e.Err, kind, "cannot be read")
	}
}

// A plain secret of somebody else below the prefix is reported as one, not as a
// damaged record.
func TestPlainSecrets(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	p := open(t, c)
	for i, value := range []string{"plain", `{"username":"u","password":"p"}`, "-----BEGIN KEY-----"} {
		name, e := record(t, "theirs"+string(rune('0'+i)), "v", nil)
		id := c.SecretPrefix + name.String()
		if _, err := directClient(c).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &id, SecretString: &value}); err != nil {
			t.Fatal(err)
		}
		_, err := p.Retrieve(t.Context(), name)
		wants(t, err, nebula.ErrCorrupted, "not a nebula record", "import")
		results, _ := p.RetrieveBatch(t.Context(), []nebula.Name{name})
		wants(t, results[0].Err, nebula.ErrCorrupted, "not a nebula record")
		_, err = p.Store(t.Context(), name, e, nebula.StoreOptions{})
		wants(t, err, nebula.ErrCorrupted, "not a nebula record")
		wants(t, purge(t.Context(), p, name), nebula.ErrCorrupted, "not a nebula record")
		// If its owner deletes it, no call restores it for good.
		if _, err := directClient(c).DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: &id}); err != nil {
			t.Fatal(err)
		}
		_, err = p.Store(t.Context(), name, e, nebula.StoreOptions{})
		wants(t, err, nebula.ErrCorrupted, "not a nebula record")
		stop := s.Inject(awsserver.Fault{Operation: "DeleteSecret", Deny: true})
		wants(t, p.Restore(t.Context(), name), nebula.ErrCorrupted, "not a nebula record", "may be readable now", "delete-secret --secret-id "+id)
		stop()
		if _, err := directClient(c).DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: &id}); err != nil {
			t.Fatal(err)
		}
		wants(t, p.Restore(t.Context(), name), nebula.ErrCorrupted, "not a nebula record")
		if found, err := p.Exists(t.Context(), name); err != nil || found {
			t.Errorf("it is live: %v, %v", found, err)
		}
	}
	lists(t, p, nebula.Filter{})
}

// If the prefix of one store begins with the prefix of another, each store sees only
// its own credentials.
func TestPrefixOfAnother(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	short, long := configFor(s), configFor(s)
	short.SecretPrefix, long.SecretPrefix = "p/", "p/team-"
	ours, theirs := open(t, short), open(t, long)
	_, _, version := storeTagged(t, theirs, "x", "theirs", "t", nebula.StoreOptions{})
	storeTagged(t, ours, "a", "ours", "o", nebula.StoreOptions{})
	lists(t, ours, nebula.Filter{}, "a")
	lists(t, theirs, nebula.Filter{}, "x")
	name, e := record(t, "team-x", "v", nil)
	_, stored := ours.Store(t.Context(), name, e, nebula.StoreOptions{})
	_, onCondition := ours.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfVersion(version)})
	for _, err := range []error{stored, onCondition, remove(t.Context(), ours, name), purge(t.Context(), ours, name)} {
		wants(t, err, nebula.ErrConflict, "secret_prefix")
	}
	wants(t, ours.Restore(t.Context(), name), nebula.ErrNotFound, "secret_prefix")
	if err := remove(t.Context(), theirs, mustName(t, "x")); err != nil {
		t.Fatal(err)
	}
	_, stored = ours.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	wants(t, stored, nebula.ErrConflict, "secret_prefix")
	wants(t, purge(t.Context(), ours, name), nebula.ErrConflict, "secret_prefix")
	if err := theirs.Restore(t.Context(), mustName(t, "x")); err != nil {
		t.Error(err)
	}
}

// Tags of earlier releases do not name the store's place, and still mark credentials.
func TestTagsOfEarlierReleases(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	p := open(t, c)
	name, _, _ := storeTagged(t, p, "a", "v", "x", nebula.StoreOptions{})
	value := tagsOf(t, c, "a")["nebula="]
	value = value[:strings.LastIndex(value, "/")]
	id, key := c.SecretPrefix+"a", "nebula="
	tagging := &secretsmanager.TagResourceInput{SecretId: &id, Tags: theirTags()}
	tagging.Tags[0].Key, tagging.Tags[0].Value = &key, &value
	if _, err := directClient(c).TagResource(t.Context(), tagging); err != nil {
		t.Fatal(err)
	}
	calls(s)
	lists(t, p, nebula.Filter{Tags: map[string]string{"team": "x"}}, "a")
	if got := calls(s); len(got) != 1 {
		t.Errorf("calls %v", got)
	}
	if existed, err := p.Delete(context.WithoutCancel(t.Context()), name, nebula.Precondition{}); err != nil || !existed {
		t.Errorf("existed %v, %v", existed, err)
	}
}

func mustName(t *testing.T, id nebula.ID) nebula.Name {
	t.Helper()
	name, err := id.Name()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// If a secret is tagged as the credential's and holds something else, it was damaged:
// a rotation must not skip it as somebody else's.
func TestReplacedRecord(t *testing.T) {
	environment(t)
	c := configFor(newServer(t, awsserver.Options{}))
	p := open(t, c)
	name, e := record(t, "x", "v", nil)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	id, text := c.SecretPrefix+"x", "somebody's text"
	if _, err := directClient(c).PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &id, SecretString: &text}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Retrieve(t.Context(), name); !errors.Is(err, nebula.ErrCorrupted) || errors.Is(err, nebula.ErrNotARecord) {
		t.Errorf("tagged: %v", err)
	}
	untag(t, c, "x")
	if _, err := p.Retrieve(t.Context(), name); !errors.Is(err, nebula.ErrNotARecord) {
		t.Errorf("not tagged: %v", err)
	}
}
