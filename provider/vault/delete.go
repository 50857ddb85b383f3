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
// version, and of no other. So if a deletion reaches the server late, after its
// caller gave up, it leaves later versions alone. The same happens if a write
// comes between the two calls of a deletion without a condition. If there is a
// condition, a third call finds that out.
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

// deletedByThen is called if the condition of a repeated deletion does not hold:
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

// deleteVersion deletes that version. If the token's policy has no line for the
// tree "delete", it may still allow deleting the latest version.
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

// confirmDeletion checks that the deleted version was current until then. If
// another came before the deletion, the condition did not hold, and the older
// version is undeleted.
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
