package provider

import (
	"bytes"
	"context"

	"github.com/nebula-credential/nebula"
)

// ForeignReader is a provider that reads secrets that others keep in the
// backend beside the records, with its own login. It changes nothing there.
type ForeignReader interface {
	// ForeignNames returns the names of the secrets at a place: those that begin
	// with it (aws, azure), the one at that path and all below it, in the
	// provider's mount (vault), the Secret of that name in the provider's
	// namespace (kubernetes). The records of stores are among them. A place where
	// there is nothing has none.
	ForeignNames(ctx context.Context, place string) ([]string, error)

	// Foreign reads one. If it is not there, or deleted, the error is
	// [nebula.ErrNotFound].
	Foreign(ctx context.Context, name string) (Foreign, error)
}

// Foreign is a secret that others keep in a backend. The caller may wipe it.
type Foreign struct {
	Value []byte            // as it is stored; JSON if the backend stores an object
	Keys  map[string][]byte // instead of Value, where a secret is a map of bytes
	Note  string            // what to know of it
}

// IsRecord reports whether a value is a record, or a keyring, of some store.
func (f Foreign) IsRecord() bool {
	for _, value := range f.Keys {
		if isWholeRecord(value) {
			return true
		}
	}
	return isWholeRecord(f.Value)
}

// isWholeRecord reports whether text, or a member of it as in Vault, begins and
// goes on as records of all versions do.
func isWholeRecord(text []byte) bool {
	text = bytes.TrimPrefix(text, []byte(`{"record":"`))
	text = bytes.ReplaceAll(text[:min(len(text), 100)], []byte(`\"`), []byte(`"`))
	return bytes.HasPrefix(text, []byte(`{"version":`)) && bytes.Contains(text, []byte(`"encrypted_data":`))
}

// ForeignNames implements [ForeignReader].
func (s *shell) ForeignNames(ctx context.Context, place string) ([]string, error) {
	f, ok := s.driver.(ForeignReader)
	if !ok {
		return nil, s.lacks(OpForeign, nebula.Name{})
	}
	return do(ctx, s, Call{Op: OpForeignNames}, func(ctx context.Context) ([]string, error) { return f.ForeignNames(ctx, place) })
}

// Foreign implements [ForeignReader].
func (s *shell) Foreign(ctx context.Context, name string) (Foreign, error) {
	f, ok := s.driver.(ForeignReader)
	if !ok {
		return Foreign{}, s.lacks(OpForeign, nebula.Name{})
	}
	return do(ctx, s, Call{Op: OpForeign}, func(ctx context.Context) (Foreign, error) { return f.Foreign(ctx, name) })
}
