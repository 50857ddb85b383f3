package nebula_test

import (
	"context"
	"crypto/fips140"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/unlock/awskms"
	"github.com/nebula-credential/nebula/unlock/azurekey"
	"github.com/nebula-credential/nebula/unlock/recipient"
)

// keychainKey holds the secret of each slot under the slot's id, as a keychain does.
type keychainKey map[string][]byte

func (keychainKey) Opens(kind string) bool { return kind == nebula.SlotKeychain }

func (k keychainKey) Secret(_ context.Context, slot nebula.Slot) ([]byte, error) {
	secret, ok := k[slot.ID]
	if !ok {
		return nil, &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "nothing is held for it"}
	}
	return secret, nil
}

func (k keychainKey) NewSlot(_ context.Context, id string, salt [16]byte) (nebula.Slot, []byte, error) {
	k[id] = make([]byte, 32)
	_, _ = rand.Read(k[id])
	return nebula.Slot{ID: id, Kind: nebula.SlotKeychain, Salt: salt, Data: slotdata.Keychain(id)}, k[id], nil
}

// newRecipientKey returns the key of an age identity.
func newRecipientKey(t *testing.T) nebula.Key {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(path, []byte(id.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return recipient.New(recipient.Options{Recipient: id.Recipient().String(), Identities: []string{path}})
}

// newAzureKey returns a key of Azure Key Vault.
func newAzureKey(t *testing.T) nebula.Key {
	t.Helper()
	server, err := azureserver.New(azureserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	transport := server.Transport()
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close() })
	vault := server.Vault("team")
	vault.AddKey("team", azureserver.KeySeed{})
	key, err := azurekey.New(azurekey.Config{URL: vault.URL() + "/keys/team", Transport: transport, Credential: azurekey.Credential{
		Type: "service_principal", TenantID: azureserver.TenantID, ClientID: azureserver.ClientID, ClientSecret: nebula.NewSecret([]byte(server.ClientSecret()))}})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newKMSKey returns a key of AWS KMS.
func newKMSKey(t *testing.T) nebula.Key {
	t.Helper()
	s, err := awsserver.NewKMS()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-tests")
	key, err := awskms.New(awskms.Config{Key: s.CreateKey("us-east-1"), Region: "us-east-1", EndpointURL: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// No slot works in another place, whatever keeps its secret.
func TestSlotsMoved(t *testing.T) {
	keys := map[string]nebula.Key{nebula.SlotVaultTransit: newServiceKey(), nebula.SlotKeychain: keychainKey{}, nebula.SlotAzureKey: newAzureKey(t), nebula.SlotAWSKMS: newKMSKey(t)}
	if !fips140.Enforced() {
		keys[nebula.SlotRecipient] = newRecipientKey(t)
	}
	for kind, key := range keys {
		t.Run(kind, func(t *testing.T) { checkSlotsMoved(t, kind, key) })
	}
}

func checkSlotsMoved(t *testing.T, kind string, key nebula.Key) {
	record := func() *nebula.Envelope {
		f := newEmptyFixture(t)
		s := f.open(t, nebula.Options{Keys: []nebula.Key{key}})
		if _, err := s.Init(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if _, err := s.AddKey(t.Context(), key, ""); err != nil {
			t.Fatal(err)
		}
		r, err := f.provider.Retrieve(t.Context(), nebula.KeyringName())
		if err != nil {
			t.Fatal(err)
		}
		return r.Envelope
	}
	mine, other := record(), record()
	otherForm := nebula.SlotAWSKMS
	if kind == otherForm {
		otherForm = nebula.SlotAzureKey
	}
	// If another slot opens, the keyring's seal shows an edit with a recomputed hash.
	edits := map[string]struct {
		change func(*nebula.Slot)
		alone  nebula.Kind // if no other slot opens
	}{
		"data of the other slot":  {func(s *nebula.Slot) { s.Data = nebula.SlotsOf(mine)[1].Data }, nebula.ErrWrongKey},
		"data of another store":   {func(s *nebula.Slot) { s.Data = nebula.SlotsOf(other)[0].Data }, nebula.ErrWrongKey},
		"another id":              {func(s *nebula.Slot) { s.ID = "aaaaaaaa" }, nebula.ErrWrongKey},
		"another salt":            {func(s *nebula.Slot) { s.Salt[0] ^= 1 }, nebula.ErrWrongKey},
		"a kind without data":     {func(s *nebula.Slot) { s.Kind, s.Data = nebula.SlotKeyFile, nil }, nebula.ErrUnauthenticated},
		"a kind that is unknown":  {func(s *nebula.Slot) { s.Kind = "unknown" }, nebula.ErrUnauthenticated},
		"a kind of another form":  {func(s *nebula.Slot) { s.Kind = otherForm }, nebula.ErrCorrupted},
		"no data":                 {func(s *nebula.Slot) { s.Data = nil }, nebula.ErrCorrupted},
		"a byte more":             {func(s *nebula.Slot) { s.Data = append(s.Data, 0) }, nebula.ErrCorrupted},
		"a parameter":             {func(s *nebula.Slot) { s.Passes = 1 }, nebula.ErrCorrupted},
		"a wrapping that is mine": {func(*nebula.Slot) {}, ""},
	}
	if kind == nebula.SlotKeychain || kind == nebula.SlotAWSKMS { // the data, or what KMS binds to it, contains the id
		for name, as := range map[string]nebula.Kind{"data of the other slot": nebula.ErrCorrupted, "data of another store": nebula.ErrCorrupted, "another id": nebula.ErrCorrupted} {
			edit := edits[name]
			edit.alone = as
			edits[name] = edit
		}
	}
	for name, edit := range edits {
		unhashed := nebula.EditSlot(t, mine, 0, false, edit.change)
		beside := nebula.EditSlot(t, mine, 0, true, edit.change)
		alone := nebula.EditSlot(t, nebula.OnlySlot(mine, 0), 0, true, edit.change)
		sealed := nebula.ErrCorrupted
		if edit.alone == "" {
			sealed = ""
		}
		wantKind(t, openRecord(t, unhashed, key), sealed)
		wantKind(t, openRecord(t, beside, key), sealed)
		want := edit.alone
		if want == "" {
			want = nebula.ErrCorrupted // the other slot was removed
		}
		if err := openRecord(t, alone, key); nebula.KindOf(err) != want {
			t.Errorf("%s, the only slot: %v, want %s", name, err, want)
		}
	}
}

func openRecord(t *testing.T, raw []byte, key nebula.Key) error {
	t.Helper()
	e, err := nebula.ParseEnvelope(nebula.KeyringName(), raw)
	if err != nil {
		return err
	}
	return nebula.OpenKeyringForTest(t.Context(), e, []nebula.Key{key})
}
