package vault

import (
	"errors"
	"testing"

	"github.com/nebula-credential/nebula"
)

// TestDeletedByThen: the answer to a deletion was lost, and its repetition finds
// another version. It deleted its own version if that was deleted before the other
// one was written.
func TestDeletedByThen(t *testing.T) {
	const (
		first, deleted, second, later = "2026-01-02T03:04:05.1Z", "2026-01-02T03:04:06.1Z", "2026-01-02T03:04:07.1Z", "2026-01-02T03:04:08.1Z"
	)
	conflict := errors.New("another version")
	versions := func(deletion string) map[string]versionMetadata {
		return map[string]versionMetadata{"11": {CreatedTime: first, DeletionTime: deletion}, "12": {CreatedTime: second}}
	}
	ours := formatVersion(11, first)
	for what, c := range map[string]struct {
		condition nebula.Precondition
		versions  map[string]versionMetadata
		existed   bool
		err       error
	}{
		"deleted before the other came":     {nebula.IfVersion(ours), versions(deleted), true, nil},
		"deleted when the other came":       {nebula.IfVersion(ours), versions(second), true, nil},
		"deleted after the other came":      {nebula.IfVersion(ours), versions(later), false, conflict},
		"not deleted":                       {nebula.IfVersion(ours), versions(""), false, conflict},
		"no longer kept":                    {nebula.IfVersion(ours), map[string]versionMetadata{"12": {CreatedTime: second}}, false, errUnknown()},
		"of a secret that was purged since": {nebula.IfVersion(formatVersion(11, later)), versions(deleted), false, conflict},
		"the last one":                      {nebula.IfVersion(formatVersion(12, second)), versions(deleted), false, conflict},
		"a version that there is not yet":   {nebula.IfVersion(formatVersion(13, later)), versions(deleted), false, conflict},
		"no version of Vault":               {nebula.IfVersion("x"), versions(deleted), false, conflict},
		"on condition that there was none":  {nebula.IfAbsent(), versions(deleted), false, conflict},
		"none is kept":                      {nebula.IfVersion(formatVersion(12, second)), map[string]versionMetadata{}, false, errUnknown()},
	} {
		m := secretMetadata{CurrentVersion: 12, Versions: c.versions}
		existed, err := m.deletedByThen(c.condition, conflict)
		same := err == c.err || c.err != nil && c.err != conflict && err != nil && err.Error() == c.err.Error()
		if existed != c.existed || !same {
			t.Errorf("%s: %v, %v; want %v, %v", what, existed, err, c.existed, c.err)
		}
	}
}
