package transfer

import (
	"bytes"
	"context"
	"errors"
	"iter"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/many"
)

// run is a plan that is carried out.
type run struct {
	*Plan
	mover
	room     *many.Room // for records that are read at the source
	outcomes []outcome  // by the place of the item
	errs     map[int]error
	bytes    int64
}

// Run carries out the plan. The report has the outcome for each credential. The
// error says why the copy ended early: it is that of the context, of a backend
// that kept failing, or of a store. It is nil if the copy went to its end,
// however many credentials failed.
//
// If ctx is cancelled, Run finishes the credentials under way.
func (p *Plan) Run(ctx context.Context) (Report, error) {
	jobs, atSource := p.options.Jobs, p.options.Jobs
	if jobs == 0 {
		jobs, atSource = p.to.Jobs(), p.from.MaxConcurrency()
	}
	r := &run{Plan: p, room: many.NewRoom(atSource), outcomes: make([]outcome, len(p.Items)), errs: make(map[int]error)}
	todo := r.foresee()
	if todo > 0 {
		if err := r.carryKeyring(ctx); err != nil {
			return r.report(), err
		}
	}
	var last error
	done := 0
	o := many.Options{Jobs: jobs, Finish: true, Judge: judge}
	for result, err := range many.Do(ctx, r.todo(), o, r.one) {
		if err != nil {
			return r.report(), err
		}
		done++
		r.note(result.Item, result.Value, result.Err)
		if result.Err != nil {
			last = result.Err
		}
		p.tell(Progress{Done: done, Total: todo, Bytes: r.bytes, LastError: last})
	}
	return r.report(), nil
}

// foresee notes the outcome of the credentials that need no call, and returns the
// number of the others.
func (r *run) foresee() (todo int) {
	for i, item := range r.Items {
		switch {
		case item.Err != nil:
			r.note(i, failed, item.Err)
		case r.isTodo(item):
			todo++
		case item.State == Same:
			r.outcomes[i] = same
		default:
			r.outcomes[i] = differs
		}
	}
	return todo
}

func (r *run) isTodo(item Item) bool {
	switch item.State {
	case New:
		return true
	case Same:
		return r.options.Move
	case Differs:
		return r.options.Overwrite
	}
	return false
}

func (r *run) todo() iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i, item := range r.Items {
			if r.isTodo(item) && !yield(i, nil) {
				return
			}
		}
	}
}

func (r *run) note(i int, o outcome, err error) {
	if r.outcomes[i] = o; err != nil {
		r.outcomes[i], r.errs[i] = failed, err
	}
	if r.outcomes[i] == copied {
		r.bytes += int64(r.Items[i].Size)
	}
}

// carryKeyring gives the source's keyring to a destination without one. If
// another process did so meanwhile, that is as good.
func (r *run) carryKeyring(ctx context.Context) error {
	if r.Keyring == nil {
		return nil
	}
	err := r.giveKeyring(ctx, false)
	if errors.Is(err, nebula.ErrAlreadyExists) {
		return r.checkKey(ctx)
	}
	return err
}

// one copies a credential.
func (r *run) one(ctx context.Context, i int) (outcome, error) {
	item := r.Items[i]
	place, err := r.room.Enter(ctx)
	if err != nil {
		return failed, err
	}
	defer place.Leave()
	record, err := r.read(ctx, item.ID)
	if err != nil {
		return failed, err
	}
	place.Sized(len(record.Envelope.Bytes()))
	o := copied
	if item.State == Same {
		o = same
	} else if err = r.write(ctx, item, record); isConflict(err) {
		o, err = r.afterConflict(ctx, item, record, err)
	}
	if err != nil || o == differs {
		return o, err
	}
	return o, r.verify(ctx, item, record, o)
}

func isConflict(err error) bool {
	return errors.Is(err, nebula.ErrAlreadyExists) || errors.Is(err, nebula.ErrConflict)
}

// read returns the record at the source, authentic.
func (r *run) read(ctx context.Context, id nebula.ID) (nebula.Record, error) {
	if record, ok := r.take(id); ok {
		return record, nil
	}
	return r.from.Verify(ctx, id)
}

// write writes a credential on condition that the destination is as the plan found
// it.
func (r *run) write(ctx context.Context, item Item, record nebula.Record) error {
	o := nebula.AdoptOptions{Precondition: r.condition(item), Older: r.options.Overwrite}
	if !r.options.Reseal {
		_, err := r.to.PutSealed(ctx, item.ID, record.Envelope, o)
		return err
	}
	c, err := r.from.OpenRecord(ctx, item.ID, record)
	if err != nil {
		return err
	}
	defer c.Secret.Wipe()
	_, err = r.to.Adopt(ctx, c, o)
	return err
}

func (r *run) condition(item Item) nebula.Precondition {
	switch {
	case r.to.Describe().NoPreconditions:
		return nebula.Precondition{}
	case item.State == New:
		return nebula.IfAbsent()
	}
	// If the existing credential cannot be read, its version is not known.
	return nebula.IfVersion(r.seen[item.ID])
}

// afterConflict looks at the destination's credential, which another writer has
// stored since the plan, or which a list did not show.
func (r *run) afterConflict(ctx context.Context, item Item, record nebula.Record, conflict error) (outcome, error) {
	there, err := r.to.GetSealed(ctx, item.ID)
	switch kind := nebula.KindOf(err); {
	case kind == nebula.ErrNotFound: // gone again, or of another scope
		return failed, conflict
	case isUnreadable(err):
		return differs, nil
	case err != nil:
		return failed, err
	}
	equal, err := r.same(ctx, item.ID, record, there)
	switch {
	case err != nil:
		return failed, err
	case equal:
		return same, nil
	case item.State == Differs:
		return failed, conflict // it was to be overwritten as it was seen
	}
	return differs, nil
}

// verify reads the copy back, and then deletes the source of a move.
func (r *run) verify(ctx context.Context, item Item, record nebula.Record, o outcome) error {
	back, err := r.to.GetSealed(ctx, item.ID)
	if err != nil {
		return notVerified(item.ID, err)
	}
	equal, err := r.same(ctx, item.ID, record, back)
	if err != nil {
		return notVerified(item.ID, err)
	}
	if !equal {
		return &nebula.Error{Kind: nebula.ErrConflict, Op: "copy", Provider: r.to.Describe().Provider, ID: item.ID,
			Message: "the copy that was read back is not the one that was " + map[outcome]string{copied: "written", same: "there"}[o] + ": another writer came after it",
			Hint:    "run it again"}
	}
	if !r.options.Move {
		return nil
	}
	return r.remove(ctx, r.Plan, item.ID, record, back)
}

func notVerified(id nebula.ID, cause error) error {
	return &nebula.Error{Kind: nebula.KindOf(cause), Op: "copy", ID: id, Err: cause,
		Message: "the copy could not be read back: " + messageOf(cause), Hint: "run it again"}
}

func messageOf(err error) string {
	var e *nebula.Error
	if errors.As(err, &e) && e.Message != "" {
		return e.Message
	}
	return err.Error()
}

// unchanged reports whether two records are the same to the byte.
func unchanged(a, b nebula.Record) bool { return bytes.Equal(a.Envelope.Bytes(), b.Envelope.Bytes()) }
