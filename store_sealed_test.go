package nebula_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// twin returns a store on another backend, with the keyring of f.
func (f *fixture) twin(t *testing.T, options nebula.Options) *fixture {
	t.Helper()
	other := newEmptyFixture(t)
	other.clock, other.key = f.clock, f.key
	other.Store = other.open(t, options)
	keyring, id, err := f.SealedKeyring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	made, err := other.InitSealed(t.Context(), keyring.Envelope, nebula.InitSealedOptions{})
	if err != nil || made != id || made != keysOf(t, f.Store).ID {
		t.Fatal(made, id, err)
	}
	return other
}

func sealed(t *testing.T, s *nebula.Store, id nebula.ID) nebula.Record {
	t.Helper()
	r, err := s.GetSealed(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPutSealed(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "value", nebula.PutOptions{Tags: map[string]string{"a": "b"}, RotationPolicy: &nebula.RotationPolicy{IntervalDays: 9}})
	put(t, f.Store, "y", "other", nebula.PutOptions{})
	to := f.twin(t, nebula.Options{})
	f.clock.advance(time.Hour)
	record, want := sealed(t, f.Store, "x"), get(t, f.Store, "x")

	ifAbsent := nebula.AdoptOptions{Precondition: nebula.IfAbsent()}
	stored, err := to.PutSealed(t.Context(), "x", record.Envelope, ifAbsent)
	if err != nil {
		t.Fatal(err)
	}
	got := get(t, to.Store, "x")
	if back := sealed(t, to.Store, "x"); !bytes.Equal(back.Envelope.Bytes(), record.Envelope.Bytes()) || back.Version != stored.Version {
		t.Error("the record is not the same")
	}
	if fmt.Sprint(got.Metadata) != fmt.Sprint(want.Metadata) || !got.Secret.Equal(want.Secret) {
		t.Errorf("got %+v", got.Metadata)
	}
	_, err = to.PutSealed(t.Context(), "x", record.Envelope, ifAbsent)
	wantKind(t, err, nebula.ErrAlreadyExists)
	_, err = to.PutSealed(t.Context(), "x", record.Envelope, nebula.AdoptOptions{Precondition: nebula.IfVersion("other")})
	wantKind(t, err, nebula.ErrConflict)
	_, err = to.PutSealed(t.Context(), "x", record.Envelope, nebula.AdoptOptions{Precondition: nebula.IfVersion(stored.Version), Previous: record.Envelope})
	wantKind(t, err, "")
}

// A record that does not open under its id is not written.
func TestPutSealedRefuses(t *testing.T) {
	f, stranger := newFixture(t), newFixture(t)
	put(t, f.Store, "x", "value", nebula.PutOptions{})
	put(t, stranger.Store, "x", "theirs", nebula.PutOptions{})
	record := sealed(t, f.Store, "x").Envelope
	edited := bytes.Replace(record.Bytes(), []byte(`"tags":{}`), []byte(`"tags":{"a":"b"}`), 1)
	name, _ := nebula.ID("x").Name()
	forged, err := nebula.ParseEnvelope(name, edited)
	if err != nil {
		t.Fatal(err)
	}
	keyring, _, err := f.SealedKeyring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to := f.twin(t, nebula.Options{})
	to.calls.take()
	scoped := to.open(t, nebula.Options{Scope: "team"})
	empty := newEmptyFixture(t)
	for what, c := range map[string]struct {
		to       *nebula.Store
		id       nebula.ID
		envelope *nebula.Envelope
		want     nebula.Kind
	}{
		"another id":       {to.Store, "y", record, nebula.ErrCorrupted},
		"edited":           {to.Store, "x", forged, nebula.ErrCorrupted},
		"another key":      {to.Store, "x", sealed(t, stranger.Store, "x").Envelope, nebula.ErrWrongKey},
		"a claimed key":    {to.Store, "x", nebula.WithKeyID(sealed(t, stranger.Store, "x").Envelope, record.KeyID()), nebula.ErrCorrupted},
		"a keyring":        {to.Store, "x", keyring.Envelope, nebula.ErrUsage},
		"nothing":          {to.Store, "x", nil, nebula.ErrUsage},
		"no id":            {to.Store, ".keyring", keyring.Envelope, nebula.ErrInvalidID},
		"another scope":    {scoped, "x", record, nebula.ErrConflict},
		"no keyring there": {empty.Store, "x", record, nebula.ErrNotFound},
	} {
		_, err := c.to.PutSealed(t.Context(), c.id, c.envelope, nebula.AdoptOptions{})
		if nebula.KindOf(err) != c.want {
			t.Errorf("%s: %v", what, err)
		}
	}
	if made := strings.Join(append(to.calls.take(), empty.calls.take()...), " "); strings.Contains(made, "store") {
		t.Errorf("something was written: %s", made)
	}
}

// A record from before a rotation would be refused unchanged, so it is sealed anew.
func TestPutSealedUnderARetiredKey(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "value", nebula.PutOptions{Tags: map[string]string{"a": "b"}})
	old := sealed(t, f.Store, "x").Envelope
	result, err := f.Rotate(t.Context(), nebula.RotateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	to := f.twin(t, nebula.Options{})
	stored, err := to.PutSealed(t.Context(), "x", old, nebula.AdoptOptions{})
	if err != nil || stored.Envelope.KeyID() != result.KeyID {
		t.Fatal(stored.Envelope, err)
	}
	got := get(t, to.Store, "x")
	if string(got.Secret.Reveal()) != "value" || fmt.Sprint(got.Metadata) != fmt.Sprint(old.Metadata()) {
		t.Errorf("%+v", got)
	}
	if !bytes.Equal(sealed(t, to.Store, "x").Envelope.Bytes(), stored.Envelope.Bytes()) {
		t.Error("the record that was returned is not the stored one")
	}
}

// Another process replaces the data key while a sealed record is put.
func TestPutSealedDuringARotation(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "value", nebula.PutOptions{})
	to := f.twin(t, nebula.Options{})
	other := to.open(t, nebula.Options{})
	rotated := false
	to.calls.step(func(c provider.Call) {
		if c.Op == "store" && c.Name.ID() == "x" && !rotated {
			rotated = true
			if _, err := other.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
				t.Error(err)
			}
		}
	})
	if _, err := to.PutSealed(t.Context(), "x", sealed(t, f.Store, "x").Envelope, nebula.AdoptOptions{}); err != nil {
		t.Fatal(err)
	}
	if c := get(t, to.Store, "x"); string(c.Secret.Reveal()) != "value" || !rotated {
		t.Error(rotated, c)
	}
}

