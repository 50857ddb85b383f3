package slotdata

import (
	"errors"
	"strings"
)

const (
	minAzureWrapped = 256 // bytes, of an RSA key of 2048 bits
	maxAzureWrapped = 512
	maxAzureURL     = 512
)

// AzureKey is the data of a slot for a key in Azure Key Vault.
type AzureKey struct {
	URL     AzureURL
	Wrapped []byte // the slot secret, with RSA-OAEP-256
}

// ParseAzureKey reads the data of a slot.
func ParseAzureKey(data []byte) (AzureKey, error) {
	fields, err := split(data, 2)
	if err != nil {
		return AzureKey{}, err
	}
	url, err := ParseAzureURL(string(fields[0]))
	if err != nil {
		return AzureKey{}, err
	}
	if n := len(fields[1]); n < minAzureWrapped || n > maxAzureWrapped {
		return AzureKey{}, errors.New("the wrapped secret has not the size of an RSA key")
	}
	return AzureKey{URL: url, Wrapped: fields[1]}, nil
}

// Bytes is the inverse of ParseAzureKey.
func (k AzureKey) Bytes() []byte { return appendField(appendField(nil, k.URL.String()), k.Wrapped) }

// AzureURL is the id of one version of a key.
type AzureURL struct {
	Host    string // in lower case, with a port where there is one
	Name    string
	Version string // 32 hexadecimal digits in lower case
}

// String returns https://HOST/keys/NAME/VERSION.
func (u AzureURL) String() string { return "https://" + u.Host + "/keys/" + u.Name + "/" + u.Version }

// ParseAzureURL is the inverse of String.
func ParseAzureURL(s string) (AzureURL, error) {
	rest, ok := strings.CutPrefix(s, "https://")
	parts := strings.Split(rest, "/")
	if len(s) <= maxAzureURL && ok && len(parts) == 4 && parts[1] == "keys" {
		u := AzureURL{Host: parts[0], Name: parts[2], Version: parts[3]}
		if u.inForm() {
			return u, nil
		}
	}
	return AzureURL{}, errors.New("the address is not https://HOST/keys/NAME/VERSION")
}

func (u AzureURL) inForm() bool {
	host, port, hasPort := strings.Cut(u.Host, ":")
	isHost := func(c byte) bool { return isLowerName(c) || c == '.' }
	return sized(host, 253) && only(host, isHost) &&
		(!hasPort || sized(port, 5) && only(port, isDigit)) &&
		sized(u.Name, 127) && only(u.Name, isName) &&
		len(u.Version) == 32 && only(u.Version, isHex)
}
