package provider

import (
	"context"

	"github.com/nebula-credential/nebula"
)

// The operations, as a [Call] and a [nebula.Error] name them.
const (
	OpConnect         = "connect"
	OpStore           = "store"
	OpRetrieve        = "retrieve"
	OpDelete          = "delete"
	OpList            = "list" // one page
	OpExists          = "exists"
	OpRestore         = "restore"
	OpPurge           = "purge"
	OpHistory         = "history"
	OpRetrieveVersion = "retrieve_version"
	OpRetrieveBatch   = "retrieve_batch"
	OpStoreBatch      = "store_batch"
	OpCheck           = "check"
	OpIdentity        = "identity"
	OpNotify          = "notify"
	OpForeignNames    = "foreign_names"
	OpForeign         = "foreign"
)

// New puts the shell around a driver. The provider obeys policy and options; its
// user has to add nothing.
func New(d Driver, policy Policy, options Options) nebula.Provider {
	is := d.Describe()
	s := &shell{driver: d, name: is.Provider, maxRecord: is.MaxRecordSize, layers: layers(policy, options)}
	s.ending, s.end = context.WithCancel(context.Background())
	return s
}

// shell is the part that all providers share, around the driver.
type shell struct {
	driver    Driver
	name      string
	maxRecord int           // bytes; 0 for no limit
	layers    []Interceptor // the outermost first
	life

	ending context.Context // ends when Close begins
	end    context.CancelFunc
}

// The shell has the methods of all abilities. Has says which of them work.
var _ interface {
	nebula.Wrapper
	nebula.Connector
	nebula.Describer
	nebula.Restorer
	nebula.Purger
	nebula.Historian
	nebula.VersionRetriever
	nebula.BatchRetriever
	nebula.BatchStorer
	nebula.Notifier
	nebula.Identifier
	nebula.Fitter
	nebula.Checker
	ForeignReader
} = (*shell)(nil)

// Has implements [nebula.Wrapper]. The shell itself provides the ability
// [nebula.Connector]; all others are the driver's.
func (s *shell) Has(ask func(any) bool) bool {
	return ask(s.driver) || ask(struct{ nebula.Connector }{s})
}

// through runs a call inside the layers from index i on.
func (s *shell) through(ctx context.Context, c Call, i int, call func(context.Context) error) error {
	if i == len(s.layers) {
		return call(ctx)
	}
	return s.layers[i](ctx, c, func(ctx context.Context) error { return s.through(ctx, c, i+1, call) })
}

// do makes a call of the driver inside all layers.
func do[R any](ctx context.Context, s *shell, c Call, call func(context.Context) (R, error)) (R, error) {
	c.Provider = s.name
	if len(s.layers) == 0 {
		return attempt(ctx, s, c, call)
	}
	var result R
	err := s.through(ctx, c, 0, func(ctx context.Context) (err error) {
		result, err = attempt(ctx, s, c, call)
		return err
	})
	if err != nil {
		var none R
		return none, err
	}
	return result, nil
}

// attempt makes the call once, if the provider is connected.
func attempt[R any](ctx context.Context, s *shell, c Call, call func(context.Context) (R, error)) (R, error) {
	var none R
	if err := s.enter(ctx); err != nil {
		return none, s.fail(c, err)
	}
	defer s.leave()
	if err := refuse(c); err != nil {
		return none, s.fail(c, err)
	}
	result, err := call(ctx)
	if err != nil {
		return none, s.fail(c, err)
	}
	return result, nil
}

// refuse returns an error if no backend can do what is asked.
func refuse(c Call) error {
	switch c.Op {
	case OpList, OpRetrieveBatch, OpStoreBatch, OpCheck, OpIdentity, OpForeignNames, OpForeign:
		return nil
	}
	removes := c.Op == OpDelete || c.Op == OpPurge
	switch {
	case c.Name == nebula.Name{}:
		return errNoName()
	case removes && c.Name.IsKeyring():
		return errKeyringStays()
	case removes && c.Options.Precondition.IsAbsent():
		return errDeleteAbsent()
	}
	return nil
}

// Store implements [nebula.Provider].
func (s *shell) Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error) {
	return do(ctx, s, Call{Op: OpStore, Name: name, Options: options}, func(ctx context.Context) (nebula.Version, error) {
		if size := len(envelope.Bytes()); s.maxRecord > 0 && size > s.maxRecord {
			return "", errTooLarge(size, s.maxRecord, s.name)
		}
		return s.driver.Store(ctx, name, envelope, options)
	})
}

// Retrieve implements [nebula.Provider].
func (s *shell) Retrieve(ctx context.Context, name nebula.Name) (nebula.Record, error) {
	return do(ctx, s, Call{Op: OpRetrieve, Name: name}, func(ctx context.Context) (nebula.Record, error) {
		return s.driver.Retrieve(ctx, name)
	})
}

// Delete implements [nebula.Provider].
func (s *shell) Delete(ctx context.Context, name nebula.Name, condition nebula.Precondition) (bool, error) {
	c := Call{Op: OpDelete, Name: name, Options: nebula.StoreOptions{Precondition: condition}}
	return do(ctx, s, c, func(ctx context.Context) (bool, error) {
		existed, err := s.driver.Delete(ctx, name, condition)
		// An earlier attempt with an unclear outcome may have deleted it.
		return existed || IsRepeat(ctx), err
	})
}

// Exists implements [nebula.Provider].
func (s *shell) Exists(ctx context.Context, name nebula.Name) (bool, error) {
	return do(ctx, s, Call{Op: OpExists, Name: name}, func(ctx context.Context) (bool, error) {
		return s.driver.Exists(ctx, name)
	})
}

// List implements [nebula.Provider].
func (s *shell) List(_ context.Context, filter nebula.Filter) nebula.Pager {
	return &pager{shell: s, pages: s.driver.List(filter)}
}

// Connect implements [nebula.Connector].
func (s *shell) Connect(ctx context.Context) error {
	c := Call{Op: OpConnect, Provider: s.name}
	return s.through(ctx, c, 0, func(ctx context.Context) error {
		return s.fail(c, s.connect(ctx, s.open))
	})
}

func (s *shell) open(ctx context.Context) error {
	if o, ok := s.driver.(Opener); ok {
		return o.Open(ctx)
	}
	return nil
}

// Close implements [nebula.Connector].
func (s *shell) Close() error {
	interrupt, release := s.end, func() error { return nil }
	if i, ok := s.driver.(Interrupter); ok {
		interrupt = func() { s.end(); i.Interrupt() }
	}
	if o, ok := s.driver.(Opener); ok {
		release = o.Close
	}
	return s.fail(Call{Op: "close"}, s.close(interrupt, release))
}

// Describe implements [nebula.Describer].
func (s *shell) Describe() nebula.Description { return s.driver.Describe() }
