package transfer

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/many"
)

// State is what a plan says about a credential.
type State uint8

// The states. A copy writes those that are New, and with Overwrite those that
// differ.
const (
	New         State = iota // not at the destination
	Same                     // there as it is here
	Differs                  // there, and another one
	TooLarge                 // more than the destination can hold
	TooManyTags              // more tags, or larger ones, than the destination can hold
	Failed                   // it cannot be read, or for another reason not be copied
)

// String returns the state as tables and JSON name it.
func (s State) String() string {
	return [...]string{"new", "same", "differs", "too_large", "too_many_tags", "failed"}[s]
}

// Item is a credential of a plan.
type Item struct {
	ID    nebula.ID
	Err   error // why it cannot be copied, of the last three states
	Size  int32 // of its record, in bytes; 0 if it could not be read
	State State
}

// Keyring is the keyring that a destination receives if it has none.
type Keyring struct {
	KeyID    nebula.KeyID
	Slots    []nebula.Slot // that it will have
	Notes    map[string]nebula.SlotNote
	Rotating bool // a rotation of the source was begun, and is to be ended at both
}

// Plan says what a copy would do. Making one changes nothing.
type Plan struct {
	Items   []Item   // by id
	Keyring *Keyring // nil if the destination has a keyring

	from, to *nebula.Store
	options  Options
	source   nebula.KeyInfo
	isListed map[nebula.ID]bool // at the destination; nil if that was not asked

	mu   sync.Mutex
	seen map[nebula.ID]nebula.Version // at the destination, of those that differ and can be read
	kept map[nebula.ID]nebula.Record  // of the source, read and not yet copied
	size int                          // of those, in bytes
}

const (
	// maxKept limits the records that a plan keeps, in bytes, so that a small
	// copy reads each once and a large one does not need more memory.
	maxKept = 2 << 20

	// maxNamed is how many ids are asked for at the destination one by one. For
	// more, it is listed.
	maxNamed = 100

	// maxGroup is how many credentials are read in one call, if the backend can do
	// that, and maxGroupBytes is their greatest size together.
	maxGroup      = 20
	maxGroupBytes = 4 << 20
)

// NewPlan looks at each credential at the source and at the destination.
//
// Errors: ErrUsage if both are one store; ErrWrongKey if the destination has
// another data key, without Reseal; ErrNotFound that wraps
// [nebula.ErrNotInitialised] if the source has no keyring, or with Reseal the
// destination; ErrUntrustedKey and the like if one of them is not to be trusted;
// that of a backend that keeps failing. The Item of a credential has its own
// errors.
func NewPlan(ctx context.Context, from, to *nebula.Store, options Options) (*Plan, error) {
	p := &Plan{from: from, to: to, options: options, kept: make(map[nebula.ID]nebula.Record), seen: make(map[nebula.ID]nebula.Version)}
	for _, step := range []func(context.Context) error{p.checkStores, p.list, p.listDestination, p.look} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// list finds the credentials at the source.
func (p *Plan) list(ctx context.Context) error {
	for _, id := range p.options.IDs {
		p.Items = append(p.Items, Item{ID: id})
	}
	if p.options.IDs == nil {
		for e, err := range p.from.List(ctx, nebula.ListOptions{Filter: p.options.Filter}) {
			if err != nil {
				return err
			}
			p.Items = append(p.Items, failedItem(e.ID, e.Err))
		}
	}
	slices.SortFunc(p.Items, func(a, b Item) int { return strings.Compare(string(a.ID), string(b.ID)) })
	p.Items = slices.CompactFunc(p.Items, func(a, b Item) bool { return a.ID == b.ID })
	return nil
}

func failedItem(id nebula.ID, err error) Item {
	item := Item{ID: id}
	if err != nil {
		item.fail(err)
	}
	return item
}

// fail says why a credential is not copied.
func (i *Item) fail(err error) {
	i.Err = err
	switch nebula.KindOf(err) {
	case nebula.ErrTooLarge:
		i.State = TooLarge
	case nebula.ErrInvalidMetadata:
		i.State = TooManyTags
	default:
		i.State = Failed
	}
}

// listDestination lists what is there, unless it is cheaper to ask for each. A
// list may be late: the condition of the write decides.
func (p *Plan) listDestination(ctx context.Context) error {
	if len(p.Items) <= maxNamed {
		return nil
	}
	p.isListed = make(map[nebula.ID]bool)
	for e, err := range p.to.List(ctx, nebula.ListOptions{}) {
		if p.Keyring != nil && isNoKeyring(err) {
			return nil
		}
		if err != nil {
			return err
		}
		p.isListed[e.ID] = true
	}
	return nil
}

// isNoKeyring reports the error with which a list ends if the store has
// nothing, and no keyring.
func isNoKeyring(err error) bool {
	return errors.Is(err, nebula.ErrNotInitialised) || nebula.KindOf(err) == nebula.ErrCorrupted
}

// look reads each credential at both ends.
func (p *Plan) look(ctx context.Context) error {
	done := 0
	var last error
	size := groupSize(p.from.Describe().MaxRecordSize)
	groups := many.Groups(upTo(len(p.Items)), size)
	for result, err := range many.Do(ctx, groups, many.Options{Jobs: max(2, p.from.MaxConcurrency()/size), Judge: judge}, p.lookAt) {
		if err != nil {
			return err
		}
		done += len(result.Item)
		if result.Err != nil {
			last = result.Err
		}
		p.tell(Progress{Planning: true, Done: done, Total: len(p.Items), LastError: last})
	}
	return nil
}

// groupSize is how many records are read together if each may have so many bytes;
// 0 is no limit.
func groupSize(maxRecord int) int {
	if maxRecord <= 0 {
		return 1
	}
	return max(1, min(maxGroup, maxGroupBytes/maxRecord))
}

func (p *Plan) tell(progress Progress) {
	if p.options.Progress != nil {
		p.options.Progress(progress)
	}
}

// upTo returns the numbers from 0 to n-1.
func upTo(n int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
	}
}

