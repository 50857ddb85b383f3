package takeover

import (
	"context"
	"crypto/subtle"
	"errors"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/many"
)

// Plan says what happens to each secret of a source.
type Plan struct {
	Items     []Item
	Unmatched []string // names of the map that the source does not have
}

// Item is a secret of a plan.
type Item struct {
	Name  string
	ID    nebula.ID // "" if it is left out, or has none
	Note  string
	State State
	Err   error // of a failed one

	// Misnamed says that Err concerns the name: it makes no id, or one that another
	// name makes.
	Misnamed bool

	value    []byte
	previous *nebula.Credential // that is there, and differs
}

// State is what happens to a secret.
type State uint8

// The states. Before Compare all items with an id are New.
const (
	New      State = iota // not in the store
	Same                  // there, with this value
	Differs               // there, with another one
	LeftOut               // by the map
	Imported              // stored now
	Failed
)

// String returns words for a person.
func (s State) String() string {
	return [...]string{"new", "there already", "there, differs", "left out", "imported", "failed"}[s]
}

func (i *Item) fail(err error)    { i.State, i.Err = Failed, err }
func (i *Item) misname(err error) { i.fail(err); i.Misnamed = true }

// Wipe clears the values.
func (p *Plan) Wipe() {
	for _, item := range p.Items {
		clear(item.value)
		if item.previous != nil {
			item.previous.Secret.Wipe()
		}
	}
}

// Compare looks at what the store has under the ids. A store that is not
// initialised has nothing. If a credential cannot be read, its item fails. A
// returned error means that the backend keeps failing.
func (p *Plan) Compare(ctx context.Context, store *nebula.Store) error {
	const atOnce = 100
	for from := 0; from < len(p.Items); from += atOnce {
		var items []*Item
		var ids []nebula.ID
		for i := range p.Items[from:min(from+atOnce, len(p.Items))] {
			if item := &p.Items[from+i]; item.State == New {
				items, ids = append(items, item), append(ids, item.ID)
			}
		}
		for i, got := range store.GetMany(ctx, ids) {
			if err := items[i].compare(got); err != nil {
				return err
			}
		}
	}
	return nil
}

func (i *Item) compare(got nebula.GetResult) error {
	switch {
	case got.Err == nil && subtle.ConstantTimeCompare(got.Secret.Reveal(), i.value) == 1:
		i.State = Same
		got.Secret.Wipe()
	case got.Err == nil:
		i.State, i.previous = Differs, &got.Credential
	case nebula.KindOf(got.Err) == nebula.ErrNotFound:
	case judge(got.Err) != many.AboutItem:
		return got.Err
	default:
		i.fail(got.Err)
	}
	return nil
}

// Options goes with [Plan.Run].
type Options struct {
	Tags      map[string]string // of what is stored
	Overwrite bool              // replace what differs, if nobody else changes it meanwhile
	Jobs      int               // at once; 0 is many.DefaultJobs

	// Progress is called after each secret, by one goroutine at a time. It may be nil.
	Progress func(done, total int)
}

// Run stores new secrets, each only if there is still none, and notes the outcome.
// An error means that the run ended early. Items that it did not begin are New or
// Differs.
func (p *Plan) Run(ctx context.Context, store *nebula.Store, o Options) error {
	var todo []*Item
	for i := range p.Items {
		if item := &p.Items[i]; item.State == New || item.State == Differs && o.Overwrite {
			todo = append(todo, item)
		}
	}
	put := func(ctx context.Context, i *Item) (struct{}, error) {
		secret := nebula.NewSecret(i.value)
		defer secret.Wipe()
		_, err := store.Put(ctx, i.ID, secret, nebula.PutOptions{Tags: o.Tags, IfAbsent: i.previous == nil, Previous: i.previous})
		return struct{}{}, err
	}
	done := 0
	note := func(i *Item, err error) {
		i.State = Imported
		if err != nil {
			i.fail(err)
		}
		if done++; o.Progress != nil {
			o.Progress(done, len(todo))
		}
	}
	// The first one may make the store.
	if len(todo) > 0 {
		_, err := put(ctx, todo[0])
		if err != nil && judge(err) != many.AboutItem {
			return err
		}
		note(todo[0], err)
		todo = append([]*Item{}, todo[1:]...)
	}
	for r, err := range many.Do(ctx, many.Of(todo), many.Options{Jobs: o.Jobs, Finish: true, Judge: judge}, put) {
		if err != nil {
			return err
		}
		note(r.Item, r.Err)
	}
	return nil
}

// judge says what a failure concerns.
func judge(err error) many.About {
	switch nebula.KindOf(err) {
	case nebula.ErrUnavailable, nebula.ErrTimeout, nebula.ErrUnauthenticated, nebula.ErrInterrupted:
		return many.AboutBackend
	case nebula.ErrUntrustedKey, nebula.ErrClosed:
		return many.AboutRun
	}
	if errors.Is(err, nebula.ErrNotInitialised) {
		return many.AboutRun
	}
	return many.AboutItem
}
