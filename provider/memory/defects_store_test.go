package memory_test

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
)

func renamed(change func(string) string) func(nebula.Name) nebula.Name {
	return func(n nebula.Name) nebula.Name {
		name, err := nebula.ID(change(n.String())).Name()
		if err != nil {
			return n
		}
		return name
	}
}

// unlocked keeps preconditions, but lets others in between check and write.
func unlocked(p full, ctx context.Context, n nebula.Name, e *nebula.Envelope, o nebula.StoreOptions) (nebula.Version, error) {
	if o.Precondition.IsZero() {
		return p.Store(ctx, n, e, o)
	}
	current := nebula.Version("")
	if history, err := p.History(ctx, n); err == nil {
		current = history[0].Version
	}
	if o.Precondition.Check(current) == nil {
		time.Sleep(5 * time.Millisecond)
		o = nebula.StoreOptions{}
	}
	return p.Store(ctx, n, e, o)
}

func defects() map[string]defect {
	all := storeDefects()
	for _, more := range []map[string]defect{listDefects(), abilityDefects(), batchDefects()} {
		for name, d := range more {
			all[name] = d
		}
	}
	return all
}

func storeDefects() map[string]defect {
	type options = nebula.StoreOptions
	bigger := small()
	bigger.MaxRecordSize *= 2
	return map[string]defect{
		"ignores preconditions": {rule: "preconditionIfVersion",
			store: func(p full, ctx context.Context, n nebula.Name, e *nebula.Envelope, _ options) (nebula.Version, error) {
				return p.Store(ctx, n, e, options{})
			}},
		"if-absent overwrites": {rule: "preconditionIfAbsent",
			store: func(p full, ctx context.Context, n nebula.Name, e *nebula.Envelope, o options) (nebula.Version, error) {
				if o.Precondition == nebula.IfAbsent() {
					o = options{}
				}
				return p.Store(ctx, n, e, o)
			}},
		"lost update":             {rule: "concurrentCounter", store: unlocked},
		"two winners":             {rule: "concurrentIfAbsent", store: unlocked},
		"two stores made at once": {rule: "keyringRaced", store: unlocked},
		"version of another writer": {rule: "concurrentStores",
			store: func(p full, ctx context.Context, n nebula.Name, e *nebula.Envelope, o options) (nebula.Version, error) {
				if _, err := p.Store(ctx, n, e, o); err != nil {
					return "", err
				}
				time.Sleep(time.Millisecond)
				now, err := p.Retrieve(ctx, n)
				return now.Version, err
			}},
		"one version for all": {rule: "storeVersions",
			store: func(p full, ctx context.Context, n nebula.Name, e *nebula.Envelope, o options) (nebula.Version, error) {
				_, err := p.Store(ctx, n, e, o)
				return "1", err
			}},
		"too large": {rule: "storeTooLarge", config: bigger},
		"too large, noticed too late": {rule: "storeTooLarge",
			store: func(p full, ctx context.Context, n nebula.Name, e *nebula.Envelope, o options) (nebula.Version, error) {
				v, err := p.Store(ctx, n, e, o)
				if errors.Is(err, nebula.ErrTooLarge) {
					_, _ = p.Delete(ctx, n, nebula.Precondition{})
				}
				return v, err
			}},
		"any key": {rule: "keyringCompared",
			store: func(p full, ctx context.Context, n nebula.Name, e *nebula.Envelope, o options) (nebula.Version, error) {
				v, err := p.Store(ctx, n, e, o)
				if errors.Is(err, nebula.ErrKeyChanged) {
					return "1", nil
				}
				return v, err
			}},
		"conflict without a cause": {rule: "keyringCompared",
			store: func(p full, ctx context.Context, n nebula.Name, e *nebula.Envelope, o options) (nebula.Version, error) {
				v, err := p.Store(ctx, n, e, o)
				if located := new(nebula.Error); errors.As(err, &located) {
					located.Err = nil
				}
				return v, err
			}},
		"context ignored": {rule: "contextCancelled",
			store: func(p full, _ context.Context, n nebula.Name, e *nebula.Envelope, o options) (nebula.Version, error) {
				return p.Store(context.Background(), n, e, o)
			}},
		"error without an operation": {rule: "retrieveMissing",
			retrieve: func(p full, ctx context.Context, n nebula.Name) (nebula.Record, error) {
				record, err := p.Retrieve(ctx, n)
				if located := new(nebula.Error); errors.As(err, &located) {
					located.Op = ""
				}
				return record, err
			}},
		"bare error": {rule: "errorsLocated",
			retrieve: func(p full, ctx context.Context, n nebula.Name) (nebula.Record, error) {
				record, err := p.Retrieve(ctx, n)
				if err != nil {
					err = nebula.KindOf(err)
				}
				return record, err
			}},
		"damaged is missing": {rule: "damageRetrieve",
			retrieve: func(p full, ctx context.Context, n nebula.Name) (nebula.Record, error) {
				record, err := p.Retrieve(ctx, n)
				if located := new(nebula.Error); errors.As(err, &located) && located.Kind == nebula.ErrCorrupted {
					located.Kind = nebula.ErrNotFound
				}
				return record, err
			}},
		"error that tells": {rule: "damageRetrieve",
			retrieve: func(p full, ctx context.Context, n nebula.Name) (nebula.Record, error) {
				record, err := p.Retrieve(ctx, n)
				if located := new(nebula.Error); errors.As(err, &located) {
					located.Message += `: {"password":"in the clear"}`
				}
				return record, err
			}},
		"delete does nothing": {rule: "deleteRemoves",
			remove: func(full, context.Context, nebula.Name, nebula.Precondition) (bool, error) { return true, nil }},
		"delete says that nothing was there": {rule: "deleteReports",
			remove: func(p full, ctx context.Context, n nebula.Name, c nebula.Precondition) (bool, error) {
				_, err := p.Delete(ctx, n, c)
				return false, err
			}},
		"delete ignores its condition": {rule: "deleteIfVersion",
			remove: func(p full, ctx context.Context, n nebula.Name, _ nebula.Precondition) (bool, error) {
				return p.Delete(ctx, n, nebula.Precondition{})
			}},
		"delete of nothing meets its condition": {rule: "deleteIfVersionMissing",
			remove: func(p full, ctx context.Context, n nebula.Name, c nebula.Precondition) (bool, error) {
				if found, _ := p.Exists(ctx, n); !found {
					return false, nil
				}
				return p.Delete(ctx, n, c)
			}},
		"delete if absent": {rule: "deleteIfAbsent",
			remove: func(p full, ctx context.Context, n nebula.Name, c nebula.Precondition) (bool, error) {
				if c.IsAbsent() {
					return false, nil
				}
				return p.Delete(ctx, n, c)
			}},
		"delete checks too early": {rule: "concurrentDeleteIfVersion", remove: racyDelete},
		"closes at once": {rule: "lifecycleCloseDuring",
			retrieve: func(p full, ctx context.Context, n nebula.Name) (nebula.Record, error) {
				record, err := p.Retrieve(ctx, n)
				if errors.Is(err, nebula.ErrClosed) {
					err = &nebula.Error{Kind: nebula.ErrUnavailable, Op: "retrieve", Provider: "memory", ID: n.ID()}
				}
				return record, err
			}},
		"delete of nothing fails": {rule: "deleteTwice",
			remove: func(p full, ctx context.Context, n nebula.Name, c nebula.Precondition) (bool, error) {
				if _, err := p.Retrieve(ctx, n); err != nil {
					return false, err
				}
				return p.Delete(ctx, n, c)
			}},
		"keyring deleted": {rule: "keyringKept",
			remove: func(p full, ctx context.Context, n nebula.Name, c nebula.Precondition) (bool, error) {
				if n.IsKeyring() {
					return true, nil
				}
				return p.Delete(ctx, n, c)
			}},
		"deleted exists": {rule: "deleteRemoves",
			exists: func(p full, ctx context.Context, n nebula.Name) (bool, error) {
				_, err := p.Exists(ctx, n)
				return true, err
			}},
		"damaged does not exist": {rule: "damageRetrieve",
			exists: func(p full, ctx context.Context, n nebula.Name) (bool, error) {
				_, err := p.Retrieve(ctx, n)
				return err == nil, nil
			}},
		"folds case":      {rule: "idsCase", rename: renamed(strings.ToLower)},
		"folds dashes":    {rule: "idsAlike", rename: renamed(func(s string) string { return strings.ReplaceAll(s, "-", "_") })},
		"cuts names":      {rule: "idsAlike", rename: renamed(func(s string) string { return s[:min(len(s), 100)] })},
		"connects itself": {rule: "lifecycleConnectContext", connect: func(full, context.Context) error { return nil }},
	}
}