// lookAt looks at a group of credentials. It returns an error that concerns the
// backend. Each error is in its item, too.
func (p *Plan) lookAt(ctx context.Context, group []int) (struct{}, error) {
	var items []*Item
	for _, i := range group {
		if p.Items[i].Err == nil {
			items = append(items, &p.Items[i])
		}
	}
	here := make(map[nebula.ID]nebula.Record)
	for i, r := range p.from.VerifyMany(ctx, idsOf(items)) {
		if r.Err != nil {
			items[i].fail(r.Err)
			continue
		}
		here[items[i].ID], items[i].Size = r.Record, int32(len(r.Record.Envelope.Bytes()))
	}
	p.compare(ctx, items, here)
	for _, item := range items {
		if item.Err == nil && (item.State != Same || p.options.Move) {
			p.keep(item.ID, here[item.ID])
		}
		if item.Err != nil && judge(item.Err) != many.AboutItem {
			return struct{}{}, item.Err
		}
	}
	return struct{}{}, ctx.Err()
}

// compare finds out which of the readable credentials the destination has, and
// whether it can hold them.
func (p *Plan) compare(ctx context.Context, items []*Item, here map[nebula.ID]nebula.Record) {
	var asked []*Item
	for _, item := range items {
		if item.Err == nil && (p.isListed == nil || p.isListed[item.ID]) {
			asked = append(asked, item)
		}
	}
	for i, there := range p.to.GetSealedMany(ctx, idsOf(asked)) {
		p.judgeThere(ctx, asked[i], here[asked[i].ID], there)
	}
	for _, item := range items {
		if item.State == New || item.State == Differs && p.options.Overwrite {
			if err := p.to.Fits(ctx, item.ID, here[item.ID].Envelope); err != nil {
				item.fail(err)
			}
		}
	}
}

// judgeThere compares a credential with what the destination has under its id.
func (p *Plan) judgeThere(ctx context.Context, item *Item, here nebula.Record, there nebula.BatchResult) {
	switch kind := nebula.KindOf(there.Err); {
	case kind == "":
		same, err := p.same(ctx, item.ID, here, there.Record)
		switch {
		case err != nil:
			item.fail(err)
		case same:
			item.State = Same
		default:
			item.State = Differs
			p.mu.Lock()
			p.seen[item.ID] = there.Record.Version
			p.mu.Unlock()
		}
	case kind == nebula.ErrNotFound, p.Keyring != nil && isNoKeyring(there.Err):
	case isUnreadable(there.Err):
		item.State = Differs
	default:
		item.fail(there.Err)
	}
}

func idsOf(items []*Item) []nebula.ID {
	ids := make([]nebula.ID, len(items))
	for i, item := range items {
		ids[i] = item.ID
	}
	return ids
}

// keep keeps a record for the copy, as far as there is room.
func (p *Plan) keep(id nebula.ID, r nebula.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if size := len(r.Envelope.Bytes()); p.size+size <= maxKept {
		p.kept[id] = r
		p.size += size
	}
}

// take returns a record that was kept, once.
func (p *Plan) take(id nebula.ID) (nebula.Record, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := p.kept[id]
	delete(p.kept, id)
	return r, ok
}
