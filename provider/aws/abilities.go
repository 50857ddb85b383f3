package aws

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/remote"
	"github.com/nebula-credential/nebula/middleware"
)

// Restore implements [nebula.Restorer]. It makes two calls.
func (p *Provider) Restore(ctx context.Context, name nebula.Name) error {
	const op = "restore"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return p.fail(op, name, err)
	}
	defer p.life.Leave()
	return p.fail(op, name, p.restore(ctx, name))
}

func (p *Provider) restore(ctx context.Context, name nebula.Name) error {
	nothing := &nebula.Error{Kind: nebula.ErrNotFound, Message: "there is nothing to restore"}
	s, err := p.describe(ctx, name)
	switch {
	case isMissing(err), err == nil && s.ending():
		return nothing
	case err != nil:
		return err
	case !s.ours():
		return remote.ErrForeign()
	case s.live() && middleware.IsRepeat(ctx):
		return nil // the earlier attempt did it
	case s.live():
		return &nebula.Error{Kind: nebula.ErrConflict, Message: "the credential is not deleted"}
	}
	if err := p.unschedule(ctx, name); isMissing(err) {
		return nothing
	} else {
		return err
	}
}

func (p *Provider) unschedule(ctx context.Context, name nebula.Name) error {
	id := p.secretID(name)
	return change(ctx, p, name, p.client().RestoreSecret, &secretsmanager.RestoreSecretInput{SecretId: &id})
}

const (
	// longestPurge is how long a purge waits where the caller has no deadline. A
	// forced deletion takes about 5 s.
	longestPurge = time.Minute
	// pollFirst and pollMost are the first and the longest time between two
	// looks whether a secret is gone.
	pollFirst = 100 * time.Millisecond
	pollMost  = time.Second
)

// Purge implements [nebula.Purger]: it deletes the secret without a recovery
// window, and looks until it is gone, for a minute at most.
func (p *Provider) Purge(ctx context.Context, name nebula.Name) error {
	const op = "purge"
	if err := p.life.EnterToRemove(ctx, name); err != nil {
		return p.fail(op, name, err)
	}
	defer p.life.Leave()
	return p.fail(op, name, p.purge(ctx, name))
}

func (p *Provider) purge(ctx context.Context, name nebula.Name) error {
	s, err := p.describe(ctx, name)
	switch {
	case isMissing(err):
		return nil
	case err != nil:
		return err
	case !s.ours():
		return remote.ErrForeign()
	}
	id, force := p.secretID(name), true
	err = change(ctx, p, name, p.client().DeleteSecret, &secretsmanager.DeleteSecretInput{SecretId: &id, ForceDeleteWithoutRecovery: &force})
	if err != nil && !isMissing(err) {
		return err
	}
	return p.awaitGone(ctx, name)
}

// awaitGone returns when a secret that is being deleted is gone.
func (p *Provider) awaitGone(ctx context.Context, name nebula.Name) error {
	late := p.clock.Now().Add(longestPurge)
	for pause := pollFirst; ; pause = min(2*pause, pollMost) {
		_, err := p.describe(ctx, name)
		if isMissing(err) {
			return nil
		}
		if err != nil {
			return err
		}
		err = p.clock.Sleep(ctx, pause)
		if err == nil && p.clock.Now().After(late) {
			err = context.DeadlineExceeded
		}
		if err != nil {
			return &nebula.Error{Kind: nebula.KindOf(err), Err: err, Message: "ended while AWS is still deleting the secret, which takes some seconds",
				Hint: "try again"}
		}
	}
}

// awaitGone waits until the name is free, to look again then.
func (w *write) awaitGone(ctx context.Context) error {
	if err := w.p.awaitGone(ctx, w.name); err != nil {
		return err
	}
	return movedError{remote.ErrMissing()}
}

// History implements [nebula.Historian]. It makes two calls, and one more for
// each 100 versions.
func (p *Provider) History(ctx context.Context, name nebula.Name) ([]nebula.VersionInfo, error) {
	const op = "history"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return nil, p.fail(op, name, err)
	}
	defer p.life.Leave()
	history, err := p.history(ctx, name)
	return history, p.fail(op, name, err)
}

func (p *Provider) history(ctx context.Context, name nebula.Name) ([]nebula.VersionInfo, error) {
	s, err := p.describe(ctx, name)
	if err != nil {
		return nil, err
	}
	var history []nebula.VersionInfo
	if s.live() {
		if history, err = p.versions(ctx, name); err != nil {
			return nil, err
		}
	}
	if len(history) == 0 {
		return nil, remote.ErrMissing()
	}
	// AWS's order is that of creation where it has one.
	slices.Reverse(history)
	slices.SortStableFunc(history, func(a, b nebula.VersionInfo) int {
		if a.Current != b.Current {
			return map[bool]int{true: -1, false: 1}[a.Current]
		}
		return b.CreatedAt.Compare(a.CreatedAt)
	})
	return history, nil
}

// versions returns them in no order, without those of writes under way.
func (p *Provider) versions(ctx context.Context, name nebula.Name) ([]nebula.VersionInfo, error) {
	id, deprecated := p.secretID(name), true
	in := &secretsmanager.ListSecretVersionIdsInput{SecretId: &id, IncludeDeprecated: &deprecated}
	var history []nebula.VersionInfo
	for {
		out, err := p.client().ListSecretVersionIds(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, v := range out.Versions {
			current := slices.Contains(v.VersionStages, stageCurrent)
			if v.VersionId == nil || v.CreatedDate == nil || !current && slices.ContainsFunc(v.VersionStages, isPendingStage) {
				continue
			}
			history = append(history, nebula.VersionInfo{Version: nebula.Version(*v.VersionId), CreatedAt: v.CreatedDate.UTC(), Current: current})
		}
		if out.NextToken == nil || *out.NextToken == "" {
			return history, nil
		}
		in.NextToken = out.NextToken
	}
}

// isVersionID reports whether AWS could have a version of that id: 32 to 64
// characters.
func isVersionID(v string) bool {
	return len(v) >= 32 && len(v) <= 64 && strings.IndexFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// RetrieveVersion implements [nebula.VersionRetriever]. It makes one call.
func (p *Provider) RetrieveVersion(ctx context.Context, name nebula.Name, v nebula.Version) (nebula.Record, error) {
	const op = "retrieve_version"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return nebula.Record{}, p.fail(op, name, err)
	}
	defer p.life.Leave()
	missing := &nebula.Error{Kind: nebula.ErrNotFound, Message: "there is no such version"}
	if !isVersionID(string(v)) {
		return nebula.Record{}, p.fail(op, name, missing)
	}
	id := string(v)
	record, err := p.read(ctx, name, &id)
	if isMissing(err) {
		err = missing
	}
	return record, p.fail(op, name, err)
}
