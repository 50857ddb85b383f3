//go:build linux

package keychain

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// newKeyring gives the session of the test a Secret Service.
func newKeyring(t *testing.T) *livetest.SecretService {
	t.Helper()
	s := livetest.NewSecretService(t)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", s.Address)
	return s
}

func newSlot(t *testing.T, id string) (nebula.Slot, []byte) {
	t.Helper()
	slot, secret, err := New().NewSlot(t.Context(), id, [16]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	return slot, secret
}

// addItem stores an item like another program.
func addItem(t *testing.T, label string, attributes map[string]string, text string) {
	t.Helper()
	err := withSession(t.Context(), func(s *session) error {
		collection, err := s.collection()
		if err != nil {
			return err
		}
		properties := map[string]dbus.Variant{
			itemInterface + ".Label":      dbus.MakeVariant(label),
			itemInterface + ".Attributes": dbus.MakeVariant(attributes),
		}
		value := secretValue{Session: s.path, Parameters: []byte{}, Value: []byte(text), ContentType: "text/plain"}
		return s.call(collection, collectionInterface+".CreateItem", properties, value, false).Err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLiveSecretService(t *testing.T) {
	newKeyring(t)
	slot, secret := newSlot(t, "abcdefgh")
	other, _ := newSlot(t, "abcdefg2")
	got, err := New().Secret(t.Context(), slot)
	if err != nil || string(got) != string(secret) || len(secret) != 32 {
		t.Fatalf("the keychain gave %x, %v, want %x", got, err, secret)
	}
	if _, _, err := New().NewSlot(t.Context(), "abcdefgh", [16]byte{}); nebula.KindOf(err) != nebula.ErrAlreadyExists {
		t.Errorf("a second secret for one slot: %v", err)
	}
	if existed, err := Remove(t.Context(), slot.ID); err != nil || !existed {
		t.Errorf("removed: %t, %v", existed, err)
	}
	if existed, err := Remove(t.Context(), slot.ID); err != nil || existed {
		t.Errorf("removed again: %t, %v", existed, err)
	}
	if _, err := New().Secret(t.Context(), slot); nebula.KindOf(err) != nebula.ErrUnauthenticated {
		t.Errorf("after removing it: %v", err)
	}
	if _, err := New().Secret(t.Context(), other); err != nil {
		t.Errorf("the other slot: %v", err)
	}
}

// Items of other programs are neither read nor changed.
func TestLiveItemsOfOthers(t *testing.T) {
	newKeyring(t)
	theirs := map[string]string{"service": service, "username": "abcdefgh"}
	addItem(t, "theirs", theirs, "their password")
	slot, secret := newSlot(t, "abcdefgh")
	if got, err := New().Secret(t.Context(), slot); err != nil || string(got) != string(secret) {
		t.Fatalf("beside an item of another program: %v", err)
	}
	more := attributes("abcdefgh")
	more["url"] = "https://example.com"
	addItem(t, "an\x1b[31m item "+strings.Repeat("x", 200), more, "their other password")
	_, getting := New().Secret(t.Context(), slot)
	_, _, setting := New().NewSlot(t.Context(), "abcdefgh", [16]byte{})
	_, removing := Remove(t.Context(), "abcdefgh")
	for what, err := range map[string]error{"get": getting, "set": setting, "remove": removing} {
		if nebula.KindOf(err) != nebula.ErrInvalidConfig || !strings.Contains(err.Error(), "Nebula key slot") ||
			!strings.Contains(err.Error(), `an\x1b[31m item`) || len(err.Error()) > 400 {
			t.Errorf("%s with two items: %v", what, err)
		}
	}
	if n := countItems(t, theirs); n != 3 {
		t.Errorf("there are %d items", n)
	}
}

func countItems(t *testing.T, attributes map[string]string) (n int) {
	t.Helper()
	err := withSession(t.Context(), func(s *session) error {
		var open, locked []dbus.ObjectPath
		err := s.call(servicePath, serviceInterface+".SearchItems", attributes).Store(&open, &locked)
		n = len(open) + len(locked)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestLiveDamagedItem(t *testing.T) {
	newKeyring(t)
	slot := nebula.Slot{ID: "abcdefgh", Kind: nebula.SlotKeychain, Data: []byte("\x00\x00\x00\x08abcdefgh")}
	for _, text := range []string{"", "x", base64.StdEncoding.EncodeToString(make([]byte, 31)), base64.RawStdEncoding.EncodeToString(make([]byte, 32))} {
		addItem(t, "x", attributes(slot.ID), text)
		_, err := New().Secret(t.Context(), slot)
		if nebula.KindOf(err) != nebula.ErrCorrupted || !strings.Contains(err.Error(), slot.ID) {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := Remove(t.Context(), slot.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// A locked keyring stays locked: nobody is there to give the password.
func TestLiveLockedKeyring(t *testing.T) {
	s := newKeyring(t)
	slot, _ := newSlot(t, "abcdefgh")
	s.RestartLocked(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, getting := New().Secret(ctx, slot)
	_, _, setting := New().NewSlot(ctx, "abcdefg2", [16]byte{})
	for what, err := range map[string]error{"get": getting, "set": setting} {
		if nebula.KindOf(err) != nebula.ErrUnavailable {
			t.Errorf("%s while it is locked: %v", what, err)
		}
	}
	s.Stop(t)
	if _, err := New().Secret(t.Context(), slot); nebula.KindOf(err) != nebula.ErrUnavailable {
		t.Errorf("without a service: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := New().Secret(ended, slot); err == nil {
		t.Error("a call that was cancelled opened the slot")
	}
}
