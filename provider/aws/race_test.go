package aws_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/aws"
)

// openStores returns stores over one backend. Each has its own provider, as several
// processes would have.
func openStores(t *testing.T, c aws.Config, n int) []*nebula.Store {
	t.Helper()
	key := &nebula.KeyFile{Path: filepath.Join(t.TempDir(), "key")}
	if err := nebula.CreateKeyFile(key.Path); err != nil {
		t.Fatal(err)
	}
	stores := make([]*nebula.Store, n)
	for i := range stores {
		s, err := nebula.Open(t.Context(), open(t, c), nebula.Options{Keys: []nebula.Key{key}})
		if err != nil {
			t.Fatal(err)
		}
		stores[i] = s
	}
	if _, err := stores[0].Init(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return stores
}

// oursOf returns the stages of a secret that are not AWS's own.
func oursOf(s *awsserver.Server, id string) []string {
	return slices.DeleteFunc(s.Labels(id), func(label string) bool { return strings.HasPrefix(label, "AWS") })
}

// Sixteen processes that write one credential at once all succeed, in at most 200
// calls and 40 versions, and leave one stage. It makes no difference whether AWS
// moves a stage to a version that has lost its own. Chance decides which writers
// meet, and so does a machine that halts some of them: one of ten attempts has to
// succeed.
func TestManyWriters(t *testing.T) {
	environment(t)
	const maxCalls, maxVersions = 200, 40
	for _, stay := range []bool{false, true} {
		t.Run(fmt.Sprint("deprecated versions stay ", stay), func(t *testing.T) {
			for range 10 {
				calls, versions := writeAtOnce(t, 16, stay)
				t.Logf("%d calls, %d versions", calls, versions)
				if calls <= maxCalls && versions <= maxVersions {
					return
				}
			}
			t.Errorf("at most %d calls and %d versions are allowed", maxCalls, maxVersions)
		})
	}
}

// writeAtOnce returns the number of calls and versions that the writers need.
func writeAtOnce(t *testing.T, writers int, stay bool) (calls, kept int) {
	t.Helper()
	s := newServer(t, awsserver.Options{Now: time.Now})
	s.SetDeprecatedStay(stay)
	c := configFor(s)
	stores := openStores(t, c, writers)
	secret := func(i int) nebula.Secret { return nebula.NewSecret([]byte(fmt.Sprint("value ", i))) }
	if _, err := stores[0].Put(t.Context(), "shared", secret(-1), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	s.Inject(awsserver.Fault{Delay: 20 * time.Millisecond}) // as on a network
	s.ResetLog()
	versions, errs := make([]nebula.Version, writers), make([]error, writers)
	var group sync.WaitGroup
	for i, store := range stores {
		group.Go(func() {
			versions[i], errs[i] = store.Put(t.Context(), "shared", secret(i), nebula.PutOptions{})
		})
	}
	group.Wait()
	calls = s.Count("")
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	got, err := stores[0].Get(t.Context(), "shared")
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.Index(versions, got.Version); i < 0 || string(got.Secret.Reveal()) != fmt.Sprint("value ", i) {
		t.Errorf("version %s holds what no writer of it stored", got.Version)
	}
	id := c.SecretPrefix + "shared"
	if left := oursOf(s, id); len(left) > 1 {
		t.Errorf("stages %q are left", left)
	}
	return calls, s.Versions(id)
}

// Writers that add tags at the same time lose none.
func TestManyTagWriters(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	stores := openStores(t, c, 6)
	if _, err := stores[0].Put(t.Context(), "shared", nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	errs := make([]error, len(stores))
	var group sync.WaitGroup
	for i, store := range stores {
		group.Go(func() {
			_, errs[i] = store.Tag(t.Context(), "shared", map[string]string{fmt.Sprint("by", i): "x"}, nil)
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	got, err := stores[0].Get(t.Context(), "shared")
	if err != nil || len(got.Metadata.Tags) != len(stores) {
		t.Errorf("tags %v, %v", got.Metadata.Tags, err)
	}
}

// Writers of one process take turns. If several depend on the same version, one wins,
// and the others leave no version.
func TestTurns(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	p := open(t, c)
	name, first := record(t, "a", "v", nil)
	version, err := p.Store(t.Context(), name, first, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.Inject(awsserver.Fault{Operation: "PutSecretValue", Delay: 20 * time.Millisecond})
	s.ResetLog()
	errs := make([]error, 8)
	var group sync.WaitGroup
	for i := range errs {
		_, e := record(t, "a", "w", nil)
		group.Go(func() {
			_, errs[i] = p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: nebula.IfVersion(version), Previous: first})
		})
	}
	group.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wants(t, err, nebula.ErrConflict)
		}
	}
	if n := s.Versions(c.SecretPrefix + "a"); won != 1 || n != 2 {
		t.Errorf("%d won, there are %d versions", won, n)
	}
	if n := s.Count(""); n > 2+len(errs) {
		t.Errorf("%d calls", n)
	}
}

// A process that is killed between the two calls leaves a stage, which the next write
// reuses: twenty times, as often as AWS would allow stages.
func TestKilledWrites(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	c.Retry.MaxRetries = 0
	p := open(t, c)
	name, e := record(t, "a", "v", nil)
	version, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stop := s.Inject(awsserver.Fault{Operation: "UpdateSecretVersionStage", Error: awsserver.Throttled})
	conditional := nebula.StoreOptions{Precondition: nebula.IfVersion(version), Previous: e}
	for range 20 {
		_, next := record(t, "a", "w", nil)
		_, err := p.Store(t.Context(), name, next, conditional)
		wants(t, err, nebula.ErrUnavailable)
	}
	stop()
	_, next := record(t, "a", "w", nil)
	if _, err := p.Store(t.Context(), name, next, conditional); err != nil {
		t.Fatal(err)
	}
	if left := oursOf(s, c.SecretPrefix+"a"); len(left) > 1 {
		t.Errorf("stages %q are left", left)
	}
	history, err := p.History(t.Context(), name)
	if err != nil || len(history) < 2 || !history[0].Current {
		t.Errorf("history %v, %v", history, err)
	}
}

// Earlier releases left a stage for each write that was killed. Such a stage is not
// part of the history, and makes room when AWS takes no more stages.
func TestStagesOfEarlierReleases(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	p := open(t, c)
	name, e := record(t, "a", "v", nil)
	version, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	id, direct := c.SecretPrefix+"a", directClient(c)
	for i := range 19 {
		token := fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
		_, err := direct.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &id, ClientRequestToken: &token,
			SecretString: new(string(e.Bytes())), VersionStages: []string{"NEBULA_PENDING_" + token}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if history, err := p.History(t.Context(), name); err != nil || len(history) != 1 {
		t.Errorf("history %v, %v", history, err)
	}
	_, next := record(t, "a", "w", nil)
	if _, err := p.Store(t.Context(), name, next, nebula.StoreOptions{Precondition: nebula.IfVersion(version), Previous: e}); err != nil {
		t.Fatal(err)
	}
	if left := oursOf(s, id); len(left) != 1 || left[0] != "NEBULA_PENDING" {
		t.Errorf("stages %q are left", left)
	}
}

// If a move is refused because its version is gone, that is a conflict, never not
// found. The same holds if the secret was purged or deleted meanwhile.
func TestConflictIsNeverNotFound(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	p := open(t, c)
	name, e := record(t, "a", "v", nil)
	conditional := func(v nebula.Version) error {
		_, next := record(t, "a", "w", nil)
		_, err := p.Store(t.Context(), name, next, nebula.StoreOptions{Precondition: nebula.IfVersion(v), Previous: e})
		return err
	}
	version, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, conditional("00000000-0000-4000-8000-000000000000"), nebula.ErrConflict)
	if err := remove(t.Context(), p, name); err != nil {
		t.Fatal(err)
	}
	wants(t, conditional(version), nebula.ErrConflict)
	if err := purge(t.Context(), p, name); err != nil {
		t.Fatal(err)
	}
	wants(t, conditional(version), nebula.ErrConflict)
}

// A write that lost says how long to wait: the more writers there are, the longer.
func TestLosersWait(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	s.Inject(awsserver.Fault{Operation: "UpdateSecretVersionStage", Delay: 20 * time.Millisecond})
	c := configFor(s)
	p, other := open(t, c), open(t, c)
	name, e := record(t, "a", "v", nil)
	version, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	_, next := record(t, "a", "w", nil)
	_, err = p.Store(t.Context(), name, next, nebula.StoreOptions{Precondition: nebula.IfVersion(version), Previous: e})
	wants(t, err, nebula.ErrConflict)
	var after *provider.RetryAfter
	if !errors.As(err, &after) || after.Delay <= 0 {
		t.Errorf("it does not say how long to wait: %v", err)
	}
}
