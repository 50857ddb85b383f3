package nebula_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

// If a list breaks off, the rotation does not end, and no key is destroyed: records that
// the list did not name may be under that key.
func TestListThatBreaksOff(t *testing.T) {
	for _, page := range []int{1, 2} { // the list breaks off before its first record, and after it
		r := newRemote()
		r.description.ComparesKeyring = true
		s, _ := r.initialised(t)
		old := keysOf(t, s).ID
		put(t, s, "a", "v", nebula.PutOptions{})
		put(t, s, "b", "v", nebula.PutOptions{})
		breaks := func(context.Context) error {
			if page--; page < 1 {
				return away()
			}
			return nil
		}
		first := page
		r.listed = breaks
		_, err := s.Rotate(t.Context(), nebula.RotateOptions{})
		wantKind(t, err, nebula.ErrUnavailable)
		if info := keysOf(t, s); !info.Rotating {
			t.Errorf("page %d: the rotation has ended", first)
		}
		r.listed, r.filters = nil, nil
		if _, err := s.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, f := range r.filters {
			if !f.WithMetadata {
				t.Error("a list without metadata may leave out what will be deleted later")
			}
		}
		page, r.listed = first, breaks
		wantKind(t, s.DestroyKey(t.Context(), old, nebula.DestroyOptions{}), nebula.ErrUnavailable)
		if info := keysOf(t, s); len(info.Retired) != 1 {
			t.Errorf("page %d: the key was destroyed", first)
		}
	}
}

// A listed name may belong to others, or its record may be gone or unreadable.
func TestRotateLooksAtWhatIsListed(t *testing.T) {
	for kind, want := range map[nebula.Kind]nebula.Kind{
		nebula.ErrNotARecord: "", nebula.ErrNotFound: "", nebula.ErrPermissionDenied: nebula.ErrPermissionDenied,
		nebula.ErrUnsupportedVersion: nebula.ErrUnsupportedVersion, nebula.ErrUnavailable: nebula.ErrUnavailable,
	} {
		r := newRemote()
		s, _ := r.initialised(t)
		put(t, s, "good", "v", nebula.PutOptions{})
		put(t, s, "other", "v", nebula.PutOptions{})
		r.retrieved = func(name nebula.Name, _ *nebula.Record) error {
			switch {
			case name.ID() != "other":
				return nil
			case kind == nebula.ErrNotARecord:
				return &nebula.Error{Kind: nebula.ErrCorrupted, Err: kind, Message: "it is something else"}
			}
			return &nebula.Error{Kind: kind, Message: "that is why"}
		}
		result, err := s.Rotate(t.Context(), nebula.RotateOptions{})
		wantKind(t, err, want)
		left := len(result.Left) == 1 && result.Left[0].ID == "other"
		if left != (want != "" && want != nebula.ErrUnavailable) {
			t.Errorf("%s: these are left: %v", kind, result.Left)
		}
	}
}

// If records keep a rotation from ending, the error names up to ten of them by their
// ids, and says why, if that is not too long.
func TestRefusalNamesTheRecords(t *testing.T) {
	for _, n := range []int{1, 2, 10, 11, 12} {
		r := newRemote()
		s, _ := r.initialised(t)
		for i := range n {
			put(t, s, nebula.ID(fmt.Sprintf("x%02d", i)), "v", nebula.PutOptions{})
		}
		r.retrieved = func(name nebula.Name, _ *nebula.Record) error {
			switch name.ID() {
			case "":
				return nil
			case "x00":
				return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: strings.Repeat("m", 200)}
			case "x01":
				return &nebula.Error{Kind: nebula.ErrUnsupportedVersion, Message: strings.Repeat("w", 199) + "é" + "w"}
			case "x02":
				return &nebula.Error{Kind: nebula.ErrPermissionDenied}
			}
			return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "you may not"}
		}
		_, err := s.Rotate(t.Context(), nebula.RotateOptions{})
		want := nebula.ErrCorrupted // the records fail in several ways
		if n == 1 {
			want = nebula.ErrPermissionDenied
		}
		wantKind(t, err, want)
		text := fmt.Sprint(err)
		var named []string
		for i := range min(n, 10) {
			why := "you may not"
			switch i {
			case 0:
				why = strings.Repeat("m", 200)
			case 1:
				why = strings.Repeat("w", 199) + "…"
			case 2:
				why = `rotate "x02" (remote): permission denied`
			}
			named = append(named, fmt.Sprintf(`"x%02d" (%s)`, i, why))
		}
		if n > 10 {
			named = append(named, fmt.Sprintf("and %d more", n-10))
		}
		if want := ": " + strings.Join(named, ", ") + ";"; !strings.Contains(text, want) || strings.Contains(text, "more") != (n > 10) {
			t.Errorf("%d records: %s\nlacks %s", n, text, want)
		}
		if strings.HasPrefix(text, "rotate \"x00\"") != (n == 1) {
			t.Errorf("%d records: %s", n, text)
		}
	}
	r := newRemote()
	s, _ := r.initialised(t)
	put(t, s, "a", "v", nebula.PutOptions{})
	put(t, s, "b", "v", nebula.PutOptions{})
	r.failing = nebula.ErrPermissionDenied
	_, err := s.Rotate(t.Context(), nebula.RotateOptions{})
	wantKind(t, err, nebula.ErrPermissionDenied) // the kind of all of them
}

// Another process may rotate, or destroy the same key, while DestroyKey looks for
// records under the key, and the keyring may be unreachable. DestroyKey destroys the
// key that it was asked for, or fails.
func TestDestroyKeyBesideOthers(t *testing.T) {
	for name, c := range map[string]struct {
		between func(t *testing.T, other *nebula.Store, id nebula.KeyID)
		want    nebula.Kind
	}{
		"nothing": {func(*testing.T, *nebula.Store, nebula.KeyID) {}, ""},
		"a rotation": {func(t *testing.T, other *nebula.Store, _ nebula.KeyID) {
			if _, err := other.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
				t.Error(err)
			}
		}, ""},
		"a rotation of no records": {func(t *testing.T, other *nebula.Store, _ nebula.KeyID) {
			if _, err := other.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
				t.Error(err)
			}
		}, ""},
		"the same": {func(t *testing.T, other *nebula.Store, id nebula.KeyID) {
			wantKind(t, other.DestroyKey(t.Context(), id, nebula.DestroyOptions{}), "")
		}, nebula.ErrNotFound},
	} {
		r := newRemote()
		r.description.ComparesKeyring = true
		s, key := r.initialised(t)
		if name != "a rotation of no records" {
			put(t, s, "x", "v", nebula.PutOptions{})
		}
		old := keysOf(t, s).ID
		if _, err := s.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
			t.Fatal(err)
		}
		other := r.open(t, nebula.Options{Keys: []nebula.Key{key}})
		r.listed = func(context.Context) error {
			r.listed = nil
			c.between(t, other, old)
			return nil
		}
		before := keysOf(t, s).Generation
		wantKind(t, s.DestroyKey(t.Context(), old, nebula.DestroyOptions{}), c.want)
		info := keysOf(t, s)
		for _, id := range info.Retired {
			if id == old {
				t.Errorf("%s: the key is still there", name)
			}
		}
		if !strings.HasPrefix(name, "a rotation") && info.Generation != before+1 {
			t.Errorf("%s: the keyring was written %d times", name, info.Generation-before)
		}
		r.retrieved = func(nebula.Name, *nebula.Record) error { return away() }
		wantKind(t, s.DestroyKey(t.Context(), old, nebula.DestroyOptions{}), nebula.ErrUnavailable)
	}
}
