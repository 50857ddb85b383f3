package service

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/service/token"
)

// rawMark follows the version in the entity tag of the bytes alone. The bytes and the
// JSON are two representations, so they have two tags.
const rawMark = "-raw"

// etagOf returns the entity tag of a version. It escapes characters that a tag
// cannot have. Versions of the backends do not have them.
func etagOf(v nebula.Version, raw bool) string {
	b := append(make([]byte, 0, 64), '"')
	for i := range len(v) {
		if c := v[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '%' || c == ',' {
			b = fmt.Appendf(b, "%%%02X", c)
		} else {
			b = append(b, c)
		}
	}
	if raw {
		b = append(b, rawMark...)
	}
	return string(append(b, '"'))
}

// anyNames reports whether one of the entity tags names a version, in either form.
func anyNames(etags []string, v nebula.Version) bool {
	return slices.ContainsFunc(etags, func(etag string) bool {
		return etag == "*" || etag == etagOf(v, false) || etag == etagOf(v, true)
	})
}

// conditions are the conditions in If-Match and If-None-Match.
type conditions struct {
	match     []string // entity tags, or *; nil if there is no such header
	noneMatch []string
}

func (c *call) conditions() (conditions, error) {
	var found conditions
	h := c.r.Header
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since", "If-Range"} {
		if h[name] != nil && c.r.Method != http.MethodGet {
			return found, usage("there is no condition "+name+" here", "use If-Match, with the version")
		}
	}
	var err error
	if found.match, err = etags(h["If-Match"]); err == nil {
		found.noneMatch, err = etags(h["If-None-Match"])
	}
	if err == nil && !c.op.tests && c.op.verb != token.Read && (found.match != nil || found.noneMatch != nil) {
		err = usage("there are no conditions here", "leave If-Match and If-None-Match out")
	}
	return found, err
}

// etags reads a list of entity tags, or a star. It leaves out weak ones,
// because they match nothing in a strong comparison.
func etags(values []string) ([]string, error) {
	if values == nil {
		return nil, nil
	}
	tags := []string{}
	rest := strings.TrimSpace(strings.Join(values, ","))
	if rest == "*" {
		return []string{rest}, nil
	}
	for more := true; more; {
		tag, weak := strings.CutPrefix(rest, "W/")
		end := strings.IndexByte(strings.TrimPrefix(tag, `"`), '"')
		if !strings.HasPrefix(tag, `"`) || end < 0 {
			return nil, notATag()
		}
		tag, rest = tag[:end+2], strings.TrimSpace(tag[end+2:]) // with both quotes
		if rest, more = strings.CutPrefix(rest, ","); !more && rest != "" {
			return nil, notATag()
		}
		rest = strings.TrimSpace(rest)
		if !weak {
			tags = append(tags, tag)
		}
	}
	return tags, nil
}

func notATag() error {
	return usage("that is not an entity tag", `write the version in quotes: "V"`)
}

// ofWrite returns the condition of a write or a deletion: that there is none,
// or a version.
func (s *Service) ofWrite(c *call) (ifAbsent bool, ifVersion nebula.Version, err error) {
	found, err := c.conditions()
	if err != nil || found.match == nil && found.noneMatch == nil {
		return false, "", err
	}
	if !s.store.Abilities().Preconditions {
		return false, "", &nebula.Error{Kind: nebula.ErrNotSupported, Message: "the backend cannot compare before it writes",
			Hint: "leave If-Match and If-None-Match out, and have one writer alone"}
	}
	switch {
	case found.noneMatch != nil && c.r.Method != http.MethodPut:
		return false, "", usage("there is no condition If-None-Match here", "use If-Match, with the version")
	case found.match == nil && slices.Equal(found.noneMatch, []string{"*"}):
		return true, "", nil
	case found.noneMatch == nil && len(found.match) == 1 && found.match[0] != "*":
		v, ok := versionOf(found.match[0])
		if !ok {
			return false, "", anotherVersion()
		}
		return false, v, nil
	}
	return s.resolve(c, found)
}

// resolve is for conditions that the store does not have, several versions for
// example. It compares them with the current version, which must then not
// change.
func (s *Service) resolve(c *call, asked conditions) (ifAbsent bool, ifVersion nebula.Version, err error) {
	record, err := s.store.GetSealed(c.ctx, c.id())
	if err != nil && (!errors.Is(err, nebula.ErrNotFound) || errors.Is(err, nebula.ErrNotInitialised)) {
		return false, "", err
	}
	v := record.Version // "" if there is none
	if asked.match != nil && (v == "" || !anyNames(asked.match, v)) || v != "" && anyNames(asked.noneMatch, v) {
		return false, "", anotherVersion()
	}
	return v == "", v, nil
}

func anotherVersion() error {
	return &nebula.Error{Kind: errPrecondition, Message: "the version is another", Hint: "read it again, and decide anew"}
}

// versionOf returns the version that an entity tag names.
func versionOf(tag string) (v nebula.Version, ok bool) {
	text, err := url.PathUnescape(strings.TrimSuffix(strings.Trim(tag, `"`), rawMark))
	return nebula.Version(text), err == nil && text != ""
}

// ofRead decides whether to answer a version that was read. The status is then 0,
// else 304.
func (c conditions) ofRead(v nebula.Version) (int, error) {
	if c.match != nil && !anyNames(c.match, v) {
		return 0, anotherVersion()
	}
	if anyNames(c.noneMatch, v) {
		return http.StatusNotModified, nil
	}
	return 0, nil
}

// failedCondition is the error of a write on condition of a version, if the version
// is another: If-Match asks for exactly this answer.
func failedCondition(err error, ifVersion nebula.Version) error {
	if ifVersion == "" || nebula.KindOf(err) != nebula.ErrConflict {
		return err
	}
	return &nebula.Error{Kind: errPrecondition, Message: messageOf(err), Err: err,
		Hint: "read it again, and decide anew"}
}
