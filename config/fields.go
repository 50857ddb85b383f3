package config

import (
	"reflect"
	"strings"
	"time"
)

// field is a setting: a pointer to its value, and where the value came from.
type field struct {
	key    string // storage.local.base_path
	value  reflect.Value
	origin string // "default", a variable's name, or the path of the file

	// The struct that declares it, and the field's name there. The comment on the
	// field is the text in docs/configuration.md.
	owner reflect.Type
	name  string
}

const fromDefault = "default"

// sensitive reports whether messages and show must hide the value.
func (f *field) sensitive() bool { return leaf(f.key) == "passphrase_command" }

// isPath reports whether the value names a file or directory.
func (f *field) isPath() bool {
	switch name := leaf(f.key); name {
	case "file", "files", "identities", "rollback_guard", "base_path", "ca_cert", "kubeconfig_path",
		"tls_cert", "tls_key", "tokens", "audit":
		return true
	default:
		return strings.HasSuffix(name, "_file")
	}
}

// namesSecret reports whether the value names a file with a secret. People
// sometimes set the secret itself in the place of the file.
func (f *field) namesSecret() bool {
	name := leaf(f.key)
	return name == "file" || name == "files" || name == "identities" || name == "tls_key" || name == "tokens" || strings.HasSuffix(name, "_file")
}

// show returns a value for a message.
func (f *field) show(raw any) string {
	text, isText := raw.(string)
	switch {
	case f.sensitive() || f.isKeyID(), isText && f.namesSecret() && text != "" && shownPath(text) == hidden:
		return hidden
	}
	return display(raw)
}

// isKeyID reports whether the value is the id of a data key. People sometimes
// set a key instead.
func (f *field) isKeyID() bool { return strings.HasSuffix(f.key, "key.id") }

func leaf(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// fields are the known keys, in the order in which they were added.
type fields struct {
	byKey    map[string]*field
	order    []*field
	sections map[string]bool
}

// add adds the fields of target, a pointer to a struct, below prefix. A field
// without a toml tag cannot be set.
func (fs *fields) add(prefix string, target any) {
	fs.sections[prefix] = true
	v := reflect.ValueOf(target).Elem()
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("toml"), ",")
		if name == "" || name == "-" {
			continue
		}
		key, inner := prefix+"."+name, v.Field(i)
		if inner.Kind() == reflect.Struct {
			fs.add(key, inner.Addr().Interface())
			continue
		}
		f := &field{key: key, value: inner, origin: fromDefault, owner: v.Type(), name: v.Type().Field(i).Name}
		fs.byKey[key] = f
		fs.order = append(fs.order, f)
	}
}

// below returns the names of the keys of a section.
func (fs *fields) below(section string) []string {
	prefix := ""
	if section != "" {
		prefix = section + "."
	}
	var names []string
	collect := func(key string) {
		if rest, ok := strings.CutPrefix(key, prefix); ok && rest != "" && !strings.Contains(rest, ".") {
			names = append(names, rest)
		}
	}
	for _, f := range fs.order {
		collect(f.key)
	}
	for name := range fs.sections {
		collect(name)
	}
	return names
}

// durationType: unlike other integers, durations are written as 5s.
func durationType() reflect.Type { return reflect.TypeFor[time.Duration]() }
