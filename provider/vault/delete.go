package vault

import (
	"context"
	"net/http"
	"strconv"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/vaultapi"
	"github.com/nebula-credential/nebula/provider"
)

// Delete implements [provider.Driver]: Vault's soft deletion of the current
// version, and of no other. So a deletion that reaches the server late, after
// its caller gave up, leaves alone what was stored meanwhile; but so does one
// without a condition beside a write that comes between its two calls. On
// condition of a version a third call finds that out.
func (d *driver) Delete(ctx context.Context, name nebula.Name, condition nebula.Precondition) (bool, error) {
	m, err := d.readMetadata(ctx, name)
	if err != nil && !isMissing(err) {
		return false, err
	}
	d.recent.Forget(name)
	current := m.current()
	if current == "" && (condition.IsZero() || provider.IsRepeat(ctx)) {
		return false, nil
	}
	if err := condition.Check(current); err != nil {
		if provider.IsRepeat(ctx) {
			return m.deletedByThen(condition, err)
		}
		return false, err
	}
	if condition.IsZero() {
		return true, d.deleteVersion(ctx, name, m.CurrentVersion)
	}
	if err := d.setDeleted(ctx, name, "delete", m.CurrentVersion); err != nil {
		return false, err
	}
	return true, d.confirmDeletion(ctx, name, m.CurrentVersion, condition)
}

// deletedByThen is for the repetition of a deletion whose condition does not hold:
// the earlier attempt may have deleted the version before another came.
func (m secretMetadata) deletedByThen(condition nebula.Precondition, conflict error) (existed bool, err error) {
	v, _ := condition.Version()
	number, ok := parseVersion(v)
	switch kept, isKept := m.Versions[strconv.FormatInt(number, 10)]; {
	case !ok || number > m.CurrentVersion:
		return false, conflict
	case !isKept:
		return false, errUnknown()
	case formatVersion(number, kept.CreatedTime) == v && m.replacedDeleted(number):
		return true, nil
	}
	return false, conflict
}

// deleteVersion deletes that version. A token whose policy has no line for the
// tree "delete" may still be allowed to delete whatever is the latest.
func (d *driver) deleteVersion(ctx context.Context, name nebula.Name, number int64) error {
	err := d.setDeleted(ctx, name, "delete", number)
	if !vaultapi.HasStatus(err, http.StatusForbidden) || vaultapi.IsInvalidToken(err) {
		return err
	}
	_, other := d.change(ctx, name, vaultapi.Request{Method: http.MethodDelete, Path: d.paths.secret("data", name), Silent: true})
	if vaultapi.HasStatus(other, http.StatusForbidden) {
		return err
	}
	return other
}

// confirmDeletion checks that the version that was deleted was the current one
// until then. If another had come before the deletion, the condition did not
// hold: the older version is undeleted.
func (d *driver) confirmDeletion(ctx context.Context, name nebula.Name, number int64, condition nebula.Precondition) error {
	m, err := d.readMetadata(ctx, name)
	switch {
	case isMissing(err): // it was purged since
		return nil
	case err != nil:
		return d.begun(name, err)
	case m.CurrentVersion == number || m.replacedDeleted(number):
		return nil
	}
	if err := d.setDeleted(ctx, name, "undelete", number); err != nil {
		return d.begun(name, err)
	}
	return condition.Check(m.current())
}
