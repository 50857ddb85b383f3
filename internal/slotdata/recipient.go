package slotdata

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
)

// MaxRecipient is the greatest length of a recipient, in bytes.
const MaxRecipient = 2048

// ageHeader begins every binary file of age.
const ageHeader = "age-encryption.org/v1\n"

// Recipient is the data of a slot for an age identity.
type Recipient struct {
	Recipient string // as it is written for age, without comment
	File      []byte // binary age file of the slot secret, for that recipient alone
}

// ParseRecipient reads the data of a slot.
func ParseRecipient(data []byte) (Recipient, error) {
	fields, err := split(data, 2)
	if err != nil {
		return Recipient{}, err
	}
	r := Recipient{Recipient: string(fields[0]), File: fields[1]}
	if !IsRecipient(r.Recipient) {
		return Recipient{}, errors.New("the recipient is not in form")
	}
	if !bytes.HasPrefix(r.File, []byte(ageHeader)) {
		return Recipient{}, errors.New("the secret is not an age file")
	}
	return r, nil
}

// Bytes is the inverse of ParseRecipient.
func (r Recipient) Bytes() []byte {
	return appendField(appendField(nil, r.Recipient), r.File)
}

// IsRecipient reports whether s has the form of a recipient: visible ASCII, and
// one space for an SSH key, between its type and its base64.
func IsRecipient(s string) bool {
	if len(s) > MaxRecipient {
		return false
	}
	kind, key, isSSH := strings.Cut(s, " ")
	if !isSSH {
		return visible(s, MaxRecipient)
	}
	return strings.HasPrefix(kind, "ssh-") && only(kind, isLowerName) && isBase64(key)
}

// isBase64 reports standard base64 that is padded, not empty, without newlines
// and unused bits.
func isBase64(s string) bool {
	// The decoder skips newlines.
	if s == "" || strings.ContainsAny(s, "\r\n") {
		return false
	}
	_, err := base64.StdEncoding.Strict().DecodeString(s)
	return err == nil
}
