package azure

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
)

// Limits of tags. Microsoft's documentation gives 512 characters of a value in
// one place and 256 in another. We take the smaller one. Characters are counted
// as the service does, in UTF-16.
const (
	maxTags     = 15
	maxTagKey   = 256
	maxTagValue = 256
)

// reservedKey is the key of the tag that holds what lists need beside the tags
// of a credential. No tag of a credential can end in a hyphen. A text that is
// longer than a value goes on under nebula-2-, nebula-3-, …
func reservedKey(part int) string {
	if part == 0 {
		return "nebula-"
	}
	return "nebula-" + strconv.Itoa(part+1) + "-"
}

// listed is the content of the reserved tags, as JSON.
type listed struct {
	ID       string   `json:"id"` // as it is, or ".keyring"
	Created  int64    `json:"created,omitempty"`
	Modified int64    `json:"modified,omitempty"`
	Stored   int64    `json:"stored"` // by the writer's clock; these three in microseconds since 1970
	Digest   string   `json:"digest"` // the first 16 bytes of the record's SHA-256, base64url
	Days     uint32   `json:"days,omitempty"`
	Scope    string   `json:"scope,omitempty"`
	By       string   `json:"by,omitempty"`
	Defaults []string `json:"defaults,omitempty"` // keys of tags that the configuration put there

	// Own tells the credential's own tags from those of others: it has ownMark
	// of each key. It is nil if it would need one more tag. Then Foreign has the
	// keys of tags that others put there before.
	Own     *string  `json:"own,omitempty"`
	Foreign []string `json:"foreign,omitempty"`
}

// ownMark is short, so that many fit into a tag. Two keys in 16 million have the
// same.
func ownMark(key string) string {
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:3])
}

// isOwn reports whether a tag is one of the credential's own, as far as the
// reserved tags tell.
func (l listed) isOwn(key string) bool {
	if isReserved(key) || slices.Contains(l.Defaults, key) || slices.Contains(l.Foreign, key) {
		return false
	}
	if l.Own == nil {
		return true
	}
	mark := ownMark(key)
	for chunk := range slices.Chunk([]byte(*l.Own), len(mark)) {
		if string(chunk) == mark {
			return true
		}
	}
	return false
}

// isReserved reports whether a key is one of reservedKey.
func isReserved(key string) bool {
	rest, ok := strings.CutPrefix(key, reservedKey(0))
	if !ok || rest == "" {
		return ok
	}
	number, ok := strings.CutSuffix(rest, "-")
	_, err := strconv.ParseUint(number, 10, 16)
	return ok && err == nil
}

// projection has the parts of a record's tags.
type projection struct {
	listed listed
	tags   map[string]string // the credential's own, and those of the configuration
}

// project returns the projection of a record. It fails if that exceeds a limit
// of Key Vault.
func project(name nebula.Name, envelope *nebula.Envelope, defaults map[string]string, now time.Time) (projection, error) {
	sum := sha256.Sum256(envelope.Bytes())
	p := projection{tags: make(map[string]string),
		listed: listed{ID: name.String(), Stored: now.UnixMicro(), Digest: base64.RawURLEncoding.EncodeToString(sum[:16])}}
	l := &p.listed
	var problems []string
	if !name.IsKeyring() {
		m := envelope.Metadata()
		l.Created, l.Modified = m.CreatedAt.UnixMicro(), m.LastModified.UnixMicro()
		l.Days, l.Scope, l.By = m.RotationPolicy.IntervalDays, m.Scope, m.CreatedBy
		for key, value := range m.Tags {
			if reason := wrongTag(key, value); reason != "" {
				problems = append(problems, "tag "+strconv.Quote(key)+" "+reason)
			}
			p.tags[key] = value
		}
	}
	for _, key := range slices.Sorted(maps.Keys(defaults)) {
		if _, own := p.tags[key]; !own {
			p.tags[key] = defaults[key]
			l.Defaults = append(l.Defaults, key)
		}
	}
	if problems != nil {
		slices.Sort(problems)
		return projection{}, &nebula.Error{Kind: nebula.ErrInvalidMetadata, Message: strings.Join(problems, "; ")}
	}
	_, err := p.with(nil)
	return p, err
}

// with returns the tags of a secret: those of the projection, the reserved ones,
// and the foreign ones whose keys are free. It fails if they are more than Key
// Vault keeps.
func (p projection) with(foreign map[string]string) (map[string]*string, error) {
	all := make(map[string]*string, maxTags)
	var kept []string
	for _, key := range slices.Sorted(maps.Keys(foreign)) {
		if _, taken := p.tags[key]; !taken {
			all[key] = new(foreign[key])
			kept = append(kept, key)
		}
	}
	for key, value := range p.tags {
		all[key] = &value
	}
	parts, err := p.parts(kept, maxTags-len(all))
	if err != nil {
		return nil, err
	}
	if n := len(all) + len(parts); n > maxTags {
		return nil, errTooManyTags(n, len(parts), kept)
	}
	for i, part := range parts {
		all[reservedKey(i)] = &part
	}
	return all, nil
}

