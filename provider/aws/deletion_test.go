package aws_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/aws"
)

// sleepClock is a clock that does not wait: a sleep moves it on at once.
type sleepClock struct {
	mu    sync.Mutex
	now   time.Time
	slept time.Duration
}

func (c *sleepClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *sleepClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.slept += d
	return ctx.Err()
}

func (c *sleepClock) Random() float64 { return 0.5 }

// A purge takes the time that AWS takes, and so does a store in that time. Nobody
// waits for a scheduled deletion.
func TestForcedDeletion(t *testing.T) {
	environment(t)
	clock := &sleepClock{now: time.Now()}
	s := newServer(t, awsserver.Options{Now: clock.Now, ForcedDeletion: 5 * time.Second})
	c := configFor(s)
	p := open(t, c, provider.WithClock(clock))
	ctx := t.Context()
	name, e := record(t, "a", "v", nil)
	store := func(condition nebula.Precondition) {
		t.Helper()
		if _, err := p.Store(ctx, name, e, nebula.StoreOptions{Precondition: condition}); err != nil {
			t.Fatal(err)
		}
	}
	store(nebula.Precondition{})
	if err := purge(ctx, p, name); err != nil {
		t.Fatal(err)
	}
	if clock.slept < 4*time.Second || clock.slept > 8*time.Second {
		t.Errorf("the purge waited for %v", clock.slept)
	}
	id, force := c.SecretPrefix+"a", true
	for _, condition := range []nebula.Precondition{{}, nebula.IfAbsent()} {
		store(nebula.IfAbsent())
		if _, err := directClient(c).DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &id, ForceDeleteWithoutRecovery: &force}); err != nil {
			t.Fatal(err)
		}
		if found, err := p.Exists(ctx, name); found || err != nil {
			t.Errorf("exists: %v, %v", found, err)
		}
		wants(t, p.Restore(ctx, name), nebula.ErrNotFound)
		clock.slept = 0
		store(condition)
		if clock.slept < 4*time.Second || clock.slept > 10*time.Second {
			t.Errorf("the store waited for %v", clock.slept)
		}
		if n := s.Versions(id); n != 1 {
			t.Errorf("%d versions after a purge", n)
		}
		if err := remove(ctx, p, name); err != nil {
			t.Fatal(err)
		}
		clock.slept = 0
		store(condition)
		if clock.slept > 0 {
			t.Errorf("it waited for %v after a plain deletion", clock.slept)
		}
		if err := purge(ctx, p, name); err != nil {
			t.Fatal(err)
		}
	}
}

// If AWS never ends a purge, the provider gives up after a minute or at the deadline.
func TestEndlessPurge(t *testing.T) {
	environment(t)
	clock := &sleepClock{now: time.Now()}
	s := newServer(t, awsserver.Options{Now: clock.Now, ForcedDeletion: time.Hour})
	c := configFor(s)
	c.Retry.MaxRetries = 0
	p := open(t, c, provider.WithClock(clock))
	name, e := record(t, "a", "v", nil)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	wants(t, purge(t.Context(), p, name), nebula.ErrTimeout, "still deleting")
	if clock.slept > 2*time.Minute {
		t.Errorf("it waited for %v", clock.slept)
	}
}

// The recovery window is the configured one.
func TestRecoveryWindow(t *testing.T) {
	environment(t)
	clock := &sleepClock{now: time.Now()}
	s := newServer(t, awsserver.Options{Now: clock.Now})
	c := configFor(s)
	c.RecoveryWindowDays = 7
	p := open(t, c)
	ctx := t.Context()
	name, e := record(t, "a", "v", nil)
	for _, days := range []time.Duration{6, 8} {
		if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := remove(ctx, p, name); err != nil {
			t.Fatal(err)
		}
		_ = clock.Sleep(ctx, days*24*time.Hour)
		err := p.Restore(ctx, name)
		if days == 6 && err != nil || days == 8 && !errors.Is(err, nebula.ErrNotFound) {
			t.Errorf("after %d days: %v", days, err)
		}
	}
}

