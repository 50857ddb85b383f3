package nebula_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
)

// service keeps the secrets of slots as Vault's transit engine does. Everybody may
// encrypt for its keys.
type service struct {
	secrets map[string][]byte // by ciphertext
	calls   []string
	denied  map[string]error // by operation
}

// serviceKey is a key of the service.
type serviceKey struct {
	*service
	name string
}

func newServiceKey() serviceKey {
	return serviceKey{&service{secrets: make(map[string][]byte), denied: make(map[string]error)}, "team"}
}

func (k serviceKey) String() string { return "the key " + k.name }

func (k serviceKey) Opens(kind string) bool { return kind == nebula.SlotVaultTransit }

func (k serviceKey) Secret(_ context.Context, slot nebula.Slot) ([]byte, error) {
	data, err := slotdata.ParseVaultTransit(slot.Data)
	if err != nil {
		return nil, err
	}
	if data.Name != k.name {
		return nil, &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "another key"}
	}
	if err := k.call("decrypt"); err != nil {
		return nil, err
	}
	secret, ok := k.secrets[data.Ciphertext]
	if !ok {
		return nil, &nebula.Error{Kind: nebula.ErrWrongKey, Message: "not of this key"}
	}
	return secret, nil
}

func (s *service) call(operation string) error {
	s.calls = append(s.calls, operation)
	return s.denied[operation]
}

func (k serviceKey) NewSlot(ctx context.Context, id string, salt [16]byte) (nebula.Slot, []byte, error) {
	if err := k.call("encrypt"); err != nil {
		return nebula.Slot{}, nil, err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	ciphertext := fmt.Sprintf("vault:v1:%s", base64.StdEncoding.EncodeToString(secret[:15]))
	k.secrets[ciphertext] = secret
	data := slotdata.VaultTransit{Mount: "transit", Name: k.name, Ciphertext: ciphertext}.Bytes()
	return nebula.Slot{ID: id, Kind: nebula.SlotVaultTransit, Salt: salt, Data: data}, secret, nil
}

func (k serviceKey) Renew(ctx context.Context, slot nebula.Slot, salt [16]byte) (nebula.Slot, []byte, error) {
	if data, err := slotdata.ParseVaultTransit(slot.Data); err != nil || data.Name != k.name {
		return nebula.Slot{}, nil, &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "another key", Err: err}
	}
	return k.NewSlot(ctx, slot.ID, salt)
}

// refusal is the error of a service that refuses.
func refusal(kind nebula.Kind) error {
	return &nebula.Error{Kind: kind, Message: "refused: " + string(kind)}
}

// A stranger who can write the backend makes a keyring with a slot for the victim's key.
// Making that slot needs no secret.
func TestStrangersKeyring(t *testing.T) { checkStrangersKeyring(t, newServiceKey()) }