// parts returns the values of the reserved tags, as few as possible. They tell
// the credential's own tags from those of others if that needs no more tags, or
// if there is room for more. Otherwise lists show all tags.
func (p projection) parts(foreign []string, room int) ([]string, error) {
	fewest, err := p.listed.parts()
	if err != nil {
		return nil, err
	}
	var own strings.Builder
	for _, key := range slices.Sorted(maps.Keys(p.tags)) {
		if !slices.Contains(p.listed.Defaults, key) {
			own.WriteString(ownMark(key))
		}
	}
	p.listed.Own = new(own.String())
	parts, err := p.listed.parts()
	if err == nil && len(parts) > len(fewest) {
		p.listed.Own, p.listed.Foreign = nil, foreign
		parts, err = p.listed.parts()
	}
	if len(parts) > max(room, len(fewest)) {
		return fewest, err
	}
	return parts, err
}

func errTooManyTags(needed, reserved int, foreign []string) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrInvalidMetadata,
		Message: fmt.Sprintf("%d tags would be needed, %d of them for nebula's own data", needed, reserved)}
	if foreign != nil {
		quoted := make([]string, len(foreign))
		for i, key := range foreign {
			quoted[i] = strconv.Quote(key)
		}
		e.Message += fmt.Sprintf(" and %d that others put there (%s)", len(foreign), strings.Join(quoted, ", "))
		e.Hint = "remove tags from the credential, or those of others from the secret"
	}
	e.Message += fmt.Sprintf("; Key Vault keeps %d", maxTags)
	return e
}

// parts returns the values of the reserved tags.
func (l listed) parts() ([]string, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	return split(string(text)), nil
}

// foreignTags returns the tags that others put on a secret: all but the record's
// own, those of the configuration and the reserved ones. If the record cannot be
// read, the reserved tags say which they are.
func (s secret) foreignTags() map[string]string {
	l, _, _ := unproject(s.tags)
	foreign := make(map[string]string)
	for key, value := range s.tags {
		own := l.isOwn(key)
		if s.envelope != nil {
			_, own = s.envelope.Metadata().Tags[key]
		}
		if value != nil && !own && !isReserved(key) && !slices.Contains(l.Defaults, key) {
			foreign[key] = *value
		}
	}
	return foreign
}

// wrongTag says which limit of Key Vault a tag is over, or "".
func wrongTag(key, value string) string {
	if err := nebula.ValidateTag(key, value); err != nil {
		return "is not valid"
	}
	if n := length(key); n > maxTagKey {
		return fmt.Sprintf("has a key of %d UTF-16 characters, Key Vault keeps %d", n, maxTagKey)
	}
	if n := length(value); n > maxTagValue {
		return fmt.Sprintf("has a value of %d UTF-16 characters, Key Vault keeps %d", n, maxTagValue)
	}
	return ""
}

// length counts as UTF-16 does.
func length(s string) int {
	n := 0
	for _, r := range s {
		n += width(r)
	}
	return n
}

func width(r rune) int {
	if r > 0xffff {
		return 2
	}
	return 1
}

// split cuts a text into values of tags.
func split(text string) []string {
	var parts []string
	begin, n := 0, 0
	for i, r := range text {
		if n+width(r) > maxTagValue {
			parts = append(parts, text[begin:i])
			begin, n = i, 0
		}
		n += width(r)
	}
	return append(parts, text[begin:])
}

// unproject is the inverse of project: it returns the content of the reserved
// tags, and the metadata that follows from it and the other tags. It returns
// false if there are no reserved tags, or if project did not make them.
func unproject(tags map[string]*string) (listed, nebula.Metadata, bool) {
	var text strings.Builder
	parts := 0
	for tags[reservedKey(parts)] != nil {
		text.WriteString(*tags[reservedKey(parts)])
		parts++
	}
	var l listed
	if parts == 0 || json.Unmarshal([]byte(text.String()), &l) != nil || l.ID == "" {
		return listed{}, nebula.Metadata{}, false
	}
	m := nebula.Metadata{CreatedAt: time.UnixMicro(l.Created).UTC(), LastModified: time.UnixMicro(l.Modified).UTC(),
		CreatedBy: l.By, Scope: l.Scope, RotationPolicy: nebula.RotationPolicy{IntervalDays: l.Days}}
	for key, value := range tags {
		if value == nil || strings.HasSuffix(key, "-") || !l.isOwn(key) {
			continue // no tag of a credential ends in a hyphen
		}
		if m.Tags == nil {
			m.Tags = make(map[string]string, len(tags)-parts)
		}
		m.Tags[key] = *value
	}
	return l, m, true
}
