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
// nothing to restore it says so after 10 s: a deletion is not seen at once.
func (d *driver) Restore(ctx context.Context, name nebula.Name) error {
	d.forget(name)
	err := d.findDeleted(ctx, name)
	if err == nil {
		err = d.askToRecover(ctx, name)
	}
	if err == nil {
		err = d.settled(ctx, func(ctx context.Context) error { return d.readable(ctx, name) })
	}
	if errors.Is(err, errRestored) {
		err = nil
	}
	return err
}

// errRestored says that an earlier attempt did it.
var errRestored = errors.New("restored already")

// findDeleted waits until a deletion can be seen.
func (d *driver) findDeleted(ctx context.Context, name nebula.Name) error {
	until := d.clock.Now().Add(unseen)
	return d.settled(ctx, func(ctx context.Context) error {
		s, err := d.lookDeleted(ctx, name)
		switch {
		case err != nil:
			return err
		case s.exists && !s.ours:
			return provider.NotARecord()
		case s.exists:
			return nil
		}
		live, err := d.look(ctx, name)
		switch {
		case err != nil:
			return err
		case live.exists && provider.IsRepeat(ctx):
			return errRestored
		case live.exists:
			return provider.NotDeleted()
		case d.clock.Now().Before(until):
			return errMoving()
		}
		return provider.NothingToRestore()
	})
}

// readable waits for the end of a recovery.
func (d *driver) readable(ctx context.Context, name nebula.Name) error {
	s, err := d.look(ctx, name)
	if err == nil && !s.exists {
		return errMoving()
	}
	return err
}

// Purge implements [nebula.Purger]: it deletes, and waits until Key Vault has
// purged. For some seconds more the name is refused to others, and Store waits
// for it. A vault with purge protection is left as it is, with ErrNotSupported.
func (d *driver) Purge(ctx context.Context, name nebula.Name) (existed bool, err error) {
	d.forget(name)
	// From its deletion on until it can be seen, a secret looks as if there
	// were none.
	expected, until := false, time.Time{}
	err = d.settled(ctx, func(ctx context.Context) error {
		found, deleted, err := d.removeToPurge(ctx, name)
		existed = existed || found
		if err != nil {
			return err
		}
		if deleted {
			expected, until = true, d.clock.Now().Add(unseen)
		}
		_, err = write(ctx, d, name, func(ctx context.Context) (azsecrets.PurgeDeletedSecretResponse, error) {
			return d.client.PurgeDeletedSecret(ctx, d.names.secret(name), nil)
		})
		if isMissing(err) {
			if expected && d.clock.Now().Before(until) {
				return errMoving()
			}
			return nil
		}
		existed = existed || err == nil
		return err
	})
	return existed, err
}

// removeToPurge deletes what stands there, and looks at what is deleted
// already. Neither may be of others, or protected.
func (d *driver) removeToPurge(ctx context.Context, name nebula.Name) (found, deleted bool, err error) {
	s, err := d.look(ctx, name)
	live := s.exists
	if err == nil && !live {
		s, err = d.lookDeleted(ctx, name)
	}
	switch {
	case err != nil || !s.exists:
		return false, false, err
	case !s.ours:
		return false, false, provider.NotARecord()
	case !s.purgeable:
		return false, false, errProtected()
	case !live:
		return true, false, nil
	}
	deleted, err = d.remove(ctx, name)
	return true, deleted, err
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
		versions, err = d.versions(groupContext, name)
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

// versions lists the versions of a secret, page after page. It is empty where
// there is no such secret.
func (d *driver) versions(ctx context.Context, name nebula.Name) ([]*azsecrets.SecretProperties, error) {
	pager := d.client.NewListSecretPropertiesVersionsPager(d.names.secret(name), nil)
	var all []*azsecrets.SecretProperties
	var next *string
	for pager.More() {
		page, err := read(ctx, d, pager.NextPage)
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
	return s.record(name)
}
