package memory_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/nebula-credential/nebula"
)

func dropFirst(entries []nebula.Entry) []nebula.Entry {
	if len(entries) > 1 {
		return entries[1:]
	}
	return entries
}

func listDefects() map[string]defect {
	var mu sync.Mutex
	buffer := make([]nebula.Entry, 0, 1000)
	return map[string]defect{
		"loses entries": {rule: "listMany", list: pages(dropFirst)},
		"doubles entries": {rule: "listMany", list: pages(func(e []nebula.Entry) []nebula.Entry {
			return append(e, e[:min(len(e), 1)]...)
		})},
		"shows the keyring": {rule: "keyringHidden", list: pages(func(e []nebula.Entry) []nebula.Entry {
			return append(e, nebula.Entry{ID: ".keyring"})
		})},
		"hides the damaged": {rule: "damageListed", list: pages(func(e []nebula.Entry) []nebula.Entry {
			return slices.DeleteFunc(e, func(e nebula.Entry) bool { return e.Err != nil })
		})},
		"damaged without a reason": {rule: "damageListed", list: pages(func(e []nebula.Entry) []nebula.Entry {
			for i := range e {
				e[i].Err = nil
			}
			return e
		})},
		"wrong version": {rule: "listEntries", list: pages(func(e []nebula.Entry) []nebula.Entry {
			for i := range e {
				e[i].Version = "1"
			}
			return e
		})},
		"shares a buffer": {rule: "listEntriesHold", list: pages(func(e []nebula.Entry) []nebula.Entry {
			mu.Lock()
			defer mu.Unlock()
			buffer = append(buffer[:0], e...)
			return buffer
		})},
		"ignores tags": {rule: "filterTags",
			list: func(p full, ctx context.Context, f nebula.Filter) nebula.Pager {
				f.Tags = nil
				return p.List(ctx, f)
			}},
		"ignores the prefix": {rule: "listPrefix",
			list: func(p full, ctx context.Context, f nebula.Filter) nebula.Pager {
				f.Prefix = ""
				return p.List(ctx, f)
			}},
		"ignores the scope": {rule: "filterScope",
			list: func(p full, ctx context.Context, f nebula.Filter) nebula.Pager {
				f.Scope = ""
				return p.List(ctx, f)
			}},
		"created after or at": {rule: "filterCreated",
			list: func(p full, ctx context.Context, f nebula.Filter) nebula.Pager {
				if !f.CreatedAfter.IsZero() {
					f.CreatedAfter = f.CreatedAfter.Add(-1)
				}
				return p.List(ctx, f)
			}},
		"end said once": {rule: "listEmpty",
			list: func(p full, ctx context.Context, f nebula.Filter) nebula.Pager {
				ended := false
				return brokenPager{p.List(ctx, f), func(inner nebula.Pager, ctx context.Context) ([]nebula.Entry, error) {
					if ended {
						return nil, nil
					}
					entries, err := inner.NextPage(ctx)
					ended = err == io.EOF
					return entries, err
				}}
			}},
		"cancelled page is lost": {rule: "listCancelled",
			list: func(p full, ctx context.Context, f nebula.Filter) nebula.Pager {
				return brokenPager{p.List(ctx, f), func(inner nebula.Pager, ctx context.Context) ([]nebula.Entry, error) {
					entries, err := inner.NextPage(ctx)
					if err != nil && err != io.EOF {
						_, _ = inner.NextPage(context.Background())
					}
					return entries, err
				}}
			}},
	}
}

