package transit_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

// without returns a policy without the lines that have a path.
func without(policy, path string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(policy, "\n"), func(line string) bool { return strings.Contains(line, path) }), "\n")
}

// Anyone who may use both transit keys of a store can rotate it. If they may encrypt with
// a key, its slot gets another secret. If they may only decrypt, the slot keeps its
// secret.
func TestLiveRotate(t *testing.T) {
	for name, test := range map[string]struct {
		lacks   string
		renewed []bool
		kind    nebula.Kind
	}{
		"may all":                       {"nothing", []bool{true, true}, ""},
		"may not encrypt with one":      {"/encrypt/second", []bool{true, false}, ""},
		"may not read one":              {"/keys/second", []bool{true, false}, ""},
		"may decrypt with neither":      {"/decrypt/", []bool{true, true}, ""},
		"may encrypt with neither":      {"/encrypt/", []bool{false, false}, ""},
		"may do nothing with one":       {"/second", nil, nebula.ErrUsage},
		"may do nothing, not even read": {"/", nil, nebula.ErrUsage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t, "first", "second")
			both := policy(v.mount, "first") + policy(v.mount, "second")
			p := newPlace(t, newKey(t, v.config(t, both, "first")))
			s := p.open(t, newKey(t, v.config(t, both, "first")))
			if _, err := s.AddKey(t.Context(), newKey(t, v.config(t, both, "second")), ""); err != nil {
				t.Fatal(err)
			}
			before := slotsOf(t, s)
			file := &nebula.KeyFile{Path: t.TempDir() + "/key"}
			if err := nebula.CreateKeyFile(file.Path); err != nil {
				t.Fatal(err)
			}
			if _, err := s.AddKey(t.Context(), file, ""); err != nil {
				t.Fatal(err)
			}
			rotator := newKey(t, v.config(t, without(both, test.lacks), "first", "second"))
			result, err := p.open(t, file, rotator).Rotate(t.Context(), nebula.RotateOptions{})
			wants(t, err, test.kind)
			if err != nil {
				if !strings.Contains(err.Error(), v.mount+"/") || p.id != keyID(t, p.open(t, file)) {
					t.Errorf("the rotation began, or the error does not say why it did not: %v", err)
				}
				return
			}
			p.id = result.KeyID
			for i, key := range []string{"first", "second"} {
				own := newKey(t, v.config(t, policy(v.mount, key), key))
				s := p.open(t, own)
				if err := get(t, s); err != nil {
					t.Errorf("with the %s key: %v", key, err)
				}
				now := slotsOf(t, s)[i]
				if renewed := string(now.Data) != string(before[i].Data); now.ID != before[i].ID || renewed != test.renewed[i] ||
					(now.Salt != before[i].Salt) != renewed {
					t.Errorf("slot %d was %+v and is %+v", i+1, before[i], now)
				}
			}
		})
	}
}

func keyID(t *testing.T, s *nebula.Store) nebula.KeyID {
	t.Helper()
	info, err := s.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.ID
}

// A process that keeps running calls Vault once more after a rotation, and never
// otherwise. A rotation does not make a deleted key again.
func TestLiveRunningProcess(t *testing.T) {
	v := newVault(t, "nebula")
	everything := `path "` + v.mount + `/*" { capabilities = ["create", "read", "update", "delete"] }`
	c := v.config(t, everything, "nebula")
	p := newPlace(t, newKey(t, c))
	running := p.open(t, newKey(t, c))
	v.wire.since()
	for range 3 {
		if err := get(t, running); err != nil {
			t.Fatal(err)
		}
	}
	wantCalls(t, v, "POST decrypt/nebula")
	result, err := p.open(t, newKey(t, c)).Rotate(t.Context(), nebula.RotateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	v.wire.since()
	for range 3 {
		if err := get(t, running); err != nil {
			t.Fatal(err)
		}
	}
	wantCalls(t, v, "POST decrypt/nebula")

	p.id = result.KeyID
	v.API(t, http.MethodPost, v.mount+"/keys/nebula/config", map[string]any{"deletion_allowed": true})
	v.API(t, http.MethodDelete, v.mount+"/keys/nebula", nil)
	_, err = p.open(t, newKey(t, c)).Rotate(t.Context(), nebula.RotateOptions{})
	wants(t, err, nebula.ErrPermissionDenied, "no such key")
	// A process that holds the secret goes on, and its slot stays as it is.
	result, err = running.Rotate(t.Context(), nebula.RotateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.id = result.KeyID
	if err := get(t, running); err != nil {
		t.Error(err)
	}
	_, _, err = newKey(t, c).NewSlot(t.Context(), "abcdefgh", [16]byte{})
	wants(t, err, nebula.ErrInvalidConfig, "no such key")
}
