package local

import (
	"context"
	"errors"
	"io/fs"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// Store writes the record to a file and puts that in place. It returns when
// all is on the disk.
func (p *Provider) Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error) {
	const op = "store"
	if err := p.enterFor(ctx, name); err != nil {
		return "", p.fail(op, name, err)
	}
	defer p.leave()
	if err := p.allows(name, envelope, options.Precondition); err != nil {
		return "", p.fail(op, name, err)
	}
	// A directory can be taken away at any time, and without locks a temporary
	// file too: then once more, in a directory that is there.
	const attempts = 3
	var err error
	for range attempts {
		err = p.store(ctx, name, envelope, options.Precondition)
		if !isMissing(err) {
			break
		}
	}
	if isMissing(err) {
		err = &nebula.Error{Kind: nebula.ErrUnavailable, Err: err,
			Message: "the directory " + p.address() + " was taken away while it was written to"}
	}
	if err != nil {
		return "", p.fail(op, name, err)
	}
	return versionOf(envelope.Bytes()), nil
}

// allows refuses what needs no look at the disk.
func (p *Provider) allows(name nebula.Name, envelope *nebula.Envelope, precondition nebula.Precondition) error {
	switch size := int64(len(envelope.Bytes())); {
	case size > maxRecord:
		return errTooLarge(size)
	case p.config.EnableLocking, makesKeyring(name, precondition):
		return nil
	case !precondition.IsZero():
		return errNeedsLocks("a precondition")
	case name.IsKeyring():
		return errNeedsLocks("a change of the keyring")
	}
	return nil
}

// makesKeyring reports a write that needs no locks: the file system itself
// makes sure that only one new file gets a name.
func makesKeyring(name nebula.Name, precondition nebula.Precondition) bool {
	return name.IsKeyring() && precondition == nebula.IfAbsent()
}

func (p *Provider) store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, precondition nebula.Precondition) error {
	b, err := p.bases.forWriting(p.config.CreateDir)
	if err != nil {
		return err
	}
	p.sweepOnce(b)
	staged, err := b.StageAnyMode(envelope.Bytes())
	if err != nil {
		return err
	}
	// The old record is freed after the flush, and not while others wait.
	defer b.Hold(p.naming.file(name)).Release()
	if err := p.lock.Lock(ctx, p.closing, b.Dir); err != nil {
		staged.Discard()
		return err
	}
	if err := p.mayReplace(b, name, envelope, precondition); err != nil {
		p.lock.Unlock()
		staged.Discard()
		return err
	}
	if makesKeyring(name, precondition) {
		err = staged.CommitNew(p.naming.file(name))
	} else {
		err = staged.Commit(p.naming.file(name))
	}
	p.lock.Unlock()
	if errors.Is(err, fs.ErrExist) {
		return &nebula.Error{Kind: nebula.ErrAlreadyExists, Message: "there is a keyring already"}
	}
	if err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return errNotFlushed(err)
	}
	return nil
}

// mayReplace checks, under the lock, what must hold for the record to take its
// place.
func (p *Provider) mayReplace(b *base, name nebula.Name, envelope *nebula.Envelope, precondition nebula.Precondition) error {
	file := p.naming.file(name)
	exists, err := p.standsThere(b, file)
	if err != nil {
		return err
	}
	twin, err := b.twin(p.naming, file)
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
	return p.checkKey(b, envelope)
}

// standsThere reports whether there is a file, and refuses anything else.
func (p *Provider) standsThere(b *base, file string) (bool, error) {
	stat, err := b.Lstat(file)
	switch {
	case isMissing(err):
		return false, nil
	case err != nil:
		return false, err
	case !stat.Mode.IsRegular():
		return false, &fs.PathError{Op: "lstat", Path: p.path(file), Err: &atomicfile.NotRegularError{Mode: stat.Mode}}
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

// checkKey refuses a record that is sealed under another key than the
// keyring's, if there is a keyring. A rotation may have come in between.
func (p *Provider) checkKey(b *base, envelope *nebula.Envelope) error {
	id, ok, err := p.currentKey(b)
	if err != nil || !ok || id == envelope.KeyID() {
		return err
	}
	return &nebula.Error{Kind: nebula.ErrConflict, Err: nebula.ErrKeyChanged,
		Message: "the record is sealed under another key than the store's present one",
		Hint:    "read the keyring again, and seal the value again"}
}

func (p *Provider) currentKey(b *base) (id nebula.KeyID, ok bool, err error) {
	file := keyringFile(p.naming)
	stat, err := b.Lstat(file)
	if isMissing(err) {
		return id, false, nil
	}
	if err != nil {
		return id, false, err
	}
	if p.keyring.stat == stat {
		return p.keyring.id, true, nil
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
		p.keyring = keyringCache{stat, envelope.KeyID()}
	}
	return envelope.KeyID(), true, nil
}

// errKeyring tells that it is not the record which cannot be read.
func errKeyring(err error) error {
	return &nebula.Error{Kind: nebula.KindOf(err), Err: err,
		Message: "the store's keyring cannot be read, so nothing is written: " + err.Error()}
}

// Delete removes the record's file. It returns when that is on the disk.
func (p *Provider) Delete(ctx context.Context, name nebula.Name) error {
	const op = "delete"
	if err := p.enterFor(ctx, name); err != nil {
		return p.fail(op, name, err)
	}
	defer p.leave()
	if name.IsKeyring() {
		return p.fail(op, name, &nebula.Error{Kind: nebula.ErrUsage, Message: "the keyring cannot be deleted",
			Hint: "without it no credential could be read"})
	}
	b, err := p.bases.forReading(true)
	if isMissing(err) {
		return nil
	}
	if err == nil {
		err = p.remove(ctx, b, p.naming.file(name))
	}
	return p.fail(op, name, err)
}

func (p *Provider) remove(ctx context.Context, b *base, file string) error {
	exists, err := p.standsThere(b, file)
	if err != nil {
		return err
	}
	if exists {
		defer b.Hold(file).Release()
		if err := p.lock.Lock(ctx, p.closing, b.Dir); err != nil {
			return err
		}
		err = p.removeLocked(b, file)
		p.lock.Unlock()
		if err != nil {
			return err
		}
	}
	// Also where there was none: whoever removed it may not have flushed yet.
	if err := b.Flush(); err != nil {
		return errNotFlushed(err)
	}
	return nil
}

func (p *Provider) removeLocked(b *base, file string) error {
	exists, err := p.standsThere(b, file)
	if err != nil || !exists {
		return err
	}
	if exactly, err := b.isExactly(p.naming, file); err != nil || !exactly {
		return err
	}
	err = b.Remove(file)
	if isMissing(err) {
		return nil
	}
	return err
}
