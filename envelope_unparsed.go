package nebula

import "errors"

// UnparsedRecord returns the bytes that [ParseEnvelope] could not parse, if err
// came from there, and else nil. A backup contains them. They must not be
// changed.
func UnparsedRecord(err error) []byte {
	var u *unparsedRecord
	if !errors.As(err, &u) {
		return nil
	}
	return u.raw
}

// unparsedRecord is the cause of an error about a record. Formatting it shows
// nothing of the bytes.
type unparsedRecord struct{ raw []byte }

func (*unparsedRecord) Error() string    { return "the bytes are not a record of this version" }
func (*unparsedRecord) GoString() string { return "unparsedRecord" }
