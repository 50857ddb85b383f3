package nebula

import (
	"context"
	"errors"
	"io"
	"iter"
)

// ListOptions goes with [Store.List].
type ListOptions struct {
	Filter

	// Details gives every entry its version and metadata. If the backend does
	// not list them, that costs a call for each entry.
	Details bool

	// Verify opens every record. Metadata is then authentic, and Entry.Err says
	// why a record cannot be opened.
	Verify bool
}

// List returns the credentials that match, in no order, as they come from the
// backend. Memory does not grow with their number. An error ends the list. If a
// failure concerns one credential alone, it is in Entry.Err. So is a failure of
// the backend, unless the backend keeps failing. If there is no store, a list
// without entries ends with an error: ErrNotFound that wraps
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
		// Open the keyring once, and not for each entry: without a key nothing
		// can be verified.
		if _, err := s.keyring(ctx, &prefetch{}); err != nil && !errors.Is(err, ErrNotInitialised) {
			return err
		}
	}
	if scope != "" {
		if options.Scope != "" && options.Scope != scope {
			return nil
		}
		options.Scope = scope
	}
	options.WithMetadata = options.Details
	pages := s.pages(ctx, options.Filter)
	if options.Details || options.Verify {
		pages = s.detailed(ctx, options)
	}
	empty := true
	for page, err := range pages {
		if err != nil {
			return err
		}
		empty = empty && len(page) == 0
		for _, e := range page {
			if !yield(e) {
				return nil
			}
		}
	}
	if empty {
		return s.wantStore(ctx)
	}
	return nil
}

// pages lists the provider's entries.
func (s *Store) pages(ctx context.Context, filter Filter) iter.Seq2[[]Entry, error] {
	return func(yield func([]Entry, error) bool) {
		pager := s.provider.List(ctx, filter)
		defer pager.Close()
		for {
			page, err := pager.NextPage(ctx)
			if err == io.EOF || !yield(page, err) || err != nil {
				return
			}
		}
	}
}
