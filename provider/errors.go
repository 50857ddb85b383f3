package provider

import (
	"errors"
	"fmt"

	"github.com/nebula-credential/nebula"
)

// NotFound is the failure of an operation on a credential that does not exist.
func NotFound() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrNotFound, Message: "there is no such credential"}
}

// NothingToRestore is the failure of [nebula.Restorer] if there was no deletion.
func NothingToRestore() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrNotFound, Message: "there is nothing to restore"}
}

// NotDeleted is the failure of [nebula.Restorer] on a live credential.
func NotDeleted() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrConflict, Message: "the credential is not deleted"}
}

// NoSuchVersion is the failure of [nebula.VersionRetriever].
func NoSuchVersion() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrNotFound, Message: "there is no such version"}
}

// NotARecord is the failure to read what somebody else stored in a credential's
// place.
func NotARecord() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrCorrupted, Message: "what is stored there is not a nebula record", Err: nebula.ErrNotARecord,
		Hint: "take it over with nebula import, or move it away before you put a credential there"}
}

// NotCurrent is the failure of a write or a deletion on condition of a version
// that is not the current one. At most 40 bytes of the version are shown.
func NotCurrent(v nebula.Version, cause error) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrConflict, Err: cause,
		Message: fmt.Sprintf("version %.40q, which was expected, is not the current one", string(v))}
}

func errTooLarge(size, limit int, provider string) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrTooLarge,
		Message: fmt.Sprintf("the record has %d bytes, the limit of %s is %d", size, provider, limit),
		Hint:    "a record is about 4/3 of its value and 500 bytes"}
}

func errNoName() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUsage, Message: "the name is empty", Hint: "make names with ID.Name or KeyringName"}
}

func errKeyringStays() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUsage, Message: "the keyring is not removed: without it no credential can be read"}
}

func errDeleteAbsent() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUsage, Message: "a deletion on condition that there is no credential makes no sense"}
}

// fail returns err as the error of a call: with operation, provider and id. It
// copies, since a driver may return one error several times.
func (s *shell) fail(c Call, err error) error {
	if err == nil {
		return nil
	}
	var e *nebula.Error
	if !errors.As(err, &e) {
		e = s.driver.Explain(c.Name, err)
	}
	located := *e
	located.Op, located.Provider, located.ID = c.Op, s.name, c.Name.ID()
	return &located
}