func abilityDefects() map[string]defect {
	return map[string]defect{
		"restores over the live": {rule: "restoreLive",
			restore: func(p full, ctx context.Context, n nebula.Name) error {
				if err := p.Restore(ctx, n); !errors.Is(err, nebula.ErrConflict) {
					return err
				}
				return nil
			}},
		"purge only deletes": {rule: "restoreNothing",
			purge: func(p full, ctx context.Context, n nebula.Name) (bool, error) {
				return p.Delete(ctx, n, nebula.Precondition{})
			}},
		"purge says that nothing was there": {rule: "purgeReports",
			purge: func(p full, ctx context.Context, n nebula.Name) (bool, error) {
				_, err := p.Purge(ctx, n)
				return false, err
			}},
		"purges only the live": {rule: "restoreNothing",
			purge: func(p full, ctx context.Context, n nebula.Name) (bool, error) {
				if found, _ := p.Exists(ctx, n); !found {
					return false, nil
				}
				return p.Purge(ctx, n)
			}},
		"oldest first": {rule: "historyOrder",
			history: func(p full, ctx context.Context, n nebula.Name) ([]nebula.VersionInfo, error) {
				all, err := p.History(ctx, n)
				slices.Reverse(all)
				return all, err
			}},
		"empty history of nothing": {rule: "historyMissing",
			history: func(p full, ctx context.Context, n nebula.Name) ([]nebula.VersionInfo, error) {
				all, err := p.History(ctx, n)
				if errors.Is(err, nebula.ErrNotFound) {
					err = nil
				}
				return all, err
			}},
		"batch in another order": {rule: "batchRetrieve",
			batch: func(p full, ctx context.Context, names []nebula.Name) ([]nebula.BatchResult, error) {
				results, err := p.RetrieveBatch(ctx, names)
				slices.Reverse(results)
				return results, err
			}},
		"batch fails for one": {rule: "batchRetrieve",
			batch: func(p full, ctx context.Context, names []nebula.Name) ([]nebula.BatchResult, error) {
				results, err := p.RetrieveBatch(ctx, names)
				for _, result := range results {
					err = errors.Join(err, result.Err)
				}
				return results, err
			}},
		"notify at first only": {rule: "notifyTells",
			notify: func(p full, ctx context.Context, names []nebula.Name, changed func(...nebula.Name)) error {
				changed(names...)
				<-ctx.Done()
				return ctx.Err()
			}},
		"notify of all": {rule: "notifyTells",
			notify: func(p full, ctx context.Context, names []nebula.Name, changed func(...nebula.Name)) error {
				other, _ := nebula.ID("other").Name()
				return p.Notify(ctx, names, func(...nebula.Name) { changed(append(slices.Clone(names), other)...) })
			}},
		"notify not at first": {rule: "notifyTells",
			notify: func(p full, ctx context.Context, names []nebula.Name, changed func(...nebula.Name)) error {
				first := true
				return p.Notify(ctx, names, func(names ...nebula.Name) {
					if !first {
						changed(names...)
					}
					first = false
				})
			}},
		"notify without end": {rule: "notifyEnds",
			notify: func(p full, ctx context.Context, names []nebula.Name, changed func(...nebula.Name)) error {
				return p.Notify(context.WithoutCancel(ctx), names, changed)
			}},
		"identity of the name": {rule: "identityStays",
			identity: func(full, context.Context) (string, error) { return "memory", nil }},
		"identity of the handle": {rule: "identityStays",
			identity: func(p full, _ context.Context) (string, error) { return fmt.Sprintf("%p", p), nil }},
		"identity of the keyring": {rule: "identityStays",
			identity: func(p full, ctx context.Context) (string, error) {
				record, err := p.Retrieve(ctx, nebula.KeyringName())
				if err != nil {
					return "", nil
				}
				return string(record.Envelope.Bytes()), nil
			}},
		"check leaves a probe": {rule: "checkChangesNothing",
			check: func(p full, ctx context.Context) []nebula.Finding {
				name, _ := nebula.ID("nebula-probe").Name()
				at := time.Unix(1, 0)
				e, err := nebula.SealRecord([32]byte{}, name, nebula.NewSecret(nil), nebula.Metadata{CreatedAt: at, LastModified: at})
				if err == nil {
					_, _ = p.Store(ctx, name, e, nebula.StoreOptions{})
				}
				return p.Check(ctx)
			}},
	}
}
