package providertest

import (
	"context"
	"errors"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// contextCancelled: no operation begins under a cancelled context, and nothing
// changes.
func contextCancelled(r *rig) {
	ctx, cancel := context.WithCancel(r.ctx)
	cancel()
	r.endedContext(ctx, nebula.ErrInterrupted, context.Canceled)
}

// contextDeadline: no operation begins after the deadline of its context either,
// and the error says so.
func contextDeadline(r *rig) {
	ctx, cancel := context.WithDeadline(r.ctx, time.Now().Add(-time.Second))
	defer cancel()
	r.endedContext(ctx, nebula.ErrTimeout, context.DeadlineExceeded)
}

// endedContext calls every operation with ctx, which has ended.
func (r *rig) endedContext(ctx context.Context, kind nebula.Kind, cause error) {
	r.Helper()
	stays := r.record("stays")
	version := r.store(stays)
	refused := append(r.operations(r.p, r.record("new")), r.operations(r.p, r.record("stays"))...)
	for _, o := range refused {
		err := o.call(ctx)
		r.fails(err, kind, o.op, o.name)
		if !errors.Is(err, cause) {
			r.Errorf("%s: %v does not wrap %v", o.op, err, cause)
		}
	}
	r.absent(r.named("new"))
	if got := r.holds(stays); got != version {
		r.Errorf("the version changed from %q to %q", version, got)
	}
	r.wantList(nebula.Filter{}, "stays")
}

// contextOfList: a page obeys its own context.
func contextOfList(r *rig) {
	r.store(r.record("listed"))
	ctx, cancel := context.WithDeadline(r.ctx, time.Now().Add(-time.Second))
	defer cancel()
	pager := r.p.List(r.ctx, nebula.Filter{})
	defer pager.Close()
	_, err := pager.NextPage(ctx)
	r.fails(err, nebula.ErrTimeout, provider.OpList, nebula.Name{})
	r.wantList(nebula.Filter{}, "listed")
}

// contextDuring: a context that ends at any moment leaves the old or the new
// record whole, and the provider usable.
func contextDuring(r *rig) {
	old, next := r.record("moment"), r.seal("moment", string(make([]byte, 512)), metadata())
	for i := range r.many(40) / 2 {
		r.store(old)
		ctx, cancel := context.WithTimeout(r.ctx, time.Duration(i)*50*time.Microsecond)
		version, err := r.p.Store(ctx, next.name, next.Envelope, nebula.StoreOptions{})
		cancel()
		if err == nil {
			if got := r.holds(next); got != version {
				r.Errorf("Store gave version %q, Retrieve %q", version, got)
			}
			continue
		}
		r.fails(err, nebula.ErrTimeout, provider.OpStore, next.name)
		got, err := r.p.Retrieve(r.ctx, old.name)
		r.ok(err, "retrieve after a store that was ended")
		if string(got.Envelope.Bytes()) != string(old.Bytes()) {
			r.same(got, next)
		}
	}
}

// errorsLocated: each failure is an Error that names kind, operation, provider and
// id, and errors.Is finds its kind.
func errorsLocated(r *rig) {
	missing := r.named("missing")
	_, err := r.p.Retrieve(r.ctx, missing)
	r.fails(err, nebula.ErrNotFound, provider.OpRetrieve, missing)
	if e := new(nebula.Error); !errors.As(err, &e) || e.Error() == "" || errors.Is(err, nebula.ErrConflict) {
		r.Errorf("a poor error: %v", err)
	}
	r.fails(r.deletion(nebula.KeyringName()), nebula.ErrUsage, provider.OpDelete, nebula.KeyringName())
	e := r.seal("located", "a value that is private", metadata())
	r.store(e)
	if r.h.Preconditions == Refused {
		return
	}
	_, err = r.tryStore(e, nebula.IfVersion("no such version"))
	r.fails(err, nebula.ErrConflict, provider.OpStore, e.name)
}
