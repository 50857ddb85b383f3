package local

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// StoreBatch stores the records in as few groups as possible.
func (d *driver) StoreBatch(ctx context.Context, items []nebula.BatchItem) ([]nebula.BatchOutcome, error) {
	all, allowed := make([]pending, len(items)), make([]*pending, 0, len(items))
	for i, item := range items {
		p := &all[i]
		p.BatchItem, p.ctx = item, ctx
		if p.Err = d.allows(item.Name, item.Options.Precondition); p.Err == nil {
			allowed = append(allowed, p)
		}
	}
	for group := range slices.Chunk(allowed, atomicfile.MaxStaged()) {
		d.storeGroup(group)
	}
	outcomes := make([]nebula.BatchOutcome, len(items))
	for i := range all {
		outcomes[i] = all[i].BatchOutcome
	}
	return outcomes, nil
}

// pending is a record on its way to its place.
type pending struct {
	nebula.BatchItem
	nebula.BatchOutcome
	ctx    context.Context
	staged *atomicfile.Staged // nil if there is none any more

	// Of a record that was gathered: see gather.go.
	state atomic.Int32
	done  chan struct{} // closed when the outcome is there
}

// maxHeld is how many records are put in place while the lock is held. Other
// writers then wait for a millisecond or two, as long as for a few stores.
const maxHeld = 50

// storeGroup writes the records to temporary files, flushes them together, renames
// them and flushes the directory once. Each is put in place under the lock, after
// its checks.
//
// Anyone can remove the directory or a temporary file at any time, by hand or on
// a network file system. Then storeGroup tries once more, in a directory that is
// there.
func (d *driver) storeGroup(group []*pending) {
	const attempts = 3
	for range attempts {
		d.tryGroup(group)
		group = those(group, func(p *pending) bool { return atomicfile.IsGone(p.Err) })
		if len(group) == 0 {
			return
		}
	}
	for _, p := range group {
		p.Err = &nebula.Error{Kind: nebula.ErrUnavailable, Err: p.Err,
			Message: "the directory " + d.address() + " was taken away while it was written to"}
	}
}

func (d *driver) tryGroup(group []*pending) {
	b, err := d.bases.forWriting(d.config.CreateDir)
	if err != nil {
		fail(group, err)
		return
	}
	d.sweepOnce(b)
	d.stage(b, group)
	group = those(group, (*pending).isStaged)
	for turn := range slices.Chunk(group, maxHeld) {
		d.putInPlace(b, turn)
	}
	group = those(group, func(p *pending) bool { return p.Err == nil })
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

// stage writes the temporary files of those that are still wanted.
func (d *driver) stage(b *base, group []*pending) {
	records, wanted := make([][]byte, 0, len(group)), make([]*pending, 0, len(group))
	for _, p := range group {
		if p.Err = context.Cause(p.ctx); p.Err == nil {
			records, wanted = append(records, p.Envelope.Bytes()), append(wanted, p)
		}
	}
	staged, errs := b.StageAll(records)
	for i, p := range wanted {
		p.staged, p.Err = staged[i], errs[i]
	}
}

func (p *pending) isStaged() bool { return p.staged != nil }

// putInPlace renames the temporary files of those that may be stored, and removes
// the others.
func (d *driver) putInPlace(b *base, turn []*pending) {
	for _, p := range turn {
		// Free the old records, and remove files, when nobody waits.
		defer b.Hold(d.naming.file(p.Name)).Release()
	}
	defer discard(turn)
	ctx, done := whileAny(turn)
	defer done()
	if err := d.lock.Lock(ctx, d.closing, b.Dir); err != nil {
		for _, p := range turn {
			p.Err = cmp.Or(context.Cause(p.ctx), err)
		}
		return
	}
	defer d.lock.Unlock()
	for _, p := range turn {
		p.Err = context.Cause(p.ctx)
		if p.Err == nil && !p.decide() {
			p.Err = context.Cause(p.ctx) // it has ended just now
		}
		if p.Err == nil {
			p.Err = d.commit(b, p)
		}
	}
}

// commit is called under the lock.
func (d *driver) commit(b *base, p *pending) error {
	if err := d.mayReplace(b, p.Name, p.Envelope, p.Options.Precondition); err != nil {
		return err
	}
	staged, file := p.staged, d.naming.file(p.Name)
	p.staged = nil
	if d.config.EnableLocking || !makesKeyring(p.Name, p.Options.Precondition) {
		return staged.Commit(file)
	}
	return commitNew(staged, file)
}

func discard(group []*pending) {
	for _, p := range group {
		if p.isStaged() {
			p.staged.Discard()
			p.staged = nil
		}
	}
}

func fail(group []*pending, err error) {
	for _, p := range group {
		p.Err = err
	}
}

func those(group []*pending, which func(*pending) bool) []*pending {
	var found []*pending
	for _, p := range group {
		if which(p) {
			found = append(found, p)
		}
	}
	return found
}
