package azure

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/remote"
	"github.com/nebula-credential/nebula/middleware"
)

// Restore implements [nebula.Restorer]: Key Vault's recovery. It returns when
// the credential can be read, after two calls and one each second. Where there
// is nothing to restore it says so after 10 s: a deletion is not seen at once.
func (p *Provider) Restore(ctx context.Context, name nebula.Name) error {
	const op = "restore"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return p.fail(op, name, err)
	}
	defer p.life.Leave()
	p.memory.forget(name)
	err := p.findDeleted(ctx, name)
	if err == nil {
		err = p.askToRecover(ctx, name)
	}
	if err == nil {
		err = p.settled(ctx, func(ctx context.Context) error { return p.readable(ctx, name) })
	}
	if errors.Is(err, errRestored) {
		err = nil
	}
	return p.fail(op, name, err)
}

// errRestored says that an earlier attempt did it.
var errRestored = errors.New("restored already")

// findDeleted waits until a deletion can be seen.
func (p *Provider) findDeleted(ctx context.Context, name nebula.Name) error {
	until := p.clock.Now().Add(unseen)
	return p.settled(ctx, func(ctx context.Context) error {
		s, err := p.lookDeleted(ctx, name)
		switch {
		case err != nil:
			return err
		case s.exists && !s.ours:
			return remote.ErrForeign()
		case s.exists:
			return nil
		}
		live, err := p.look(ctx, name)
		switch {
		case err != nil:
			return err
		case live.exists && middleware.IsRepeat(ctx):
			return errRestored
		case live.exists:
			return &nebula.Error{Kind: nebula.ErrConflict, Message: "the credential is not deleted"}
		case p.clock.Now().Before(until):
			return errMoving()
		}
		return &nebula.Error{Kind: nebula.ErrNotFound, Message: "there is nothing to restore"}
	})
}

// readable waits for the end of a recovery.
func (p *Provider) readable(ctx context.Context, name nebula.Name) error {
	s, err := p.look(ctx, name)
	if err == nil && !s.exists {
		return errMoving()
	}
	return err
}

// Purge implements [nebula.Purger]: it deletes, and waits until Key Vault has
// purged. For some seconds more the name is refused to others, and Store waits
// for it. A vault with purge protection is left as it is, with ErrNotSupported.
func (p *Provider) Purge(ctx context.Context, name nebula.Name) error {
	const op = "purge"
	if err := p.life.EnterToRemove(ctx, name); err != nil {
		return p.fail(op, name, err)
	}
	defer p.life.Leave()
	p.memory.forget(name)
	// From its deletion on until it can be seen, a secret looks as if there
	// were none.
	expected, until := false, time.Time{}
	return p.fail(op, name, p.settled(ctx, func(ctx context.Context) error {
		deleted, err := p.removeToPurge(ctx, name)
		if err != nil {
			return err
		}
		if deleted {
			expected, until = true, p.clock.Now().Add(unseen)
		}
		_, err = write(ctx, p, name, func(ctx context.Context) (azsecrets.PurgeDeletedSecretResponse, error) {
			return p.client.PurgeDeletedSecret(ctx, p.names.secret(name), nil)
		})
		if isMissing(err) {
			if expected && p.clock.Now().Before(until) {
				return errMoving()
			}
			return nil
		}
		return err
	}))
}

// removeToPurge deletes what stands there, and looks at what is deleted
// already. Neither may be of others, or protected.
func (p *Provider) removeToPurge(ctx context.Context, name nebula.Name) (deleted bool, err error) {
	s, err := p.look(ctx, name)
	live := s.exists
	if err == nil && !live {
		s, err = p.lookDeleted(ctx, name)
	}
	switch {
	case err != nil || !s.exists:
		return false, err
	case !s.ours:
		return false, remote.ErrForeign()
	case !s.purgeable:
		return false, errProtected()
	case !live:
		return false, nil
	}
	return true, p.remove(ctx, name)
}

// History implements [nebula.Historian]. It makes two calls at the same time,
// and one for each further page of 25 versions.
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
	var current secret
	var versions []*azsecrets.SecretProperties
	group, groupContext := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		current, err = p.get(groupContext, name, "")
		return err
	})
	group.Go(func() (err error) {
		versions, err = p.versions(groupContext, name)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if !current.ours {
		return nil, remote.ErrForeign()
	}
	return order(versions, current.version), nil
}

// versions lists the versions of a secret, page after page. It is empty where
// there is no such secret.
func (p *Provider) versions(ctx context.Context, name nebula.Name) ([]*azsecrets.SecretProperties, error) {
	pager := p.client.NewListSecretPropertiesVersionsPager(p.names.secret(name), nil)
	var all []*azsecrets.SecretProperties
	var next *string
	for pager.More() {
		page, err := read(ctx, p, pager.NextPage)
		if err == nil && isCircle(next, page.NextLink) {
			err = errForeignAnswer()
		}
		if err != nil {
			return nil, err
		}
		next = page.NextLink
		all = append(all, page.Value...)
	}
	return all, nil
}

// order returns the history, the newest first. Key Vault lists versions by
// their ids, with times of a second; our own time, in the tags, tells those of
// one second apart.
func order(versions []*azsecrets.SecretProperties, current nebula.Version) []nebula.VersionInfo {
	type dated struct {
		nebula.VersionInfo
		stored int64
	}
	var all []dated
	for _, v := range versions {
		if v == nil || v.ID == nil || v.Attributes == nil || v.Attributes.Created == nil {
			continue
		}
		_, id, ok := parseSecretID(string(*v.ID))
		if !ok || id == "" {
			continue
		}
		l, _, _ := unproject(v.Tags)
		d := dated{VersionInfo: nebula.VersionInfo{Version: nebula.Version(id), CreatedAt: v.Attributes.Created.UTC()}, stored: l.Stored}
		d.Current = d.Version == current
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b dated) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), boolCompare(b.Current, a.Current),
			cmp.Compare(b.stored, a.stored), strings.Compare(string(a.Version), string(b.Version)))
	})
	history := make([]nebula.VersionInfo, len(all))
	for i, d := range all {
		history[i] = d.VersionInfo
	}
	return history
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// RetrieveVersion implements [nebula.VersionRetriever]. It makes one call.
func (p *Provider) RetrieveVersion(ctx context.Context, name nebula.Name, v nebula.Version) (nebula.Record, error) {
	const op = "retrieve_version"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return nebula.Record{}, p.fail(op, name, err)
	}
	defer p.life.Leave()
	missing := &nebula.Error{Kind: nebula.ErrNotFound, Message: "there is no such version"}
	if !isVersion(string(v)) {
		return nebula.Record{}, p.fail(op, name, missing)
	}
	s, err := p.get(ctx, name, string(v))
	if isMissing(err) || err == nil && s.version != v {
		err = missing
	}
	if err != nil {
		return nebula.Record{}, p.fail(op, name, err)
	}
	record, err := s.record(name)
	return record, p.fail(op, name, err)
}
