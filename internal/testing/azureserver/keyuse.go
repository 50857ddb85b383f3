package azureserver

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"hash"
	"net/http"
	"slices"
	"strings"
)

// padding returns the hash of an algorithm. The service also has algorithms without
// OAEP.
func padding(algorithm string) func() hash.Hash {
	return map[string]func() hash.Hash{"RSA-OAEP": sha1.New, "RSA-OAEP-256": sha256.New}[algorithm]
}

type operationJSON struct {
	Algorithm string `json:"alg"`
	Value     string `json:"value"` // base64url
}

type resultJSON struct {
	KeyID string `json:"kid"`
	Value string `json:"value"`
}

// useKey wraps, unwraps, encrypts or decrypts, in the form of "Wrap Key" in the REST
// reference.
func (v *Vault) useKey(t target, c *vaultKey, s state, body []byte) (any, *apiError) {
	n, e := pickKey(t, c, s)
	if e == nil {
		e = v.mayUse(t, n)
	}
	if e != nil {
		return nil, e
	}
	var in operationJSON
	if json.Unmarshal(body, &in) != nil || padding(in.Algorithm) == nil {
		return nil, badParameter("The alg is not one that this server knows.")
	}
	value, err := base64.RawURLEncoding.DecodeString(in.Value)
	if err != nil || len(value) == 0 { // as bruj0/vault-recovery-key#20 quotes it
		return nil, badParameter("The value is missing, or not base64url.")
	}
	var out []byte
	if t.op == WrapKey || t.op == Encrypt {
		out, err = rsa.EncryptOAEP(padding(in.Algorithm)(), rand.Reader, &n.rsa.PublicKey, value, nil)
	} else {
		out, err = rsa.DecryptOAEP(padding(in.Algorithm)(), nil, n.rsa, value, nil)
	}
	if err != nil {
		// Azure/azure-sdk-for-net#36269 quotes it for a value that another version
		// wrapped. That a value of another length gets the same answer is inferred.
		return nil, badParameter("The value cannot be decoded with the OAEP padding, or is too long.")
	}
	return resultJSON{v.keyURL(c, n), base64.RawURLEncoding.EncodeToString(out)}, nil
}

// mayUse refuses uses that a version is not for, or not now. Outside its times, a key
// still decrypts and unwraps: Microsoft documents that in "About keys". The inner codes
// for other operations are inferred from those of secrets. KeyDisabled comes from
// "Bring your own key" for external key managers, KeyOperationForbidden from
// Azure/azure-sdk-for-net#11518.
func (v *Vault) mayUse(t target, n *keyVersion) *apiError {
	refused := func(inner, why string) *apiError {
		return &apiError{status: http.StatusForbidden, code: "Forbidden", inner: inner, message: "Operation " + string(t.op) + " is not " + why + "."}
	}
	now, reads := v.server.now().Unix(), t.op == UnwrapKey || t.op == Decrypt
	switch {
	case !n.enabled:
		return refused("KeyDisabled", "allowed on a disabled key")
	case !reads && n.nbf != nil && now < *n.nbf:
		return refused("KeyNotYetValid", "allowed on a key that is not valid yet")
	case !reads && n.exp != nil && now >= *n.exp:
		return refused("KeyExpired", "allowed on an expired key")
	case n.rsa == nil, !slices.ContainsFunc(n.operations, func(op string) bool { return strings.EqualFold(op, string(t.op)) }):
		return refused("KeyOperationForbidden", "permitted on this key")
	}
	return nil
}
