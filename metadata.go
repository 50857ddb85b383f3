package nebula

import (
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of tags. Those of keys and values are in characters. Providers have
// further limits, which are checked before anything is sent.
const (
	MaxTags           = 1024
	MaxTagKeyLength   = 128
	MaxTagValueLength = 256
)

// Metadata describes a credential. All of it is authenticated by the seal of
// the record, and none of it is secret: anyone who runs the backend can read it.
type Metadata struct {
	// Times are UTC. They are written with a resolution of one microsecond, in
	// the years 1970 to 9999. The zero time is "absent".
	CreatedAt    time.Time
	LastModified time.Time
	LastAccessed time.Time // written only if the user turned it on

	CreatedBy      string // who made it; empty unless set
	Scope          string // a group of credentials, see [Options]
	RotationPolicy RotationPolicy
	Tags           map[string]string
}

// RotationPolicy says how often a credential is to be replaced.
type RotationPolicy struct {
	IntervalDays uint32 // 0 is "no policy"
}

// DueAt returns the time from which the credential should be replaced, and
// false if it has no policy.
func (m Metadata) DueAt() (time.Time, bool) {
	days := m.RotationPolicy.IntervalDays
	// Days beyond the year 9999 would overflow a Duration: never due.
	if days == 0 || days > 8000*366 {
		return time.Time{}, false
	}
	return m.LastModified.AddDate(0, 0, int(days)), true
}

// Validate checks the rules of the format and reports all problems, in one
// error of kind [ErrInvalidMetadata].
func (m Metadata) Validate() error {
	var problems []string
	note := func(what, reason string) {
		if reason != "" {
			problems = append(problems, what+" "+reason)
		}
	}
	note("created_at", invalidTime(m.CreatedAt))
	note("last_modified", invalidTime(m.LastModified))
	if !m.LastAccessed.IsZero() {
		note("last_accessed", invalidTime(m.LastAccessed))
	}
	note("created_by", invalidText(m.CreatedBy))
	note("scope", invalidText(m.Scope))
	if n := len(m.Tags); n > MaxTags {
		return &Error{Kind: ErrInvalidMetadata, Message: fmt.Sprintf("there are %d tags, %d are allowed", n, MaxTags)}
	}
	for key, value := range m.Tags {
		note(fmt.Sprintf("tag %q", key), invalidTag(key, value))
	}
	if problems == nil {
		return nil
	}
	return &Error{Kind: ErrInvalidMetadata, Message: strings.Join(problems, "; ")}
}

// ValidateTag checks one tag: the key has 1 to 128 characters, no "=" and does
// not end in "-", the value has 0 to 256, and neither holds control characters.
func ValidateTag(key, value string) error {
	if reason := invalidTag(key, value); reason != "" {
		return &Error{Kind: ErrInvalidMetadata, Message: fmt.Sprintf("tag %q %s", key, reason)}
	}
	return nil
}

func (m Metadata) clone() Metadata {
	m.Tags = maps.Clone(m.Tags)
	return m
}

func invalidTag(key, value string) string {
	switch n := utf8.RuneCountInString(key); {
	case n == 0:
		return "has no key"
	case n > MaxTagKeyLength:
		return fmt.Sprintf("has a key of %d characters, %d are allowed", n, MaxTagKeyLength)
	case strings.Contains(key, "="):
		return "has a = in its key"
	case strings.HasSuffix(key, "-"):
		return "has a key that ends in -"
	}
	if n := utf8.RuneCountInString(value); n > MaxTagValueLength {
		return fmt.Sprintf("has a value of %d characters, %d are allowed", n, MaxTagValueLength)
	}
	if reason := invalidText(key); reason != "" {
		return reason
	}
	return invalidText(value)
}

// invalidText says why s cannot be in a record.
func invalidText(s string) string {
	if !utf8.ValidString(s) {
		return "is not valid UTF-8"
	}
	for _, r := range s {
		if r < 0x20 || 0x7f <= r && r <= 0x9f {
			return "holds a control character"
		}
	}
	return ""
}

func invalidTime(t time.Time) string {
	if year := t.UTC().Year(); year < 1970 || year > 9999 {
		return "is not within the years 1970 to 9999"
	}
	return ""
}

// Filter selects credentials. Every condition that is set must hold; the zero
// Filter selects all.
type Filter struct {
	Tags          map[string]string // each with exactly this value
	Prefix        string            // of the id
	CreatedAfter  time.Time         // strictly after
	CreatedBefore time.Time         // strictly before
	Scope         string            // exactly this scope

	// WithMetadata is not a condition. It asks for the version and the metadata
	// of each entry, if the backend shows them without the value.
	WithMetadata bool
}

// NeedsMetadata reports whether a condition needs more than the id.
func (f Filter) NeedsMetadata() bool {
	return len(f.Tags) > 0 || f.Scope != "" || !f.CreatedAfter.IsZero() || !f.CreatedBefore.IsZero()
}

// MatchesID reports whether the conditions on the id hold.
func (f Filter) MatchesID(id ID) bool { return strings.HasPrefix(string(id), f.Prefix) }

// Matches reports whether all conditions hold.
func (f Filter) Matches(id ID, m Metadata) bool {
	if !f.MatchesID(id) ||
		f.Scope != "" && f.Scope != m.Scope ||
		!f.CreatedAfter.IsZero() && !m.CreatedAt.After(f.CreatedAfter) ||
		!f.CreatedBefore.IsZero() && !m.CreatedAt.Before(f.CreatedBefore) {
		return false
	}
	for key, want := range f.Tags {
		if value, ok := m.Tags[key]; !ok || value != want {
			return false
		}
	}
	return true
}
