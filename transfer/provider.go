package transfer

import (
	"context"
	"io"

	"github.com/nebula-credential/nebula"
)

// Provider returns the backup as a provider that can only be read. If you open it
// as a store, with the keys of the exported store, it opens the records as that
// store does. [nebula.Options].TrustedKey says which data key to trust.
func (b *Backup) Provider() nebula.Provider { return (*backupProvider)(b) }

type backupProvider Backup

// Describe implements [nebula.Describer].
func (*backupProvider) Describe() nebula.Description {
	return nebula.Description{Provider: "export"} // without an address, nothing of it is remembered
}

// Retrieve implements [nebula.Provider].
func (p *backupProvider) Retrieve(_ context.Context, name nebula.Name) (nebula.Record, error) {
	b := (*Backup)(p)
	e := b.keyring
	if !name.IsKeyring() {
		var err error
		if e, err = b.Record(name.ID()); err != nil {
			return nebula.Record{}, err
		}
	}
	return nebula.Record{Envelope: e, Version: "1"}, nil
}

// Exists implements [nebula.Provider].
func (p *backupProvider) Exists(_ context.Context, name nebula.Name) (bool, error) {
	_, found := (*Backup)(p).find(name.ID())
	return found || name.IsKeyring(), nil
}

// List implements [nebula.Provider].
func (p *backupProvider) List(_ context.Context, filter nebula.Filter) nebula.Pager {
	return &backupPager{backup: (*Backup)(p), filter: filter}
}

// Store implements [nebula.Provider].
func (*backupProvider) Store(context.Context, nebula.Name, *nebula.Envelope, nebula.StoreOptions) (nebula.Version, error) {
	return "", errReadOnly()
}

// Delete implements [nebula.Provider].
func (*backupProvider) Delete(context.Context, nebula.Name, nebula.Precondition) (bool, error) {
	return false, errReadOnly()
}

func errReadOnly() error {
	return &nebula.Error{Kind: nebula.ErrNotSupported, Message: "an export is only read"}
}

type backupPager struct {
	backup *Backup
	filter nebula.Filter
	next   int
}

// NextPage implements [nebula.Pager].
func (p *backupPager) NextPage(ctx context.Context) ([]nebula.Entry, error) {
	const size = 100
	if p.next == len(p.backup.places) {
		return nil, io.EOF
	}
	var page []nebula.Entry
	for ; p.next < len(p.backup.places) && len(page) < size; p.next++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		id := p.backup.places[p.next].id
		e, err := p.backup.Record(id)
		if err != nil {
			page = append(page, nebula.Entry{ID: id, Err: err})
			continue
		}
		if m := e.Metadata(); p.filter.Matches(id, m) {
			page = append(page, nebula.Entry{ID: id, Version: "1", Metadata: &m})
		}
	}
	return page, nil
}

// Close implements [nebula.Pager].
func (*backupPager) Close() error { return nil }
