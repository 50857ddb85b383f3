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
	"github.com/nebula-credential/nebula/provider"
)

// Restore implements [nebula.Restorer]: Key Vault's recovery. It returns when
// the credential can be read, after two calls and one each second. If there is
// nothing to restore, it says so after 10 s, because a deletion is not visible
// at once.
func (d *driver) Restore(ctx context.Context, name nebula.Name) error {
	if err := d.recoveries.await(ctx, name); err != nil {
		return err
	}
	d.forget(name)
	deleted, err := d.findDeleted(ctx, name)
	if err == nil {
		err = d.askToRecover(ctx, name)
	}
	var restored secret
	if err == nil {
		err = d.settled(ctx, func(ctx context.Context) (err error) {
			restored, err = d.readable(ctx, name)
			return err
		})
	}
	switch {
	case errors.Is(err, errRestored):
		return nil
	case err == nil && restored.ours:
		d.asked.Forget(name)
	case err == nil:
		return d.deleteAgain(ctx, name, deleted.version, provider.NotARecord())
	}
	return err
}

// errRestored reports that an earlier attempt restored the credential.
var errRestored = errors.New("restored already")

// findDeleted waits until a deletion is visible. The secret that it returns has
// our tags, or no tags that say whose it is.
func (d *driver) findDeleted(ctx context.Context, name nebula.Name) (deleted secret, err error) {
	until := d.clock.Now().Add(unseen)
	err = d.settled(ctx, func(ctx context.Context) error {
		deleted, err = d.lookDeleted(ctx, name)
		switch {
		case err != nil:
			return err
		case deleted.exists && deleted.mark == foreign:
			return provider.NotARecord()
		case deleted.exists:
			return nil
		}
		live, err := inOrder(ctx, d, name, func(ctx context.Context) (secret, error) { return d.look(ctx, name) })
		switch {
		case err != nil:
			return err
		case live.exists && (provider.IsRepeat(ctx) || d.askedToRecover(name)):
			return errRestored
		case live.exists:
			return provider.NotDeleted()
		case d.clock.Now().Before(until):
			return errMoving()
		}
		return provider.NothingToRestore()
	})
	return deleted, err
}

// readable waits for the end of a recovery.
func (d *driver) readable(ctx context.Context, name nebula.Name) (secret, error) {
	s, err := d.look(ctx, name)
	if err == nil && !s.exists {
		err = errMoving()
	}
	return s, err
}

// Purge implements [nebula.Purger]: it deletes, and waits until Key Vault has
// purged. For some seconds more the name is refused to others, and Store waits
// for it. A vault with purge protection is left as it is, with ErrNotSupported.
func (d *driver) Purge(ctx context.Context, name nebula.Name) (existed bool, err error) {
	if err := d.awaitRecovery(ctx, name); err != nil {
		return false, err
	}
	d.forget(name)
	p := &purge{driver: d, name: name}
	err = d.settled(ctx, p.try)
	return p.existed, err
}

// purge is one Purge.
type purge struct {
	driver  *driver
	name    nebula.Name
	existed bool

	// After the deletion, until Key Vault shows it, the secret seems not to
	// exist.
	deleted bool
	until   time.Time
}

func (p *purge) try(ctx context.Context) error {
	d := p.driver
	if err := p.remove(ctx); err != nil {
		return err
	}
	_, err := write(ctx, d, p.name, func(ctx context.Context) (azsecrets.PurgeDeletedSecretResponse, error) {
		return d.client.PurgeDeletedSecret(ctx, d.names.secret(p.name), nil)
	})
	if isMissing(err) {
		if p.deleted && d.clock.Now().Before(p.until) {
			return errMoving()
		}
		return nil
	}
	p.existed = p.existed || err == nil
	return err
}

// remove deletes the secret, or reads the deleted one if there is no other. It
// fails if the secret belongs to others or is protected from purges.
func (p *purge) remove(ctx context.Context) error {
	d := p.driver
	s, err := inOrder(ctx, d, p.name, func(ctx context.Context) (secret, error) { return d.look(ctx, p.name) })
	live := s.exists
	if err == nil && !live {
		s, err = d.lookDeleted(ctx, p.name)
	}
	switch {
	case err != nil || !s.exists:
		return err
	case !s.purgeable:
		return errProtected()
	case live && !s.ours, s.mark == foreign:
		return provider.NotARecord()
	case !live && s.mark == unmarked && !p.deleted:
		return errUncertain()
	}
	if live {
		err = d.mayRemove(ctx, s)
	}
	if err != nil {
		return err
	}
	p.existed = true
	if !live {
		return nil
	}
	deleted, err := d.remove(ctx, p.name)
	if deleted {
		p.deleted, p.until = true, d.clock.Now().Add(unseen)
	}
	return err
}

// History implements [nebula.Historian]. It makes two calls at the same time,
// and one for each further page of 25 versions.
func (d *driver) History(ctx context.Context, name nebula.Name) ([]nebula.VersionInfo, error) {
	var current secret
	var versions []*azsecrets.SecretProperties
	group, groupContext := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		current, err = d.get(groupContext, name, "")
		return err
	})
	group.Go(func() (err error) {
		versions, err = d.versions(groupContext, d.names.secret(name))
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if !current.ours {
		return nil, provider.NotARecord()
	}
	return order(versions, current.version), nil
}

// versions lists the versions of a secret, page after page. The list is empty
// if there is no such secret.
func (d *driver) versions(ctx context.Context, secret string) ([]*azsecrets.SecretProperties, error) {
	pager := d.client.NewListSecretPropertiesVersionsPager(secret, nil)
	var all []*azsecrets.SecretProperties
	var next *string
	for pager.More() {
		page, err := read(ctx, d, pager.NextPage)
		if err == nil && isCircle(next, page.NextLink) {
			err = d.vault.ForeignAnswer()
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
// their ids, with times in seconds. Our own time, in the tags, orders those of
// the same second.
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
func (d *driver) RetrieveVersion(ctx context.Context, name nebula.Name, v nebula.Version) (nebula.Record, error) {
	if !isVersion(string(v)) {
		return nebula.Record{}, provider.NoSuchVersion()
	}
	s, err := d.get(ctx, name, string(v))
	if isMissing(err) || err == nil && s.version != v {
		err = provider.NoSuchVersion()
	}
	if err != nil {
		return nebula.Record{}, err
	}
	return s.record()
}
