package local_test

import (
	"testing"

	"github.com/nebula-credential/nebula"
)

// TestConditionsOfDeletions: a deletion says what was there. If its condition does not
// hold, nothing is deleted.
func TestConditionsOfDeletions(t *testing.T) {
	s := newStore(t)
	e := sealed("id", "v", nil)
	if _, err := s.Store(t.Context(), named("id"), e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		what, id  string
		condition nebula.Precondition
		existed   bool
		fails     nebula.Kind
	}{
		{"absent", "absent", nebula.Precondition{}, false, ""},
		{"absent, of a version", "absent", nebula.IfVersion("some"), false, nebula.ErrConflict},
		{"of another version", "id", nebula.IfVersion("other"), false, nebula.ErrConflict},
		{"of its version", "id", nebula.IfVersion(nebula.Version(versionOf(e))), true, ""},
		{"of its version, again", "id", nebula.IfVersion(nebula.Version(versionOf(e))), false, nebula.ErrConflict},
		{"again", "id", nebula.Precondition{}, false, ""},
	} {
		if test.existed {
			s.holds("id", e.Bytes())
		}
		existed, err := s.Delete(t.Context(), named(test.id), test.condition)
		if existed != test.existed || nebula.KindOf(err) != test.fails {
			t.Errorf("%s: %v, %v", test.what, existed, err)
		}
	}
	s.put("id", "again")
	if existed, err := s.Delete(t.Context(), named("id"), nebula.Precondition{}); !existed || err != nil {
		t.Errorf("without a condition: %v, %v", existed, err)
	}
}
