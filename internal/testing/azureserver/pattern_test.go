package azureserver

import (
	"encoding/base64"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// This is the language of the recordings. A body shape has the fields of the answer.
// Strings in it stand for:
//
//	string                      any string; what follows after a space or a
//	                            comma, here and with unix, is a remark
//	unix                        a time in seconds; also "unix>created" for one that
//	                            is greater than that field, "unix, in the future"
//	deletedDate+7*86400         a number computed from fields of the same object or
//	                            of its attributes
//	object, array, bool, number any of that kind
//	base64url blob (5 kB …)     base64url of about that size
//	https://{vault}/{name1}     text with placeholders, which have the same value
//	                            all through a scenario; the N of {nameN} is the
//	                            number of the repetition; {opaque} is any text
//
// Every other string stands for itself.

var (
	placeholder = regexp.MustCompile(`\{([^{}]+)\}`)
	numbered    = regexp.MustCompile(`^(.*[a-z])N$`)
	unixPattern = regexp.MustCompile(`^unix(?:([<>]=?|=)(\w+)|, in the (future|past))?$`)
	remarked    = regexp.MustCompile(`^(string|unix)[ ,(].*$`)
	expression  = regexp.MustCompile(`^\w+([*+-]\w+)+$`)
	sized       = regexp.MustCompile(`(?i)(\d[\d,]*)(?: ?- ?(\d+))? ?(bytes|kB|characters|entries)`)
)

// matcher compares answers with shapes, and gives placeholders their values.
type matcher struct {
	bound map[string]string // by placeholder, numbered
	now   func() int64
	// fresh gives a placeholder a value that no answer has given yet.
	fresh func(name string) string
}

// number replaces an N by the number of the repetition.
func number(name string, index int) string {
	if m := numbered.FindStringSubmatch(name); m != nil {
		return m[1] + strconv.Itoa(index)
	}
	return name
}

// fill replaces placeholders by their values.
func (m *matcher) fill(text string, index int) string {
	return placeholder.ReplaceAllStringFunc(text, func(s string) string {
		return m.value(number(s[1:len(s)-1], index))
	})
}

func (m *matcher) value(name string) string {
	v, ok := m.bound[name]
	if !ok {
		v = m.fresh(name)
		m.bound[name] = v
	}
	return v
}

// text compares a text with one that has placeholders, and gives a value to
// placeholders that have none yet.
func (m *matcher) text(pattern, got string, index int) error {
	var names []string
	expr, rest := "^", pattern
	for {
		loc := placeholder.FindStringSubmatchIndex(rest)
		if loc == nil {
			break
		}
		name := number(rest[loc[2]:loc[3]], index)
		expr += regexp.QuoteMeta(rest[:loc[0]])
		if value, ok := m.bound[name]; ok && name != "opaque" {
			expr += regexp.QuoteMeta(value)
		} else {
			expr += `([^/&?]+)`
			names = append(names, name)
		}
		rest = rest[loc[1]:]
	}
	found := regexp.MustCompile(expr + regexp.QuoteMeta(rest) + "$").FindStringSubmatch(got)
	if found == nil {
		return fmt.Errorf("is %q, recorded %q (%v)", got, pattern, m.bound)
	}
	for i, name := range names {
		m.bound[name] = found[i+1]
	}
	return nil
}

// shape compares a decoded body with its shape and returns all differences.
func (m *matcher) shape(path string, shape, got, parent any, index int) []error {
	wrong := func(format string, args ...any) []error {
		return []error{fmt.Errorf("%s "+format, append([]any{path}, args...)...)}
	}
	switch s := shape.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return wrong("is %T, recorded an object", got)
		}
		return m.object(path, s, g, index)
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(s) {
			return wrong("has %v, recorded %d items", got, len(s))
		}
		var all []error
		for i := range s {
			all = append(all, m.shape(fmt.Sprintf("%s[%d]", path, i), s[i], g[i], got, index)...)
		}
		return all
	case string:
		if err := m.leaf(s, got, parent, index); err != nil {
			return wrong("%v", err)
		}
		return nil
	}
	if shape != got {
		return wrong("is %v, recorded %v", got, shape)
	}
	return nil
}

