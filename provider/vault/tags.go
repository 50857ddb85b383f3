package vault

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
	"unicode"
	"unicode/utf16"

	"github.com/nebula-credential/nebula"
)

// Limits of custom metadata, lengths in bytes.
const (
	maxCustomKeys  = 64
	maxCustomKey   = 128
	maxCustomValue = 512
)

// reservedKey holds what lists need beside the tags. No tag has a = in its key.
const reservedKey = "nebula="

// maxTags leaves room for the reserved key.
const maxTags = maxCustomKeys - 1

// listed is the value of the reserved key.
type listed struct {
	CreatedAt    time.Time `json:"created_at"`
	CreatedBy    string    `json:"created_by,omitempty"`
	Scope        string    `json:"scope,omitempty"`
	RotationDays uint32    `json:"rotation_days,omitempty"`
	Own          string    `json:"own"` // marks of the keys of the credential's own tags, one after the other
}

// project returns the custom metadata for a credential. It fails if that
// exceeds a limit of Vault. The keyring has none.
func project(name nebula.Name, m nebula.Metadata) (map[string]string, error) {
	if name.IsKeyring() {
		return nil, nil
	}
	var problems []string
	if len(m.Tags) > maxTags {
		problems = append(problems, fmt.Sprintf("there are %d tags, Vault keeps %d", len(m.Tags), maxTags))
	}
	custom := make(map[string]string, len(m.Tags)+1)
	for key, value := range m.Tags {
		k, v := encodeText(key), encodeText(value)
		if len(k) > maxCustomKey {
			problems = append(problems, fmt.Sprintf("tag %q has a key of %d bytes, Vault keeps %d", key, len(k), maxCustomKey))
		}
		if len(v) > maxCustomValue {
			problems = append(problems, fmt.Sprintf("tag %q has a value of %d bytes, Vault keeps %d", key, len(v), maxCustomValue))
		}
		custom[k] = v
	}
	l := listed{CreatedAt: m.CreatedAt.UTC(), CreatedBy: m.CreatedBy, Scope: m.Scope, RotationDays: m.RotationPolicy.IntervalDays,
		Own: marksOf(slices.Sorted(maps.Keys(custom)))}
	reserved := encodeListed(l)
	if len(reserved) > maxCustomValue {
		l.CreatedBy = "" // no list is filtered by it
		reserved = encodeListed(l)
	}
	if len(reserved) > maxCustomValue {
		problems = append(problems, fmt.Sprintf("scope and tags together take %d bytes more than Vault keeps", len(reserved)-maxCustomValue))
	}
	custom[reservedKey] = reserved
	if problems == nil {
		return custom, nil
	}
	slices.Sort(problems)
	return nil, &nebula.Error{Kind: nebula.ErrInvalidMetadata, Message: strings.Join(problems, "; ")}
}

// unproject is the inverse of project. It returns false if the custom metadata
// was not made by project, or changed by others. It ignores keys that others
// added.
func unproject(custom map[string]string) (nebula.Metadata, bool) {
	l, ok := decodeListed(custom)
	if !ok {
		return nebula.Metadata{}, false
	}
	m := nebula.Metadata{CreatedAt: l.CreatedAt.UTC(), CreatedBy: l.CreatedBy, Scope: l.Scope}
	m.RotationPolicy.IntervalDays = l.RotationDays
	for k := range l.own(custom) {
		key, ok := decodeText(k)
		value, ok2 := decodeText(custom[k])
		if !ok || !ok2 {
			return nebula.Metadata{}, false
		}
		if m.Tags == nil {
			m.Tags = make(map[string]string, len(custom)-1)
		}
		m.Tags[key] = value
	}
	return m, len(m.Tags)*markLength == len(l.Own)
}

// merge returns the custom metadata that a secret is to have: the projection,
// and the keys that others have added.
func merge(current, projected map[string]string) map[string]string {
	l, _ := decodeListed(current)
	own := l.own(current)
	merged := make(map[string]string, len(projected))
	for key, value := range current {
		if !own[key] && key != reservedKey {
			merged[key] = value
		}
	}
	maps.Copy(merged, projected)
	return merged
}

// isMarked reports whether the reserved key is there: a record was stored.
func isMarked(custom map[string]string) bool { return custom[reservedKey] != "" }

// tooManyKeys returns why the tags find no room beside what others added, or nil.
func tooManyKeys(merged, projected map[string]string) error {
	if len(merged) <= maxCustomKeys {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrInvalidMetadata, Message: fmt.Sprintf("its custom metadata would have %d keys, Vault keeps %d: %d are not Nebula's",
		len(merged), maxCustomKeys, len(merged)-len(projected)), Hint: "remove some of them, or some tags"}
}

// With a mark of this length, 19 of 100,000 keys that others put on secrets of
// 50 tags would be taken for a tag's.
const markLength = 3

// markOf returns the mark of a key.
func markOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:markLength]
}

func marksOf(keys []string) string {
	var b strings.Builder
	for _, key := range keys {
		b.WriteString(markOf(key))
	}
	return b.String()
}

// own returns the keys of the credential's own tags.
func (l listed) own(custom map[string]string) map[string]bool {
	marks := make(map[string]bool, len(l.Own)/markLength)
	for mark := range slices.Chunk([]byte(l.Own), markLength) {
		marks[string(mark)] = true
	}
	own := make(map[string]bool, len(custom))
	for key := range custom {
		if key != reservedKey && marks[markOf(key)] {
			own[key] = true
		}
	}
	return own
}

// encodeText returns a text as it is if Vault allows it, else "=" and its
// quoted form. It also quotes a text that begins with "=", so that no two
// results are alike.
func encodeText(s string) string {
	if s != "" && s[0] != '=' && isPrintable(s) {
		return s
	}
	if s == "" {
		return "="
	}
	return "=" + strconv.QuoteToASCII(s)
}

func decodeText(s string) (string, bool) {
	quoted, ok := strings.CutPrefix(s, "=")
	if !ok {
		return s, s != "" && encodeText(s) == s
	}
	if quoted == "" {
		return "", true
	}
	text, err := strconv.Unquote(quoted)
	return text, err == nil && encodeText(text) == s
}

// isPrintable is the rule of Vault's strutil.Printable.
func isPrintable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

func decodeListed(custom map[string]string) (listed, bool) {
	var l listed
	err := json.Unmarshal([]byte(custom[reservedKey]), &l)
	return l, err == nil && !l.CreatedAt.IsZero()
}

// encodeListed returns JSON of ASCII alone: all of it is printable.
func encodeListed(l listed) string {
	text, err := json.Marshal(l)
	if err != nil {
		return "" // a time beyond year 9999, which no record has
	}
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case r < 0x7f:
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
