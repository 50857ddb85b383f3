package main

import (
	"context"
	"errors"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/many"
)

// verb is what a command does to each of many credentials.
type verb struct {
	name, participle, gerund string // delete, deleted, deleting

	asks   bool // before it does it to credentials that are named, too
	writes bool // it stores records, of which a store may take more at once

	// do reports whether there was something to do it to.
	do func(ctx context.Context, store *config.Opened, id nebula.ID) (existed bool, err error)
}

// overMany runs a verb over credentials, some at once, and prints the outcome,
// in JSON or in a line, unless there is no store at all. It returns the first
// failure.
func (a *app) overMany(ctx context.Context, store *config.Opened, ids []nebula.ID, v verb) error {
	results, stopped := a.doMany(ctx, store, ids, v)
	s := a.summarise(ids, results)
	noStore := errors.Is(stopped, nebula.ErrNotInitialised)
	var err error
	switch {
	case a.global.output == outputJSON:
		err = a.printSummary(s, v)
	case !noStore && (len(s.failed) == 0 || len(ids) > 1):
		a.tell(s.String(v))
	}
	if noStore {
		return stopped
	}
	return firstError(a.endOf(v, store.Describe().Provider, s, stopped), err)
}

// doMany returns the outcome for each, nil for those that were not begun, and the
// reason why some were not. After a signal it finishes those under way. At the
// end of the command's time it does not.
func (a *app) doMany(ctx context.Context, store *config.Opened, ids []nebula.ID, v verb) (results []*result, stopped error) {
	shown := &progress{}
	if len(ids) > 1 {
		shown = a.progress(v.gerund, len(ids))
	}
	defer shown.end()
	results = make([]*result, len(ids))
	done := 0
	jobs := store.MaxConcurrency
	if v.writes {
		jobs = store.Jobs()
	}
	one := func(ctx context.Context, id nebula.ID) (bool, error) { return v.do(ctx, store, id) }
	for r, err := range many.Do(ctx, many.Of(ids), many.Options{Jobs: jobs, Finish: true, Judge: judge}, one) {
		if err != nil {
			return results, err
		}
		results[r.Index] = &result{existed: r.Value, err: r.Err}
		shown.note(r.Err)
		done++
		shown.set(done)
	}
	return results, nil
}

// result is the outcome for a credential.
type result struct {
	existed bool
	err     error
}

// judge says whether the rest would fail too. The failure comes after its
// retries.
func judge(err error) many.About {
	if errors.Is(err, nebula.ErrNotInitialised) {
		return many.AboutRun
	}
	if nebula.KindOf(err).OfBackend() {
		return many.AboutBackend
	}
	return many.AboutItem
}
