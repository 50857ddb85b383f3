package local

import (
	"context"
	"slices"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// maxHeld is how many records of a batch are put in place while the lock is held:
// other writers wait for a millisecond or two, as long as for a few stores.
const maxHeld = 50

// StoreBatch writes the records to temporary files, flushes them together, renames
// them and flushes the directory once. Each is put in place as Store does it: under
// the lock, after its checks.
func (d *driver) StoreBatch(ctx context.Context, items []nebula.BatchItem) ([]nebula.BatchOutcome, error) {
	outcomes := make([]nebula.BatchOutcome, len(items))
	open := make([]*pending, 0, len(items))
	for i := range items {
		p := &pending{BatchItem: &items[i], BatchOutcome: &outcomes[i]}
		if p.Err = d.allows(p.Name, p.Options.Precondition); p.Err == nil {
			open = append(open, p)
		}
	}
	for range storeAttempts {
		for group := range slices.Chunk(open, atomicfile.MaxStaged()) {
			d.storeGroup(ctx, group)
		}
		open = slices.DeleteFunc(open, func(p *pending) bool { return !atomicfile.IsGone(p.Err) })
	}
	for _, p := range open {
		p.Err = d.errTakenAway(p.Err)
	}
	return outcomes, nil
}

// pending is a record of a batch on its way to its place.
type pending struct {
	*nebula.BatchItem
	*nebula.BatchOutcome
	staged *atomicfile.Staged // nil if there is none any more
}

func (d *driver) storeGroup(ctx context.Context, group []*pending) {
	b, err := d.bases.forWriting(d.config.CreateDir)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		fail(group, err)
		return
	}
	d.sweepOnce(b)
	records := make([][]byte, len(group))
	for i, p := range group {
		records[i] = p.Envelope.Bytes()
	}
	staged, errs := b.StageAll(records)
	for i, p := range group {
		p.staged, p.Err = staged[i], errs[i]
	}
	group = slices.DeleteFunc(slices.Clone(group), func(p *pending) bool { return p.Err != nil })
	for turn := range slices.Chunk(group, maxHeld) {
		d.putInPlace(ctx, b, turn)
	}
	group = slices.DeleteFunc(group, func(p *pending) bool { return p.Err != nil })
	if len(group) == 0 {
		return
	}
	if err := b.Flush(); err != nil {
		fail(group, errNotFlushed(err))
		return
	}
	for _, p := range group {
		p.Version = versionOf(p.Envelope.Bytes())
	}
}

// putInPlace renames the temporary files of those that may be stored, and removes
// the others.
func (d *driver) putInPlace(ctx context.Context, b *base, turn []*pending) {
	for _, p := range turn {
		// The old records are freed, and files removed, when nobody waits.
		defer b.Hold(d.naming.file(p.Name)).Release()
	}
	defer func() {
		for _, p := range turn {
			if p.staged != nil {
				p.staged.Discard()
			}
		}
	}()
	err := ctx.Err()
	if err == nil {
		err = d.lock.Lock(ctx, d.closing, b.Dir)
	}
	if err != nil {
		fail(turn, err)
		return
	}
	defer d.lock.Unlock()
	for _, p := range turn {
		if p.Err = d.mayReplace(b, p.Name, p.Envelope, p.Options.Precondition); p.Err == nil {
			p.Err, p.staged = p.staged.Commit(d.naming.file(p.Name)), nil
		}
	}
}

func fail(group []*pending, err error) {
	for _, p := range group {
		p.Err = err
	}
}
