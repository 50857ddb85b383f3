package providertest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// rig has the parts for a rule: a test, and a connected provider over a new
// backend. Its calls are counted.
type rig struct {
	*testing.T
	h   Harness
	ctx context.Context
	p   nebula.Provider

	calls   *counter
	metrics *provider.StorageMetrics
	private *privateTexts
}

func newRig(t *testing.T, h Harness) *rig {
	r := &rig{T: t, h: h, ctx: t.Context(), calls: &counter{}, metrics: &provider.StorageMetrics{}, private: &privateTexts{}}
	r.p = r.fresh(provider.WithInterceptors(r.calls.count), provider.WithMetrics(r.metrics))
	r.connect(r.p)
	return r
}

// fresh returns an unconnected provider over a new backend.
func (r *rig) fresh(options ...provider.Option) nebula.Provider {
	r.Helper()
	p := r.h.New(r.T, options...)
	if p == nil {
		r.Fatal("Harness.New returned nil")
	}
	return r.closing(p)
}

// closing closes a provider at the end of the test.
func (r *rig) closing(p nebula.Provider) nebula.Provider {
	if c, ok := nebula.As[nebula.Connector](p); ok {
		r.Cleanup(func() {
			if err := c.Close(); err != nil {
				r.Errorf("close at the end: %v", err)
			}
		})
	}
	return p
}

func (r *rig) connect(p nebula.Provider) {
	r.Helper()
	if c, ok := nebula.As[nebula.Connector](p); ok {
		r.ok(c.Connect(r.ctx), "connect")
	}
}

// reopen returns a second connected provider over the same backend, or skips.
func (r *rig) reopen() nebula.Provider {
	r.Helper()
	if r.h.Reopen == nil {
		r.Skip("the harness cannot reopen: the records live in the provider")
	}
	p := r.closing(r.h.Reopen(r.T, r.p))
	r.connect(p)
	return p
}

// handles returns the providers for concurrent writers: two over one backend if the
// harness can reopen, otherwise one.
func (r *rig) handles() []nebula.Provider {
	r.Helper()
	if r.h.Reopen == nil {
		return []nebula.Provider{r.p}
	}
	return []nebula.Provider{r.p, r.reopen()}
}

// corrupt damages a record, or skips the test if the harness cannot.
func (r *rig) corrupt(name nebula.Name, raw []byte) {
	r.Helper()
	if r.h.Corrupt == nil {
		r.Skip("the harness cannot damage records")
	}
	r.private.add(string(raw))
	r.h.Corrupt(r.T, r.p, name, raw)
}

// need returns the ability, or skips the test if the provider lacks it.
func need[T any](r *rig) T {
	r.Helper()
	ability, ok := nebula.As[T](r.p)
	if !ok {
		r.Skipf("the provider has no %T", (*T)(nil))
	}
	return ability
}

// needPreconditions skips the test if the provider refuses preconditions.
func (r *rig) needPreconditions() {
	r.Helper()
	if r.h.Preconditions == Refused {
		r.Skip("the provider refuses preconditions")
	}
}

// needAtomic skips the test if preconditions are not atomic.
func (r *rig) needAtomic() {
	r.Helper()
	if r.h.Preconditions != Atomic {
		r.Skip("the provider's preconditions are not atomic")
	}
}

// providerName is the provider that errors must name; "" if it is unknown.
func (r *rig) providerName() string {
	if d, ok := nebula.As[nebula.Describer](r.p); ok {
		return d.Describe().Provider
	}
	return ""
}

func (r *rig) ok(err error, what string) {
	r.Helper()
	if err != nil {
		r.Fatalf("%s: %v", what, err)
	}
}

// fails checks that err is an Error of that kind, names operation, provider and
// id, and shows nothing private.
func (r *rig) fails(err error, kind nebula.Kind, op string, name nebula.Name) {
	r.Helper()
	if err == nil {
		r.Fatalf("%s of %q succeeded, want %q", op, name, kind)
	}
	var e *nebula.Error
	if !errors.As(err, &e) {
		r.Fatalf("%s of %q: %T is not a *nebula.Error: %v", op, name, err, err)
	}
	if !errors.Is(err, kind) || nebula.KindOf(err) != kind {
		r.Errorf("%s of %q: kind %q, want %q: %v", op, name, e.Kind, kind, err)
	}
	if e.Op != op {
		r.Errorf("%s of %q: the error's Op is %q: %v", op, name, e.Op, err)
	}
	if want := r.providerName(); e.Provider == "" || want != "" && e.Provider != want {
		r.Errorf("%s of %q: the error's Provider is %q, want %q", op, name, e.Provider, want)
	}
	if e.ID != name.ID() {
		r.Errorf("%s of %q: the error's ID is %q", op, name, e.ID)
	}
	if text := r.private.in(err); text != "" {
		r.Errorf("%s of %q: the error shows %q", op, name, text)
	}
}