func (m *matcher) object(path string, s, g map[string]any, index int) []error {
	var all []error
	for field := range g {
		if _, ok := s[field]; !ok {
			all = append(all, fmt.Errorf("%s.%s was not recorded", path, field))
		}
	}
	for field, shape := range s {
		if got, ok := g[field]; ok {
			all = append(all, m.shape(path+"."+field, shape, got, g, index)...)
		} else {
			all = append(all, fmt.Errorf("%s.%s is missing", path, field))
		}
	}
	return all
}

// leaf compares a value with the string that stands for it.
func (m *matcher) leaf(s string, got, parent any, index int) error {
	kinds := map[string]func() bool{
		"string": func() bool { _, ok := got.(string); return ok },
		"object": func() bool { _, ok := got.(map[string]any); return ok },
		"array":  func() bool { _, ok := got.([]any); return ok },
		"bool":   func() bool { _, ok := got.(bool); return ok },
		"number": func() bool { _, ok := got.(float64); return ok },
	}
	text, isText := got.(string)
	switch {
	case kinds[s] != nil:
		if !kinds[s]() {
			return fmt.Errorf("is %T, recorded %s", got, s)
		}
		return nil
	case unixPattern.MatchString(s):
		return m.unix(s, got, parent)
	case remarked.MatchString(s):
		return m.leaf(remarked.FindStringSubmatch(s)[1], got, parent, index)
	case expression.MatchString(s) && !isText:
		if want, err := compute(s, parent); err != nil || got != want {
			return fmt.Errorf("is %v, recorded %s = %v %v", got, s, want, err)
		}
		return nil
	case !isText:
		return fmt.Errorf("is %T, recorded %q", got, s)
	case strings.HasPrefix(s, "base64url"):
		if _, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "=")); err != nil {
			return err
		}
		return about(s, len(text))
	}
	return m.text(s, text, index)
}

// unix checks a time: an integer of seconds, in the relation that s states.
func (m *matcher) unix(s string, got, parent any) error {
	n, ok := got.(float64)
	if !ok || n != math.Trunc(n) || n < 1e9 || n > 1e10 {
		return fmt.Errorf("is %v, recorded a time", got)
	}
	part := unixPattern.FindStringSubmatch(s)
	other, relation := float64(m.now()), part[1]
	switch {
	case part[3] == "future":
		relation = ">"
	case part[3] == "past":
		relation = "<"
	case relation != "":
		var err error
		if other, err = field(part[2], parent); err != nil {
			return err
		}
	}
	holds := map[string]bool{"": true, ">": n > other, "<": n < other, ">=": n >= other, "<=": n <= other, "=": n == other}[relation]
	if !holds {
		return fmt.Errorf("is %v, recorded %s, which is %v", n, s, other)
	}
	return nil
}

// field finds a number by its name, in the object or in its attributes.
func field(name string, object any) (float64, error) {
	if n, err := strconv.ParseFloat(name, 64); err == nil {
		return n, nil
	}
	for _, v := range []any{at(object, name), at(object, "attributes", name)} {
		if n, ok := v.(float64); ok {
			return n, nil
		}
	}
	return 0, fmt.Errorf("no number %s beside it", name)
}

// compute evaluates + and -, and * before them.
func compute(s string, object any) (float64, error) {
	var total float64
	for _, term := range regexp.MustCompile(`[+-]?[^+-]+`).FindAllString(s, -1) {
		product := 1.0
		if strings.HasPrefix(term, "-") {
			product = -1
		}
		for name := range strings.SplitSeq(strings.TrimLeft(term, "+-"), "*") {
			n, err := field(name, object)
			if err != nil {
				return 0, err
			}
			product *= n
		}
		total += product
	}
	return total, nil
}

