// Package slotdata reads and writes the data of key slots whose secret is kept
// elsewhere: encrypted for an age identity or by a service, or in the keychain.
// Anyone who can write the store chooses this data. Compare it with the
// configuration of the user; never take an address or a program from it.
package slotdata

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Kinds of slots that have data.
const (
	KindRecipient    = "recipient"
	KindAWSKMS       = "aws-kms"
	KindVaultTransit = "vault-transit"
	KindAzureKey     = "azure-key"
	KindKeychain     = "keychain"
)

// MaxSize is the greatest size of a slot's data of any kind, in bytes.
const MaxSize = 8192

// Known reports the kinds of this package.
func Known(kind string) bool {
	switch kind {
	case KindRecipient, KindAWSKMS, KindVaultTransit, KindAzureKey, KindKeychain:
		return true
	}
	return false
}

// Check returns an error if the data of a slot of a known kind is wrong. The
// error shows nothing of the data.
func Check(kind, slotID string, data []byte) error {
	var err error
	switch kind {
	case KindRecipient:
		_, err = ParseRecipient(data)
	case KindAWSKMS:
		_, err = ParseAWSKMS(data)
	case KindVaultTransit:
		_, err = ParseVaultTransit(data)
	case KindAzureKey:
		_, err = ParseAzureKey(data)
	case KindKeychain:
		err = CheckKeychain(data, slotID)
	default:
		return fmt.Errorf("a slot of an unknown kind has data of an unknown form")
	}
	if err != nil {
		return fmt.Errorf("data of a slot of kind %s: %w", kind, err)
	}
	return nil
}

var (
	errMissing = errors.New("it is missing")
	errTooLong = errors.New("it is longer than that of any kind can be")
	errFields  = errors.New("it does not have the fields of its kind")
)

// split returns the fields of data, which is L(x) for each of them and nothing
// more.
func split(data []byte, n int) ([][]byte, error) {
	switch {
	case len(data) == 0:
		return nil, errMissing
	case len(data) > MaxSize:
		return nil, errTooLong
	}
	fields := make([][]byte, n)
	for i := range fields {
		if len(data) < 4 {
			return nil, errFields
		}
		size := binary.BigEndian.Uint32(data)
		data = data[4:]
		if uint64(size) > uint64(len(data)) {
			return nil, errFields
		}
		fields[i], data = data[:size:size], data[size:]
	}
	if len(data) > 0 {
		return nil, errFields
	}
	return fields, nil
}

// appendField appends L(x): the length of x as 4 bytes big-endian, then x.
func appendField[T string | []byte](dst []byte, x T) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(x)))
	return append(dst, x...)
}

// visible reports that s has 1 to max bytes, all of 0x21 to 0x7E.
func visible(s string, max int) bool {
	return sized(s, max) && only(s, func(c byte) bool { return '!' <= c && c <= '~' })
}

func sized(s string, max int) bool { return 0 < len(s) && len(s) <= max }

func only(s string, allowed func(byte) bool) bool {
	for i := range len(s) {
		if !allowed(s[i]) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }

func isHex(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' }

// isLowerName reports letters in lower case, digits and hyphens.
func isLowerName(c byte) bool { return isLower(c) || isDigit(c) || c == '-' }

// isName reports letters, digits and hyphens.
func isName(c byte) bool { return isLowerName(c) || 'A' <= c && c <= 'Z' }
