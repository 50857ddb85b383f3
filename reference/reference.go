// Package reference reads references to credentials, and finds their values.
//
//	nebula://[STORE/]ID[?version=VERSION][#FIELD]
//
// STORE is a name of the configuration, never a provider's. Without one it is
// the default store. Nothing is percent-decoded. FIELD goes to the end: see
// [Reference.Select].
//
// [config.Config.Resolve] reads the values of references.
//
// [config.Config.Resolve]: https://pkg.go.dev/github.com/nebula-credential/nebula/config#Config.Resolve
package reference

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/nebula-credential/nebula"
)

// Scheme is the beginning of every reference.
const Scheme = "nebula://"

// maxField is the greatest length of a field, in bytes.
const maxField = 4096

// Reference names a credential, or a part of its value.
type Reference struct {
	Store   string // "" is the default store
	ID      nebula.ID
	Version nebula.Version // "" is the current one
	Field   string         // of a JSON value; "" is the whole value
}

// String returns the reference as [Parse] reads it.
func (r Reference) String() string {
	var b strings.Builder
	b.WriteString(Scheme)
	if r.Store != "" {
		b.WriteString(r.Store + "/")
	}
	b.WriteString(string(r.ID))
	if r.Version != "" {
		b.WriteString("?version=" + string(r.Version))
	}
	if r.Field != "" {
		b.WriteString("#" + r.Field)
	}
	return b.String()
}

// Parse reads a reference. Its errors, of kind ErrUsage or ErrInvalidID, show no
// more of the text than is surely a part of a reference.
func Parse(text string) (Reference, error) {
	rest, ok := strings.CutPrefix(text, Scheme)
	if !ok {
		return Reference{}, wrong("it does not begin with " + Scheme)
	}
	return parse(rest)
}

// ParseShort reads a reference, or the short form [STORE/]ID[#FIELD].
func ParseShort(text string) (Reference, error) {
	if strings.HasPrefix(text, Scheme) {
		return Parse(text)
	}
	r, err := parse(text)
	if err == nil && r.Version != "" {
		return Reference{}, wrong("a version is given in the long form alone, " + r.String())
	}
	return r, err
}

func parse(text string) (Reference, error) {
	var r Reference
	path, field, hasField := strings.Cut(text, "#")
	switch {
	case hasField && field == "":
		return r, wrong("there is no field after #")
	case len(field) > maxField || !utf8.ValidString(field):
		return r, wrong(fmt.Sprintf("a field has at most %d bytes of UTF-8", maxField))
	}
	path, query, hasQuery := strings.Cut(path, "?")
	if hasQuery {
		version, ok := strings.CutPrefix(query, "version=")
		if !ok || version == "" || strings.ContainsFunc(version, isNoVersion) {
			return r, wrong("after ? comes version= and a version of A-Z a-z 0-9 . _ -")
		}
		r.Version = nebula.Version(version)
	}
	store, id, hasStore := strings.Cut(path, "/")
	if !hasStore {
		store, id = "", path
	} else if !IsStoreName(store) {
		return r, wrong("before / comes the name of a store: 1 to 64 characters of A-Z a-z 0-9 _ -, not beginning with -")
	}
	parsed, err := nebula.ParseID(id)
	r.Store, r.ID, r.Field = store, parsed, field
	return r, err
}

func isNoVersion(c rune) bool { return !isNameRune(c) && c != '.' }

func isNameRune(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// IsStoreName reports whether a configuration can have a store of that name: 1 to
// 64 characters of A-Z a-z 0-9 _ -, not beginning with -.
func IsStoreName(s string) bool {
	return 0 < len(s) && len(s) <= 64 && s[0] != '-' && !strings.ContainsFunc(s, func(c rune) bool { return !isNameRune(c) })
}

func wrong(reason string) error {
	return &nebula.Error{Kind: nebula.ErrUsage, Message: "not a reference: " + reason,
		Hint: "a reference is " + Scheme + "[STORE/]ID[?version=V][#FIELD]"}
}
