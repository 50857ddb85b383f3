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
	"github.com/nebula-credential/nebula/internal/guardfile"
	"github.com/nebula-credential/nebula/internal/knownstores"
)

// OpenOptions goes with [Config.Open]: what opening a store needs of the process.
type OpenOptions struct {
	// Ask asks a person at the controlling terminal for something hidden. It
	// fails with ErrNoTerminal where nobody can be asked.
	Ask func(ctx context.Context, question string) ([]byte, error)

	// Tell says something that a person should know, a line or some.
	Tell func(text string)

	// Stderr is where a passphrase command says what is wrong.
	Stderr io.Writer

	// Logger gets the warnings of the store; nil: they are dropped.
	Logger *slog.Logger

	// OneShot says that the process makes a few calls and ends: no provider
	// then keeps its token alive in the background.
	OneShot bool

	// CommandTimeout is how long a passphrase command may take: 0 is 30 seconds,
	// less than that is for ever.
	CommandTimeout time.Duration

	// Pause, where it is not nil, says that a person or another program is waited
	// for, until the function that it returns is called.
	Pause func() (resume func())

	// Environ is the environment of the process, for its children.
	Environ []string
}

// Opened is an open store and the keys that the configuration has for it.
type Opened struct {
	*nebula.Store
	Name  string
	Keys  *Keys
	guard string // path of the rollback guard; "" where there is none

	MaxConcurrency int // credentials that a command works on at once
	restores       bool
}

// Restores reports whether the backend keeps what is deleted.
func (o *Opened) Restores() bool { return o.restores }

// CheckGuard examines the file of the rollback guard. It reports false where
// the store has none.
func (o *Opened) CheckGuard() (nebula.Finding, bool) {
	if o.guard == "" {
		return nebula.Finding{}, false
	}
	f := nebula.Finding{Check: "rollback guard", Severity: nebula.SeverityOK, Message: o.guard}
	_, _, err := guardfile.New(o.guard).Load(o.Keys.description.Address, "")
	var e *nebula.Error
	switch {
	case errors.As(err, &e):
		f.Severity, f.Kind, f.Message, f.Fix = nebula.SeverityError, e.Kind, e.Message, e.Hint
	case !Exists(o.guard):
		f.Message = "none yet; it would be " + o.guard
	}
	return f, true
}

// Open opens a store by its name; "" is the default one.
func (c *Config) Open(ctx context.Context, name string, options OpenOptions) (*Opened, error) {
	return c.open(ctx, name, options, true)
}

// OpenWithoutKeys opens a store to look at it or to initialise it: nothing
// sealed can be read, and nobody is asked for a passphrase.
func (c *Config) OpenWithoutKeys(ctx context.Context, name string, options OpenOptions) (*Opened, error) {
	return c.open(ctx, name, options, false)
}

func (c *Config) open(ctx context.Context, name string, options OpenOptions, withKeys bool) (*Opened, error) {
	s, err := c.find(name)
	if err != nil {
		return nil, err
	}
	if err := s.construct(options); err != nil {
		return nil, err
	}
	keys := &Keys{store: s, env: c.env, options: options, description: describe(s.provider)}
	if err := keys.checkPlaces(); err != nil {
		return nil, err
	}
	storeOptions := nebula.Options{
		Scope:          s.shared.Scope,
		CreatedBy:      s.shared.CreatedBy,
		TrackAccess:    s.shared.TrackAccess,
		MaxConcurrency: s.shared.MaxConcurrency,
		TrustedKey:     s.trusted,
		Logger:         options.Logger,
	}
	if dir := c.env.stateDirectory(); dir != "" {
		storeOptions.Pins = knownstores.New(dir)
	}
	if path := s.shared.RollbackGuard; path != "" {
		storeOptions.RollbackGuard = guardfile.New(path)
	}
	if withKeys {
		storeOptions.Keys = keys.all()
		if s.name == DefaultStore && s.shared.Provider == "local" {
			storeOptions.FirstKey = keys.firstKey
		}
	}
	opened, err := nebula.Open(ctx, s.provider, storeOptions)
	if err != nil {
		return nil, err
	}
	keys.description = describe(s.provider) // connecting may have completed the address
	_, restores := nebula.As[nebula.Restorer](s.provider)
	return &Opened{Store: opened, Name: s.name, Keys: keys, guard: s.shared.RollbackGuard,
		MaxConcurrency: s.shared.MaxConcurrency, restores: restores}, nil
}

func describe(p nebula.Provider) nebula.Description {
	if d, ok := nebula.As[nebula.Describer](p); ok {
		return d.Describe()
	}
	return nebula.Description{}
}

// checkPlaces is checkPlace for the key files that are named or there.
func (k *Keys) checkPlaces() error {
	files, isDefault := k.Files()
	for _, path := range files {
		if isDefault && !Exists(path) {
			continue
		}
		if err := k.checkPlace(path); err != nil {
			return err
		}
	}
	return nil
}

// checkPlace refuses a key file in the directory that it opens: a copy of the
// directory would be a copy of the key.
func (k *Keys) checkPlace(path string) error {
	if !isWithin(k.description, path) {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Op: "configuration",
		Message: "the key file " + path + " lies within base_path " + k.description.Address + ", beside what it opens",
		Hint:    "keep it elsewhere, so that a copy of the store is no copy of its key"}
}

// isWithin reports whether a path lies in the directory of a local store.
func isWithin(d nebula.Description, path string) bool {
	if path == "" || d.Provider != "local" || d.Address == "" {
		return false
	}
	inside, err := filepath.Rel(resolve(d.Address), resolve(path))
	return err == nil && inside != ".." && !strings.HasPrefix(inside, ".."+string(filepath.Separator))
}

// resolve follows the links in as much of the path as there is.
func resolve(path string) string {
	path = filepath.Clean(path)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	dir := filepath.Dir(path)
	if dir == path {
		return path
	}
	return filepath.Join(resolve(dir), filepath.Base(path))
}

// Exists reports whether something is there, be it a link to nothing.
func Exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Check examines the provider of a store that does not open.
func (c *Config) Check(ctx context.Context, name string) []nebula.Finding {
	s, err := c.find(name)
	if err != nil || s.provider == nil {
		return nil
	}
	if checker, ok := nebula.As[nebula.Checker](s.provider); ok {
		// That it is not connected is what the failure to open said already.
		return slices.DeleteFunc(checker.Check(ctx), func(f nebula.Finding) bool { return f.Kind == nebula.ErrClosed })
	}
	return nil
}
