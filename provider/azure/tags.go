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

// Limits of tags. Microsoft's papers say 512 characters of a value in one place
// and 256 in another: the smaller is kept to. Characters are counted as the
// service does, in UTF-16.
const (
	maxTags     = 15
	maxTagKey   = 256
	maxTagValue = 256
)

// reservedKey is the key of the tag with what lists need beside the tags of a
// credential. None of those can end in a hyphen. A text that is longer than a
// value goes on under nebula-2-, nebula-3-, …
func reservedKey(part int) string {
	if part == 0 {
		return "nebula-"
	}
	return "nebula-" + strconv.Itoa(part+1) + "-"
}

// listed is what the reserved tags hold, as JSON.
type listed struct {
	ID       string   `json:"id"` // as it is, or ".keyring"
	Created  int64    `json:"created,omitempty"`
	Modified int64    `json:"modified,omitempty"`
	Stored   int64    `json:"stored"` // by the writer's clock; these three in microseconds since 1970
	Digest   string   `json:"digest"` // the first 16 bytes of the record's SHA-256, base64url
	Days     uint32   `json:"days,omitempty"`
	Scope    string   `json:"scope,omitempty"`
	By       string   `json:"by,omitempty"`
	Defaults []string `json:"defaults,omitempty"` // keys of tags that are not the credential's own
}

// project returns the tags of a secret. It fails where a limit of Key Vault is
// in the way.
func project(name nebula.Name, envelope *nebula.Envelope, defaults map[string]string, now time.Time) (map[string]*string, error) {
	sum := sha256.Sum256(envelope.Bytes())
	l := listed{ID: name.String(), Stored: now.UnixMicro(), Digest: base64.RawURLEncoding.EncodeToString(sum[:16])}
	tags := make(map[string]string)
	var problems []string
	if !name.IsKeyring() {
		m := envelope.Metadata()
		l.Created, l.Modified = m.CreatedAt.UnixMicro(), m.LastModified.UnixMicro()
		l.Days, l.Scope, l.By = m.RotationPolicy.IntervalDays, m.Scope, m.CreatedBy
		for key, value := range m.Tags {
			if reason := wrongTag(key, value); reason != "" {
				problems = append(problems, "tag "+strconv.Quote(key)+" "+reason)
			}
			tags[key] = value
		}
	}
	for _, key := range slices.Sorted(maps.Keys(defaults)) {
		if _, own := tags[key]; !own {
			tags[key] = defaults[key]
			l.Defaults = append(l.Defaults, key)
		}
	}
	text, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	parts := split(string(text))
	if n := len(tags) + len(parts); n > maxTags {
		problems = append(problems, fmt.Sprintf("%d tags would be needed, %d of them for nebula's own data; Key Vault keeps %d", n, len(parts), maxTags))
	}
	if problems != nil {
		slices.Sort(problems)
		return nil, &nebula.Error{Kind: nebula.ErrInvalidMetadata, Message: strings.Join(problems, "; ")}
	}
	projected := make(map[string]*string, len(tags)+len(parts))
	for key, value := range tags {
		projected[key] = &value
	}
	for i, part := range parts {
		projected[reservedKey(i)] = &part
	}
	return projected, nil
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

// unproject is the mirror of project: what the reserved tags hold, and the
// metadata that it makes with the others. It is false where there are no
// reserved tags, or others than project makes.
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
		if value == nil || strings.HasSuffix(key, "-") || slices.Contains(l.Defaults, key) {
			continue // no tag of a credential ends in a hyphen
		}
		if m.Tags == nil {
			m.Tags = make(map[string]string, len(tags)-parts)
		}
		m.Tags[key] = *value
	}
	return l, m, true
}
