package vault

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/remote"
	"github.com/nebula-credential/nebula/middleware"
)

// Restore implements [nebula.Restorer]: it undeletes the latest version. It
// makes two calls.
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
	m, err := p.readMetadata(ctx, name)
	if isMissing(err) {
		return nothing
	}
	if err != nil {
		return err
	}
	latest, ok := m.latest()
	switch {
	case !ok || latest.Destroyed:
		return nothing
	case m.live() && middleware.IsRepeat(ctx):
		return nil // the earlier attempt did it
	case m.live():
		return &nebula.Error{Kind: nebula.ErrConflict, Message: "the credential is not deleted"}
	}
	_, err = p.change(ctx, name, request{method: http.MethodPost, path: p.paths.secret("undelete", name),
		body: map[string][]int64{"versions": {m.CurrentVersion}}})
	return err
}

// Purge implements [nebula.Purger]: it deletes the secret's metadata, and with
// it every version. It makes one call.
func (p *Provider) Purge(ctx context.Context, name nebula.Name) error {
	return p.remove(ctx, "purge", "metadata", name)
}

// History implements [nebula.Historian]. It makes one call. What was stored
// before a deletion is listed too.
func (p *Provider) History(ctx context.Context, name nebula.Name) ([]nebula.VersionInfo, error) {
	const op = "history"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return nil, p.fail(op, name, err)
	}
	defer p.life.Leave()
	m, err := p.readMetadata(ctx, name)
	if err == nil && !m.live() {
		err = remote.ErrMissing()
	}
	if err != nil {
		return nil, p.fail(op, name, err)
	}
	return m.history(), nil
}

func (m secretMetadata) history() []nebula.VersionInfo {
	var numbers []int64
	for text := range m.Versions {
		if n, ok := parseNumber(text); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	history := make([]nebula.VersionInfo, 0, len(numbers))
	for _, n := range slices.Backward(numbers) {
		v := m.Versions[strconv.FormatInt(n, 10)]
		created, _ := time.Parse(time.RFC3339Nano, v.CreatedTime)
		history = append(history, nebula.VersionInfo{
			Version: formatVersion(n, v.CreatedTime), CreatedAt: created.UTC(), Current: n == m.CurrentVersion, Deleted: m.gone(v)})
	}
	return history
}

// RetrieveVersion implements [nebula.VersionRetriever]. It makes two calls at
// the same time: an older version says nothing of whether the credential was
// deleted.
func (p *Provider) RetrieveVersion(ctx context.Context, name nebula.Name, v nebula.Version) (nebula.Record, error) {
	const op = "retrieve_version"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return nebula.Record{}, p.fail(op, name, err)
	}
	defer p.life.Leave()
	record, err := p.retrieveVersion(ctx, name, v)
	return record, p.fail(op, name, err)
}

func (p *Provider) retrieveVersion(ctx context.Context, name nebula.Name, v nebula.Version) (nebula.Record, error) {
	missing := &nebula.Error{Kind: nebula.ErrNotFound, Message: "there is no such version"}
	number, ok := parseVersion(v)
	if !ok {
		return nebula.Record{}, missing
	}
	var s secret
	var m secretMetadata
	group, groupContext := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		s, err = p.read(groupContext, name, number)
		return err
	})
	group.Go(func() (err error) {
		m, err = p.readMetadata(groupContext, name)
		return err
	})
	err := group.Wait()
	if isMissing(err) || err == nil && (!m.live() || s.version() != v) {
		return nebula.Record{}, missing
	}
	if err != nil {
		return nebula.Record{}, err
	}
	return s.record(name)
}