// store stores without a precondition.
func (r *rig) store(e record) nebula.Version { r.Helper(); return r.storeIf(e, nebula.Precondition{}) }

func (r *rig) storeIf(e record, condition nebula.Precondition) nebula.Version {
	r.Helper()
	version, err := r.tryStore(e, condition)
	r.ok(err, "store "+e.name.String())
	if version == "" {
		r.Fatalf("store %s: the version is empty", e.name)
	}
	return version
}

func (r *rig) tryStore(e record, condition nebula.Precondition) (nebula.Version, error) {
	version, err := r.p.Store(r.ctx, e.name, e.Envelope, nebula.StoreOptions{Precondition: condition})
	r.fits(e, err)
	return version, err
}

// holds checks that exactly e is stored, and returns its version.
func (r *rig) holds(e record) nebula.Version { r.Helper(); return r.holdsIn(r.p, e) }

func (r *rig) holdsIn(p nebula.Provider, e record) nebula.Version {
	r.Helper()
	got, err := p.Retrieve(r.ctx, e.name)
	r.ok(err, "retrieve "+e.name.String())
	r.same(got, e)
	if got.Version == "" {
		r.Fatalf("retrieve %s: the version is empty", e.name)
	}
	if found, err := p.Exists(r.ctx, e.name); err != nil || !found {
		r.Fatalf("exists %s: %v, %v, want true", e.name, found, err)
	}
	return got.Version
}

func (r *rig) same(got nebula.Record, want record) {
	r.Helper()
	if got.Envelope == nil {
		r.Fatalf("%s: a record without an envelope", want.name)
	}
	if !bytes.Equal(got.Envelope.Bytes(), want.Bytes()) {
		r.Fatalf("%s: not the stored record: %d bytes, want %d", want.name, len(got.Envelope.Bytes()), len(want.Bytes()))
	}
}

// absent checks that nothing is stored under name.
func (r *rig) absent(name nebula.Name) {
	r.Helper()
	_, err := r.p.Retrieve(r.ctx, name)
	r.fails(err, nebula.ErrNotFound, provider.OpRetrieve, name)
	if found, err := r.p.Exists(r.ctx, name); err != nil || found {
		r.Fatalf("exists %s: %v, %v, want false", name, found, err)
	}
}

func (r *rig) remove(name nebula.Name) {
	r.Helper()
	r.ok(r.deletion(name), "delete "+name.String())
}

// deletion deletes, and drops the report whether there was a credential.
func (r *rig) deletion(name nebula.Name) error {
	_, err := r.p.Delete(r.ctx, name, nebula.Precondition{})
	return err
}

// purged purges, and drops the report whether there was a credential.
func (r *rig) purged(p nebula.Purger, name nebula.Name) error {
	_, err := p.Purge(r.ctx, name)
	return err
}

// eventually calls check until it passes or the harness's lag has passed.
func (r *rig) eventually(check func() error) {
	r.Helper()
	deadline := time.Now().Add(r.h.Lag)
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().Add(wait).After(deadline) {
			r.Fatal(err)
		}
		time.Sleep(wait)
	}
}

// many returns how many records a rule may store, at most want.
func (r *rig) many(want int) int { return min(want, r.h.MaxStores) }

// privateTexts has the texts that no error may show: values and parts of records.
type privateTexts struct {
	mu    sync.Mutex
	texts []string
}

func (p *privateTexts) add(text string) {
	const minLength, maxLength = 8, 24
	if len(text) < minLength {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.texts = append(p.texts, strings.Clone(text[:min(len(text), maxLength)]))
}

// in returns the private text that the error shows, or "".
func (p *privateTexts) in(err error) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	message := err.Error()
	for _, text := range p.texts {
		if strings.Contains(message, text) {
			return text
		}
	}
	return ""
}