// Secrets of others below the prefix are not listed, deleted or overwritten.
func TestForeignSecrets(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	p := open(t, c)
	ctx := t.Context()
	direct := directClient(c)
	value := "in the clear, and of others"
	for _, id := range []string{"theirs", "the.irs", "deeper/x"} {
		id = c.SecretPrefix + id
		if _, err := direct.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &id, SecretString: &value}); err != nil {
			t.Fatal(err)
		}
	}
	name, e := record(t, "theirs", "v", nil)
	_, stored := p.Store(ctx, name, e, nebula.StoreOptions{})
	_, absent := p.Store(ctx, name, e, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	_, read := p.Retrieve(ctx, name)
	wants(t, stored, nebula.ErrCorrupted, "not a nebula record")
	wants(t, absent, nebula.ErrAlreadyExists)
	wants(t, read, nebula.ErrCorrupted)
	wants(t, remove(ctx, p, name), nebula.ErrCorrupted, "not a nebula record")
	wants(t, purge(ctx, p, name), nebula.ErrCorrupted, "not a nebula record")
	if strings.Contains(read.Error(), value[:8]) {
		t.Errorf("the value is shown: %v", read)
	}
	page, err := p.List(ctx, nebula.Filter{}).NextPage(ctx)
	if err != nil || len(page) != 0 {
		t.Errorf("%v are listed, %v", page, err)
	}
	if len(s.Names()) != 3 {
		t.Errorf("%v are left", s.Names())
	}
}

// Tags of others stay. After a crash between value and tags, the next store puts our
// tags in order.
func TestTagsOfOthers(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	c.Retry.MaxRetries = 0
	p := open(t, c)
	ctx := t.Context()
	name, e := record(t, "a", "v", map[string]string{"old": "1"})
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	id := c.SecretPrefix + "a"
	tagTheirs(t, directClient(c), id)
	stop := s.Inject(awsserver.Fault{Operation: "UntagResource", Error: awsserver.InternalError})
	_, next := record(t, "a", "w", map[string]string{"new": "1"})
	_, err := p.Store(ctx, name, next, nebula.StoreOptions{Previous: e})
	wants(t, err, nebula.ErrUnavailable, "value was stored", "tags")
	stop()
	if _, err := p.Store(ctx, name, next, nebula.StoreOptions{Previous: next}); err != nil {
		t.Fatal(err)
	}
	out, err := directClient(c).DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &id})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, tag := range out.Tags {
		keys = append(keys, *tag.Key)
	}
	slices.Sort(keys)
	if !slices.Equal(keys, []string{"nebula=", "new", "owner"}) {
		t.Errorf("the tags are %v", keys)
	}
	page, err := p.List(ctx, nebula.Filter{}).NextPage(ctx)
	if err != nil || len(page) != 1 || len(page[0].Metadata.Tags) != 1 || page[0].Metadata.Tags["new"] != "1" {
		t.Errorf("listed is %+v, %v", page, err)
	}
}

