package provider

import (
	"context"

	"github.com/nebula-credential/nebula"
)

// lacks is the error if the driver does not have an ability. Only a caller that
// did not ask [nebula.As] first gets it.
func (s *shell) lacks(op string, name nebula.Name) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrNotSupported, Op: op, Provider: s.name, ID: name.ID(),
		Message: "the provider has no such ability", Hint: "ask with nebula.As first"}
}

// Restore implements [nebula.Restorer].
func (s *shell) Restore(ctx context.Context, name nebula.Name) error {
	r, ok := s.driver.(nebula.Restorer)
	if !ok {
		return s.lacks(OpRestore, name)
	}
	_, err := do(ctx, s, Call{Op: OpRestore, Name: name}, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, r.Restore(ctx, name)
	})
	return err
}

// Purge implements [nebula.Purger].
func (s *shell) Purge(ctx context.Context, name nebula.Name) (bool, error) {
	p, ok := s.driver.(nebula.Purger)
	if !ok {
		return false, s.lacks(OpPurge, name)
	}
	return do(ctx, s, Call{Op: OpPurge, Name: name}, func(ctx context.Context) (bool, error) {
		existed, err := p.Purge(ctx, name)
		return existed || IsRepeat(ctx), err
	})
}

// History implements [nebula.Historian].
func (s *shell) History(ctx context.Context, name nebula.Name) ([]nebula.VersionInfo, error) {
	h, ok := s.driver.(nebula.Historian)
	if !ok {
		return nil, s.lacks(OpHistory, name)
	}
	return do(ctx, s, Call{Op: OpHistory, Name: name}, func(ctx context.Context) ([]nebula.VersionInfo, error) {
		return h.History(ctx, name)
	})
}

// RetrieveVersion implements [nebula.VersionRetriever].
func (s *shell) RetrieveVersion(ctx context.Context, name nebula.Name, v nebula.Version) (nebula.Record, error) {
	r, ok := s.driver.(nebula.VersionRetriever)
	if !ok {
		return nebula.Record{}, s.lacks(OpRetrieveVersion, name)
	}
	return do(ctx, s, Call{Op: OpRetrieveVersion, Name: name}, func(ctx context.Context) (nebula.Record, error) {
		return r.RetrieveVersion(ctx, name, v)
	})
}

// Identity implements [nebula.Identifier].
func (s *shell) Identity(ctx context.Context) (string, error) {
	i, ok := s.driver.(nebula.Identifier)
	if !ok {
		return "", s.lacks(OpIdentity, nebula.Name{})
	}
	return do(ctx, s, Call{Op: OpIdentity}, i.Identity)
}

// Fits implements [nebula.Fitter]. A driver without a limit of its own refuses
// nothing.
func (s *shell) Fits(name nebula.Name, envelope *nebula.Envelope) error {
	f, ok := s.driver.(nebula.Fitter)
	if !ok {
		return nil
	}
	return s.fail(Call{Op: OpStore, Name: name}, f.Fits(name, envelope))
}

// Notify implements [nebula.Notifier]. It goes on for as long as the caller wants,
// so none of the layers is around it. Close ends it.
func (s *shell) Notify(ctx context.Context, names []nebula.Name, changed func(...nebula.Name)) error {
	c := Call{Op: OpNotify}
	n, ok := s.driver.(nebula.Notifier)
	if !ok {
		return s.lacks(OpNotify, nebula.Name{})
	}
	if err := s.enter(ctx); err != nil {
		return s.fail(c, err)
	}
	defer s.leave()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(s.ending, stop)()
	return s.fail(c, n.Notify(ctx, names, changed))
}

// Check implements [nebula.Checker].
func (s *shell) Check(ctx context.Context) []nebula.Finding {
	c, ok := s.driver.(nebula.Checker)
	if !ok {
		return []nebula.Finding{unchecked(s.lacks(OpCheck, nebula.Name{}))}
	}
	if early, ok := c.(EarlyChecker); ok && s.State() == nebula.StateConfigured {
		return early.CheckEarly(ctx)
	}
	findings, err := do(ctx, s, Call{Op: OpCheck}, func(ctx context.Context) ([]nebula.Finding, error) {
		return c.Check(ctx), nil
	})
	if err != nil {
		return []nebula.Finding{unchecked(err)}
	}
	return findings
}

// unchecked is the finding that nothing could be examined.
func unchecked(err error) nebula.Finding {
	return nebula.Finding{Check: OpCheck, Kind: nebula.KindOf(err), Severity: nebula.SeverityError, Message: err.Error()}
}
