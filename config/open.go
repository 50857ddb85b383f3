package config

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/provider"
)

// OpenOptions are the options of [Config.Open]. The zero value asks nobody,
// prints nothing and observes nothing.
type OpenOptions struct {
	// Provider has options for the New of the provider that the configuration
	// chooses: metrics, spans, a log line for each operation.
	//
	//	Provider: []provider.Option{provider.WithMetrics(m), otel.WithTracer(t), provider.WithLogger(l)}
	Provider []provider.Option

	// Ask asks a person at the controlling terminal for hidden input. It fails
	// with ErrNoTerminal if there is no terminal. nil: there is none.
	Ask func(ctx context.Context, question string) ([]byte, error)

	// Tell tells a person something that they should know, in one or several
	// lines. nil: it goes to Logger.
	Tell func(text string)

	// Stderr is the standard error of programs that are run for a passphrase or a
	// login. nil: their output is dropped.
	Stderr io.Writer

	// Logger gets the warnings of the store and its provider. nil: they are
	// dropped.
	Logger *slog.Logger

	// OneShot says that the process makes a few calls and ends: the provider
	// renews no login in the background.
	OneShot bool

	// Examine says that opening the store must change nothing: its data key is
	// not remembered.
	Examine bool

	// CommandTimeout is how long a passphrase command may take, or the writer if
	// the passphrase file is a pipe. 0 is 30 seconds; a negative value is no
	// limit.
	CommandTimeout time.Duration

	// Pause is called before waiting for a person or another program, and resume
	// after it, so that the wait does not count against a deadline. May be nil.
	Pause func() (resume func())

	// Environ is the environment for child processes. nil: that of [Source].
	Environ []string
}

