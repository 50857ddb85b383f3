package slotdata

import "errors"

// Keychain returns the data of a slot whose secret the keychain of the
// operating system holds, under the slot's id.
func Keychain(slotID string) []byte { return appendField(nil, slotID) }

// CheckKeychain fails if data is not what Keychain returns.
func CheckKeychain(data []byte, slotID string) error {
	fields, err := split(data, 1)
	if err != nil {
		return err
	}
	if string(fields[0]) != slotID {
		return errors.New("the account is not the slot's id")
	}
	return nil
}
