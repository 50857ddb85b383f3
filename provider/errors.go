package provider

import (
	"errors"
	"fmt"

	"github.com/nebula-credential/nebula"
)

// NotFound is the error of an operation on a credential that does not exist.
func NotFound() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrNotFound, Message: "there is no such credential"}
}

// NothingToRestore is the error of [nebula.Restorer] if nothing was deleted.
func NothingToRestore() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrNotFound, Message: "there is nothing to restore"}
}

// NotDeleted is the error of [nebula.Restorer] on a credential that exists.
func NotDeleted() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrConflict, Message: "the credential is not deleted"}
}

// NoSuchVersion is the error of [nebula.VersionRetriever] if the credential has
// no such version.
func NoSuchVersion() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrNotFound, Message: "there is no such version"}
}

// NotARecord is the error of an operation that finds foreign data in the place
// of a credential.
func NotARecord() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrCorrupted, Message: "the value that is stored there is not a nebula record", Err: nebula.ErrNotARecord,
		Hint: "look what it is: nebula import --help says how to take it over; or move it away before you put a credential there"}
}

// NotARecordAt is [NotARecord] with the source by which nebula import finds what is
// there, such as vault:PATH.
func NotARecordAt(source string) *nebula.Error {
	e := NotARecord()
	e.Hint = "take it over with nebula import " + source + ", or move it away before you put a credential there"
	return e
}

// LostRecord is the error of an operation that finds foreign data in a place
// that is marked as the credential's: somebody replaced the record. It is not
// [NotARecord], so that a rotation does not pass over it.
func LostRecord() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrCorrupted, Message: "the value that is stored there is marked as this credential, and is not a nebula record",
		Hint: "restore it from a backup, or put the value again with --force"}
}

// NotCurrent is the error of a conditional write or deletion that expected
// version v, which is not the current one. The message shows at most 40 bytes of
// v.
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

func errBatch(message string) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUsage, Message: message}
}

func errKeyringStays() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUsage, Message: "the keyring is not removed: without it no credential can be read"}
}

func errDeleteAbsent() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUsage, Message: "a deletion on condition that there is no credential makes no sense"}
}

// fail adds operation, provider and id to an error. It copies the error, since
// a driver may return the same one several times.
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
