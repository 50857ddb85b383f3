package service

import (
	"fmt"
	"net/http"
	"net/url"
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

// etags reads a list of entity tags. Weak ones match nothing where a condition is
// to be sure, and are left out.
func etags(values []string) ([]string, error) {
	if values == nil {
		return nil, nil
	}
	tags := []string{}
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		tag := strings.TrimSpace(part)
		weak := strings.HasPrefix(tag, "W/")
		tag = strings.TrimPrefix(tag, "W/")
		if tag != "*" && (len(tag) < 3 || tag[0] != '"' || strings.IndexByte(tag[1:], '"') != len(tag)-2) {
			return nil, usage("the entity tag is none", `write the version in quotes: "V"`)
		}
		if !weak {
			tags = append(tags, tag)
		}
	}
	return tags, nil
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
	case found.match != nil && found.noneMatch != nil:
		return false, "", usage("If-Match and If-None-Match exclude each other", "")
	case found.noneMatch != nil:
		if len(found.noneMatch) != 1 || found.noneMatch[0] != "*" || c.r.Method != http.MethodPut {
			return false, "", usage("If-None-Match is not what is known here", "If-None-Match: * stores what is not there yet")
		}
		return true, "", nil
	case len(found.match) == 0:
		return false, "", &nebula.Error{Kind: errPrecondition, Message: "a weak entity tag matches nothing", Hint: `send the version in quotes: If-Match: "V"`}
	case len(found.match) > 1 || found.match[0] == "*":
		return false, "", usage("If-Match takes one version", `If-Match: "V"`)
	}
	v, err := versionOf(found.match[0])
	return false, v, err
}

// versionOf returns the version that an entity tag names.
func versionOf(tag string) (nebula.Version, error) {
	text := strings.TrimSuffix(strings.Trim(tag, `"`), rawMark)
	v, err := url.PathUnescape(text)
	if err != nil || v == "" {
		return "", usage("the entity tag names no version", `If-Match: "V"`)
	}
	return nebula.Version(v), nil
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
