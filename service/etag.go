package service

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/service/token"
)

// rawMark follows the version in the entity tag of the bytes alone: they and the JSON
// are two representations, and so have two tags.
const rawMark = "-raw"

// etagOf returns the entity tag of a version. What cannot stand in one is escaped;
// versions of the backends have nothing of that.
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

// names reports whether an entity tag names a version, in either form.
func names(etag string, v nebula.Version) bool {
	return etag == "*" || etag == etagOf(v, false) || etag == etagOf(v, true)
}

// conditions are what If-Match and If-None-Match say.
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

// etags reads a list of entity tags, or a star. Weak ones match nothing where a
// condition is to be sure, and are left out.
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
	return usage("the entity tag is none", `write the version in quotes: "V"`)
}

// ofWrite returns what a write or a deletion asks for: that there is none, or a
// version.
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
	case found.match != nil && found.noneMatch != nil: // "it is that version, and there is none"
		return false, "", &nebula.Error{Kind: errPrecondition, Message: "If-Match and If-None-Match cannot both hold"}
	case found.noneMatch != nil && c.r.Method != http.MethodPut:
		return false, "", usage("there is no condition If-None-Match here", "use If-Match, with the version")
	case found.noneMatch != nil && !slices.Equal(found.noneMatch, []string{"*"}):
		return false, "", unsupported("If-None-Match takes no entity tag", "If-None-Match: * stores what is not there yet")
	case found.noneMatch != nil:
		return true, "", nil
	case len(found.match) == 0:
		return false, "", &nebula.Error{Kind: errPrecondition, Message: "a weak entity tag matches nothing", Hint: `send the version in quotes: If-Match: "V"`}
	case len(found.match) > 1 || found.match[0] == "*":
		return false, "", unsupported("If-Match takes one version", `If-Match: "V"`)
	}
	v, ok := versionOf(found.match[0])
	if !ok {
		return false, "", &nebula.Error{Kind: errPrecondition, Message: "the entity tag is of no version", Hint: `If-Match: "V"`}
	}
	return false, v, nil
}

// unsupported is for conditions that HTTP knows and the store does not.
func unsupported(message, hint string) error {
	return &nebula.Error{Kind: nebula.ErrNotSupported, Message: message, Hint: hint}
}

// versionOf returns the version that an entity tag names.
func versionOf(tag string) (v nebula.Version, ok bool) {
	text, err := url.PathUnescape(strings.TrimSuffix(strings.Trim(tag, `"`), rawMark))
	return nebula.Version(text), err == nil && text != ""
}

// ofRead decides whether a version that was read is answered: the status is 0 then,
// else 304.
func (c conditions) ofRead(v nebula.Version) (int, error) {
	matches := func(tags []string) bool {
		for _, tag := range tags {
			if names(tag, v) {
				return true
			}
		}
		return false
	}
	if c.match != nil && !matches(c.match) {
		return 0, &nebula.Error{Kind: errPrecondition, Message: "the version is another"}
	}
	if matches(c.noneMatch) {
		return http.StatusNotModified, nil
	}
	return 0, nil
}

// failedCondition is the error of a write on a version: that the version is another
// is what If-Match asked to be told.
func failedCondition(err error, ifVersion nebula.Version) error {
	if ifVersion == "" || nebula.KindOf(err) != nebula.ErrConflict {
		return err
	}
	return &nebula.Error{Kind: errPrecondition, Message: messageOf(err), Err: err,
		Hint: "read it again, and decide anew"}
}
