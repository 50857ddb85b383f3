package takeover

import (
	"testing"

	"github.com/nebula-credential/nebula"
)

// FuzzYAML: a document is a mapping whose members have different names, or it is refused.
func FuzzYAML(f *testing.F) {
	for _, s := range []string{"", "a: b", "a: {b: [x, 1, null, {c: d}]}", "a: 1\na: 2", "a: &a [*a]", "a: b\n---\nc: d", "- a", "a: !!binary AAAA", "? [x]\n: y", "a: $ANSIBLE_VAULT;1.1"} {
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, nested bool) {
		v, ok := parseYAML(text)
		if !ok {
			return
		}
		secrets, err := v.members(nested)
		if err != nil && (secrets != nil || nebula.KindOf(err) != nebula.ErrUsage) {
			t.Fatalf("%q: %v", text, err)
		}
		seen := make(map[string]bool)
		for _, s := range secrets {
			if seen[s.Name] {
				t.Fatalf("%q: %q is there twice", text, s.Name)
			}
			seen[s.Name] = true
		}
	})
}

// FuzzMap: a map of names is accepted or refused as a wrong use, and its ids are valid.
func FuzzMap(f *testing.F) {
	for _, s := range []string{"", `"a/b" = "c"`, `a = ""`, `a = 1`, `a.b = "c"`, "a = 'b'\na = 'c'", "[a]", "\x00"} {
		f.Add([]byte(s), "a/b")
	}
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		m, err := ParseMap(text)
		if err != nil {
			if nebula.KindOf(err) != nebula.ErrUsage {
				t.Fatal(err)
			}
			return
		}
		id, err := Naming{Map: m, FoldCase: len(name)%2 == 0}.id(name)
		if err == nil && id != "" {
			if _, err := nebula.ParseID(string(id)); err != nil {
				t.Fatalf("%q became %q: %v", name, id, err)
			}
		}
	})
}
