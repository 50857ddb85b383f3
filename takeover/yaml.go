package takeover

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v2"
)

// yamlValue is a value in YAML. The zero one is null, for which the library calls
// nothing.
type yamlValue struct {
	text    string // of a scalar, as it is written
	scalar  bool
	mapping map[string]yamlValue
	list    []yamlValue
}

// UnmarshalYAML implements the interface of the library.
func (v *yamlValue) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&v.text) == nil {
		v.scalar = true
		return nil
	}
	if unmarshal(&v.list) == nil {
		return nil
	}
	v.list = nil
	return unmarshal(&v.mapping)
}

// parseYAML returns the one document of a text, if that is a mapping without a name
// that is there twice.
func parseYAML(text []byte) (yamlValue, bool) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.SetStrict(true)
	var v, another yamlValue
	if d.Decode(&v) != nil || v.mapping == nil {
		return v, false
	}
	return v, errors.Is(d.Decode(&another), io.EOF)
}

// members reads the members of a mapping.
func (v yamlValue) members(nested bool) ([]Secret, error) {
	r := jsonReader{nested: nested, seen: make(map[string]bool)}
	for _, name := range slices.Sorted(maps.Keys(v.mapping)) {
		r.yaml(name, v.mapping[name])
	}
	return r.result()
}

// yaml reads a value, and with nested the values within it.
func (r *jsonReader) yaml(path string, v yamlValue) {
	switch {
	case v.scalar && strings.HasPrefix(v.text, "$ANSIBLE_VAULT;"):
		r.refuse(path, "is encrypted once more, by itself")
	case v.scalar:
		r.take(Secret{Name: path, Value: []byte(v.text)})
	case v.mapping == nil && v.list == nil:
		r.refuse(path, "is null")
	case !r.nested:
		r.refuseNested(path)
	default:
		for _, name := range slices.Sorted(maps.Keys(v.mapping)) {
			r.yaml(path+"/"+name, v.mapping[name])
		}
		for i, element := range v.list {
			r.yaml(path+"/"+strconv.Itoa(i), element)
		}
	}
}
