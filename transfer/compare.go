package transfer

import (
	"bytes"
	"context"
	"maps"

	"github.com/nebula-credential/nebula"
)

// same reports whether two records are the same: the same bytes, or the same
// value and metadata under another seal. The time of the last read does not
// count.
func (p *Plan) same(ctx context.Context, id nebula.ID, here, there nebula.Record) (bool, error) {
	if bytes.Equal(here.Envelope.Bytes(), there.Envelope.Bytes()) {
		return true, nil
	}
	if !sameMetadata(here.Envelope.Metadata(), there.Envelope.Metadata()) {
		return false, nil
	}
	a, err := p.from.OpenRecord(ctx, id, here)
	if err != nil {
		return false, err
	}
	defer a.Secret.Wipe()
	b, err := p.to.OpenRecord(ctx, id, there)
	if isUnreadable(err) {
		return false, nil
	}
	defer b.Secret.Wipe()
	return err == nil && a.Secret.Equal(b.Secret), err
}

func sameMetadata(a, b nebula.Metadata) bool {
	return a.CreatedAt.Equal(b.CreatedAt) && a.LastModified.Equal(b.LastModified) &&
		a.CreatedBy == b.CreatedBy && a.Scope == b.Scope && a.RotationPolicy == b.RotationPolicy && maps.Equal(a.Tags, b.Tags)
}

// isUnreadable reports whether err concerns a record, and not the way to it.
func isUnreadable(err error) bool {
	switch nebula.KindOf(err) {
	case nebula.ErrCorrupted, nebula.ErrWrongKey, nebula.ErrUnsupportedVersion, nebula.ErrTooLarge, nebula.ErrRolledBack:
		return true
	}
	return false
}
