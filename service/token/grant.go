package token

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nebula-credential/nebula"
)

// Verb is a right of a token.
type Verb string

// The verbs.
const (
	List   Verb = "list"   // the list of credentials
	Read   Verb = "read"   // values, metadata, versions, and whether there is one
	Write  Verb = "write"  // values, tags, and restoring
	Delete Verb = "delete" // deleting
	Admin  Verb = "admin"  // purging, and the metrics
)

// Verbs returns all of them, in the order in which a [Grant] has them.
func Verbs() []Verb { return []Verb{List, Read, Write, Delete, Admin} }

// MaxName is the greatest number of characters in a token's name.
const MaxName = 128

// Grant has the rights of a token. Do not change the Allow of a Grant that a
// [File] returned.
type Grant struct {
	Name    string // becomes the author of what is written; see [nebula.Metadata]
	Allow   []Verb
	Prefix  string    // of the ids that it reaches; "" is all
	Scope   string    // of the credentials that it reaches; "" is all
	Created time.Time // UTC, whole seconds
	Expires time.Time // UTC, whole seconds; zero: never

	hash [sha256.Size]byte // of the token; zero if it does not come from a file
}

// Allows reports whether the token has a right.
func (g Grant) Allows(v Verb) bool { return slices.Contains(g.Allow, v) }

// Covers reports whether an id begins with the token's prefix.
func (g Grant) Covers(id string) bool { return strings.HasPrefix(id, g.Prefix) }

// Expired reports whether the token's time is over.
func (g Grant) Expired(now time.Time) bool { return !g.Expires.IsZero() && !now.Before(g.Expires) }

// ParseVerb returns the verb that s names, or an error of kind ErrUsage.
func ParseVerb(s string) (Verb, error) {
	if slices.Contains(Verbs(), Verb(s)) {
		return Verb(s), nil
	}
	return "", refuse(fmt.Sprintf("there is no verb %q", cut(s)), "the verbs are list, read, write, delete, admin")
}

// check returns an error of kind ErrUsage, or ErrInvalidMetadata for name and
// scope, if a token cannot be made for the grant.
func (g Grant) check() error {
	switch n := utf8.RuneCountInString(g.Name); {
	case n == 0:
		return refuse("a token has no name", "say what it is for: its name is the author of what it writes")
	case n > MaxName:
		return refuse(fmt.Sprintf("the name of the token has %d characters, %d are allowed", n, MaxName), "")
	case len(g.Allow) == 0:
		return refuse("the token has no rights", "give it verbs: list, read, write, delete, admin")
	}
	for _, v := range g.Allow {
		if _, err := ParseVerb(string(v)); err != nil {
			return err
		}
	}
	for _, t := range []time.Time{g.Created, g.Expires} {
		if year := t.Year(); !t.IsZero() && (year < 1970 || year > 9999) {
			return refuse("the time of a token is not within the years 1970 to 9999", "")
		}
	}
	if !isPrefix(g.Prefix) {
		return refuse(fmt.Sprintf("%q is not the beginning of an id", cut(g.Prefix)),
			"an id has 1 to 128 characters of A-Z a-z 0-9 _ - and does not begin with -")
	}
	// The name and the scope must be valid in a record.
	epoch := time.Unix(0, 0)
	return nebula.Metadata{CreatedAt: epoch, LastModified: epoch, CreatedBy: g.Name, Scope: g.Scope}.Validate()
}

// isPrefix reports whether some id begins with s.
func isPrefix(s string) bool {
	if s == "" {
		return true
	}
	_, err := nebula.ParseID(s)
	if err != nil { // con is no id, and config begins with it
		_, err = nebula.ParseID(s + "_")
	}
	return err == nil
}

// ordered returns the verbs in their order, each once.
func ordered(verbs []Verb) []Verb {
	return slices.DeleteFunc(Verbs(), func(v Verb) bool { return !slices.Contains(verbs, v) })
}

// cut shortens a text for a message.
func cut(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

func refuse(message, hint string) error {
	return &nebula.Error{Kind: nebula.ErrUsage, Message: message, Hint: hint}
}
