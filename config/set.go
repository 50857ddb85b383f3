package config

import (
	"path/filepath"
	"reflect"
)

// set gives a field its value.
func (l *loader) set(f *field, raw any, origin string) {
	before := f.origin
	value := reflect.New(f.value.Type()).Elem()
	value.Set(f.value)
	f.origin = origin
	if allowed := assign(f.value, raw, origin != l.config.Path); allowed != "" {
		l.wrong(f.key, f.show(raw), allowed)
		f.origin = before
		return
	}
	switch {
	case !f.isPath():
	case f.value.Kind() == reflect.Slice:
		for i := range f.value.Len() {
			l.setPath(f, f.value.Index(i), f.value.Index(i).String())
		}
	case !l.setPath(f, f.value, f.value.String()):
		f.value.Set(value) // so that the provider does not report a second problem
	}
}

// setPath sets a value that names a file or directory.
func (l *loader) setPath(f *field, value reflect.Value, text string) bool {
	path := l.config.env.expand(text)
	switch {
	case f.key == "serve.audit" && text == standardError:
		return true
	case path == "":
		l.wrong(f.key, f.show(text), "must name a file or directory")
		return false
	case LooksLikeKey(text):
		l.wrong(f.key, hidden, "must be a path, and looks like a key or a token itself"+l.elsewhere(f))
		return false
	case filepath.IsAbs(path):
	case (f.key == "key.file" || f.key == "key.identities") && f.origin != l.config.Path:
		// A person who sets the variable for one command means a path relative to
		// the current directory. Elsewhere such a path would name another store
		// in each directory.
		if abs, err := filepath.Abs(path); err == nil {
			path = abs
		}
	default:
		l.wrong(f.key, f.show(text), "must be an absolute path, or begin with ~/")
		return false
	}
	value.SetString(path)
	return true
}

// elsewhere says where to set a key that was set instead of a path.
func (l *loader) elsewhere(f *field) string {
	if f.key == "key.file" || f.key == "key.files" {
		return "; the line of a key file is taken from " + envKey
	}
	return ""
}
