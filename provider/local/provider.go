package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// maxRecord is the limit of a record, in bytes.
const maxRecord = 16 << 20

type fileMode = os.FileMode

// Provider keeps records in files. Make it with [New].
type Provider struct {
	config Config
	naming naming
	bases  bases
	lock   *atomicfile.Lock
	cache  cache

	// Every operation holds life for reading, so that Close waits for them.
	life       sync.RWMutex
	state      atomic.Int32
	closing    chan struct{} // closed when Close begins: nobody waits any longer
	closed     sync.Once
	closeErr   error
	background sync.WaitGroup
	swept      sync.Once

	keyring keyringCache // used by whoever holds lock
}

var (
	_ nebula.Provider  = (*Provider)(nil)
	_ nebula.Connector = (*Provider)(nil)
	_ nebula.Describer = (*Provider)(nil)
	_ nebula.Checker   = (*Provider)(nil)
)

// New returns a provider for the directory, or the error of
// [Config.Validate]. It changes nothing on the disk.
func New(config Config) (*Provider, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	lock := lockName
	if !config.EnableLocking {
		lock = ""
	}
	p := &Provider{
		config:  config,
		naming:  naming{suffix: "." + config.FileExtension},
		lock:    atomicfile.NewLock(lock),
		closing: make(chan struct{}),
	}
	path := resolve(config.BasePath)
	p.bases.path.Store(&path)
	p.bases.started = time.Now()
	return p, nil
}

// Connect opens the directory, if there is one, and refuses it where others
// could write in it.
func (p *Provider) Connect(ctx context.Context) error {
	const op = "connect"
	if err := ctx.Err(); err != nil {
		return p.fail(op, nebula.Name{}, err)
	}
	p.life.Lock()
	defer p.life.Unlock()
	switch p.State() {
	case nebula.StateConnected:
		return nil
	case nebula.StateClosed:
		return p.fail(op, nebula.Name{}, errClosed())
	}
	path := resolve(p.config.BasePath)
	p.bases.path.Store(&path)
	if _, err := p.bases.forReading(true); err != nil && !isMissing(err) {
		return p.fail(op, nebula.Name{}, err)
	}
	p.state.Store(int32(nebula.StateConnected))
	return nil
}

// State returns where in its life the provider is.
func (p *Provider) State() nebula.State { return nebula.State(p.state.Load()) }

// Close waits for the operations under way, of which those that wait for a
// lock give up, and frees what is held.
func (p *Provider) Close() error {
	p.closed.Do(func() {
		close(p.closing)
		p.life.Lock()
		defer p.life.Unlock()
		p.state.Store(int32(nebula.StateClosed))
		p.background.Wait()
		p.lock.Close()
		p.closeErr = p.bases.close()
	})
	return p.fail("close", nebula.Name{}, p.closeErr)
}

// Describe returns the resolved path of the directory as the address.
func (p *Provider) Describe() nebula.Description {
	return nebula.Description{
		Provider:        providerName,
		Address:         p.address(),
		MaxRecordSize:   maxRecord,
		ComparesKeyring: p.config.EnableLocking,
		NoPreconditions: !p.config.EnableLocking,
	}
}

func (p *Provider) address() string { return *p.bases.path.Load() }

// enter begins an operation. If it succeeds, leave must be called at the end.
func (p *Provider) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.life.RLock()
	switch p.State() {
	case nebula.StateConnected:
		return nil
	case nebula.StateConfigured:
		p.life.RUnlock()
		return errNotConnected()
	}
	p.life.RUnlock()
	return errClosed()
}

// enterFor is enter for an operation on a name.
func (p *Provider) enterFor(ctx context.Context, name nebula.Name) error {
	if name == (nebula.Name{}) {
		return errNoName()
	}
	return p.enter(ctx)
}

func (p *Provider) leave() { p.life.RUnlock() }

// Retrieve reads the record's file.
func (p *Provider) Retrieve(ctx context.Context, name nebula.Name) (nebula.Record, error) {
	const op = "retrieve"
	if err := p.enterFor(ctx, name); err != nil {
		return nebula.Record{}, p.fail(op, name, err)
	}
	defer p.leave()
	data, err := p.read(name)
	if err != nil {
		return nebula.Record{}, p.fail(op, name, err)
	}
	envelope, err := nebula.ParseEnvelope(name, data)
	if err != nil {
		return nebula.Record{}, p.fail(op, name, err)
	}
	return nebula.Record{Envelope: envelope, Version: versionOf(data)}, nil
}

func (p *Provider) read(name nebula.Name) (data []byte, err error) {
	file := p.naming.file(name)
	err = p.look(func(b *base) error {
		data, _, err = b.Read(file, maxRecord)
		if err != nil {
			return err
		}
		exactly, err := b.isExactly(p.naming, file)
		if err == nil && !exactly {
			err = fs.ErrNotExist
		}
		return err
	})
	return data, err
}

// Exists examines the record's file without reading it.
func (p *Provider) Exists(ctx context.Context, name nebula.Name) (bool, error) {
	const op = "exists"
	if err := p.enterFor(ctx, name); err != nil {
		return false, p.fail(op, name, err)
	}
	defer p.leave()
	file := p.naming.file(name)
	exactly := false
	err := p.look(func(b *base) error {
		stat, err := b.Lstat(file)
		if err != nil {
			return err
		}
		if !stat.Mode.IsRegular() {
			return &fs.PathError{Op: "lstat", Path: p.path(file), Err: &atomicfile.NotRegularError{Mode: stat.Mode}}
		}
		exactly, err = b.isExactly(p.naming, file)
		return err
	})
	if isMissing(err) {
		return false, nil
	}
	return exactly, p.fail(op, name, err)
}

// look calls read with the directory, and again where nothing was found
// because the path leads to another directory by now.
func (p *Provider) look(read func(*base) error) error {
	b, err := p.bases.forReading(false)
	if err != nil {
		return err
	}
	err = read(b)
	if !isMissing(err) {
		return err
	}
	now, moved := p.bases.forReading(true)
	if moved != nil {
		return moved
	}
	if now == b {
		return err
	}
	return read(now)
}

func (p *Provider) path(file string) string {
	return p.address() + string(os.PathSeparator) + file
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
