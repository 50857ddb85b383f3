package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/provider"
)

// maxRecord is the limit of a record, in bytes.
const maxRecord = 16 << 20

type fileMode = os.FileMode

// driver keeps records in files.
type driver struct {
	config  Config
	naming  naming
	bases   bases
	lock    *atomicfile.Lock
	cache   cache
	records *records
	gatherer

	closing    chan struct{} // closed when Close begins: nobody waits any longer
	background sync.WaitGroup
	swept      sync.Once

	keyring keyringCache // used under lock
}

var _ interface {
	provider.Driver
	provider.Opener
	provider.Interrupter
	provider.EarlyChecker
	nebula.BatchStorer
	nebula.Notifier
	nebula.Identifier
} = (*driver)(nil)

// New returns a provider for the directory, to be connected, or the error of
// [Config.Validate]. It changes nothing on the disk.
func New(config Config, options ...provider.Option) (nebula.Provider, error) {
	d, err := newDriver(config)
	if err != nil {
		return nil, err
	}
	return provider.New(d, provider.Policy{}, provider.NewOptions(options...)), nil
}

func newDriver(config Config) (*driver, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	lock := lockName
	if !config.EnableLocking {
		lock = ""
	}
	d := &driver{
		config:  config,
		naming:  naming{suffix: "." + config.FileExtension},
		lock:    atomicfile.NewLock(lock),
		closing: make(chan struct{}),
		records: newRecords(),
	}
	d.bases.configured, d.bases.started = filepath.Clean(config.BasePath), time.Now()
	d.bases.resolve()
	return d, nil
}

// Open opens the directory, if there is one, and refuses it if others could
// write in it.
func (d *driver) Open(context.Context) error {
	d.bases.resolve()
	if _, err := d.bases.forReading(true); err != nil && !isMissing(err) {
		return err
	}
	return nil
}

// Interrupt implements [provider.Interrupter]: operations that wait for a lock
// give up.
func (d *driver) Interrupt() { close(d.closing) }

// Close closes the directories.
func (d *driver) Close() error {
	d.background.Wait()
	d.lock.Close()
	return d.bases.close()
}

// Describe returns the resolved path of the directory as the address.
func (d *driver) Describe() nebula.Description {
	return nebula.Description{
		Provider:        providerName,
		Address:         d.address(),
		MaxRecordSize:   maxRecord,
		ComparesKeyring: d.config.EnableLocking,
		NoPreconditions: !d.config.EnableLocking,
	}
}

func (d *driver) address() string { return *d.bases.path.Load() }

// Retrieve reads the record's file, unless it has not changed since it was read
// before.
func (d *driver) Retrieve(_ context.Context, name nebula.Name) (nebula.Record, error) {
	if record, ok := d.kept(name); ok {
		return record, nil
	}
	data, stat, keep, err := d.read(name)
	if err != nil {
		return nebula.Record{}, err
	}
	envelope, err := nebula.ParseEnvelope(name, data)
	if err != nil {
		return nebula.Record{}, err
	}
	record := nebula.Record{Envelope: envelope, Version: versionOf(data)}
	if keep {
		d.records.put(name, stat, record)
	}
	return record, nil
}

// read also reports whether a later change of the file would show.
func (d *driver) read(name nebula.Name) (data []byte, stat atomicfile.Stat, keep bool, err error) {
	file := d.naming.file(name)
	err = d.look(func(b *base) error {
		data, stat, err = b.Read(file, maxRecord)
		if err != nil {
			return err
		}
		exactly, err := b.isExactly(d.naming, file)
		if err == nil && !exactly {
			err = fs.ErrNotExist
		}
		keep = err == nil && keeps(b, stat)
		return err
	})
	return data, stat, keep, err
}

// Exists examines the record's file without reading it.
func (d *driver) Exists(_ context.Context, name nebula.Name) (bool, error) {
	file := d.naming.file(name)
	exactly := false
	err := d.look(func(b *base) error {
		stat, err := b.Lstat(file)
		if err != nil {
			return err
		}
		if !stat.Mode.IsRegular() {
			return &fs.PathError{Op: "lstat", Path: d.path(file), Err: &atomicfile.NotRegularError{Mode: stat.Mode}}
		}
		exactly, err = b.isExactly(d.naming, file)
		return err
	})
	if isMissing(err) {
		return false, nil
	}
	return exactly, err
}

// look calls read with the directory. If nothing is found and the path leads to
// another directory by now, it calls read again.
//
// On FUSE and network file systems the name of a file that is being replaced
// may for a moment lead nowhere, or to the old file, which is gone. So a file
// that is not found there is looked for a few times.
func (d *driver) look(read func(*base) error) error {
	const pause = 2 * time.Millisecond
	b, err := d.bases.forReading(false)
	if err != nil {
		return err
	}
	for again := b.maxLooks(); ; again-- {
		err = read(b)
		if !atomicfile.IsGone(err) {
			return err
		}
		now, moved := d.bases.forReading(true)
		switch {
		case moved != nil:
			return moved
		case now != b:
			b, again = now, b.maxLooks()
		case again <= 1:
			return err
		default:
			time.Sleep(pause)
		}
	}
}

func (d *driver) path(file string) string {
	return d.address() + string(os.PathSeparator) + file
}

func isMissing(err error) bool { return err != nil && errors.Is(err, fs.ErrNotExist) }

func keyringFile(n naming) string { return n.file(nebula.KeyringName()) }

// versionOf returns the version of a record.
func versionOf(record []byte) nebula.Version {
	sum := sha256.Sum256(record)
	return sumVersion([16]byte(sum[:16]))
}

func sumVersion(sum [16]byte) nebula.Version {
	var text [32]byte
	hex.Encode(text[:], sum[:])
	return nebula.Version(text[:])
}
