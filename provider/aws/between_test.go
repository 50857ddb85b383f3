package aws_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/aws"
)

// meanwhile lets something happen once, before a call of an operation is sent.
type meanwhile struct {
	http.RoundTripper
	operation string
	skip      int // so many calls pass first
	do        func()
	moveTo    string // of the call: the version that a stage is moved to
}

func (m *meanwhile) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.do == nil || !isCall(m.operation)(r) {
		return m.RoundTripper.RoundTrip(r)
	}
	if m.skip--; m.skip >= 0 {
		return m.RoundTripper.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var in struct{ MoveToVersionId string }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	do := m.do
	m.do, m.moveTo = nil, in.MoveToVersionId
	do()
	return m.RoundTripper.RoundTrip(r)
}

// peer does to one credential what another process may do at any time.
type peer struct {
	t      *testing.T
	s      *awsserver.Server
	c      aws.Config
	p      full
	name   nebula.Name
	theirs *nebula.Envelope
}

// between is a server with others, and a provider that makes one attempt, to
// which the others come between.
func between(t *testing.T) (o *peer, p full, m *meanwhile) {
	t.Helper()
	return betweenOn(t, awsserver.Options{}, provider.SystemClock{})
}

func betweenOn(t *testing.T, options awsserver.Options, clock provider.Clock) (o *peer, p full, m *meanwhile) {
	t.Helper()
	environment(t)
	s := newServer(t, options)
	c := configFor(s)
	o = &peer{t: t, s: s, c: c, p: open(t, c, provider.WithClock(clock))}
	o.name, o.theirs = record(t, "a", "theirs", map[string]string{"by": "others"})
	m = &meanwhile{RoundTripper: http.DefaultTransport.(*http.Transport).Clone()}
	c.Transport, c.Retry.MaxRetries = m, 0
	return o, open(t, c, provider.WithClock(clock)), m
}

func (o *peer) store() {
	o.t.Helper()
	if _, err := o.p.Store(o.t.Context(), o.name, o.theirs, nebula.StoreOptions{}); err != nil {
		o.t.Error(err)
	}
}

func (o *peer) delete() {
	o.t.Helper()
	if err := remove(o.t.Context(), o.p, o.name); err != nil {
		o.t.Error(err)
	}
}

func (o *peer) purge() {
	o.t.Helper()
	if err := purge(o.t.Context(), o.p, o.name); err != nil {
		o.t.Error(err)
	}
}

func (o *peer) restore() {
	o.t.Helper()
	if err := o.p.Restore(o.t.Context(), o.name); err != nil {
		o.t.Error(err)
	}
}

// put adds a version that has this stage.
func (o *peer) put(version, stage string) {
	o.t.Helper()
	id := o.c.SecretPrefix + o.name.String()
	if _, err := directClient(o.c).PutSecretValue(o.t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &id, ClientRequestToken: &version,
		SecretString: new(string(o.theirs.Bytes())), VersionStages: []string{stage}}); err != nil {
		o.t.Error(err)
	}
}

// move makes another version the current one.
func (o *peer) move(from, to string) error {
	id, stage := o.c.SecretPrefix+o.name.String(), "AWSCURRENT"
	_, err := directClient(o.c).UpdateSecretVersionStage(o.t.Context(), &secretsmanager.UpdateSecretVersionStageInput{SecretId: &id, VersionStage: &stage,
		RemoveFromVersionId: &from, MoveToVersionId: &to})
	return err
}

func (o *peer) nothing() {}

// Whatever others do between the calls of a write without a condition on a
// version, it is stored, with its tags.
func TestOthersComeBetween(t *testing.T) {
	anyway, absent := nebula.Precondition{}, nebula.IfAbsent()
	for what, c := range map[string]struct {
		begin     func(*peer) // beside a credential that is stored
		operation string      // what comes between comes before it
		comes     func(*peer)
		condition nebula.Precondition
		previous  bool
		kind      nebula.Kind
	}{
		"deleted before the version":             {(*peer).nothing, "PutSecretValue", (*peer).delete, anyway, false, ""},
		"deleted, the tags known":                {(*peer).nothing, "PutSecretValue", (*peer).delete, anyway, true, ""},
		"purged before the version":              {(*peer).nothing, "PutSecretValue", (*peer).purge, anyway, false, ""},
		"purged, the tags known":                 {(*peer).nothing, "PutSecretValue", (*peer).purge, anyway, true, ""},
		"created before the creation":            {(*peer).purge, "CreateSecret", (*peer).store, anyway, false, ""},
		"purged before it is restored":           {(*peer).delete, "RestoreSecret", (*peer).purge, anyway, false, ""},
		"deleted after it was restored":          {(*peer).delete, "PutSecretValue", (*peer).delete, anyway, false, ""},
		"deleted before the tags":                {(*peer).nothing, "TagResource", (*peer).delete, anyway, false, nebula.ErrNotFound},
		"absent: purged since":                   {(*peer).nothing, "DescribeSecret", (*peer).purge, absent, false, ""},
		"absent: purged before it is restored":   {(*peer).delete, "RestoreSecret", (*peer).purge, absent, false, ""},
		"absent: deleted after it was restored":  {(*peer).delete, "PutSecretValue", (*peer).delete, absent, false, ""},
		"absent: restored, so there is one":      {(*peer).delete, "DescribeSecret", (*peer).restore, absent, false, nebula.ErrAlreadyExists},
		"absent: overtaken when it was restored": {(*peer).delete, "PutSecretValue", (*peer).store, absent, false, nebula.ErrAlreadyExists},
	} {
		t.Run(what, func(t *testing.T) {
			o, p, m := between(t)
			o.store()
			c.begin(o)
			m.operation, m.do = c.operation, func() { c.comes(o) }
			_, mine := record(t, "a", "mine", map[string]string{"by": "me"})
			options := nebula.StoreOptions{Precondition: c.condition}
			if c.previous {
				options.Previous = o.theirs
			}
			v, err := p.Store(t.Context(), o.name, mine, options)
			if m.do != nil {
				t.Error("nothing came between")
			}
			got, failed := p.Retrieve(t.Context(), o.name)
			switch {
			case c.kind == nebula.ErrAlreadyExists:
				wants(t, err, c.kind)
				if failed != nil || string(got.Envelope.Bytes()) != string(o.theirs.Bytes()) {
					t.Errorf("it was written over: %v", failed)
				}
			case err != nil:
				t.Error(err)
			case c.kind == nebula.ErrNotFound:
				wants(t, failed, c.kind) // it was stored, and deleted since
			case failed != nil || got.Version != v || string(got.Envelope.Bytes()) != string(mine.Bytes()):
				t.Errorf("version %q stands, told %q, %v", got.Version, v, failed)
			default:
				lists(t, p, nebula.Filter{Tags: map[string]string{"by": "me"}}, "a")
				lists(t, p, nebula.Filter{Tags: map[string]string{"by": "others"}})
			}
		})
	}
}
