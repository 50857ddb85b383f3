package provider

import (
	"bytes"
	"errors"

	"github.com/nebula-credential/nebula"
)

// ParseRecord is [nebula.ParseEnvelope] for what a backend holds in a
// credential's place. It tells what somebody else stored there, [NotARecord],
// from a damaged record.
func ParseRecord(name nebula.Name, data []byte) (*nebula.Envelope, error) {
	envelope, err := nebula.ParseEnvelope(name, data)
	if errors.Is(err, nebula.ErrCorrupted) && !name.IsKeyring() && !resembles(data) {
		return nil, NotARecord()
	}
	return envelope, err
}

// resembles reports whether data was a record before it was damaged, as far as
// can be told: one of the two members that all records begin with is there.
func resembles(data []byte) bool {
	return bytes.Contains(data, []byte(`"encrypted_data"`)) || bytes.HasPrefix(data, []byte(`{"version":`))
}
