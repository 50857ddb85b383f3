package memory_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/memory"
	"github.com/nebula-credential/nebula/providertest"
)

// TestVariants: the allowances of the harness fit backends that need them. Each
// variant makes the memory provider lack what its name says, and it passes.
func TestVariants(t *testing.T) {
	t.Run("refuses preconditions", func(t *testing.T) {
		h := variant(defect{config: small(), store: refusing, storeBatch: refusingBatch, remove: refusingDelete, describe: func(d *nebula.Description) { d.NoPreconditions = true }})
		h.Preconditions = providertest.Refused
		providertest.Run(t, h)
	})
	t.Run("racy preconditions", func(t *testing.T) {
		h := variant(defect{config: small(), store: unlocked})
		h.Preconditions = providertest.Racy
		providertest.Run(t, h)
	})
	t.Run("racy deletions", func(t *testing.T) {
		h := variant(defect{config: small(), remove: racyDelete})
		h.RacyDeletions = true
		providertest.Run(t, h)
	})
	t.Run("folds case", func(t *testing.T) {
		h := variant(defect{config: small(), store: folding})
		h.FoldsCase = true
		providertest.Run(t, h)
	})
	t.Run("few tags", func(t *testing.T) {
		h := variant(defect{config: small(), store: fewTags})
		h.MaxTags, h.AcceptsTag = maxTags, plainTag
		providertest.Run(t, h)
	})
	t.Run("late lists", func(t *testing.T) {
		h := variant(defect{config: small()})
		h.New = func(t *testing.T, options ...provider.Option) nebula.Provider {
			return &late{full: newProvider(t, small(), options...)}
		}
		h.Reopen, h.Corrupt, h.Lag, h.MaxStores = nil, nil, 5*time.Second, 20
		providertest.Run(t, h)
	})
	t.Run("no abilities", func(t *testing.T) {
		providertest.Run(t, providertest.Harness{New: func(t *testing.T, options ...provider.Option) nebula.Provider {
			p := newProvider(t, memory.DefaultConfig(), options...)
			if err := p.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			return struct{ nebula.Provider }{p}
		}})
	})
}

func storeError(kind nebula.Kind, n nebula.Name) error {
	return &nebula.Error{Kind: kind, Op: "store", Provider: "memory", ID: n.ID()}
}

func refusingDelete(p full, ctx context.Context, n nebula.Name, c nebula.Precondition) (bool, error) {
	if _, conditional := c.Version(); conditional {
		return false, &nebula.Error{Kind: nebula.ErrNotSupported, Op: "delete", Provider: "memory", ID: n.ID()}
	}
	return p.Delete(ctx, n, c)
}

// racyDelete checks the condition some time before it deletes.
func racyDelete(p full, ctx context.Context, n nebula.Name, c nebula.Precondition) (bool, error) {
	history, err := p.History(ctx, n)
	if err != nil || c.Check(history[0].Version) != nil {
		return p.Delete(ctx, n, c)
	}
	time.Sleep(5 * time.Millisecond)
	return p.Delete(ctx, n, nebula.Precondition{})
}

func refusing(p full, ctx context.Context, n nebula.Name, e *nebula.Envelope, o nebula.StoreOptions) (nebula.Version, error) {
	if !o.Precondition.IsZero() && !(n.IsKeyring() && o.Precondition == nebula.IfAbsent()) {
		return "", storeError(nebula.ErrNotSupported, n)
	}
	return p.Store(ctx, n, e, o)
}

func folding(p full, ctx context.Context, n nebula.Name, e *nebula.Envelope, o nebula.StoreOptions) (nebula.Version, error) {
	pager := p.List(ctx, nebula.Filter{})
	for {
		entries, err := pager.NextPage(ctx)
		if err != nil {
			return p.Store(ctx, n, e, o)
		}
		for _, entry := range entries {
			if entry.ID != n.ID() && strings.EqualFold(string(entry.ID), n.String()) {
				return "", storeError(nebula.ErrConflict, n)
			}
		}
	}
}

const maxTags = 15

func plainTag(key, value string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9 _.:/=+@-]*$`).MatchString(key + value)
}

func fewTags(p full, ctx context.Context, n nebula.Name, e *nebula.Envelope, o nebula.StoreOptions) (nebula.Version, error) {
	tags := e.Metadata().Tags
	for key, value := range tags {
		if len(tags) > maxTags || !plainTag(key, value) && ctx.Err() == nil {
			return "", storeError(nebula.ErrInvalidMetadata, n)
		}
	}
	return p.Store(ctx, n, e, o)
}

// late answers a list with the state of a moment ago.
type late struct {
	full
	mu    sync.Mutex
	known map[string]snapshot
}

type snapshot struct {
	entries []nebula.Entry
	taken   time.Time
}

func (l *late) List(ctx context.Context, f nebula.Filter) nebula.Pager {
	given := false
	return brokenPager{l.full.List(ctx, f), func(inner nebula.Pager, ctx context.Context) ([]nebula.Entry, error) {
		entries, err := inner.NextPage(ctx)
		if err != nil && (!errors.Is(err, io.EOF) || given) {
			return nil, err
		}
		given = true
		return l.remembered(fmt.Sprint(f), entries), nil
	}}
}

func (l *late) Describe() nebula.Description {
	d := l.full.Describe()
	d.ListLag = time.Second
	return d
}

// remembered returns the entries of a moment ago. All fit one page here.
func (l *late) remembered(filter string, entries []nebula.Entry) []nebula.Entry {
	const moment = 30 * time.Millisecond
	l.mu.Lock()
	defer l.mu.Unlock()
	if old, ok := l.known[filter]; ok && time.Since(old.taken) < moment {
		return old.entries
	}
	if l.known == nil {
		l.known = make(map[string]snapshot)
	}
	l.known[filter] = snapshot{entries, time.Now()}
	return entries
}
