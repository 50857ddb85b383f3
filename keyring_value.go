package nebula

import (
	"time"

	"github.com/nebula-credential/nebula/internal/canon"
	"github.com/nebula-credential/nebula/internal/seal"
)

// seal returns the keyring's record, of the generation that k has.
func (k *keyring) seal(now time.Time) *Envelope {
	// The slice has its full size at once, so that no copies are left behind
	// while it grows.
	value := k.appendValue(make([]byte, 0, k.valueSize()))
	defer clear(value)
	m := Metadata{CreatedAt: k.createdAt, LastModified: now}
	return sealEnvelope(k.current, KeyringName(), value, m, newSlotList(k.slots))
}

// valueSize returns the greatest size of the sealed value, in bytes.
func (k *keyring) valueSize() int {
	size := 128 + 48*len(k.retired)
	for _, note := range k.notes {
		size += 96 + 2*len(note.Label)
	}
	return size
}

func (k *keyring) appendValue(b []byte) []byte {
	b = append(b, `{"generation":`...)
	b = canon.AppendUint(b, k.generation)
	if k.rotating {
		b = append(b, `,"state":"rotating","switched_at":"`...)
		b = canon.AppendTime(b, k.switchedAt)
		b = append(b, '"')
	} else {
		b = append(b, `,"state":"steady"`...)
	}
	b = append(b, `,"retired":[`...)
	for i, key := range k.retired {
		if i > 0 {
			b = append(b, ',')
		}
		secret := key.Secret()
		b = canon.AppendBase64(b, secret[:])
	}
	b = append(b, ']')
	b = k.appendNotes(b)
	return append(b, '}')
}

func (k *keyring) readValue(plaintext []byte) bool {
	r := canon.NewReader(plaintext)
	r.Expect(`{"generation":`)
	k.generation = r.Uint(maxGeneration)
	if k.rotating = r.Accept(`,"state":"rotating","switched_at":`); k.rotating {
		k.switchedAt = r.Time()
	} else {
		r.Expect(`,"state":"steady"`)
	}
	r.Expect(`,"retired":[`)
	for !r.Accept(`]`) && !r.Failed() {
		if len(k.retired) > 0 {
			r.Expect(`,`)
		}
		var secret [seal.KeySize]byte
		r.Fixed(secret[:])
		k.retired = append(k.retired, seal.NewKey(secret))
		if len(k.retired) > maxRetired {
			r.Fail()
		}
	}
	k.readNotes(r)
	r.Expect(`}`)
	return r.Done() && k.generation > 0 && (!k.rotating || len(k.retired) > 0)
}
