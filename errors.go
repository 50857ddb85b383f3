package nebula

import (
	"context"
	"errors"
	"strings"
)

// Kind is the class of a failure. The kinds are themselves errors, to be used
// with [errors.Is]:
//
//	if errors.Is(err, nebula.ErrNotFound) { … }
//
// Their text is stable: it is the "kind" of the command's JSON errors.
type Kind string

// The kinds of failure. Any other failure is ErrInternal.
const (
	ErrNotFound           Kind = "not_found"           // no such credential, or a deleted one
	ErrAlreadyExists      Kind = "already_exists"      // only-if-absent, and there is one
	ErrConflict           Kind = "conflict"            // the version is another, or another writer came first
	ErrPermissionDenied   Kind = "permission_denied"   // known, and not allowed
	ErrUnauthenticated    Kind = "unauthenticated"     // no credentials or key at hand, or refused ones
	ErrUnavailable        Kind = "unavailable"         // may work later
	ErrTimeout            Kind = "timeout"             // a deadline passed
	ErrTooLarge           Kind = "too_large"           // over the provider's limit
	ErrInvalidConfig      Kind = "invalid_config"      // a setting, or a key file, is wrong
	ErrInvalidID          Kind = "invalid_id"          // see ID
	ErrInvalidMetadata    Kind = "invalid_metadata"    // see Metadata.Validate
	ErrUsage              Kind = "usage"               // the call itself is wrong
	ErrWrongKey           Kind = "wrong_key"           // sealed under a key that is not at hand
	ErrCorrupted          Kind = "corrupted"           // damaged, edited or swapped
	ErrDecryptionFailed   Kind = "decryption_failed"   // version 1, which cannot tell the two apart
	ErrUnsupportedVersion Kind = "unsupported_version" // of the file or of its sealing
	ErrRolledBack         Kind = "rolled_back"         // older than one that was seen
	ErrUntrustedKey       Kind = "untrusted_key"       // the pin names another data key
	ErrNotSupported       Kind = "not_supported"       // an ability that the provider lacks
	ErrClosed             Kind = "closed"              // closed, or not connected
	ErrInterrupted        Kind = "interrupted"         // the caller cancelled
	ErrInternal           Kind = "internal"            // a defect
)

// ErrNotInitialised is the cause of an ErrNotFound if a store has no keyring
// yet: see [Store.Init].
const ErrNotInitialised Kind = "not_initialised"

// ErrKeyChanged is the cause of an ErrConflict if a provider refuses a record
// that is not sealed under the current data key. The caller must read the
// keyring again, and seal the value again.
const ErrKeyChanged Kind = "key_changed"

// ErrNotARecord is the cause of an ErrCorrupted if the bytes in the place of a
// credential are not a damaged record but somebody else's.
const ErrNotARecord Kind = "not_a_record"

// Error returns the kind in words.
func (k Kind) Error() string { return strings.ReplaceAll(string(k), "_", " ") }

// Error is the error of this module's operations. [errors.Is] finds its Kind,
// and [errors.As] finds what it wraps, an SDK's own error for example. No field
// ever holds a value, a key, a token or a body that a server sent.
type Error struct {
	Kind     Kind
	Op       string // store, retrieve, delete, list, exists, init, …
	Provider string // local, aws, …; "" if none was asked
	ID       ID     // "" if the failure is not about one credential
	Message  string // what happened, and what is missing
	Hint     string // what to do about it; may be ""
	Err      error  // the cause; may be nil
}

// Error returns one line: operation, credential, provider, what happened, what to
// do.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op)
		if e.ID != "" {
			b.WriteString(" " + quoteID(string(e.ID)))
		}
		if e.Provider != "" {
			b.WriteString(" (" + e.Provider + ")")
		}
		b.WriteString(": ")
	}
	if e.Message != "" {
		b.WriteString(e.Message)
	} else {
		b.WriteString(e.Kind.Error())
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Is reports whether target is the error's Kind.
func (e *Error) Is(target error) bool { return target == error(e.Kind) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// OfBackend reports whether a failure of this kind concerns the backend as a
// whole, so that calls for other credentials probably fail, too.
func (k Kind) OfBackend() bool {
	return k == ErrUnavailable || k == ErrTimeout || k == ErrUnauthenticated
}

// KindOf returns the kind of err: that of the outermost [Error] in it, or that
// of a context that ended, or else [ErrInternal]. It returns "" for nil.
func KindOf(err error) Kind {
	var e *Error
	var k Kind
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Kind
	case errors.As(err, &k):
		return k
	case errors.Is(err, context.DeadlineExceeded):
		return ErrTimeout
	case errors.Is(err, context.Canceled):
		return ErrInterrupted
	}
	return ErrInternal
}

// locate fills in the operation, the provider and the credential if an error
// from further down does not name them. It changes nothing that is there, and
// works on a copy, because the error may be shared.
func locate(err error, op, provider string, id ID) error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		kind := KindOf(err)
		return &Error{Kind: kind, Op: op, Provider: provider, ID: id, Message: describe(kind, err), Err: err}
	}
	located := *e
	if located.Op == "" {
		located.Op = op
	}
	if located.Provider == "" {
		located.Provider = provider
	}
	if located.ID == "" && e.Kind != ErrInvalidID {
		located.ID = id
	}
	return &located
}

// describe gives a message to a cause that has none of ours.
func describe(kind Kind, err error) string {
	switch kind {
	case ErrTimeout:
		return "the deadline passed"
	case ErrInterrupted:
		return "cancelled"
	}
	return err.Error()
}
