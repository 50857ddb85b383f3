package providertest

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
)

// record is a sealed record with its name.
type record struct {
	name nebula.Name
	*nebula.Envelope
}

// named returns the name of a valid id.
func (r *rig) named(id string) nebula.Name {
	r.Helper()
	name, err := nebula.ID(id).Name()
	r.ok(err, "name "+id)
	return name
}

// created is the time at which the records of the suite were made, in
// microseconds, the precision of the format.
func created() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 89_000, time.UTC) }

// metadata returns plain metadata with tags, given as key, value, key, value.
func metadata(tags ...string) nebula.Metadata {
	m := nebula.Metadata{CreatedAt: created(), LastModified: created().Add(time.Hour)}
	for i := 0; i+1 < len(tags); i += 2 {
		if m.Tags == nil {
			m.Tags = make(map[string]string)
		}
		m.Tags[tags[i]] = tags[i+1]
	}
	return m
}

// record seals a new random value for id. No two records are the same.
func (r *rig) record(id string, tags ...string) record {
	r.Helper()
	return r.seal(id, "the value of "+id, metadata(tags...))
}

func (r *rig) seal(id, value string, m nebula.Metadata) record {
	r.Helper()
	return r.sealUnder(DataKey(), id, value, m)
}

func (r *rig) sealUnder(key [32]byte, id, value string, m nebula.Metadata) record {
	r.Helper()
	name := r.named(id)
	envelope, err := nebula.SealRecord(key, name, nebula.NewSecret([]byte(value)), m)
	r.ok(err, "seal "+id)
	// A short ciphertext might be in an error by chance.
	if text := string(envelope.Bytes()); len(value) >= 30 {
		at := strings.Index(text, `"ciphertext":"`) + len(`"ciphertext":"`)
		r.private.add(text[at : at+24])
	}
	r.private.add(value)
	r.private.add(base64.StdEncoding.EncodeToString([]byte(value[:min(len(value), 18)]))) // add keeps no more
	return record{name, envelope}
}

// sized seals a record of exactly that size.
func (r *rig) sized(id string, size int) record {
	r.Helper()
	m := metadata()
	m.CreatedBy = "x"
	frame := len(r.seal(id, "", m).Bytes())
	if size < frame {
		r.Fatalf("no record has %d bytes, the smallest has %d", size, frame)
	}
	// The value grows in steps of 4 characters of base64 for 3 bytes. The length of
	// the author fills the rest.
	m.CreatedBy += strings.Repeat("x", (size-frame)%4)
	value := strings.Repeat("nebula! ", (size-frame)/4*3/8+1)[:(size-frame)/4*3]
	e := r.seal(id, value, m)
	if len(e.Bytes()) != size {
		r.Fatalf("a record of %d bytes, want %d", len(e.Bytes()), size)
	}
	return e
}

// fill stores n records of ids that begin with prefix, and returns them by id.
func (r *rig) fill(prefix string, n int, tags ...string) map[nebula.ID]record {
	r.Helper()
	all := make(map[nebula.ID]record, n)
	for i := range n {
		e := r.record(fmt.Sprintf("%s%04d", prefix, i), tags...)
		r.store(e)
		all[e.name.ID()] = e
	}
	return all
}

// keyrings returns two keyrings; the second can replace the first.
func keyrings() (first, second record) {
	name := nebula.KeyringName()
	return record{name, Keyring()}, record{name, otherKeyring()}
}