func checkStrangersKeyring(t *testing.T, key nebula.Key) {
	keys := []nebula.Key{key}
	victim, theirs := newEmptyFixture(t), newEmptyFixture(t)
	pins := &heldPins{}
	owner := victim.pinned(t, nebula.Options{Keys: keys, Pins: pins})
	id, err := owner.Init(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, owner, "x", "v", nebula.PutOptions{})
	evil := theirs.open(t, nebula.Options{Keys: keys})
	evilID, err := evil.Init(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, evil, "x", "theirs", nebula.PutOptions{})

	for name, options := range map[string]nebula.Options{
		"nothing is known": {Keys: keys},
		"no pin":           {Keys: keys, Pins: &heldPins{}},
		"a pin":            {Keys: keys, Pins: pins},
		"a configured id":  {Keys: keys, TrustedKey: &id},
	} {
		for what, err := range everyUse(t, theirs.pinned(t, options)) {
			wantKind(t, err, nebula.ErrUntrustedKey)
			if err == nil || strings.Contains(err.Error(), evilID.String()) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
	if ids := list(t, evil, nebula.ListOptions{}); fmt.Sprint(ids) != "[x]" {
		t.Errorf("something was written under the stranger's key: %v", ids)
	}

	// A new client does not trust the store's own keyring either, until its id is named.
	fresh := &heldPins{}
	s := victim.pinned(t, nebula.Options{Keys: keys, Pins: fresh})
	_, err = s.Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrUntrustedKey)
	if !strings.Contains(err.Error(), "nebula key list") || strings.Contains(err.Error(), id.String()) {
		t.Errorf("the refusal lacks the way to trust, or shows the id: %v", err)
	}
	info, err := s.Keys(t.Context())
	if err != nil || info.ID != id || info.Verified || info.Authentic || nebula.KindOf(info.Problem) != nebula.ErrUntrustedKey {
		t.Errorf("keys returned %+v, %v", info, err)
	}
	err = s.Trust(t.Context(), evilID)
	wantKind(t, err, nebula.ErrUntrustedKey)
	if strings.Contains(err.Error(), id.String()) {
		t.Errorf("trusting another id shows the id of the backend: %v", err)
	}
	wantKind(t, s.Trust(t.Context(), id), "")
	get(t, victim.pinned(t, nebula.Options{Keys: keys, Pins: fresh}), "x")
	if info := keysOf(t, victim.pinned(t, nebula.Options{Keys: keys, TrustedKey: &id})); !info.Verified {
		t.Error("the configured id is not verified")
	}
}

// If one slot is of a key that needs a secret to make it, and that key opens first, the
// store is trusted on first use.
func TestSecretSlotBesideOneThatAnyoneCanMake(t *testing.T) {
	f, key := newFixture(t), newServiceKey()
	if _, err := f.AddKey(t.Context(), key, ""); err != nil {
		t.Fatal(err)
	}
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	get(t, f.pinned(t, nebula.Options{Keys: []nebula.Key{f.key, key}, Pins: &heldPins{}}), "x")
	_, err := f.pinned(t, nebula.Options{Keys: []nebula.Key{key, f.key}, Pins: &heldPins{}}).Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrUntrustedKey)
}

