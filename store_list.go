package nebula

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"golang.org/x/sync/errgroup"
)

// ListOptions goes with [Store.List].
type ListOptions struct {
	Filter

	// Details gives every entry its version and metadata, which costs a call
	// an entry if the backend does not list them.
	Details bool

	// Verify opens every record: metadata is then authentic, and what cannot
	// be opened is reported in Entry.Err.
	Verify bool
}

// List returns the credentials that match, in no order, as they come from the
// backend. Memory does not grow with their number. An error ends the list;
// what concerns one credential alone is in Entry.Err. A list without entries
// ends with an error if there is no store: ErrNotFound that wraps
// [ErrNotInitialised], or ErrCorrupted if the store is known.
//
// Names, tags and times are as the backend shows them, unless Verify is set.
func (s *Store) List(ctx context.Context, options ListOptions) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if err := s.list(ctx, options, func(e Entry) bool { return yield(e, nil) }); err != nil {
			yield(Entry{}, s.locate(err, "list", ""))
		}
	}
}

func (s *Store) list(ctx context.Context, options ListOptions, yield func(Entry) bool) error {
	scope, err := s.scope(ctx)
	if err != nil {
		return err
	}
	if options.Verify {
		// Once, and not for each entry: without a key nothing can be verified.
		if _, err := s.keyring(ctx, &prefetch{}); err != nil && !errors.Is(err, ErrNotInitialised) {
			return err
		}
	}
	filter := options.Filter
	if scope != "" {
		if filter.Scope != "" && filter.Scope != scope {
			return nil
		}
		filter.Scope = scope
	}
	filter.WithMetadata = options.Details
	pager := s.provider.List(ctx, filter)
	defer pager.Close()
	for empty := true; ; {
		page, err := pager.NextPage(ctx)
		if err == io.EOF && empty {
			return s.wantStore(ctx)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		empty = empty && len(page) == 0
		if options.Details || options.Verify {
			page = s.detail(ctx, page, options)
		}
		for _, e := range page {
			if !yield(e) {
				return nil
			}
		}
	}
}

// detail completes the entries of a page. A version that the backend does not
// list is left out: it is not worth fetching a value for. Those that were deleted meanwhile,
// or of which an authentic record no longer matches, are left out.
func (s *Store) detail(ctx context.Context, page []Entry, options ListOptions) []Entry {
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
	for j, result := range s.retrieveAll(ctx, names) {
		i := at[j]
		switch e := &page[i]; {
		case KindOf(result.Err) == ErrNotFound:
			gone[i] = true
		case result.Err != nil:
			e.Err = s.locate(result.Err, "retrieve", e.ID)
		default:
			s.complete(ctx, e, names[j], result.Record, options.Verify)
			gone[i] = e.Err == nil && !options.Filter.Matches(e.ID, *e.Metadata)
		}
	}
	kept := page[:0]
	for i, e := range page {
		if !gone[i] {
			kept = append(kept, e)
		}
	}
	return kept
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

// retrieveAll reads several records, in batches if the provider has them,
// else some at a time. It returns one result a name, in their order.
func (s *Store) retrieveAll(ctx context.Context, names []Name) []BatchResult {
	if b, ok := As[BatchRetriever](s.provider); ok && len(names) > 0 {
		results, err := b.RetrieveBatch(ctx, names)
		if err == nil && len(results) != len(names) {
			err = &Error{Kind: ErrInternal, Message: fmt.Sprintf("a batch of %d names gave %d results", len(names), len(results))}
		}
		if err == nil {
			return results
		}
		results = make([]BatchResult, len(names))
		for i := range results {
			results[i].Err = err
		}
		return results
	}
	results := make([]BatchResult, len(names))
	var group errgroup.Group
	group.SetLimit(s.options.MaxConcurrency)
	for i, name := range names {
		group.Go(func() error {
			results[i].Record, results[i].Err = s.provider.Retrieve(ctx, name)
			return nil
		})
	}
	_ = group.Wait() // failures are in the results
	return results
}
