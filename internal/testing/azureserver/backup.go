package azureserver

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// backupJSON is the content of a backup: all versions of a secret.
type backupJSON struct {
	Name     string
	Latest   string
	Versions []backupVersion
}

type backupVersion struct {
	ID, Value        string
	ContentType      *string
	Tags             map[string]string
	Enabled          bool
	NotBefore        *int64
	Expires          *int64
	Created, Updated int64
}

type blobJSON struct {
	Value string `json:"value"`
}

// blobSize makes the blob of one version as large as the real one: 5 kB of
// text.
const blobSize = 3700

func (v *Vault) backup(t target) (any, *apiError) {
	c, _, e := v.pick(t)
	if e != nil {
		return nil, e
	}
	out := backupJSON{Name: c.name, Latest: c.latest.id}
	for _, n := range c.versions {
		out.Versions = append(out.Versions, backupVersion{n.id, n.value, n.contentType, n.tags, n.enabled, n.nbf, n.exp, n.created, n.updated})
	}
	data, err := json.Marshal(out)
	if err != nil {
		panic("azureserver: " + err.Error()) // our own type
	}
	if missing := blobSize*len(out.Versions) - len(data); missing > 0 {
		data = append(data, bytes.Repeat([]byte(" "), missing)...)
	}
	return blobJSON{base64.RawURLEncoding.EncodeToString(blobs().Seal(nil, nil, data, nil))}, nil
}

// blobs encrypts backups, so that only the server reads them.
func blobs() cipher.AEAD {
	k := key()
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic("azureserver: " + err.Error()) // the key has the right length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("azureserver: " + err.Error())
	}
	return aead
}

func (v *Vault) restore(t target, body []byte) (any, *apiError) {
	malformed := &apiError{status: http.StatusBadRequest, code: "Malformed backup blob", message: "The backup cannot be read."}
	var blob blobJSON
	var in backupJSON
	if json.Unmarshal(body, &blob) != nil {
		return nil, malformed
	}
	sealed, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(blob.Value, "="))
	if err != nil {
		return nil, malformed
	}
	data, err := blobs().Open(nil, nil, sealed, nil)
	if err != nil || json.Unmarshal(data, &in) != nil {
		return nil, malformed
	}
	// The refusal was recorded only for a name that was being purged. That a live or
	// deleted name gets the same answer is inferred.
	if _, s := v.find(in.Name); s != absent {
		return nil, conflict("", target{of: t.of, name: in.Name})
	}
	c := &secret{name: in.Name, versions: map[string]*version{}, life: life{asked: live}}
	for _, n := range in.Versions {
		c.versions[n.ID] = &version{n.ID, n.Value, n.ContentType, n.Tags, n.Enabled, n.NotBefore, n.Expires, n.Created, n.Updated}
	}
	c.latest = c.versions[in.Latest]
	v.secrets[strings.ToUpper(in.Name)] = c
	return v.show(c, c.latest), nil
}
