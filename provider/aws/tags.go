package aws

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/nebula-credential/nebula"
)

// Limits of tags, lengths in characters.
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// reservedKey holds what lists need beside the tags. No tag has a = in its key.
const reservedKey = "nebula="

// project returns the tags of the secret of a credential: the default ones,
// then the credential's own, which win, and the reserved one. It fails if they
// exceed a limit of AWS.
func (c *Config) project(name nebula.Name, m nebula.Metadata) (map[string]string, error) {
	tags := maps.Clone(c.DefaultTags)
	if tags == nil {
		tags = make(map[string]string, len(m.Tags)+1)
	}
	var problems []string
	var own []string
	for key, value := range m.Tags {
		k, v := encodeKey(key), encodeText(value)
		if n := utf8.RuneCountInString(k); n > maxTagKey {
			problems = append(problems, fmt.Sprintf("tag %q has a key that takes %d characters, AWS keeps %d", key, n, maxTagKey))
		}
		if n := utf8.RuneCountInString(v); n > maxTagValue {
			problems = append(problems, fmt.Sprintf("tag %q has a value that takes %d characters, AWS keeps %d", key, n, maxTagValue))
		}
		tags[k] = v
		own = append(own, k)
	}
	tags[reservedKey] = ""
	if len(tags) > maxTags {
		problems = append(problems, fmt.Sprintf("there are %d tags with those of default_tags and one of Nebula's own, AWS keeps %d", len(tags), maxTags))
	}
	l := listed{createdAt: m.CreatedAt, days: m.RotationPolicy.IntervalDays, scope: m.Scope, createdBy: m.CreatedBy,
		own: marksOf(own), place: placeOf(c.SecretPrefix, name.String())}
	reserved := encodeListed(l)
	if len(reserved) > maxTagValue { // no list is filtered by the author
		l.createdBy = ""
		reserved = encodeListed(l)
	}
	if len(reserved) > maxTagValue {
		problems = append(problems, fmt.Sprintf("scope and tags together take %d characters more than AWS keeps", len(reserved)-maxTagValue))
	}
	tags[reservedKey] = reserved
	if problems == nil {
		return tags, nil
	}
	slices.Sort(problems)
	return nil, &nebula.Error{Kind: nebula.ErrInvalidMetadata, Message: strings.Join(problems, "; ")}
}

// unproject is the inverse of project. It returns false if the tags were not
// made by project, or changed by others.
func unproject(tags map[string]string) (nebula.Metadata, bool) {
	l, ok := decodeListed(tags[reservedKey])
	if !ok {
		return nebula.Metadata{}, false
	}
	m := nebula.Metadata{CreatedAt: l.createdAt, CreatedBy: l.createdBy, Scope: l.scope}
	m.RotationPolicy.IntervalDays = l.days
	for _, k := range l.keys(tags) {
		key, ok := decodeText(k)
		value, ok2 := decodeText(tags[k])
		if !ok || !ok2 || nebula.ValidateTag(key, value) != nil {
			return nebula.Metadata{}, false
		}
		if m.Tags == nil {
			m.Tags = make(map[string]string, len(tags)-1)
		}
		m.Tags[key] = value
	}
	return m, len(m.Tags)*markLength == len(l.own)
}

// tagChanges returns the changes that lead to the wanted tags of a secret. Tags
// that are neither wanted nor the credential's own belong to others, and stay.
func tagChanges(current, wanted map[string]string) (set []types.Tag, unset []string) {
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		if value, ok := current[key]; !ok || value != wanted[key] {
			set = append(set, newTag(key, wanted[key]))
		}
	}
	l, _ := decodeListed(current[reservedKey])
	for _, key := range l.keys(current) {
		if _, ok := wanted[key]; !ok {
			unset = append(unset, key)
		}
	}
	return set, unset
}

func newTag(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }

func newTags(m map[string]string) []types.Tag {
	set, _ := tagChanges(nil, m)
	return set
}

func tagMap(tags []types.Tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, tag := range tags {
		if tag.Key != nil && tag.Value != nil {
			m[*tag.Key] = *tag.Value
		}
	}
	return m
}

// listed is the value of the reserved tag.
type listed struct {
	createdAt        time.Time
	days             uint32
	scope, createdBy string
	own              string // marks of the keys of the credential's own tags, one after the other

	// place is the mark of prefix and id: see placeOf. "" in tags of earlier
	// releases.
	place string
}

