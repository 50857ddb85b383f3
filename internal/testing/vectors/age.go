package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// The functions below write age files as age-encryption.org/v1 describes them, for one
// X25519 recipient. Everything random in a file comes from the label.

func ageKey(label string) *ecdh.PrivateKey {
	key, err := ecdh.X25519().NewPrivateKey(random("age "+label, 32))
	if err != nil {
		panic(err)
	}
	return key
}

// agePair returns the recipient and the identity for the label.
func agePair(label string) (recipient, identity string) {
	key := ageKey(label)
	return bech32("age", key.PublicKey().Bytes()), strings.ToUpper(bech32("age-secret-key-", key.Bytes()))
}

func ageFile(label string, plaintext []byte) string {
	ephemeral, public := ageKey("ephemeral "+label), ageKey(label).PublicKey()
	shared, err := ephemeral.ECDH(public)
	if err != nil {
		panic(err)
	}
	fileKey := random("age file key "+label, 16)
	salt := append(ephemeral.PublicKey().Bytes(), public.Bytes()...)
	wrapKey := ageHKDF(shared, salt, "age-encryption.org/v1/X25519")
	unpadded := base64.RawStdEncoding.EncodeToString
	header := ageHeader + "-> X25519 " + unpadded(ephemeral.PublicKey().Bytes()) + "\n" +
		unpadded(chacha(wrapKey, make([]byte, 12), fileKey)) + "\n---"
	mac := hmac.New(sha256.New, ageHKDF(fileKey, nil, "header"))
	mac.Write([]byte(header))
	nonce := random("age nonce "+label, 16)
	last := append(make([]byte, 11), 1)
	payload := chacha(ageHKDF(fileKey, nonce, "payload"), last, plaintext)
	return header + " " + unpadded(mac.Sum(nil)) + "\n" + string(nonce) + string(payload)
}

func ageHKDF(secret, salt []byte, info string) []byte {
	key, err := hkdf.Key(sha256.New, secret, salt, info, 32)
	if err != nil {
		panic(err)
	}
	return key
}

func chacha(key, nonce, plaintext []byte) []byte {
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		panic(err)
	}
	return aead.Seal(nil, nonce, plaintext, nil)
}

// bech32 encodes bytes as BIP 173 describes, at any length.
func bech32(prefix string, data []byte) string {
	const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	var groups []byte
	bits, n := 0, 0
	for _, b := range data {
		bits, n = bits<<8|int(b), n+8
		for ; n >= 5; n -= 5 {
			groups = append(groups, byte(bits>>(n-5)&31))
		}
	}
	if n > 0 {
		groups = append(groups, byte(bits<<(5-n)&31))
	}
	var expanded []byte
	for i := range len(prefix) {
		expanded = append(expanded, prefix[i]>>5)
	}
	expanded = append(expanded, 0)
	for i := range len(prefix) {
		expanded = append(expanded, prefix[i]&31)
	}
	sum := polymod(append(append(expanded, groups...), make([]byte, 6)...)) ^ 1
	var out bytes.Buffer
	out.WriteString(prefix + "1")
	for _, g := range groups {
		out.WriteByte(alphabet[g])
	}
	for i := range 6 {
		out.WriteByte(alphabet[sum>>(5*(5-i))&31])
	}
	return out.String()
}

func polymod(values []byte) uint32 {
	sum := uint32(1)
	for _, v := range values {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	return sum
}
