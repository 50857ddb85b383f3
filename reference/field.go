package reference

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/nebula-credential/nebula"
)

// Select returns the part of a credential's value that the reference names: the
// whole value, or the field of a JSON value. The result may share the value's
// memory.
//
// A field that begins with / is a JSON Pointer (RFC 6901). Any other field is the
// member of that name, or else a dotted path: "db.hosts.0". A string gives its
// characters, a number or a boolean its text, an object or a list compact JSON.
// Errors: ErrNotFound if there is no such field; ErrUsage if the value is not
// JSON, or if the field is null or is there twice.
func (r Reference) Select(value []byte) ([]byte, error) {
	if r.Field == "" {
		return value, nil
	}
	at, err := r.find(value)
	if err == nil {
		at, err = r.text(at)
	}
	if err != nil {
		var e *nebula.Error
		errors.As(err, &e) // all errors here are of this type
		e.Op, e.ID = "retrieve", r.ID
		return nil, e
	}
	return at, nil
}

func (r Reference) find(value []byte) (json.RawMessage, error) {
	if !utf8.Valid(value) || !json.Valid(value) {
		return nil, r.notJSON()
	}
	if strings.HasPrefix(r.Field, "/") {
		return r.walk(value, pointer(r.Field))
	}
	if at, err := r.step(value, r.Field); err == nil || !errors.Is(err, nebula.ErrNotFound) || !strings.Contains(r.Field, ".") {
		return at, err
	}
	return r.walk(value, strings.Split(r.Field, "."))
}

// pointer returns the steps of a JSON Pointer.
func pointer(s string) []string {
	steps := strings.Split(s[1:], "/")
	for i, step := range steps {
		steps[i] = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
	}
	return steps
}

func (r Reference) walk(at json.RawMessage, steps []string) (json.RawMessage, error) {
	for _, step := range steps {
		var err error
		if at, err = r.step(at, step); err != nil {
			return nil, err
		}
	}
	return at, nil
}

// step returns a member of an object, or an element of a list.
func (r Reference) step(at json.RawMessage, name string) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(at))
	open, err := d.Token()
	if err != nil {
		return nil, r.notJSON()
	}
	var found json.RawMessage
	for i := 0; open == json.Delim('{') || open == json.Delim('['); i++ {
		if !d.More() {
			break
		}
		key := strconv.Itoa(i)
		if open == json.Delim('{') {
			token, err := d.Token()
			if err != nil {
				return nil, r.notJSON()
			}
			key, _ = token.(string)
		}
		var member json.RawMessage
		if err := d.Decode(&member); err != nil {
			return nil, r.notJSON()
		}
		if key != name {
			continue
		}
		if found != nil {
			return nil, r.fail(nebula.ErrUsage, "the field is in the value twice")
		}
		found = member
	}
	if found == nil {
		return nil, r.fail(nebula.ErrNotFound, "the value has no such field")
	}
	return found, nil
}

// text is [Text].
func (r Reference) text(at json.RawMessage) ([]byte, error) {
	text, problem := Text(at)
	if problem != "" {
		return nil, r.fail(nebula.ErrUsage, "the field "+problem)
	}
	return text, nil
}

// Text returns the characters of a JSON string, and other valid JSON in compact
// form. For null, and for half a character, it returns a phrase that names the
// problem.
func Text(at json.RawMessage) (text []byte, problem string) {
	at = bytes.TrimSpace(at)
	switch at[0] {
	case 'n':
		return nil, "is null"
	case '"':
		if hasHalfCharacter(at) {
			return nil, `has half a character, one of \ud800 to \udfff without the other half`
		}
		var s string
		if err := json.Unmarshal(at, &s); err != nil {
			return nil, "is no JSON"
		}
		return []byte(s), ""
	case '{', '[':
		var compact bytes.Buffer
		if err := json.Compact(&compact, at); err != nil {
			return nil, "is no JSON"
		}
		return compact.Bytes(), ""
	}
	return at, ""
}

// hasHalfCharacter reports an escaped surrogate without its pair. encoding/json
// replaces it by another character and does not say so.
func hasHalfCharacter(quoted []byte) bool {
	for i := 0; i < len(quoted); i++ {
		if quoted[i] != '\\' {
			continue
		}
		i++
		if quoted[i] != 'u' {
			continue
		}
		first := codeUnit(quoted[i+1:])
		i += 4
		if !utf16.IsSurrogate(first) {
			continue
		}
		if !bytes.HasPrefix(quoted[i+1:], []byte(`\u`)) || utf16.DecodeRune(first, codeUnit(quoted[i+3:])) == utf8.RuneError {
			return true
		}
		i += 6
	}
	return false
}

// codeUnit reads the four hexadecimal digits of an escape. The parser has
// checked that they are there.
func codeUnit(digits []byte) rune {
	n, _ := strconv.ParseUint(string(digits[:4]), 16, 16)
	return rune(n)
}

func (r Reference) notJSON() error {
	return r.fail(nebula.ErrUsage, "the value is not JSON, so it has no field")
}

func (r Reference) fail(kind nebula.Kind, message string) error {
	return &nebula.Error{Kind: kind, Message: message + ": " + strconv.Quote(r.Field)}
}
