package local

import (
	"context"
	"errors"
	"io/fs"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// Store writes the record to a temporary file and renames it. It returns when
// both are on the disk.
func (d *driver) Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error) {
	if err := d.allows(name, options.Precondition); err != nil {
		return "", err
	}
	return d.gather(&pending{BatchItem: nebula.BatchItem{Name: name, Envelope: envelope, Options: options}, ctx: ctx})
}

// allows refuses what the configuration cannot do.
func (d *driver) allows(name nebula.Name, precondition nebula.Precondition) error {
	switch {
	case d.config.EnableLocking, makesKeyring(name, precondition):
		return nil
	case !precondition.IsZero():
		return errNeedsLocks("a precondition")
	case name.IsKeyring():
		return errNeedsLocks("a change of the keyring")
	}
	return nil
}

// makesKeyring reports a write that can do without locks: the file system itself
// makes sure that only one new file gets a name.
func makesKeyring(name nebula.Name, precondition nebula.Precondition) bool {
	return name.IsKeyring() && precondition == nebula.IfAbsent()
}

func commitNew(staged *atomicfile.Staged, file string) error {
	err := staged.CommitNew(file)
	if errors.Is(err, fs.ErrExist) {
		return &nebula.Error{Kind: nebula.ErrAlreadyExists, Message: "there is a keyring already"}
	}
	return err
}

// mayReplace checks, under the lock, whether the record may be put in place.
func (d *driver) mayReplace(b *base, name nebula.Name, envelope *nebula.Envelope, precondition nebula.Precondition) error {
	file := d.naming.file(name)
	exists, err := d.hasFile(b, file)
	if err != nil {
		return err
	}
	twin, err := b.twin(d.naming, file)
	switch {
	case err != nil:
		return err
	case twin != "":
		return errTwin(twin)
	}
	if !precondition.IsZero() {
		current, err := currentVersion(b, file, exists)
		if err != nil {
			return err
		}
		if err := precondition.Check(current); err != nil {
			return err
		}
	}
	if name.IsKeyring() {
		return nil
	}
	return d.checkKey(b, envelope)
}

// hasFile reports whether there is a file of that name. It refuses anything
// else that has the name.
func (d *driver) hasFile(b *base, file string) (bool, error) {
	stat, err := b.Lstat(file)
	switch {
	case isMissing(err):
		return false, nil
	case err != nil:
		return false, err
	case !stat.Mode.IsRegular():
		return false, &fs.PathError{Op: "lstat", Path: d.path(file), Err: &atomicfile.NotRegularError{Mode: stat.Mode}}
	}
	return true, nil
}

func currentVersion(b *base, file string, exists bool) (nebula.Version, error) {
	if !exists {
		return "", nil
	}
	data, _, err := b.Read(file, maxRecord)
	var tooLarge *atomicfile.TooLargeError
	if errors.As(err, &tooLarge) {
		return "unknown, it is too large", nil // none that anybody can ask for
	}
	if err != nil {
		return "", err
	}
	return versionOf(data), nil
}

// keyringCache is the key id of a keyring's file, as long as that does not
// change.
type keyringCache struct {
	stat atomicfile.Stat
	id   nebula.KeyID
}

// checkKey refuses a record that is sealed under a key other than the
// keyring's, if there is a keyring. A rotation may have come in between.
func (d *driver) checkKey(b *base, envelope *nebula.Envelope) error {
	id, ok, err := d.currentKey(b)
	if err != nil || !ok || id == envelope.KeyID() {
		return err
	}
	return &nebula.Error{Kind: nebula.ErrConflict, Err: nebula.ErrKeyChanged,
		Message: "the record is sealed under another key than the store's present one",
		Hint:    "read the keyring again, and seal the value again"}
}

func (d *driver) currentKey(b *base) (id nebula.KeyID, ok bool, err error) {
	file := keyringFile(d.naming)
	stat, err := b.Lstat(file)
	if isMissing(err) {
		return id, false, nil
	}
	if err != nil {
		return id, false, err
	}
	if d.keyring.stat == stat {
		return d.keyring.id, true, nil
	}
	data, stat, err := b.Read(file, maxRecord)
	if err != nil {
		return id, false, err
	}
	envelope, err := nebula.ParseEnvelope(nebula.KeyringName(), data)
	if err != nil {
		return id, false, errKeyring(err)
	}
	if stat.Settled(now()) {
		d.keyring = keyringCache{stat, envelope.KeyID()}
	}
	return envelope.KeyID(), true, nil
}

// errKeyring says that the keyring, not the record, cannot be read.
func errKeyring(err error) error {
	return &nebula.Error{Kind: nebula.KindOf(err), Err: err,
		Message: "the store's keyring cannot be read, so nothing is written: " + err.Error()}
}

// Delete removes the record's file. It returns when that is on the disk.
func (d *driver) Delete(ctx context.Context, name nebula.Name, condition nebula.Precondition) (bool, error) {
	if err := d.allows(name, condition); err != nil {
		return false, err
	}
	b, err := d.bases.forReading(true)
	if isMissing(err) {
		return false, condition.Check("")
	}
	if err != nil {
		return false, err
	}
	return d.remove(ctx, b, d.naming.file(name), condition)
}

func (d *driver) remove(ctx context.Context, b *base, file string, condition nebula.Precondition) (existed bool, err error) {
	exists, err := d.hasFile(b, file)
	if err != nil {
		return false, err
	}
	if exists || !condition.IsZero() {
		defer b.Hold(file).Release()
		if err := d.lock.Lock(ctx, d.closing, b.Dir); err != nil {
			return false, err
		}
		existed, err = d.removeLocked(b, file, condition)
		d.lock.Unlock()
		if err != nil {
			return false, err
		}
	}
	// Flush even if there was none: the process that removed it may not have
	// flushed yet.
	if err := b.Flush(); err != nil {
		return false, errNotFlushed(err)
	}
	return existed, nil
}

func (d *driver) removeLocked(b *base, file string, condition nebula.Precondition) (existed bool, err error) {
	exists, err := d.hasFile(b, file)
	if err == nil && exists {
		exists, err = b.isExactly(d.naming, file)
	}
	if err != nil {
		return false, err
	}
	if !condition.IsZero() {
		current, err := currentVersion(b, file, exists)
		if err != nil {
			return false, err
		}
		if err := condition.Check(current); err != nil {
			return false, err
		}
	}
	if !exists {
		return false, nil
	}
	err = b.Remove(file)
	if isMissing(err) {
		return false, nil
	}
	return err == nil, err
}