// withDefaults replaces nil fields by their defaults.
func (o OpenOptions) withDefaults(environ []string) OpenOptions {
	if o.Ask == nil {
		o.Ask = func(context.Context, string) ([]byte, error) { return nil, ErrNoTerminal }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Tell == nil {
		logger := o.Logger
		o.Tell = func(text string) { logger.Info(text) }
	}
	if o.Stderr == nil {
		o.Stderr = io.Discard
	}
	if o.Environ == nil {
		o.Environ = environ
	}
	return o
}

// forProvider returns the options of the store's provider.
func (o OpenOptions) forProvider() []provider.Option {
	list := []provider.Option{provider.WithWarnings(o.Logger), provider.WithStderr(o.Stderr)}
	if o.OneShot {
		list = append(list, provider.OneShot())
	}
	return append(list, o.Provider...)
}

// Opened is an open store and the keys that the configuration has for it.
type Opened struct {
	*nebula.Store
	Name  string
	Keys  *Keys
	guard string // path of the rollback guard; "" if there is none
	keys  []nebula.Key

	MaxConcurrency int // credentials that a command works on at once
}

// CheckGuard examines the file of the rollback guard. It reports false if the
// store has none.
func (o *Opened) CheckGuard() (nebula.Finding, bool) {
	if o.guard == "" {
		return nebula.Finding{}, false
	}
	f := nebula.Finding{Check: "rollback guard", Severity: nebula.SeverityOK, Message: o.guard}
	_, _, err := nebula.NewGuardFile(o.guard).Load(o.Keys.description.Address, "")
	var e *nebula.Error
	switch problem := whyUnwritten(o.guard); {
	case errors.As(err, &e):
		f.Severity, f.Kind, f.Message, f.Fix = nebula.SeverityError, e.Kind, e.Message, e.Hint
	case problem != "":
		f.Severity, f.Kind, f.Message = nebula.SeverityError, nebula.ErrPermissionDenied, problem+": no new state of a credential can be noted"
		f.Fix = "let " + o.guard + " be written, or name another place with rollback_guard in [storage]"
	case !Exists(o.guard):
		f.Message = "none yet; it would be " + o.guard
	}
	return f, true
}

// Open opens a store by its name; "" is the default one.
func (c *Config) Open(ctx context.Context, name string, options OpenOptions) (*Opened, error) {
	s, err := c.find(name)
	if err != nil {
		return nil, err
	}
	return c.open(ctx, s, options, (*Keys).all)
}

// OpenWithoutKeys opens a store without its keys, to list or initialise it: no
// value can be read, and nobody is asked for a passphrase.
func (c *Config) OpenWithoutKeys(ctx context.Context, name string, options OpenOptions) (*Opened, error) {
	s, err := c.find(name)
	if err != nil {
		return nil, err
	}
	return c.open(ctx, s, options, nil)
}

// open opens a store with the keys that keysOf returns; nil: with none.
func (c *Config) open(ctx context.Context, s *store, options OpenOptions, keysOf func(*Keys) ([]nebula.Key, error)) (*Opened, error) {
	options = options.withDefaults(c.environ)
	p, err := c.construct(s, options)
	if err != nil {
		return nil, err
	}
	keys := &Keys{store: s, env: c.env, options: options, description: describe(p)}
	if err := keys.checkPlaces(); err != nil {
		return nil, err
	}
	storeOptions := nebula.Options{
		Scope:          s.shared.Scope,
		CreatedBy:      s.shared.CreatedBy,
		TrackAccess:    s.shared.TrackAccess,
		MaxConcurrency: s.shared.MaxConcurrency,
		TrustedKey:     s.trusted,
		StrictKey:      s.key.Strict,
		Logger:         options.Logger,
	}
	if dir := c.env.stateDirectory(); dir != "" {
		storeOptions.Pins = nebula.NewPinFile(filepath.Join(dir, knownStores))
		if options.Examine {
			storeOptions.Pins = unwrittenPins{storeOptions.Pins}
		}
	}
	if path := s.shared.RollbackGuard; path != "" {
		storeOptions.RollbackGuard = nebula.NewGuardFile(path)
	}
	if !options.Examine {
		if storeOptions.Cache, err = c.cacheOf(s); err != nil {
			return nil, err
		}
	}
	if keysOf != nil {
		if keys.opening, err = keysOf(keys); err != nil {
			return nil, err
		}
		storeOptions.Keys = keys.opening
		storeOptions.DataKeys = keys.dataKeys()
		if s == c.stores[DefaultStore] && s.directory() != "" {
			storeOptions.FirstKey, storeOptions.Initialised = keys.firstKey, keys.initialised
		}
	}
	opened, err := nebula.Open(ctx, p, storeOptions)
	if err != nil {
		return nil, err
	}
	keys.description = describe(p) // the address may be complete only now
	return &Opened{Store: opened, Name: s.name, Keys: keys, guard: s.shared.RollbackGuard, keys: storeOptions.Keys,
		MaxConcurrency: s.shared.MaxConcurrency}, nil
}

// cacheOf returns the options of a store's cache.
func (c *Config) cacheOf(s *store) (nebula.CacheOptions, error) {
	k := s.shared
	if k.CacheMaxAge == 0 && k.CacheLastKnown == 0 {
		return nebula.CacheOptions{}, nil
	}
	o := nebula.CacheOptions{MaxAge: k.CacheMaxAge, LastKnown: k.CacheLastKnown, Entries: k.CacheEntries}
	if k.CacheOnDisk {
		dir := c.env.stateDirectory()
		if dir == "" {
			return o, &nebula.Error{Kind: nebula.ErrInvalidConfig, Op: "configuration", Message: "cache_on_disk needs a state directory, and the environment names none",
				Hint: "set HOME or XDG_STATE_HOME"}
		}
		o.Directory = filepath.Join(dir, "cache")
	}
	return o, nil
}

// OpenWith opens a store that has no configuration of its own, such as an export,
// with the keys of this one. It remembers nothing of that store. trusted is the
// data key that the store must have, if it is known.
func (o *Opened) OpenWith(ctx context.Context, p nebula.Provider, trusted *nebula.KeyID) (*nebula.Store, error) {
	return nebula.Open(ctx, p, nebula.Options{Keys: o.keys, TrustedKey: trusted, MaxConcurrency: o.MaxConcurrency})
}

// construct makes the store's provider, without a network call.
func (c *Config) construct(s *store, options OpenOptions) (nebula.Provider, error) {
	r, err := c.providers.find(s.shared.Provider)
	if err != nil {
		return nil, err
	}
	return r.open(s.sections[r.name], options.forProvider())
}

func describe(p nebula.Provider) nebula.Description {
	if d, ok := nebula.As[nebula.Describer](p); ok {
		return d.Describe()
	}
	return nebula.Description{}
}

// checkPlaces is checkPlace for all key files that are named, and for the
// default one if it exists.
func (k *Keys) checkPlaces() error {
	files, isDefault := k.Files()
	if isDefault {
		files = slices.DeleteFunc(files, func(path string) bool { return !Exists(path) })
	}
	for _, path := range append(files, k.store.key.Identities...) {
		if err := k.checkPlace(path); err != nil {
			return err
		}
	}
	return nil
}

// checkPlace refuses a key file inside the directory of its store: a copy of the
// directory would hold a copy of the key.
func (k *Keys) checkPlace(path string) error {
	dir := k.store.directory()
	if !isWithin(dir, path) {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Op: "configuration",
		Message: "the key file " + path + " lies within base_path " + dir + ", beside what it opens",
		Hint:    "keep it elsewhere, so that a copy of the store is no copy of its key"}
}

// isWithin reports whether a path is inside a directory. It is not if either is
// "".
func isWithin(dir, path string) bool {
	if path == "" || dir == "" {
		return false
	}
	inside, err := filepath.Rel(atomicfile.Resolve(dir), atomicfile.Resolve(path))
	return err == nil && inside != ".." && !strings.HasPrefix(inside, ".."+string(filepath.Separator))
}

// Exists reports whether a path exists. A dangling link does.
func Exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Check examines the provider of a store that could not be opened.
func (c *Config) Check(ctx context.Context, name string, options OpenOptions) []nebula.Finding {
	s, err := c.find(name)
	if err != nil {
		return nil
	}
	p, err := c.construct(s, options.withDefaults(c.environ))
	if err != nil {
		return nil
	}
	if life, ok := nebula.As[nebula.Connector](p); ok {
		defer life.Close()
	}
	if checker, ok := nebula.As[nebula.Checker](p); ok {
		// The failure to open already said that it is not connected.
		return slices.DeleteFunc(checker.Check(ctx), func(f nebula.Finding) bool { return f.Kind == nebula.ErrClosed })
	}
	return nil
}
