package providertest

import (
	"context"
	"errors"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// lifecycleUnconnected: before Connect every operation fails with ErrClosed.
func lifecycleUnconnected(r *rig) {
	need[nebula.Connector](r)
	p := r.fresh()
	c, _ := nebula.As[nebula.Connector](p)
	if got := c.State(); got != nebula.StateConfigured {
		r.Errorf("the state is %v, want configured", got)
	}
	for _, o := range r.operations(p, r.record("early")) {
		r.fails(o.call(r.ctx), nebula.ErrClosed, o.op, o.name)
	}
	r.connect(p)
	if got := c.State(); got != nebula.StateConnected {
		r.Errorf("after Connect the state is %v, want connected", got)
	}
	if _, err := p.Retrieve(r.ctx, r.named("early")); !errors.Is(err, nebula.ErrNotFound) {
		r.Errorf("after Connect: %v, want that nothing is stored", err)
	}
}

// lifecycleClosed: after Close every operation fails with ErrClosed, including
// Connect and the next page of a list that began before.
func lifecycleClosed(r *rig) {
	c := need[nebula.Connector](r)
	e := r.record("late")
	r.store(e)
	pager := r.p.List(r.ctx, nebula.Filter{})
	r.ok(c.Close(), "close")
	if got := c.State(); got != nebula.StateClosed {
		r.Errorf("the state is %v, want closed", got)
	}
	for _, o := range r.operations(r.p, e) {
		r.fails(o.call(r.ctx), nebula.ErrClosed, o.op, o.name)
	}
	r.fails(c.Connect(r.ctx), nebula.ErrClosed, provider.OpConnect, nebula.Name{})
	_, err := pager.NextPage(r.ctx)
	r.fails(err, nebula.ErrClosed, provider.OpList, nebula.Name{})
	r.ok(pager.Close(), "close the list")
}

// lifecycleConnectTwice: the second Connect does nothing.
func lifecycleConnectTwice(r *rig) {
	c := need[nebula.Connector](r)
	e := r.record("twice")
	r.store(e)
	r.ok(c.Connect(r.ctx), "connect again")
	if got := c.State(); got != nebula.StateConnected {
		r.Errorf("the state is %v, want connected", got)
	}
	r.holds(e)
}

// lifecycleCloseTwice: Close can be called twice, and without Connect.
func lifecycleCloseTwice(r *rig) {
	c := need[nebula.Connector](r)
	r.ok(c.Close(), "close")
	r.ok(c.Close(), "close again")
	p := r.fresh()
	unconnected, _ := nebula.As[nebula.Connector](p)
	r.ok(unconnected.Close(), "close without connect")
	r.fails(unconnected.Connect(r.ctx), nebula.ErrClosed, provider.OpConnect, nebula.Name{})
}

// lifecycleConnectContext: the context of Connect governs only the connecting, and a
// cancelled one connects nothing.
func lifecycleConnectContext(r *rig) {
	need[nebula.Connector](r)
	p := r.fresh()
	c, _ := nebula.As[nebula.Connector](p)
	ctx, cancel := context.WithCancel(r.ctx)
	cancel()
	if err := c.Connect(ctx); err != nil {
		r.fails(err, nebula.ErrInterrupted, provider.OpConnect, nebula.Name{})
		if got := c.State(); got != nebula.StateConfigured {
			r.Errorf("after a failed Connect the state is %v, want configured", got)
		}
	}
	ctx, cancel = context.WithCancel(r.ctx)
	r.ok(c.Connect(ctx), "connect after a cancelled one")
	cancel()
	e := r.record("after")
	_, err := p.Store(r.ctx, e.name, e.Envelope, nebula.StoreOptions{})
	r.ok(err, "store after the end of Connect's context")
	r.holdsIn(p, e)
}

// lifecycleReopen: another process can read what was stored, also after a
// restart.
func lifecycleReopen(r *rig) {
	e, gone := r.record("lasting"), r.record("gone")
	version := r.store(e)
	r.store(gone)
	r.remove(gone.name)
	if got := r.holdsIn(r.reopen(), e); got != version {
		r.Errorf("another handle sees version %q, want %q", got, version)
	}
	if c, ok := nebula.As[nebula.Connector](r.p); ok {
		r.ok(c.Close(), "close")
	}
	r.p = r.reopen()
	if got := r.holds(e); got != version {
		r.Errorf("after a restart the version is %q, want %q", got, version)
	}
	r.absent(gone.name)
}

// lifecycleIsolated: the harness gives each test another backend. Otherwise the
// other rules prove nothing.
func lifecycleIsolated(r *rig) {
	e := r.record("mine")
	r.store(e)
	other := r.fresh()
	r.connect(other)
	if found, err := other.Exists(r.ctx, e.name); err != nil || found {
		r.Fatalf("another backend has the record: %v, %v", found, err)
	}
}

// lifecycleDescribe: the description is the same before and after Connect, and
// says what the harness says.
func lifecycleDescribe(r *rig) {
	d := need[nebula.Describer](r)
	got := d.Describe()
	if got.Provider == "" {
		r.Errorf("the description names no provider: %+v", got)
	}
	if got.MaxRecordSize != r.h.MaxRecordSize {
		r.Errorf("MaxRecordSize is %d, the harness says %d", got.MaxRecordSize, r.h.MaxRecordSize)
	}
	if refused := r.h.Preconditions == Refused; got.NoPreconditions != refused {
		r.Errorf("NoPreconditions is %v, the harness says %v", got.NoPreconditions, refused)
	}
	if got.ComparesKeyring != r.h.ComparesKeyring {
		r.Errorf("ComparesKeyring is %v, the harness says %v", got.ComparesKeyring, r.h.ComparesKeyring)
	}
	if r.h.Lag > 0 && got.ListLag == 0 {
		r.Error("the harness says that lists are late, the description does not")
	}
	p := r.fresh()
	early, _ := nebula.As[nebula.Describer](p)
	before := early.Describe()
	r.connect(p)
	if after := early.Describe(); before != after {
		r.Errorf("the description changes with Connect: %+v, then %+v", before, after)
	}
}

// lifecycleAbilities: the provider has the abilities that the harness names.
func lifecycleAbilities(r *rig) {
	declared := make(map[Ability]bool)
	for _, a := range r.h.Abilities {
		declared[a] = true
	}
	for _, a := range abilitiesOf(r.p) {
		if !declared[a] {
			r.Errorf("the provider is a %s, which Harness.Abilities does not name", a)
		}
		delete(declared, a)
	}
	for a := range declared {
		r.Errorf("the provider lacks %s, which Harness.Abilities names", a)
	}
}

// lifecycleCloseDuring: Close lets operations under way end, and lets no other
// begin.
func lifecycleCloseDuring(r *rig) {
	c := need[nebula.Connector](r)
	e := r.record("during")
	r.store(e)
	closed := make(chan struct{})
	r.together(9, func(i int) error {
		if i == 8 {
			defer close(closed)
			return c.Close()
		}
		for ended := false; !ended; {
			select {
			case <-closed:
				ended = true
			default:
			}
			got, err := r.p.Retrieve(r.ctx, e.name)
			if errors.Is(err, nebula.ErrClosed) {
				return nil
			}
			if err != nil {
				return err
			}
			r.same(got, e)
		}
		return errors.New("an operation succeeded after Close had returned")
	})
}
