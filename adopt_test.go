package nebula_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

func TestAdopt(t *testing.T) {
	f := newFixture(t)
	c := nebula.Credential{ID: "x", Secret: nebula.NewSecret([]byte("v")), Metadata: nebula.Metadata{
		CreatedAt: time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC), LastModified: time.Date(2002, 2, 3, 4, 5, 6, 0, time.UTC),
		CreatedBy: "ada", Scope: "s", RotationPolicy: nebula.RotationPolicy{IntervalDays: 3}, Tags: map[string]string{"a": "b"},
	}}
	if _, err := f.Adopt(t.Context(), c, nebula.AdoptOptions{Precondition: nebula.IfAbsent()}); err != nil {
		t.Fatal(err)
	}
	if got := get(t, f.Store, "x"); fmt.Sprint(got.Metadata) != fmt.Sprint(c.Metadata) || string(got.Secret.Reveal()) != "v" {
		t.Errorf("adopted: %+v", got.Metadata)
	}
	_, err := f.Adopt(t.Context(), c, nebula.AdoptOptions{Precondition: nebula.IfAbsent()})
	wantKind(t, err, nebula.ErrAlreadyExists)
	c.ID, c.Metadata.Tags = "y", map[string]string{"a=b": ""}
	_, err = f.Adopt(t.Context(), c, nebula.AdoptOptions{Precondition: nebula.IfAbsent()})
	wantKind(t, err, nebula.ErrInvalidMetadata)
	_, err = f.open(t, nebula.Options{Scope: "other"}).Adopt(t.Context(), c, nebula.AdoptOptions{Precondition: nebula.IfAbsent()})
	wantKind(t, err, nebula.ErrConflict)
}
