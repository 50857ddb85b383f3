package nebula

import "errors"

// UnparsedRecord returns the bytes that [ParseEnvelope] could not take for a
// record, if err came from there: a backup takes them along. They must not be
// changed. nil: there are none.
func UnparsedRecord(err error) []byte {
	var u *unparsedRecord
	if !errors.As(err, &u) {
		return nil
	}
	return u.raw
}

// unparsedRecord is the cause of an error about a record. Whatever formats it
// shows nothing of the bytes.
type unparsedRecord struct{ raw []byte }

func (*unparsedRecord) Error() string    { return "the bytes are not a record of this version" }
func (*unparsedRecord) GoString() string { return "unparsedRecord" }