// With a mark of this length, 19 of 100,000 tags that others put on secrets of
// 50 tags would be taken for one of Nebula's.
const markLength = 3

// markOf returns the mark of a key.
func markOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:3])[:markLength]
}

func marksOf(keys []string) string {
	marks := make([]string, len(keys))
	for i, key := range keys {
		marks[i] = markOf(key)
	}
	slices.Sort(marks)
	return strings.Join(marks, "")
}

// keys returns the keys that are the credential's own, sorted.
func (l listed) keys(tags map[string]string) []string {
	marks := make(map[string]bool, len(l.own)/markLength)
	for mark := range slices.Chunk([]byte(l.own), markLength) {
		marks[string(mark)] = true
	}
	var keys []string
	for key := range tags {
		if key != reservedKey && marks[markOf(key)] {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// encodeListed returns "@" and six fields with "/" between them, which none
// holds: time, days, scope, author, marks, place. Tags of earlier releases have
// no place.
func encodeListed(l listed) string {
	fields := []string{l.createdAt.UTC().Format(time.RFC3339Nano), strconv.FormatUint(uint64(l.days), 10),
		escape(l.scope, isFieldRune), escape(l.createdBy, isFieldRune), l.own}
	if l.place != "" {
		fields = append(fields, l.place)
	}
	return "@" + strings.Join(fields, "/")
}

func decodeListed(text string) (listed, bool) {
	inner, ok := strings.CutPrefix(text, "@")
	fields := strings.Split(inner, "/")
	if !ok || len(fields) != 5 && len(fields) != 6 {
		return listed{}, false
	}
	place := ""
	if len(fields) == 6 {
		place = fields[5]
	}
	at, err := time.Parse(time.RFC3339Nano, fields[0])
	days, err2 := strconv.ParseUint(fields[1], 10, 32)
	scope, ok := unescape(fields[2])
	author, ok2 := unescape(fields[3])
	l := listed{createdAt: at.UTC(), days: uint32(days), scope: scope, createdBy: author, own: fields[4], place: place}
	return l, err == nil && err2 == nil && ok && ok2 && len(l.own)%markLength == 0 && encodeListed(l) == text
}

// encodeText returns a text as it is if AWS allows it. Otherwise it returns "="
// and the text, in which each byte of a character that AWS does not allow is
// "=" and two hex digits. It also escapes a text that begins with "=", so that
// no two results are alike.
func encodeText(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !isTagRune(r) }) < 0 &&
		!strings.HasPrefix(s, "=") && strings.TrimSpace(s) == s {
		return s
	}
	return escaped(s)
}

// encodeKey is encodeText for a key. Keys that begin with "aws:" are reserved
// for AWS, so they are escaped.
func encodeKey(s string) string {
	if len(s) >= 4 && strings.EqualFold(s[:4], "aws:") {
		return escaped(s)
	}
	return encodeText(s)
}

func escaped(s string) string {
	// A blank at an end would be lost if somebody trims it.
	inner := strings.Trim(s, " ")
	if inner == "" {
		return "=" + escape(s, isFieldRune)
	}
	start := strings.Index(s, inner)
	return "=" + escape(s[:start], isFieldRune) + escape(inner, isEscapedRune) + escape(s[start+len(inner):], isFieldRune)
}

func decodeText(s string) (string, bool) {
	inner, ok := strings.CutPrefix(s, "=")
	if !ok {
		return s, encodeText(s) == s
	}
	text, ok := unescape(inner)
	return text, ok && utf8.ValidString(text) && (encodeKey(text) == s || encodeText(text) == s)
}

// isTagRune reports the characters that AWS allows in tags.
func isTagRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || strings.ContainsRune(" +-=._:/@", r)
}

func isEscapedRune(r rune) bool { return r != '=' && isTagRune(r) }

// isFieldRune reports the characters that may occur in a field between two
// slashes.
func isFieldRune(r rune) bool { return r != ' ' && r != '/' && isEscapedRune(r) }

func escape(s string, plain func(rune) bool) string {
	var b strings.Builder
	for _, r := range s {
		if plain(r) {
			b.WriteRune(r)
			continue
		}
		for _, c := range []byte(string(r)) {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

func unescape(s string) (string, bool) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "=")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		if len(after) < 2 {
			return "", false
		}
		c, err := strconv.ParseUint(after[:2], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(c))
		s = after[2:]
	}
}
