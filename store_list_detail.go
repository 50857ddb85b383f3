package nebula

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/nebula-credential/nebula/internal/many"
)

// detailed lists entries and completes them, some at once. A provider that reads in
// batches gets a whole page, and itself makes several calls at once.
func (s *Store) detailed(ctx context.Context, options ListOptions) iter.Seq2[[]Entry, error] {
	jobs, most := s.options.MaxConcurrency, 1
	if _, ok := As[BatchRetriever](s.provider); ok {
		jobs, most = 1, math.MaxInt
	}
	work := func(ctx context.Context, part []Entry) ([]Entry, error) { return s.detail(ctx, part, options) }
	return func(yield func([]Entry, error) bool) {
		listing, cancel := context.WithCancel(ctx)
		defer cancel()
		pages := parts(s.pages(listing, options.Filter), most)
		for r, err := range many.Do(ctx, pages, many.Options{Jobs: jobs, Cancel: cancel, Judge: judge}, work) {
			if !yield(r.Value, err) {
				return
			}
		}
	}
}

// parts returns pages in parts of that size, which stay valid.
func parts(pages iter.Seq2[[]Entry, error], most int) iter.Seq2[[]Entry, error] {
	return func(yield func([]Entry, error) bool) {
		for page, err := range pages {
			if err != nil {
				yield(nil, err)
				return
			}
			for part := range slices.Chunk(slices.Clone(page), most) {
				if !yield(part, nil) {
					return
				}
			}
		}
	}
}

// judge says what a failure concerns, after its retries.
func judge(err error) many.About {
	if KindOf(err).OfBackend() {
		return many.AboutBackend
	}
	return many.AboutItem
}

// detail completes the entries of a page. If the backend does not list a version,
// it stays empty: it is not worth fetching a value for. Entries that were deleted
// meanwhile, or whose authentic record no longer matches, are left out. If nothing
// of a page could be read, the error is returned, and the entries have it too.
func (s *Store) detail(ctx context.Context, page []Entry, options ListOptions) ([]Entry, error) {
	var names []Name
	var at []int
	for i, e := range page {
		if e.Err == nil && (options.Verify || e.Metadata == nil) {
			name, err := e.ID.Name()
			if err != nil {
				page[i].Err = s.locate(err, "list", e.ID)
				continue
			}
			names, at = append(names, name), append(at, i)
		}
	}
	gone := make(map[int]bool)
	failed, failure := 0, error(nil)
	for j, result := range s.retrieveAll(ctx, names) {
		i := at[j]
		switch e := &page[i]; {
		case KindOf(result.Err) == ErrNotFound:
			gone[i] = true
		case result.Err != nil:
			e.Err = s.locate(result.Err, "retrieve", e.ID)
			failed, failure = failed+1, e.Err
		default:
			s.complete(ctx, e, names[j], result.Record, options.Verify)
			gone[i] = e.Err == nil && !options.Filter.Matches(e.ID, *e.Metadata)
		}
	}
	if failed < len(page) {
		failure = nil
	}
	kept := page[:0]
	for i, e := range page {
		if !gone[i] {
			kept = append(kept, e)
		}
	}
	return kept, failure
}

func (s *Store) complete(ctx context.Context, e *Entry, name Name, r Record, verify bool) {
	if verify {
		c, newest, err := s.openNewest(ctx, name, r, &prefetch{}, func(Record) error { return nil })
		if err != nil {
			e.Err = s.locate(err, "retrieve", e.ID)
			return
		}
		c.Secret.Wipe()
		r = newest
	}
	m := r.Envelope.metadata.clone()
	e.Version, e.Metadata = r.Version, &m
}

// retrieveAll reads several records, in batches if the provider has them, else
// some at a time. It returns one result for each name, in their order.
func (s *Store) retrieveAll(ctx context.Context, names []Name) []BatchResult {
	results := make([]BatchResult, len(names))
	batch, ok := As[BatchRetriever](s.provider)
	switch {
	case len(names) == 1:
		results[0].Record, results[0].Err = s.provider.Retrieve(ctx, names[0])
	case ok && len(names) > 0:
		read, err := batch.RetrieveBatch(ctx, names)
		if err == nil && len(read) != len(names) {
			err = &Error{Kind: ErrInternal, Message: fmt.Sprintf("a batch of %d names gave %d results", len(names), len(read))}
		}
		if err == nil {
			return read
		}
		for i := range results {
			results[i].Err = err
		}
	default:
		s.retrieveEach(ctx, names, results)
	}
	return results
}

// retrieveEach reads the records one by one, some at a time. If the backend
// keeps failing, it does not begin the others, and they fail for that reason.
func (s *Store) retrieveEach(ctx context.Context, names []Name, results []BatchResult) {
	begun := make([]bool, len(names))
	options := many.Options{Jobs: s.options.MaxConcurrency, Judge: judge}
	for r, err := range many.Do(ctx, many.Of(names), options, s.provider.Retrieve) {
		if err == nil {
			begun[r.Index], results[r.Index] = true, BatchResult{Record: r.Value, Err: r.Err}
			continue
		}
		for i := range results {
			if !begun[i] {
				results[i].Err = err
			}
		}
	}
}
