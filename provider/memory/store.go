package memory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// Store implements [provider.Driver].
func (d *driver) Store(_ context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.checkKey(name, envelope); err != nil {
		return "", err
	}
	if err := options.Precondition.Check(d.currentVersion(name)); err != nil {
		return "", err
	}
	v := version{id: versionOf(envelope.Bytes()), envelope: envelope, createdAt: time.Now()}
	d.put(name, v)
	return v.id, nil
}

// put makes v the current version.
func (d *driver) put(name nebula.Name, v version) {
	defer d.tell(name)
	c := d.credentials[name]
	if c == nil || c.deleted {
		d.credentials[name] = &credential{versions: []version{v}}
		return
	}
	kept := make([]version, 0, len(c.versions)+1)
	for _, old := range c.versions {
		if old.id != v.id {
			kept = append(kept, old)
		}
	}
	kept = append(kept, v)
	c.versions = kept[max(0, len(kept)-d.config.MaxVersions):]
}

// checkKey refuses a record that is not sealed under the key of the keyring.
func (d *driver) checkKey(name nebula.Name, envelope *nebula.Envelope) error {
	keyring := d.live(nebula.KeyringName())
	if name.IsKeyring() || keyring == nil || keyring.current().err != nil {
		return nil
	}
	if keyring.current().envelope.KeyID() == envelope.KeyID() {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrConflict, Err: nebula.ErrKeyChanged,
		Message: "the record is not sealed under the key of the keyring", Hint: "read the keyring again and seal the value anew"}
}

// Retrieve implements [provider.Driver].
func (d *driver) Retrieve(_ context.Context, name nebula.Name) (nebula.Record, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	c := d.live(name)
	if c == nil {
		return nebula.Record{}, provider.NotFound()
	}
	return c.current().record()
}

// Delete implements [provider.Driver]. A deletion can be undone.
func (d *driver) Delete(_ context.Context, name nebula.Name, condition nebula.Precondition) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := condition.Check(d.currentVersion(name)); err != nil {
		return false, err
	}
	c := d.live(name)
	if c == nil {
		return false, nil
	}
	c.deleted = true
	d.tell(name)
	return true, nil
}

// Exists implements [provider.Driver].
func (d *driver) Exists(_ context.Context, name nebula.Name) (bool, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.live(name) != nil, nil
}

func versionOf(record []byte) nebula.Version {
	sum := sha256.Sum256(record)
	return nebula.Version(hex.EncodeToString(sum[:16]))
}
