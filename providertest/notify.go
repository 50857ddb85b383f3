package providertest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// notifyWait is how long the report of a change may take.
const notifyWait = 10 * time.Second

// hearing is a call of Notify under way.
type hearing struct {
	r      *rig
	told   chan nebula.Name
	result chan error
	stop   context.CancelFunc
}

func (r *rig) hear(a nebula.Notifier, names ...nebula.Name) *hearing {
	ctx, stop := context.WithCancel(r.ctx)
	h := &hearing{r: r, told: make(chan nebula.Name, 1000), result: make(chan error, 1), stop: stop}
	go func() {
		h.result <- a.Notify(ctx, names, func(changed ...nebula.Name) {
			for _, name := range changed {
				if !slices.Contains(names, name) {
					r.Errorf("%s was reported, and was not asked for", name)
				}
				h.told <- name
			}
		})
	}()
	r.Cleanup(stop)
	return h
}

// hears waits until a name is reported.
func (h *hearing) hears(name nebula.Name, what string) {
	h.r.Helper()
	timer := time.NewTimer(notifyWait)
	defer timer.Stop()
	for {
		select {
		case got := <-h.told:
			if got == name {
				return
			}
		case err := <-h.result:
			h.r.Fatalf("%s: Notify ended with %v", what, err)
		case <-timer.C:
			h.r.Fatalf("%s: %s was not reported", what, name)
		}
	}
}

// forgets drops reports until there have been none for a while.
func (h *hearing) forgets() {
	for {
		select {
		case <-h.told:
		case <-time.After(200 * time.Millisecond):
			return
		}
	}
}

// ends waits for the end, and returns the error.
func (h *hearing) ends() error {
	h.r.Helper()
	select {
	case err := <-h.result:
		return err
	case <-time.After(notifyWait):
		h.r.Fatal("Notify does not end")
		return nil
	}
}

// notifyTells: Notify first reports all names, then each that is stored, stored again
// or deleted, by this provider or by another, and no others.
func notifyTells(r *rig) {
	a := need[nebula.Notifier](r)
	first, absent, other := r.record("watched"), r.record("absent"), r.record("other")
	r.store(first)
	keyring, _ := keyrings()
	r.store(keyring)
	h := r.hear(a, first.name, absent.name)
	h.hears(first.name, "at first")
	h.forgets()
	r.store(r.record("watched"))
	h.hears(first.name, "after another store")
	r.store(absent)
	h.hears(absent.name, "after the first store")
	h.forgets()
	r.remove(first.name)
	h.hears(first.name, "after a deletion")
	h.forgets()
	r.store(other)
	r.remove(other.name)
	h.forgets()
	if r.h.Reopen != nil {
		p := r.reopen()
		_, err := p.Store(r.ctx, first.name, first.Envelope, nebula.StoreOptions{})
		r.ok(err, "store by another provider")
		h.hears(first.name, "after another provider's store")
	}
}

// notifyEnds: Notify ends with its context, and when the provider is closed.
func notifyEnds(r *rig) {
	a := need[nebula.Notifier](r)
	e := r.record("watched")
	r.store(e)
	h := r.hear(a, e.name)
	h.hears(e.name, "at first")
	h.stop()
	r.fails(h.ends(), nebula.ErrInterrupted, provider.OpNotify, nebula.Name{})
	h = r.hear(a, e.name)
	h.hears(e.name, "at first")
	if c, ok := nebula.As[nebula.Connector](r.p); ok {
		r.ok(c.Close(), "close under a listener")
		if err := h.ends(); err == nil {
			r.Error("Notify ended without a reason")
		}
		err := a.Notify(r.ctx, []nebula.Name{e.name}, func(...nebula.Name) {})
		if !errors.Is(err, nebula.ErrClosed) {
			r.Errorf("after Close: %v", err)
		}
	}
}