// about checks a size that a text names: the size may be a fifth off, also at both ends
// of a range. Recorded sizes contain names of unknown length.
func about(text string, size int) error {
	found := sized.FindStringSubmatch(text)
	if found == nil {
		return nil
	}
	low := sizeOf(found)
	high := low
	if found[2] != "" {
		n, _ := strconv.Atoi(found[2])
		high = n
	}
	if size*5 < low*4 || size*5 > high*6 {
		return fmt.Errorf("is %d bytes, recorded %q", size, text)
	}
	return nil
}

func sizeOf(found []string) int {
	n, _ := strconv.Atoi(strings.ReplaceAll(found[1], ",", ""))
	if strings.EqualFold(found[3], "kB") {
		n *= 1000
	}
	return n
}

// request returns the value that a request sends for a recorded one.
func (m *matcher) request(field string, recorded any, secret, blob string, index int) any {
	switch v := recorded.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, inner := range v {
			out[name] = m.request(name, inner, secret, blob, index)
		}
		return out
	case string:
		found := sized.FindStringSubmatch(v)
		switch {
		case strings.HasPrefix(v, "VALUE"):
			return secret
		case strings.HasPrefix(v, "BLOB"):
			return blob
		case strings.HasPrefix(v, "base64 of"):
			return base64.StdEncoding.EncodeToString([]byte(v))
		case v == "unix, in the past":
			return m.now() - 86400
		case strings.HasPrefix(v, "unix"):
			return m.now() + 86400
		case found != nil && found[3] == "entries":
			return entries(sizeOf(found))
		case found != nil && strings.Contains(v, " "):
			return strings.Repeat("x", sizeOf(found))
		}
		return m.fill(v, index)
	}
	return recorded
}

func entries(n int) map[string]any {
	out := map[string]any{}
	for i := range n {
		out["k"+strconv.Itoa(i)] = "v"
	}
	return out
}

// query fills the recorded query. If the recording has no version of the API, or names
// several, it uses one that all SDKs know.
func (m *matcher) query(e *event) string {
	out := url.Values{}
	for name, value := range e.Request.Query {
		out.Set(name, m.fill(value, e.index))
	}
	version := out.Get("api-version")
	if (version == "" && !e.says("api-version")) || strings.HasSuffix(version, "x") {
		out.Set("api-version", "7.4")
	}
	return out.Encode()
}

var guids = regexp.MustCompile(`\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`)

// ofPlatform reports whether a header comes from the web server or a proxy and not from
// Key Vault, repeats one that a replayed request does not have, or counts the letters
// of a name.
func ofPlatform(name string) bool {
	return slices.ContainsFunc([]string{"server", "x-powered-by", "x-aspnet-version", "vary", "connection", "transfer-encoding",
		"content-length", "x-ms-client-request-id"}, func(h string) bool { return strings.EqualFold(h, name) })
}

// header compares a named header. Some headers have values of the deployment, which
// changed between recordings: only the form of these counts. The login moved from
// login.windows.net in 2023, and the tenant is ours.
func (m *matcher) header(name, recorded, got string, index int) error {
	deployment := []string{"x-ms-keyvault-service-version", "x-ms-keyvault-region", "x-ms-keyvault-network-info", "x-ms-request-id", "date"}
	recorded = strings.ReplaceAll(recorded, "login.windows.net", "login.microsoftonline.com")
	if strings.EqualFold(name, "WWW-Authenticate") {
		recorded = guids.ReplaceAllString(recorded, "{tenant}")
	}
	switch {
	case ofPlatform(name):
		return nil
	case strings.EqualFold(name, deployment[0]):
		if !regexp.MustCompile(`^\d+(\.\d+){3}$`).MatchString(got) {
			return fmt.Errorf("header %s is %q", name, got)
		}
		return nil
	case slices.ContainsFunc(deployment, func(d string) bool { return strings.EqualFold(d, name) }) && got != "":
		return nil
	}
	if err := m.text(recorded, got, index); err != nil {
		return fmt.Errorf("header %s %w", name, err)
	}
	return nil
}
