package awsserver

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

var validTag = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

type tagInput struct {
	SecretId string
	Tags     []tag
}

type empty struct{}

func (c *call) tag(in *tagInput) (any, *Error) {
	one, err := c.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	tags, err := mergeTags(one.tags, in.Tags)
	if err != nil {
		return nil, err
	}
	one.tags, one.changed = tags, date(c.now)
	return empty{}, nil
}

// mergeTags replaces the values of keys that exist. The model limits the lengths, so
// their error is a ValidationException. The other rules are the service's own.
func mergeTags(old, added []tag) ([]tag, *Error) {
	merged := slices.Clone(old)
	for i, t := range added {
		if n := utf8.RuneCountInString(t.Key); n < 1 || n > maxTagKey {
			return nil, validation("1 validation error detected: Value at 'tags.key' failed to satisfy constraint: Member must have length between 1 and 128")
		}
		if utf8.RuneCountInString(t.Value) > maxTagValue {
			return nil, validation("1 validation error detected: Value at 'tags.value' failed to satisfy constraint: Member must have length less than or equal to 256")
		}
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return nil, invalid("Tag keys can't begin with aws:, which is reserved for system tags.")
		}
		if !validTag.MatchString(t.Key) || !validTag.MatchString(t.Value) {
			return nil, invalid("Tags can have letters, digits, spaces and _.:/=+-@ only.")
		}
		same := func(other tag) bool { return other.Key == t.Key }
		if slices.ContainsFunc(added[:i], same) {
			return nil, invalid("Duplicate tag keys found. Tag keys must be unique.")
		}
		if at := slices.IndexFunc(merged, same); at >= 0 {
			merged[at] = t
		} else {
			merged = append(merged, t)
		}
	}
	if len(merged) > maxTags {
		return nil, invalid("A secret can have 50 tags.")
	}
	return merged, nil
}

type untagInput struct {
	SecretId string
	TagKeys  []string
}

func (c *call) untag(in *untagInput) (any, *Error) {
	one, err := c.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	one.tags = slices.DeleteFunc(slices.Clone(one.tags), func(t tag) bool { return slices.Contains(in.TagKeys, t.Key) })
	one.changed = date(c.now)
	return empty{}, nil
}
