package service

import (
	"encoding/base64"
	"fmt"
	"math"
	"net/http"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/jsonread"
)

// given is the content of a PUT.
type given struct {
	secret nebula.Secret
	tags   map[string]string      // nil keeps those that are there
	policy *nebula.RotationPolicy // nil keeps the one that is there
}

// put stores a value. Bytes set only the value and keep everything else. JSON
// sets the members that it has.
func (s *Service) put(c *call) (answer, error) {
	found, err := s.given(c)
	if err != nil {
		return answer{}, err
	}
	defer found.secret.Wipe()
	if err := s.wantScope(c); err != nil {
		return answer{}, err
	}
	ifAbsent, ifVersion, err := s.ofWrite(c)
	if err != nil {
		return answer{}, err
	}
	var created bool
	options := nebula.PutOptions{
		Tags: found.tags, ClearTags: found.tags != nil, RotationPolicy: found.policy,
		IfAbsent: ifAbsent, IfVersion: ifVersion, Created: &created,
	}
	c.changed = true
	v, err := s.store.Put(c.ctx, c.id(), found.secret, options)
	if err != nil {
		return answer{}, failedCondition(err, ifVersion)
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return written(c, status, v), nil
}

// written answers the version of what was written.
func written(c *call, status int, v nebula.Version) answer {
	c.version = v
	b := appendText([]byte(`{"id":`), c.name)
	b = appendText(append(b, `,"version":`...), string(v))
	return answer{status: status, contentType: jsonType, body: append(b, '}')}
}

func (s *Service) given(c *call) (given, error) {
	form, err := mediaType(c.r, bytesType, jsonType)
	if err != nil {
		return given{}, err
	}
	limit := s.limits.value
	if form == jsonType {
		limit = s.limits.json
	}
	body, err := c.readBody(limit)
	if err != nil {
		return given{}, err
	}
	defer clear(body)
	if form == jsonType {
		return parseGiven(body)
	}
	return given{secret: nebula.NewSecret(body)}, nil
}

// parseGiven reads {"value","encoding"?,"tags"?,"interval_days"?}. The default encoding is
// utf8.
func parseGiven(body []byte) (given, error) {
	var g given
	var value []byte
	var encoding string
	var refused error
	defer func() { clear(value) }()
	r := jsonread.New(body)
	err := object(r, map[string]func(){
		"value":    func() { value = r.Bytes() },
		"encoding": func() { encoding = r.Text() },
		"tags": func() {
			g.tags = make(map[string]string)
			tags(r, g.tags, &refused)
		},
		"interval_days": func() { g.policy = &nebula.RotationPolicy{IntervalDays: uint32(r.Integer(math.MaxUint32))} },
	})
	if refused != nil {
		err = refused
	}
	if err := wantEnd(r, err); err != nil {
		return given{}, err
	}
	if value == nil {
		return given{}, usage(`the member "value" is missing`, "")
	}
	switch encoding {
	case "utf8", "":
		g.secret = nebula.NewSecret(value)
		return g, nil
	case "base64":
		decoded := make([]byte, base64.StdEncoding.DecodedLen(len(value)))
		defer clear(decoded)
		n, err := base64.StdEncoding.Strict().Decode(decoded, value)
		if err != nil || !isCanonical(value) {
			return given{}, usage("the value is not base64 of RFC 4648, section 4", "with padding, and without line breaks")
		}
		g.secret = nebula.NewSecret(decoded[:n])
		return g, nil
	}
	return given{}, usage(fmt.Sprintf("there is no encoding %.20q", encoding), `it is "utf8" or "base64"`)
}

// isCanonical refuses line breaks, which the decoder skips.
func isCanonical(encoded []byte) bool {
	for _, c := range encoded {
		if c == '\n' || c == '\r' {
			return false
		}
	}
	return true
}
