package vault

import (
	"context"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/vaultapi"
	"github.com/nebula-credential/nebula/provider"
)

// Restore implements [nebula.Restorer]: it undeletes the latest version, and
// warns if Vault will delete it again. It makes three calls.
func (d *driver) Restore(ctx context.Context, name nebula.Name) error {
	m, err := d.readMetadata(ctx, name)
	if isMissing(err) {
		return provider.NothingToRestore()
	}
	if err != nil {
		return err
	}
	latest, ok := m.latest()
	switch {
	case !ok || latest.Destroyed:
		return provider.NothingToRestore()
	case m.live() && provider.IsRepeat(ctx):
		return nil // the earlier attempt did it
	case m.live():
		return provider.NotDeleted()
	}
	if err := d.setDeleted(ctx, name, "undelete", m.CurrentVersion); err != nil {
		return err
	}
	if m, err = d.readMetadata(ctx, name); err != nil {
		return d.begun(name, err)
	}
	latest, _ = m.latest()
	d.warnOfEnd(ctx, name, m.CurrentVersion, latest.DeletionTime)
	return nil
}

// setDeleted deletes or undeletes the version of that number and no other.
func (d *driver) setDeleted(ctx context.Context, name nebula.Name, tree string, number int64) error {
	_, err := d.change(ctx, name, vaultapi.Request{Method: http.MethodPost, Path: d.paths.secret(tree, name),
		Body: map[string][]int64{"versions": {number}}, Silent: true})
	return err
}

// Purge implements [nebula.Purger]: it deletes the secret's metadata, and with
// it every version. It makes two calls, or one if there is nothing.
func (d *driver) Purge(ctx context.Context, name nebula.Name) (bool, error) {
	d.recent.Forget(name)
	_, err := d.readMetadata(ctx, name)
	if isMissing(err) {
		return false, nil
	}
	if err == nil {
		_, err = d.change(ctx, name, vaultapi.Request{Method: http.MethodDelete, Path: d.paths.secret("metadata", name), Silent: true})
	}
	return true, err
}

// History implements [nebula.Historian]. It makes one call. It also lists
// versions from before a deletion.
func (d *driver) History(ctx context.Context, name nebula.Name) ([]nebula.VersionInfo, error) {
	m, err := d.readMetadata(ctx, name)
	if err == nil && !m.live() {
		err = provider.NotFound()
	}
	if err != nil {
		return nil, err
	}
	return m.history(), nil
}

func (m secretMetadata) history() []nebula.VersionInfo {
	numbers := m.numbers()
	history := make([]nebula.VersionInfo, 0, len(numbers))
	for _, n := range slices.Backward(numbers) {
		v := m.version(n)
		created, _ := time.Parse(time.RFC3339Nano, v.CreatedTime)
		history = append(history, nebula.VersionInfo{
			Version: formatVersion(n, v.CreatedTime), CreatedAt: created.UTC(), Current: n == m.CurrentVersion, Deleted: m.gone(v)})
	}
	return history
}

// RetrieveVersion implements [nebula.VersionRetriever]. It makes two calls at
// the same time, because an older version does not show whether the credential
// was deleted.
func (d *driver) RetrieveVersion(ctx context.Context, name nebula.Name, v nebula.Version) (nebula.Record, error) {
	number, ok := parseVersion(v)
	if !ok {
		return nebula.Record{}, provider.NoSuchVersion()
	}
	var s secret
	var m secretMetadata
	group, groupContext := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		s, err = d.read(groupContext, name, number)
		return err
	})
	group.Go(func() (err error) {
		m, err = d.readMetadata(groupContext, name)
		return err
	})
	err := group.Wait()
	if isMissing(err) || err == nil && (!m.live() || s.version() != v) {
		return nebula.Record{}, provider.NoSuchVersion()
	}
	if err != nil {
		return nebula.Record{}, err
	}
	return s.record(name)
}