func TestPutSealedAndAdoptObeyTheRollbackGuard(t *testing.T) {
	f := newFixture(t)
	put(t, f.Store, "x", "1", nebula.PutOptions{})
	old, c := sealed(t, f.Store, "x").Envelope, get(t, f.Store, "x")
	guard := &heldGuard{}
	to := f.twin(t, nebula.Options{RollbackGuard: guard})
	f.clock.advance(time.Hour)
	put(t, to.Store, "x", "2", nebula.PutOptions{})
	wantKind(t, failure(to.Delete(t.Context(), "x", nebula.DeleteOptions{})), "")

	_, err := to.PutSealed(t.Context(), "x", old, nebula.AdoptOptions{})
	wantKind(t, err, nebula.ErrRolledBack)
	_, err = to.Adopt(t.Context(), c, nebula.AdoptOptions{})
	wantKind(t, err, nebula.ErrRolledBack)
	if found, _ := to.Exists(t.Context(), "x"); found {
		t.Error("it was written")
	}
	_, err = to.PutSealed(t.Context(), "x", old, nebula.AdoptOptions{Older: true})
	wantKind(t, err, "")
	get(t, to.Store, "x") // the guard accepts the acknowledged record
	newer := sealed(t, to.Store, "x").Envelope
	_, err = to.PutSealed(t.Context(), "x", newer, nebula.AdoptOptions{})
	wantKind(t, err, "")
}

func TestGetSealedAndVerify(t *testing.T) {
	f := newFixture(t)
	put(t, f.open(t, nebula.Options{Scope: "team"}), "x", "value", nebula.PutOptions{})
	keyless := f.open(t, nebula.Options{Keys: noKeys()})
	record := sealed(t, keyless, "x")
	verified, err := f.Verify(t.Context(), "x")
	if err != nil || !bytes.Equal(verified.Envelope.Bytes(), record.Envelope.Bytes()) || verified.Version != record.Version {
		t.Error(verified, err)
	}
	_, err = keyless.Verify(t.Context(), "x")
	wantKind(t, err, nebula.ErrUnauthenticated)
	for _, s := range []*nebula.Store{f.open(t, nebula.Options{Scope: "other"}), newEmptyFixture(t).Store} {
		_, err = s.GetSealed(t.Context(), "x")
		wantKind(t, err, nebula.ErrNotFound)
		_, err = s.Verify(t.Context(), "x")
		wantKind(t, err, nebula.ErrNotFound)
	}
	_, err = newEmptyFixture(t).GetSealed(t.Context(), "x")
	if !errors.Is(err, nebula.ErrNotInitialised) {
		t.Error(err)
	}
	_, _, err = newEmptyFixture(t).SealedKeyring(t.Context())
	if !errors.Is(err, nebula.ErrNotInitialised) {
		t.Error(err)
	}
	// A record of another key is returned as it is, and does not verify.
	stranger := newFixture(t)
	put(t, stranger.Store, "x", "theirs", nebula.PutOptions{})
	f.unchecked(t, mustName(t, "x"), sealed(t, stranger.Store, "x").Envelope)
	sealed(t, f.Store, "x")
	_, err = f.Verify(t.Context(), "x")
	wantKind(t, err, nebula.ErrWrongKey)
}
