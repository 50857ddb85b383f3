package azureserver

import (
	"encoding/json"
	"maps"
	"net/http"
	"unicode/utf8"
)

// secretJSON is a bundle, a deleted bundle or an item of a list. Each shows the fields
// that it has.
type secretJSON struct {
	RecoveryID         string         `json:"recoveryId,omitempty"`
	DeletedDate        int64          `json:"deletedDate,omitempty"`
	ScheduledPurgeDate int64          `json:"scheduledPurgeDate,omitempty"`
	Value              *string        `json:"value,omitempty"`
	ContentType        *string        `json:"contentType,omitempty"`
	ID                 string         `json:"id"`
	Managed            bool           `json:"managed,omitempty"`
	Attributes         attributesJSON `json:"attributes"`
	Tags               *tagsJSON      `json:"tags,omitempty"`
	KeyID              string         `json:"kid,omitempty"`
}

type tagsJSON map[string]string

type attributesJSON struct {
	Enabled         bool   `json:"enabled"`
	NotBefore       *int64 `json:"nbf,omitempty"`
	Expires         *int64 `json:"exp,omitempty"`
	Created         int64  `json:"created"`
	Updated         int64  `json:"updated"`
	RecoveryLevel   string `json:"recoveryLevel"`
	RecoverableDays int    `json:"recoverableDays"`
}

// show returns the bundle of a version without its value.
func (v *Vault) show(c *secret, n *version) secretJSON {
	out := secretJSON{ContentType: n.contentType, ID: v.URL() + "/secrets/" + c.name + "/" + n.id, Managed: c.managed,
		Attributes: attributesJSON{Enabled: n.enabled, NotBefore: n.nbf, Expires: n.exp, Created: n.created,
			Updated: n.updated, RecoveryLevel: v.recoveryLevel(), RecoverableDays: v.retention}}
	if n.tags != nil {
		tags := tagsJSON(maps.Clone(n.tags))
		out.Tags = &tags
	}
	return out
}

func (v *Vault) showDeleted(c *secret) secretJSON {
	out := v.show(c, c.latest)
	out.RecoveryID = v.URL() + "/deletedsecrets/" + c.name
	out.DeletedDate, out.ScheduledPurgeDate = c.deletedAt.Unix(), c.purgeAt.Unix()
	return out
}

// change is the body of SetSecret and of UpdateSecret.
type change struct {
	Value       *string           `json:"value"`
	ContentType *string           `json:"contentType"`
	Tags        map[string]string `json:"tags"`
	Attributes  struct {
		Enabled   *bool  `json:"enabled"`
		NotBefore *int64 `json:"nbf"`
		Expires   *int64 `json:"exp"`
	} `json:"attributes"`
}

// readChange makes the service's checks. That values, tags and content types that are
// too large get the same answer as too many tags is inferred.
func readChange(body []byte) (change, *apiError) {
	var c change
	if err := json.Unmarshal(body, &c); err != nil {
		return c, badParameter("The body is not what was expected.")
	}
	if c.Value != nil && len(*c.Value) > maxValue {
		return c, badParameter("The value of the secret is too large.")
	}
	if c.ContentType != nil && utf8.RuneCountInString(*c.ContentType) > maxContentType {
		return c, badParameter("The contentType is too long.")
	}
	if len(c.Tags) > maxTags {
		return c, badParameter("A parameter has something that is not accepted.")
	}
	for key, value := range c.Tags {
		if utf8.RuneCountInString(key) > maxTag || utf8.RuneCountInString(value) > maxTag {
			return c, badParameter("A parameter has something that is not accepted.")
		}
	}
	return c, nil
}

func (v *Vault) set(t target, body []byte) (any, *apiError) {
	change, e := readChange(body)
	if e != nil {
		return nil, e
	}
	if change.Value == nil {
		return nil, badParameter("The value is missing.")
	}
	old, s := v.find(t.name)
	if e := mayWrite(t, s); e != nil {
		return nil, e
	}
	if old != nil && old.managed {
		return nil, managedRefused(t)
	}
	n := &version{value: *change.Value, contentType: change.ContentType, tags: change.Tags, enabled: true,
		nbf: change.Attributes.NotBefore, exp: change.Attributes.Expires}
	if change.Attributes.Enabled != nil {
		n.enabled = *change.Attributes.Enabled
	}
	if e := v.checkPolicy(t, n); e != nil {
		return nil, e
	}
	c := v.write(t.name, n)
	out := v.show(c, n)
	out.Value = &n.value
	return out, nil
}

// managedRefused: a certificate's secret changes only with the certificate. The form of
// this answer is inferred.
func managedRefused(t target) *apiError {
	return &apiError{status: http.StatusForbidden, code: "Forbidden",
		message: "Operation " + string(t.op) + " is not allowed on a secret that belongs to a certificate."}
}

// pick returns the version that the target names.
func (v *Vault) pick(t target) (*secret, *version, *apiError) {
	c, s := v.find(t.name)
	if !s.readable() {
		return nil, nil, notFound(t)
	}
	n := c.latest
	if t.version != "" {
		n = c.versions[t.version]
	}
	if n == nil {
		return nil, nil, notFound(t)
	}
	return c, n, nil
}

func (v *Vault) get(t target, outContentType string) (any, *apiError) {
	c, n, e := v.pick(t)
	if e != nil {
		return nil, e
	}
	if outContentType != "" && !c.managed {
		return nil, badParameter("outContentType is for secrets that belong to a certificate.")
	}
	if !n.enabled {
		return nil, &apiError{status: http.StatusForbidden, code: "Forbidden", inner: "SecretDisabled",
			message: "Operation get is not allowed on a disabled secret."}
	}
	out := v.show(c, n)
	out.Value = &n.value
	if c.managed { // the certificate's key has the same version; lists do not show it
		out.KeyID = v.URL() + "/keys/" + c.name + "/" + n.id
	}
	return out, nil
}

func (v *Vault) update(t target, body []byte) (any, *apiError) {
	change, e := readChange(body)
	if e != nil {
		return nil, e
	}
	c, n, e := v.pick(t)
	if e != nil {
		return nil, e
	}
	if c.managed {
		return nil, managedRefused(t)
	}
	changed := *n
	changed.apply(change)
	if e := v.checkPolicy(t, &changed); e != nil {
		return nil, e
	}
	*n = changed
	n.updated = v.server.now().Unix()
	return v.show(c, n), nil
}

// apply makes the changes that c contains.
func (n *version) apply(c change) {
	if c.ContentType != nil {
		n.contentType = c.ContentType
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

func (v *Vault) delete(t target) (any, *apiError) {
	c, s := v.find(t.name)
	if e := mayDelete(t, s); e != nil {
		return nil, e
	}
	if c.managed {
		return nil, managedRefused(t)
	}
	v.startDelete(&c.life)
	return v.showDeleted(c), nil
}

func (v *Vault) getDeleted(t target) (any, *apiError) {
	c, s := v.find(t.name)
	if e := mayShowDeleted(t, s); e != nil {
		return nil, e
	}
	return v.showDeleted(c), nil
}

func (v *Vault) recover(t target) (any, *apiError) {
	c, s := v.find(t.name)
	if e := mayLeave(t, s); e != nil {
		return nil, e
	}
	v.startRecover(&c.life)
	return v.show(c, c.latest), nil
}

func (v *Vault) purgeSecret(t target) *apiError {
	c, s := v.find(t.name)
	if e := mayLeave(t, s); e != nil {
		return e
	}
	return v.purge(&c.life)
}
