package nebula

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[REDACTED]"

var errNotText = errors.New("a secret is not read from text: use NewSecret")

// Secret holds the plaintext of a credential. A plaintext leaves this package
// in no other form. If it is printed or encoded (fmt, log, slog, JSON, YAML,
// XML, gob, templates), [REDACTED] appears. Only [Secret.Reveal] returns the
// bytes. Decoding into a Secret fails, so that a redacted text cannot come back
// as a value.
//
// A Secret is a reference: copies share the same bytes, and [Secret.Wipe]
// clears them for all. The zero Secret is empty.
type Secret struct {
	// Two pointers, not a slice: fmt bypasses methods for %p and for a Secret
	// in an unexported field. If the verb does not fit, it prints the target of
	// one pointer, and never the target of a second one.
	box **secretBox
}

type secretBox struct{ value []byte }

// NewSecret returns a Secret of a copy of value.
func NewSecret(value []byte) Secret {
	return takeSecret(append([]byte(nil), value...))
}

// takeSecret makes a Secret of value itself, which the caller gives up.
func takeSecret(value []byte) Secret {
	box := &secretBox{value}
	return Secret{&box}
}

// Reveal returns the plaintext, which is shared and must not be changed. It is
// empty after [Secret.Wipe].
func (s Secret) Reveal() []byte {
	if s.box == nil {
		return nil
	}
	return (*s.box).value
}

// Len returns the length of the plaintext in bytes.
func (s Secret) Len() int { return len(s.Reveal()) }

// Equal compares two secrets. The time that it takes depends on their lengths
// alone.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(s.Reveal(), other.Reveal()) == 1
}

// Wipe overwrites the plaintext with zeros and empties the Secret. It does not
// reach copies that the program made of the bytes. It must not run at the same
// time as another use of the same Secret.
func (s Secret) Wipe() {
	if s.box != nil {
		clear((*s.box).value)
		(*s.box).value = nil
	}
}

// String returns [REDACTED].
func (s Secret) String() string { return redacted }

// GoString returns [REDACTED].
func (s Secret) GoString() string { return redacted }

// Format writes [REDACTED] for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns [REDACTED].
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON returns "[REDACTED]".
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns [REDACTED]; XML, TOML and most YAML encoders use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalYAML returns [REDACTED].
func (s Secret) MarshalYAML() (any, error) { return redacted, nil }

// MarshalBinary returns [REDACTED]; gob and CBOR encoders use it.
func (s Secret) MarshalBinary() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalJSON fails.
func (s *Secret) UnmarshalJSON([]byte) error { return errNotText }

// UnmarshalText fails.
func (s *Secret) UnmarshalText([]byte) error { return errNotText }

// UnmarshalYAML fails.
func (s *Secret) UnmarshalYAML(func(any) error) error { return errNotText }

// UnmarshalBinary fails.
func (s *Secret) UnmarshalBinary([]byte) error { return errNotText }
