package vault

import (
	"encoding/json"
	"fmt"
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
}

// project returns the custom metadata for a credential. It fails where a limit
// of Vault is in the way. The keyring has none.
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
	l := listed{CreatedAt: m.CreatedAt.UTC(), CreatedBy: m.CreatedBy, Scope: m.Scope, RotationDays: m.RotationPolicy.IntervalDays}
	reserved := encodeListed(l)
	if len(reserved) > maxCustomValue {
		l.CreatedBy = "" // no list is filtered by it
		reserved = encodeListed(l)
	}
	if len(reserved) > maxCustomValue {
		problems = append(problems, fmt.Sprintf("scope takes %d bytes more than Vault keeps", len(reserved)-maxCustomValue))
	}
	custom[reservedKey] = reserved
	if problems == nil {
		return custom, nil
	}
	slices.Sort(problems)
	return nil, &nebula.Error{Kind: nebula.ErrInvalidMetadata, Message: strings.Join(problems, "; ")}
}

// unproject is the mirror of project, and false where the custom metadata is
// not one that project made.
func unproject(custom map[string]string) (nebula.Metadata, bool) {
	var l listed
	if json.Unmarshal([]byte(custom[reservedKey]), &l) != nil || l.CreatedAt.IsZero() {
		return nebula.Metadata{}, false
	}
	m := nebula.Metadata{CreatedAt: l.CreatedAt.UTC(), CreatedBy: l.CreatedBy, Scope: l.Scope}
	m.RotationPolicy.IntervalDays = l.RotationDays
	for k, v := range custom {
		if k == reservedKey {
			continue
		}
		key, ok := decodeText(k)
		value, ok2 := decodeText(v)
		if !ok || !ok2 {
			return nebula.Metadata{}, false
		}
		if m.Tags == nil {
			m.Tags = make(map[string]string, len(custom)-1)
		}
		m.Tags[key] = value
	}
	return m, true
}

// encodeText returns a text as it is where Vault takes it, else "=" and its
// quoted form. What begins with "=" is quoted too, so that no two are alike.
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
