package slotdata

import (
	"errors"
	"strings"
)

const maxTransitKey = 1024

// VaultTransit is the data of a slot for a key of Vault's transit engine.
type VaultTransit struct {
	Mount      string // path of the engine, without a slash at either end
	Name       string // of the key
	Ciphertext string // vault:vN:BASE64
}

// ParseVaultTransit reads the data of a slot.
func ParseVaultTransit(data []byte) (VaultTransit, error) {
	fields, err := split(data, 2)
	if err != nil {
		return VaultTransit{}, err
	}
	mount, name, err := ParseTransitKey(string(fields[0]))
	if err != nil {
		return VaultTransit{}, err
	}
	v := VaultTransit{Mount: mount, Name: name, Ciphertext: string(fields[1])}
	if !isTransitCiphertext(v.Ciphertext) {
		return VaultTransit{}, errors.New("the encrypted secret is not a ciphertext of transit")
	}
	return v, nil
}

// Bytes is the inverse of ParseVaultTransit.
func (v VaultTransit) Bytes() []byte {
	return appendField(appendField(nil, v.Mount+"/"+v.Name), v.Ciphertext)
}

// ParseTransitKey reads MOUNT/NAME. The mount may have slashes within.
func ParseTransitKey(s string) (mount, name string, err error) {
	i := strings.LastIndexByte(s, '/')
	if !visible(s, maxTransitKey) || i < 0 || strings.Contains("/"+s+"/", "//") {
		return "", "", errors.New("the key is not MOUNT/NAME")
	}
	return s[:i], s[i+1:], nil
}

func isTransitCiphertext(s string) bool {
	rest, ok := strings.CutPrefix(s, "vault:v")
	version, text, found := strings.Cut(rest, ":")
	return ok && found && version != "" && version[0] != '0' && only(version, isDigit) && isBase64(text)
}
