package token

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/secretfile"
	"github.com/nebula-credential/nebula/internal/statefile"
)

// maxSize is the limit of a file in bytes, about 20,000 tokens. All of it is in
// memory.
const maxSize = 4 << 20

// File is a file of tokens. Its methods may be called by several goroutines at
// once.
type File struct {
	lines  *statefile.File[line]
	grants atomic.Pointer[grants]
}

// grants are the tokens of a file, by the hashes of the tokens.
type grants struct {
	number uint64 // of the snapshot
	byHash map[[sha256.Size]byte]Grant
}

// NewFile returns the file at a path. Add makes it, and the directories above it.
func NewFile(path string) *File {
	f := &File{lines: statefile.New(path, line.key)}
	f.lines.Private = true
	f.lines.MaxSize = maxSize
	f.lines.Mend = "mend or remove the line; until then no token is accepted"
	return f
}

// AllowGroupRead allows the group to read the file, for example if it is mounted for a
// group in a container. Call it before all other methods.
func (f *File) AllowGroupRead() { f.lines.GroupReads = true }

// Path returns the file's path.
func (f *File) Path() string { return f.lines.Path() }

// Check returns the grant of a token. If the token is unknown, malformed or
// expired, the error is ErrUnauthenticated, and does not show which. If the file
// cannot be relied on, because it is missing or damaged, or others than its owner
// have access to it, the error is ErrUnavailable. The cause then says what is
// wrong, with the path. Do not show it to the client.
//
// Check examines the file each time, so a change holds for the next call. It
// compares only the token's hash, and takes no lock if the file has not changed.
func (f *File) Check(secret []byte, now time.Time) (Grant, error) {
	if !isWellFormed(secret) {
		return Grant{}, unauthenticated()
	}
	return f.find(sha256.Sum256(secret), now)
}

// Again is [File.Check] for a grant that Check returned some time ago: the token
// may have expired or been removed since.
func (f *File) Again(g Grant, now time.Time) (Grant, error) { return f.find(g.hash, now) }

func (f *File) find(hash [sha256.Size]byte, now time.Time) (Grant, error) {
	current, err := f.current()
	if err != nil {
		return Grant{}, &nebula.Error{Kind: nebula.ErrUnavailable, Message: "tokens cannot be checked now", Hint: "the log of the service says why", Err: err}
	}
	g, found := current.byHash[hash]
	if !found || g.Expired(now) {
		return Grant{}, unauthenticated()
	}
	return g, nil
}

// Ready returns nil, or an error that says why no token can be checked, and
// what to do about it.
func (f *File) Ready() error {
	_, err := f.current()
	return err
}

func unauthenticated() error {
	return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the token is not valid",
		Hint: "send a token that nebula serve token add has made, and that has not expired: Authorization: Bearer nbt_…"}
}

func (f *File) current() (*grants, error) {
	s, err := f.lines.Current()
	if err != nil {
		return nil, failed(err)
	}
	if s.Missing {
		return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "there is no file of tokens: " + f.Path(),
			Hint: "make the first token: nebula serve token add NAME --allow read"}
	}
	if g := f.grants.Load(); g != nil && g.number == s.Number {
		return g, nil
	}
	g := &grants{number: s.Number, byHash: make(map[[sha256.Size]byte]Grant, len(s.Lines))}
	for _, l := range s.Lines {
		if other, twice := g.byHash[l.hash()]; twice {
			return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: fmt.Sprintf("the file of tokens %s has one token twice, as %q and %q", f.Path(), other.Name, l.Name),
				Hint: "remove one: nebula serve token remove NAME"}
		}
		g.byHash[l.hash()] = l.grant()
	}
	f.grants.Store(g)
	return g, nil
}

// Add makes a token and returns it. This is the only time that the token is shown.
// The times are cut to whole seconds. If Created is zero, it is now. Errors:
// ErrAlreadyExists if there is a token of that name, ErrUsage and ErrInvalidMetadata
// for a grant that is not valid.
func (f *File) Add(ctx context.Context, g Grant) (nebula.Secret, error) {
	if g.Created.IsZero() {
		g.Created = time.Now()
	}
	g.Created, g.Expires = g.Created.UTC().Truncate(time.Second), g.Expires.UTC().Truncate(time.Second)
	if err := g.check(); err != nil {
		return nebula.Secret{}, err
	}
	if g.Expired(g.Created) {
		return nebula.Secret{}, refuse("the token would have expired already", "")
	}
	text := newSecret()
	defer clear(text)
	exists := false
	err := f.update(ctx, g.Name, func(old *line) *line {
		if exists = old != nil; exists {
			return old
		}
		return newLine(g, sha256.Sum256(text))
	})
	switch {
	case err != nil:
		return nebula.Secret{}, err
	case exists:
		return nebula.Secret{}, &nebula.Error{Kind: nebula.ErrAlreadyExists, Message: fmt.Sprintf("there is a token named %q", g.Name),
			Hint: "give it another name, or remove that one first: nebula serve token remove NAME"}
	}
	return nebula.NewSecret(text), nil
}

// Remove removes the token of a name. Error: ErrNotFound if there is none.
func (f *File) Remove(ctx context.Context, name string) error {
	s, err := f.lines.Current()
	if err != nil {
		return failed(err)
	}
	_, existed := s.Lines[name]
	if existed { // else the file is not even made
		err = f.update(ctx, name, func(old *line) *line {
			existed = old != nil
			return nil
		})
	}
	if err == nil && !existed {
		return &nebula.Error{Kind: nebula.ErrNotFound, Message: fmt.Sprintf("there is no token named %q", cut(name)), Hint: "nebula serve token list shows them"}
	}
	return err
}

// List returns the tokens, sorted by name, also expired ones. A missing file has
// none.
func (f *File) List(ctx context.Context) ([]Grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := f.lines.Current()
	if err != nil {
		return nil, failed(err)
	}
	list := make([]Grant, 0, len(s.Lines))
	for _, l := range slices.SortedFunc(maps.Values(s.Lines), func(a, b line) int { return strings.Compare(a.Name, b.Name) }) {
		list = append(list, l.grant())
	}
	return list, nil
}

func (f *File) update(ctx context.Context, name string, change func(*line) *line) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return failed(f.lines.Update(name, change))
}

// failed says that the file cannot be used, and what to do about it.
func failed(err error) error {
	if err == nil {
		return nil
	}
	kind := secretfile.Kind(err)
	switch {
	case errors.Is(err, statefile.ErrFull):
		kind = nebula.ErrUsage
	case errors.Is(err, context.DeadlineExceeded): // another process keeps the lock
		kind = nebula.ErrUnavailable
	}
	e := &nebula.Error{Kind: kind, Message: "the file of tokens cannot be used: " + err.Error(), Err: err}
	if f := new(statefile.Error); errors.As(err, &f) {
		if e.Hint = f.Hint; e.Hint == "" {
			_, e.Hint = atomicfile.Denial(f.Path, err)
		}
	}
	return e
}
