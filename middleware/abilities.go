package middleware

import (
	"context"

	"github.com/nebula-credential/nebula"
)

// ability returns what the provider inside can do, or the error for a caller
// that did not ask nebula.As first.
func ability[T any](w *wrapper, op string, name nebula.Name) (T, error) {
	able, ok := nebula.As[T](w.inner)
	if !ok {
		return able, &nebula.Error{Kind: nebula.ErrNotSupported, Op: op, Provider: w.name, ID: name.ID(),
			Message: "the provider has no such ability", Hint: "ask with nebula.As first"}
	}
	return able, nil
}

// Connect does nothing where the provider has no life: then it is always
// connected.
func (w *wrapper) Connect(ctx context.Context) error {
	c, ok := nebula.As[nebula.Connector](w.inner)
	if !ok {
		return nil
	}
	return doPlain(ctx, w, Call{Op: OpConnect}, c.Connect)
}

func (w *wrapper) State() nebula.State {
	if c, ok := nebula.As[nebula.Connector](w.inner); ok {
		return c.State()
	}
	return nebula.StateConnected
}

func (w *wrapper) Close() error {
	if c, ok := nebula.As[nebula.Connector](w.inner); ok {
		return c.Close()
	}
	return nil
}

func (w *wrapper) Describe() nebula.Description { return describe(w.inner) }

// describe returns the description of a provider, whether or not it has one.
func describe(p nebula.Provider) nebula.Description {
	if d, ok := nebula.As[nebula.Describer](p); ok {
		return d.Describe()
	}
	return nebula.Description{Provider: "provider"}
}

func (w *wrapper) Restore(ctx context.Context, name nebula.Name) error {
	r, err := ability[nebula.Restorer](w, OpRestore, name)
	if err != nil {
		return err
	}
	return doPlain(ctx, w, Call{Op: OpRestore, Name: name}, func(ctx context.Context) error {
		return r.Restore(ctx, name)
	})
}

func (w *wrapper) Purge(ctx context.Context, name nebula.Name) error {
	p, err := ability[nebula.Purger](w, OpPurge, name)
	if err != nil {
		return err
	}
	return doPlain(ctx, w, Call{Op: OpPurge, Name: name}, func(ctx context.Context) error {
		return p.Purge(ctx, name)
	})
}

func (w *wrapper) History(ctx context.Context, name nebula.Name) ([]nebula.VersionInfo, error) {
	h, err := ability[nebula.Historian](w, OpHistory, name)
	if err != nil {
		return nil, err
	}
	return do(ctx, w, Call{Op: OpHistory, Name: name}, func(ctx context.Context) ([]nebula.VersionInfo, error) {
		return h.History(ctx, name)
	})
}

func (w *wrapper) RetrieveVersion(ctx context.Context, name nebula.Name, v nebula.Version) (nebula.Record, error) {
	r, err := ability[nebula.VersionRetriever](w, OpRetrieveVersion, name)
	if err != nil {
		return nebula.Record{}, err
	}
	return do(ctx, w, Call{Op: OpRetrieveVersion, Name: name}, func(ctx context.Context) (nebula.Record, error) {
		return r.RetrieveVersion(ctx, name, v)
	})
}

func (w *wrapper) RetrieveBatch(ctx context.Context, names []nebula.Name) ([]nebula.BatchResult, error) {
	b, err := ability[nebula.BatchRetriever](w, OpRetrieveBatch, nebula.Name{})
	if err != nil {
		return nil, err
	}
	return do(ctx, w, Call{Op: OpRetrieveBatch}, func(ctx context.Context) ([]nebula.BatchResult, error) {
		return b.RetrieveBatch(ctx, names)
	})
}

func (w *wrapper) Check(ctx context.Context) []nebula.Finding {
	findings, err := []nebula.Finding(nil), error(nil)
	var c nebula.Checker
	if c, err = ability[nebula.Checker](w, OpCheck, nebula.Name{}); err == nil {
		findings, err = do(ctx, w, Call{Op: OpCheck}, func(ctx context.Context) ([]nebula.Finding, error) {
			return c.Check(ctx), nil
		})
	}
	if err != nil {
		return []nebula.Finding{{Check: OpCheck, Severity: nebula.SeverityError, Message: err.Error()}}
	}
	return findings
}
