package azureserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// keyChange is the body of CreateKey and of UpdateKey.
type keyChange struct {
	Type       string            `json:"kty"`
	Size       int               `json:"key_size"`
	Curve      string            `json:"crv"`
	Operations []string          `json:"key_ops"`
	Tags       map[string]string `json:"tags"`
	Attributes struct {
		Enabled   *bool  `json:"enabled"`
		NotBefore *int64 `json:"nbf"`
		Expires   *int64 `json:"exp"`
	} `json:"attributes"`
}

func readKeyChange(body []byte) (keyChange, *apiError) {
	var c keyChange
	if err := json.Unmarshal(body, &c); err != nil {
		return c, badParameter("The body is not what was expected.")
	}
	tooLong := func(s string) bool { return utf8.RuneCountInString(s) > maxTag }
	for key, value := range c.Tags {
		if len(c.Tags) > maxTags || tooLong(key) || tooLong(value) {
			return c, badParameter("A parameter has something that is not accepted.")
		}
	}
	return c, nil
}

// rsaOperations are the operations of an RSA key if the request asks for none, as
// recorded.
func rsaOperations() []string {
	return []string{"encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"}
}

// createKey makes a version. The only curve for EC here is P-256. It is documented that
// a key cannot have operations of another kind of key; the words of that refusal are
// inferred.
func (v *Vault) createKey(t target, s state, body []byte) (any, *apiError) {
	change, e := readKeyChange(body)
	if e == nil {
		e = mayWrite(t, s)
	}
	if e != nil {
		return nil, e
	}
	n := &keyVersion{kind: change.Type, tags: change.Tags, enabled: true}
	possible := rsaOperations()
	switch change.Type {
	case "RSA", "RSA-HSM":
		if change.Size == 0 {
			change.Size = 2048
		}
		if !slices.Contains([]int{2048, 3072, 4096}, change.Size) {
			return nil, badParameter("The key_size is to be 2048, 3072 or 4096.")
		}
		n.rsa = newRSA(change.Size)
	case "EC", "EC-HSM":
		if change.Curve != "" && change.Curve != "P-256" {
			return nil, badParameter("This server makes keys of the curve P-256 alone.")
		}
		possible = []string{"sign", "verify"}
		n.ec, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // never fails
	default:
		return nil, badParameter("The kty is not known.")
	}
	n.operations = change.Operations
	if len(n.operations) == 0 {
		n.operations = possible
	}
	for _, op := range n.operations {
		if !slices.Contains(possible, op) {
			return nil, badParameter("The key_ops has one that such a key has not.")
		}
	}
	change.Operations = nil
	n.apply(change)
	c := v.writeKey(t.name, n)
	return v.showKey(c, n), nil
}

// newRSA makes a key. With the system's source of randomness it never fails.
func newRSA(bits int) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic("azureserver: " + err.Error())
	}
	return k
}

// writeKey adds the version to its name and makes it the latest.
func (v *Vault) writeKey(name string, n *keyVersion) *vaultKey {
	n.id = v.newVersion()
	n.created = v.server.now().Unix()
	n.updated = n.created
	c, _ := v.findKey(name)
	if c == nil {
		c = &vaultKey{name: name, versions: map[string]*keyVersion{}, life: life{asked: live}}
		v.keys[strings.ToUpper(name)] = c
	}
	c.versions[n.id], c.latest = n, n
	return c
}

// KeySeed is a version of a key that is put into a vault without the API. The zero
// value is an RSA key of 2048 bits with every operation.
type KeySeed struct {
	Type       string // "RSA", "RSA-HSM" or "EC"
	Size       int
	Operations []string
	NotBefore  time.Time
	Expires    time.Time
}

// AddKey makes a new version of a key, as CreateKey does, and returns its id.
func (v *Vault) AddKey(name string, s KeySeed) string {
	change := keyChange{Type: s.Type, Size: s.Size, Operations: s.Operations}
	if change.Type == "" {
		change.Type = "RSA"
	}
	change.Attributes.NotBefore, change.Attributes.Expires = unix(s.NotBefore), unix(s.Expires)
	body, _ := json.Marshal(change)
	v.mu.Lock()
	defer v.mu.Unlock()
	_, now := v.findKey(name)
	out, e := v.createKey(target{op: CreateKey, of: ofKeys, name: name}, now, body)
	if e != nil {
		panic("azureserver: " + e.message)
	}
	return out.(keyJSON).Key.ID
}

// ChangeKey changes a version without the API, "" for the latest: whether it is
// enabled, and when it expires. A zero time means never.
func (v *Vault) ChangeKey(name, version string, enabled bool, expires time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	c, s := v.findKey(name)
	n, e := pickKey(target{of: ofKeys, name: name, version: version}, c, s)
	if e != nil {
		return fmt.Errorf("azureserver: %s", e.message)
	}
	n.enabled, n.exp = enabled, unix(expires)
	return nil
}

// DeleteKey deletes a key with all its versions. The vault's delay passes before it is
// gone.
func (v *Vault) DeleteKey(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c, s := v.findKey(name); s.readable() {
		v.startDelete(&c.life)
	}
}

// ForgetKey removes a key as if it had been purged long ago.
func (v *Vault) ForgetKey(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.keys, strings.ToUpper(name))
}