// If one item of a batch cannot be read, only that item has an error.
func TestBatchErrors(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	p := open(t, configFor(s))
	ctx := t.Context()
	var names []nebula.Name
	for _, id := range []string{"denied", "kms", "throttled", "deleted", "missing", "good"} {
		name, e := record(t, id, "v", nil)
		names = append(names, name)
		if id == "missing" {
			continue
		}
		if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := remove(ctx, p, names[3]); err != nil {
		t.Fatal(err)
	}
	fault := func(id string, f awsserver.Fault) {
		f.Operation, f.Secret = "GetSecretValue", "nebula/credentials/"+id
		s.Inject(f)
	}
	fault("denied", awsserver.Fault{Deny: true})
	fault("kms", awsserver.Fault{Error: awsserver.KMSDenied})
	fault("throttled", awsserver.Fault{Error: awsserver.Throttled})
	results, err := p.RetrieveBatch(ctx, names)
	if err != nil {
		t.Fatal(err)
	}
	wants(t, results[0].Err, nebula.ErrPermissionDenied, "secretsmanager:GetSecretValue", "denied")
	wants(t, results[1].Err, nebula.ErrPermissionDenied, "kms:Decrypt")
	wants(t, results[2].Err, nebula.ErrUnavailable)
	wants(t, results[3].Err, nebula.ErrNotFound)
	wants(t, results[4].Err, nebula.ErrNotFound)
	if results[5].Err != nil {
		t.Error(results[5].Err)
	}
}

// If a caller may not read in batches, it reads one by one, and asks AWS for a batch
// once.
func TestBatchDenied(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	p := open(t, configFor(s))
	ctx := t.Context()
	var names []nebula.Name
	for _, id := range []string{"a", "b", "missing"} {
		name, e := record(t, id, "value", nil)
		names = append(names, name)
		if id == "missing" {
			continue
		}
		if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s.Inject(awsserver.Fault{Operation: "BatchGetSecretValue", Deny: true})
	s.ResetLog()
	for range 2 {
		results, err := p.RetrieveBatch(ctx, names)
		if err != nil || results[0].Err != nil || results[1].Err != nil {
			t.Fatalf("%v, %+v", err, results)
		}
		wants(t, results[2].Err, nebula.ErrNotFound)
	}
	batches := 0
	for _, operation := range calls(s) {
		if operation == "BatchGetSecretValue" {
			batches++
		}
	}
	if batches != 1 {
		t.Errorf("AWS was asked for a batch %d times", batches)
	}
}

// Doctor names each action that is missing, and leaves everything as it was.
func TestCheck(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	p := open(t, configFor(s))
	for _, action := range []string{"GetSecretValue", "DescribeSecret", "ListSecrets", "BatchGetSecretValue", "ListSecretVersionIds", "PutSecretValue",
		"UpdateSecretVersionStage", "TagResource", "UntagResource", "DeleteSecret", "RestoreSecret"} {
		stop := s.Inject(awsserver.Fault{Operation: action, Deny: true})
		found := false
		for _, f := range p.Check(t.Context()) {
			if f.Severity == nebula.SeverityOK || f.Severity == nebula.SeverityWarning && action != "BatchGetSecretValue" {
				continue
			}
			if !strings.HasPrefix(f.Message, "secretsmanager:"+action+" on ") || !strings.Contains(f.Fix, `"Action": ["secretsmanager:`+action) {
				t.Errorf("without %s: %+v", action, f)
			}
			found = true
		}
		if !found {
			t.Errorf("doctor did not find that %s is missing", action)
		}
		stop()
	}
	if names := s.Names(); len(names) != 0 {
		t.Errorf("%v are left", names)
	}
}

// After Close nothing of the provider runs.
func TestCloseEndsAll(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	before := runtime.NumGoroutine()
	for range 5 {
		p := open(t, configFor(s))
		name, _ := record(t, "x", "", nil)
		_, _ = p.Retrieve(t.Context(), name)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		if runtime.NumGoroutine() <= before+5 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%d goroutines became %d", before, runtime.NumGoroutine())
}

func tagTheirs(t *testing.T, client *secretsmanager.Client, id string) {
	t.Helper()
	in := &secretsmanager.TagResourceInput{SecretId: &id, Tags: theirTags()}
	if _, err := client.TagResource(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

func theirTags() []types.Tag {
	key, value := "owner", "platform"
	return []types.Tag{{Key: &key, Value: &value}}
}

// deadlines records the latest deadline of the requests.
type deadlines struct {
	http.RoundTripper
	latest time.Time
}

func (d *deadlines) RoundTrip(r *http.Request) (*http.Response, error) {
	at, ok := r.Context().Deadline()
	if !ok {
		at = time.Now().Add(24 * time.Hour)
	}
	if at.After(d.latest) {
		d.latest = at
	}
	return nil, errors.New("no network")
}

// Doctor waits for a silent server no longer than a read does.
func TestCheckEnds(t *testing.T) {
	environment(t)
	c := aws.DefaultConfig()
	d := &deadlines{}
	c.Region, c.Timeout, c.Transport = "us-east-1", 3*time.Second, d
	p := open(t, c)
	p.Check(t.Context())
	if end := time.Now().Add(c.Timeout); d.latest.IsZero() || d.latest.After(end) {
		t.Errorf("a request ends at %v, later than %v", d.latest, end)
	}
}
