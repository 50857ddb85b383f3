package provider

import (
	"bytes"
	"errors"

	"github.com/nebula-credential/nebula"
)

// ParseRecord is [nebula.ParseEnvelope] for data from a backend. If the data was
// never a record, but something that somebody else stored there, the error is
// [NotARecord]; for a damaged record it is that of ParseEnvelope.
func ParseRecord(name nebula.Name, data []byte) (*nebula.Envelope, error) {
	envelope, err := nebula.ParseEnvelope(name, data)
	if errors.Is(err, nebula.ErrCorrupted) && !name.IsKeyring() && !resembles(data) {
		return nil, NotARecord()
	}
	return envelope, err
}

// resembles reports whether damaged data probably was a record: it has one of
// the two members that all records begin with.
func resembles(data []byte) bool {
	return bytes.Contains(data, []byte(`"encrypted_data"`)) || bytes.HasPrefix(data, []byte(`{"version":`))
}
