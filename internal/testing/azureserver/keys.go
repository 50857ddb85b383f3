package azureserver

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"maps"
	"math/big"
	"net/http"
	"strings"
)

// vaultKey is everything under a key's name.
type vaultKey struct {
	name     string // as it was spelled first
	versions map[string]*keyVersion
	latest   *keyVersion
	life
}

// keyVersion is one version of a key: RSA, or EC, which cannot wrap.
type keyVersion struct {
	id               string
	kind             string // kty
	rsa              *rsa.PrivateKey
	ec               *ecdsa.PrivateKey
	operations       []string
	tags             map[string]string // nil if none was ever sent
	enabled          bool
	nbf, exp         *int64
	created, updated int64
}

// keyJSON is a key bundle, or a deleted key bundle.
type keyJSON struct {
	RecoveryID         string         `json:"recoveryId,omitempty"`
	DeletedDate        int64          `json:"deletedDate,omitempty"`
	ScheduledPurgeDate int64          `json:"scheduledPurgeDate,omitempty"`
	Key                materialJSON   `json:"key"`
	Attributes         attributesJSON `json:"attributes"`
	Tags               *tagsJSON      `json:"tags,omitempty"`
}

// materialJSON is the public part of a key.
type materialJSON struct {
	ID         string   `json:"kid"`
	Type       string   `json:"kty"`
	Operations []string `json:"key_ops"`
	N          string   `json:"n,omitempty"`
	E          string   `json:"e,omitempty"`
	Curve      string   `json:"crv,omitempty"`
	X          string   `json:"x,omitempty"`
	Y          string   `json:"y,omitempty"`
}

// keyURL returns the id of a version.
func (v *Vault) keyURL(c *vaultKey, n *keyVersion) string {
	return v.URL() + "/keys/" + c.name + "/" + n.id
}

func (v *Vault) showKey(c *vaultKey, n *keyVersion) keyJSON {
	out := keyJSON{Key: materialJSON{ID: v.keyURL(c, n), Type: n.kind, Operations: n.operations},
		Attributes: attributesJSON{Enabled: n.enabled, NotBefore: n.nbf, Expires: n.exp, Created: n.created,
			Updated: n.updated, RecoveryLevel: v.recoveryLevel(), RecoverableDays: v.retention}}
	text := base64.RawURLEncoding.EncodeToString
	if n.rsa != nil {
		out.Key.N, out.Key.E = text(n.rsa.N.Bytes()), text(big.NewInt(int64(n.rsa.E)).Bytes())
	} else if point, err := n.ec.PublicKey.Bytes(); err == nil {
		half := len(point) / 2 // the first byte says that both halves follow
		out.Key.Curve, out.Key.X, out.Key.Y = "P-256", text(point[1:1+half]), text(point[1+half:])
	}
	if n.tags != nil {
		tags := tagsJSON(maps.Clone(n.tags))
		out.Tags = &tags
	}
	return out
}

func (v *Vault) showDeletedKey(c *vaultKey) keyJSON {
	out := v.showKey(c, c.latest)
	out.RecoveryID = v.URL() + "/deletedkeys/" + c.name
	out.DeletedDate, out.ScheduledPurgeDate = c.deletedAt.Unix(), c.purgeAt.Unix()
	return out
}

// doKey carries out an operation on a key. The API can also import a key and sign; this
// server refuses both.
func (v *Vault) doKey(t target, body []byte) (int, any, *apiError) {
	c, s := v.findKey(t.name)
	var out any
	var e *apiError
	switch t.op {
	case CreateKey:
		out, e = v.createKey(t, s, body)
	case GetKey, UpdateKey:
		out, e = v.getKey(t, c, s, body)
	case DeleteKey:
		if e = mayDelete(t, s); e == nil {
			v.startDelete(&c.life)
			out = v.showDeletedKey(c)
		}
	case GetDeletedKey:
		if e = mayShowDeleted(t, s); e == nil {
			out = v.showDeletedKey(c)
		}
	case RecoverKey:
		if e = mayLeave(t, s); e == nil {
			v.startRecover(&c.life)
			out = v.showKey(c, c.latest)
		}
	case PurgeKey:
		if e = mayLeave(t, s); e == nil {
			e = v.purge(&c.life)
		}
		return http.StatusNoContent, nil, e
	case WrapKey, UnwrapKey, Encrypt, Decrypt:
		out, e = v.useKey(t, c, s, body)
	default:
		e = badParameter("This server does not do that.")
	}
	return http.StatusOK, out, e
}

// findKey returns the key and its state, or nil if there is none.
func (v *Vault) findKey(name string) (*vaultKey, state) {
	id := strings.ToUpper(name)
	c := v.keys[id]
	if c == nil {
		return nil, absent
	}
	s := c.state(v.server.now())
	if s == absent {
		delete(v.keys, id)
		return nil, absent
	}
	return c, s
}

// pickKey returns the version that the target names.
func pickKey(t target, c *vaultKey, s state) (*keyVersion, *apiError) {
	if !s.readable() {
		return nil, notFound(t)
	}
	n := c.latest
	if t.version != "" {
		n = c.versions[t.version]
	}
	if n == nil {
		return nil, notFound(t)
	}
	return n, nil
}

// getKey shows a version, or changes and shows it. It shows a disabled key, unlike a
// disabled secret: see notaryproject/ratify#1474.
func (v *Vault) getKey(t target, c *vaultKey, s state, body []byte) (any, *apiError) {
	n, e := pickKey(t, c, s)
	if e != nil {
		return nil, e
	}
	if t.op == UpdateKey {
		change, e := readKeyChange(body)
		if e != nil {
			return nil, e
		}
		n.apply(change)
		n.updated = v.server.now().Unix()
	}
	return v.showKey(c, n), nil
}

// apply makes the changes that c contains.
func (n *keyVersion) apply(c keyChange) {
	if c.Operations != nil {
		n.operations = c.Operations
	}
	if c.Tags != nil {
		n.tags = c.Tags
	}
	if c.Attributes.Enabled != nil {
		n.enabled = *c.Attributes.Enabled
	}
	if c.Attributes.NotBefore != nil {
		n.nbf = c.Attributes.NotBefore
	}
	if c.Attributes.Expires != nil {
		n.exp = c.Attributes.Expires
	}
}
