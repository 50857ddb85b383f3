package vault

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
)

// Vault can be set up to delete versions by itself, after delete_version_after of
// the engine or of the secret. Such a version has a time of deletion from its
// beginning. Every answer shows it, even to a token that may not read the
// engine's configuration.

// endOf returns the time when Vault is to delete a version, and false if Vault is
// not to delete it, or has done so.
func endOf(deletion string, now time.Time) (time.Time, bool) {
	at, err := time.Parse(time.RFC3339Nano, deletion)
	return at.UTC(), err == nil && at.After(now)
}

// warnOfEnd warns that Vault will delete the version that was just written or
// restored.
func (d *driver) warnOfEnd(ctx context.Context, name nebula.Name, number int64, deletion string) {
	d.noteSchedule(deletion)
	at, ends := endOf(deletion, d.options.Clock.Now())
	if !ends {
		return
	}
	message := fmt.Sprintf("Vault deletes %q by itself at %s: delete_version_after is set for the secrets engine or the secret; to keep it: %s",
		name, at.Format(time.RFC3339), d.keep(name, number))
	if name.IsKeyring() {
		message = d.keyringEnds(number, at) + "; to keep it: " + d.keep(name, number)
	}
	d.options.Warnings.LogAttrs(ctx, slog.LevelWarn, message, slog.String("provider", providerName))
}

// extendKeyring writes the keyring again, unchanged, if Vault is to delete it by
// itself and more than half of its life is over. The new version has the full
// life. It runs beside the read, at most once in a process, on condition that
// nobody writes another keyring meanwhile. If it fails, this process warns, and
// the next one tries again.
func (d *driver) extendKeyring(ctx context.Context, s secret) {
	now := d.options.Clock.Now()
	end, ends := endOf(s.Metadata.DeletionTime, now)
	begin, err := time.Parse(time.RFC3339Nano, s.Metadata.CreatedTime)
	record, ok := s.Data[recordKey].(string)
	if !ends || err != nil || !ok || end.Sub(now) > end.Sub(begin)/2 || !d.extended.CompareAndSwap(false, true) {
		return
	}
	d.background.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*d.config.Timeout)
		defer cancel()
		_, err := d.put(ctx, http.MethodPost, sealed{name: nebula.KeyringName(), record: record}, s.Metadata.Version)
		if err == nil || isMismatch(err) { // another process came first
			return
		}
		d.options.Warnings.LogAttrs(ctx, slog.LevelWarn, d.keyringEnds(s.Metadata.Version, end)+", and it could not be written again: "+
			d.Explain(nebula.KeyringName(), err).Message+"; to keep it: "+d.keep(nebula.KeyringName(), s.Metadata.Version),
			slog.String("provider", providerName))
	})
}

func (d *driver) keyringEnds(number int64, at time.Time) string {
	return fmt.Sprintf("Vault deletes the store's keyring (version %d) by itself at %s, since delete_version_after is set, and then no credential of this store can be read",
		number, at.Format(time.RFC3339))
}

// keep returns the commands that make a version stay.
func (d *driver) keep(name nebula.Name, number int64) string {
	return "vault write " + d.paths.mount + "/config delete_version_after=0s, then " + d.undelete(name, number)
}

// undelete returns the command that undeletes a version. It also removes the
// version's end if none is set any more.
func (d *driver) undelete(name nebula.Name, number int64) string {
	return fmt.Sprintf("vault kv undelete -mount=%s -versions=%d %s", d.paths.mount, number, strings.TrimPrefix(d.paths.prefix+"/"+name.String(), "/"))
}

// errKeyringDeleted is the error of every operation that needs the keyring
// after it was deleted, by Vault itself or by somebody. No new store is made
// while the credentials of the old one are still there.
func (d *driver) errKeyringDeleted(number int64, v versionMetadata) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrCorrupted,
		Message: fmt.Sprintf("the store's keyring was deleted in Vault: its version %d", number),
		Hint:    "bring it back: " + d.undelete(nebula.KeyringName(), number)}
	if at, err := time.Parse(time.RFC3339Nano, v.DeletionTime); err == nil {
		e.Message += ", at " + at.UTC().Format(time.RFC3339)
	}
	if v.Destroyed {
		e.Message = fmt.Sprintf("the store's keyring was destroyed in Vault: its version %d", number)
		e.Hint = fmt.Sprintf("bring back an older version with vault kv rollback, or a backup; to make a new store there: vault kv metadata delete -mount=%s %s",
			d.paths.mount, strings.TrimPrefix(d.paths.prefix+"/"+nebula.KeyringName().String(), "/"))
	}
	return e
}

// keyringDeleted is nil unless the name is the keyring's and its current version
// was deleted.
func (d *driver) keyringDeleted(name nebula.Name, m secretMetadata) error {
	v, ok := m.latest()
	if !name.IsKeyring() || !ok || !m.gone(v) {
		return nil
	}
	return d.errKeyringDeleted(m.CurrentVersion, v)
}
