package service

import (
	"encoding/base64"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/canon"
)

// The JSON is that of the command's -o json. It is appended, not marshalled,
// because a value must not be left behind in buffers that cannot be wiped.

// appendCredential appends a credential. The buffer does not grow after the value is
// in it.
func appendCredential(b []byte, c nebula.Credential) []byte {
	value := c.Secret.Reveal()
	text := utf8.Valid(value)
	rest := appendMetadata([]byte(`,"metadata":`), c.Metadata)
	if !c.LastKnown.IsZero() {
		rest = appendTime(append(rest, `,"last_known":`...), c.LastKnown)
	}
	size := base64.StdEncoding.EncodedLen(len(value))
	if text {
		size = quotedLength(value)
	}
	const names = len(`{"id":"","value":"","encoding":"base64","version":}`)
	need := names + len(c.ID) + size + 2 + 6*len(c.Version) + len(rest)
	if cap(b)-len(b) < need {
		b = append(make([]byte, 0, len(b)+need), b...)
	}
	b = append(append(b, `{"id":"`...), c.ID...)
	b = append(b, `","value":`...)
	encoding := "base64"
	if text {
		b, encoding = appendText(b, value), "utf8"
	} else {
		b = canon.AppendBase64(b, value)
	}
	b = append(append(b, `,"encoding":"`...), encoding...)
	b = appendText(append(b, `","version":`...), string(c.Version))
	return append(append(b, rest...), '}')
}

func appendMetadata(b []byte, m nebula.Metadata) []byte {
	b = appendTime(append(b, `{"created_at":`...), m.CreatedAt)
	b = appendTime(append(b, `,"last_modified":`...), m.LastModified)
	if !m.LastAccessed.IsZero() {
		b = appendTime(append(b, `,"last_accessed":`...), m.LastAccessed)
	}
	if m.CreatedBy != "" {
		b = appendText(append(b, `,"created_by":`...), m.CreatedBy)
	}
	if m.Scope != "" {
		b = appendText(append(b, `,"scope":`...), m.Scope)
	}
	if days := m.RotationPolicy.IntervalDays; days > 0 {
		b = strconv.AppendUint(append(b, `,"rotation_policy":{"interval_days":`...), uint64(days), 10)
		b = append(b, '}')
	}
	b = append(b, `,"tags":{`...)
	for i, key := range sortedKeys(m.Tags) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(append(appendText(b, key), ':'), m.Tags[key])
	}
	return append(b, `}}`...)
}

func appendTime(b []byte, t time.Time) []byte {
	return append(canon.AppendTime(append(b, '"'), t), '"')
}

const hexDigits = "0123456789abcdef"

// appendText appends a string of JSON. It must be valid UTF-8.
func appendText[T string | []byte](b []byte, text T) []byte {
	b = append(b, '"')
	start := 0
	for i := range len(text) {
		c := text[i]
		if !escaped(c) {
			continue
		}
		b = append(b, text[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(b, text[start:]...), '"')
}

func escaped(c byte) bool { return c < ' ' || c == '"' || c == '\\' || c == 0x7f }

// quotedLength returns the greatest number of bytes that a text has in quotes.
func quotedLength(text []byte) int {
	n := len(text) + 2
	for _, c := range text {
		if escaped(c) {
			n += 5
		}
	}
	return n
}