func TestConfiguredKeyThatIsRetired(t *testing.T) {
	f := newFixture(t)
	old, _ := f.Keys(t.Context())
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	strict := f.open(t, nebula.Options{TrustedKey: &old.ID, StrictKey: true})
	if _, err := strict.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatalf("the process that rotates is refused at the end: %v", err)
	}
	var log strings.Builder
	s := f.open(t, nebula.Options{TrustedKey: &old.ID, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	get(t, s, "x")
	get(t, s, "x")
	if strings.Count(log.String(), "retired") != 1 {
		t.Errorf("warnings: %s", log.String())
	}
	_, err := f.open(t, nebula.Options{TrustedKey: &old.ID, StrictKey: true}).Get(t.Context(), "x")
	wantKind(t, err, nebula.ErrUntrustedKey)
	log.Reset()
	now, _ := f.Keys(t.Context())
	get(t, f.open(t, nebula.Options{TrustedKey: &now.ID, StrictKey: true, Logger: slog.New(slog.NewTextHandler(&log, nil))}), "x")
	if log.Len() > 0 {
		t.Errorf("warnings about the current key: %s", log.String())
	}
}

// Which of several keys opens the store, and which error there is if none does.
func TestWhichError(t *testing.T) {
	denied, away := refusal(nebula.ErrPermissionDenied), refusal(nebula.ErrUnavailable)
	for name, test := range map[string]struct {
		decrypt error
		file    bool // whether the key file is at hand
		wrong   bool // whether another key file is
		person  bool // whether somebody can be asked
		want    nebula.Kind
		asked   bool
	}{
		"the service opens":                           {person: true},
		"denied, and a key file":                      {decrypt: denied, file: true, person: true},
		"denied, and a person":                        {decrypt: denied, person: true, want: nebula.ErrPermissionDenied},
		"denied, and another key file":                {decrypt: denied, wrong: true, want: nebula.ErrPermissionDenied},
		"away, and a key file":                        {decrypt: away, file: true},
		"away, and a person":                          {decrypt: away, person: true, want: nebula.ErrUnavailable},
		"a deadline of the service":                   {decrypt: refusal(nebula.ErrTimeout), person: true, want: nebula.ErrTimeout},
		"a deadline, and a key file":                  {decrypt: refusal(nebula.ErrTimeout), file: true},
		"not of this key, and a person":               {decrypt: refusal(nebula.ErrWrongKey), person: true, asked: true},
		"not of this key":                             {decrypt: refusal(nebula.ErrWrongKey), want: nebula.ErrWrongKey},
		"not logged in, and a person":                 {decrypt: refusal(nebula.ErrUnauthenticated), person: true, asked: true},
		"damaged":                                     {decrypt: refusal(nebula.ErrCorrupted), file: true, person: true, want: nebula.ErrCorrupted},
		"not in FIPS mode, and another key file":      {decrypt: refusal(nebula.ErrNotSupported), wrong: true, want: nebula.ErrWrongKey},
		"not in FIPS mode":                            {decrypt: refusal(nebula.ErrNotSupported), want: nebula.ErrNotSupported},
		"another key file, and a person":              {decrypt: refusal(nebula.ErrWrongKey), wrong: true, person: true, asked: true},
		"not logged in, and a key file that is wrong": {decrypt: refusal(nebula.ErrUnauthenticated), wrong: true, want: nebula.ErrWrongKey},
	} {
		t.Run(name, func(t *testing.T) {
			f, key := newFixture(t), newServiceKey()
			words := passphrase("correct horse battery")
			words.KDF = cheapSlot().Kind
			for _, k := range []nebula.Key{key, words} {
				if _, err := f.AddKey(t.Context(), k, ""); err != nil {
					t.Fatal(err)
				}
			}
			id := keysOf(t, f.Store).ID
			asked := false
			person := &nebula.Passphrase{Tries: 3, Source: func(context.Context) ([]byte, error) {
				asked = true
				return []byte("correct horse battery"), nil
			}}
			var keys []nebula.Key
			if test.person {
				keys = append(keys, person) // asked last, wherever it is in the list
			}
			keys = append(keys, key)
			if test.file {
				keys = append(keys, f.key)
			}
			if test.wrong {
				keys = append(keys, newKeyFile(t))
			}
			key.denied["decrypt"] = test.decrypt
			err := f.open(t, nebula.Options{Keys: keys, TrustedKey: &id}).Unlock(t.Context())
			wantKind(t, err, test.want)
			if asked != test.asked {
				t.Errorf("a person was asked: %t", asked)
			}
		})
	}
}

// A process that holds the data key opens no slot of later keyrings, until the data key
// is replaced.
func TestSlotsAreOpenedOnceForEachDataKey(t *testing.T) {
	f, key := newEmptyFixture(t), newServiceKey()
	id, err := f.Init(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	options := nebula.Options{Keys: []nebula.Key{key}, TrustedKey: &id}
	s, writer := f.open(t, options), f.open(t, options)
	get(t, s, "x")
	key.calls = nil
	for range 2 {
		if _, err := writer.AddKey(t.Context(), newKeyFile(t), ""); err != nil {
			t.Fatal(err)
		}
	}
	key.calls = nil
	if n := len(keysOf(t, s).Slots); n != 3 {
		t.Errorf("there are %d slots", n)
	}
	if len(key.calls) > 0 {
		t.Errorf("with the data key at hand, the service was asked: %v", key.calls)
	}
	info := keysOf(t, writer)
	drop := []string{info.Slots[1].ID, info.Slots[2].ID}
	if _, err := writer.Rotate(t.Context(), nebula.RotateOptions{Drop: drop}); err != nil {
		t.Fatal(err)
	}
	key.calls = nil
	get(t, s, "x")
	if fmt.Sprint(key.calls) != "[decrypt]" {
		t.Errorf("after a rotation the service was asked: %v", key.calls)
	}
}

// If a configured key is refused and the default key file is missing, the error is about
// the configured key, whichever is tried first.
func TestWhichAbsenceIsTold(t *testing.T) {
	f, key := newFixture(t), newServiceKey()
	if _, err := f.AddKey(t.Context(), key, ""); err != nil {
		t.Fatal(err)
	}
	key.denied["decrypt"] = &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "the token is not valid"}
	put(t, f.Store, "x", "v", nebula.PutOptions{})
	absent := &nebula.KeyFile{Path: t.TempDir() + "/key", Optional: true}
	for _, keys := range [][]nebula.Key{{absent, key}, {key, absent}} {
		_, err := f.open(t, nebula.Options{Keys: keys}).Get(t.Context(), "x")
		wantKind(t, err, nebula.ErrUnauthenticated)
		if err == nil || !strings.Contains(err.Error(), "the token is not valid") {
			t.Errorf("it says %v", err)
		}
	}
}
