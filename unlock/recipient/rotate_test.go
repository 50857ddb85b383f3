package recipient_test

import (
	"fmt"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/memory"
	"github.com/nebula-credential/nebula/unlock/recipient"
)

// team is a store that several people open.
type team struct {
	backend *memory.Backend
	id      nebula.KeyID
}

// newTeam makes a store with a slot for each recipient, and a credential.
func newTeam(t *testing.T, plugins []string, first pair, others ...pair) *team {
	t.Helper()
	tm := &team{backend: memory.NewBackend()}
	s := tm.open(t, recipient.Options{})
	id, err := s.Init(t.Context(), recipient.New(recipient.Options{Recipient: first.recipient}))
	if err != nil {
		t.Fatal(err)
	}
	tm.id = id
	for i, other := range others {
		key := recipient.New(recipient.Options{Recipient: other.recipient, Plugins: plugins})
		if _, err := s.AddKey(t.Context(), key, fmt.Sprintf("person %d", i+2)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Put(t.Context(), "x", nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	return tm
}

// open opens the store like another process that knows the id of its data key.
func (tm *team) open(t *testing.T, options recipient.Options) *nebula.Store {
	t.Helper()
	config := memory.DefaultConfig()
	config.Backend = tm.backend
	p, err := memory.New(config)
	if err != nil {
		t.Fatal(err)
	}
	storeOptions := nebula.Options{Keys: []nebula.Key{recipient.New(options)}}
	if tm.id != (nebula.KeyID{}) {
		storeOptions.TrustedKey = &tm.id
	}
	s, err := nebula.Open(t.Context(), p, storeOptions)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func slotsOf(t *testing.T, s *nebula.Store) []nebula.Slot {
	t.Helper()
	info, err := s.Keys(t.Context())
	if err != nil || !info.Authentic {
		t.Fatalf("keys: %+v, %v", info, err)
	}
	return info.Slots
}

// One of five people rotates with their own identity, and all five can still read.
func TestRotateForAllRecipients(t *testing.T) {
	outsideFIPS(t)
	people := []pair{newPair(t), newHybrid(t), newSSH(t, newEd25519(t), ""), newSSH(t, newRSA(t, 2048), ""), newPair(t)}
	tm := newTeam(t, nil, people[0], people[1:]...)
	s := tm.open(t, recipient.Options{Identities: []string{people[0].file}})
	before := slotsOf(t, s)
	result, err := s.Rotate(t.Context(), nebula.RotateOptions{})
	if err != nil || result.Sealed != 1 {
		t.Fatalf("the rotation: %+v, %v", result, err)
	}
	tm.id = result.KeyID
	for i, person := range people {
		theirs := tm.open(t, recipient.Options{Identities: []string{person.file}})
		if c, err := theirs.Get(t.Context(), "x"); err != nil || string(c.Secret.Reveal()) != "v" {
			t.Errorf("person %d: %v", i+1, err)
		}
		now := slotsOf(t, theirs)[i]
		if now.ID != before[i].ID || now.Salt == before[i].Salt || string(now.Data) == string(before[i].Data) {
			t.Errorf("slot %d was %+v and is %+v", i+1, before[i], now)
		}
	}
}

// A former member has left a slot for a recipient of a plugin. A rotation does not start
// the plugin, and names the slot that prevents it.
func TestRotateStartsNoPluginOfOthers(t *testing.T) {
	outsideFIPS(t)
	log := installPlugin(t)
	mine, former := newPair(t), newPluginPair(t)
	tm := newTeam(t, []string{pluginName}, mine, former)
	before := starts(t, log)
	identities := []string{mine.file, newPluginPair(t).file} // of the same plugin, for another purpose
	s := tm.open(t, recipient.Options{Identities: identities})
	slots := slotsOf(t, s)
	if err := s.UnlockSlots(t.Context(), nil); err != nil {
		t.Errorf("unlocking: %v", err)
	}
	_, err := s.Rotate(t.Context(), nebula.RotateOptions{})
	wantKind(t, err, nebula.ErrUsage)
	if got := slotsOf(t, tm.open(t, recipient.Options{Identities: identities})); fmt.Sprint(got) != fmt.Sprint(slots) {
		t.Error("the slots were changed")
	}
	result, err := s.Rotate(t.Context(), nebula.RotateOptions{Drop: []string{slots[1].ID}})
	if err != nil {
		t.Fatal(err)
	}
	if n := starts(t, log) - before; n != 0 {
		t.Errorf("the plugin was started %d times", n)
	}
	tm.id = result.KeyID
	if n := len(slotsOf(t, tm.open(t, recipient.Options{Identities: identities}))); n != 1 {
		t.Errorf("there are %d slots", n)
	}
}

// A stranger needs no secret to make a store that a recipient opens.
func TestStrangersStoreIsRefused(t *testing.T) {
	outsideFIPS(t)
	mine := newPair(t)
	tm, theirs := newTeam(t, nil, mine), newTeam(t, nil, mine)
	options := recipient.Options{Identities: []string{mine.file}}
	for name, id := range map[string]nebula.KeyID{"nothing is known": {}, "the key's id is": tm.id} {
		victim := &team{backend: theirs.backend, id: id}
		s := victim.open(t, options)
		_, get := s.Get(t.Context(), "x")
		_, put := s.Put(t.Context(), "y", nebula.NewSecret([]byte("mine")), nebula.PutOptions{})
		for what, err := range map[string]error{"get": get, "put": put} {
			if nebula.KindOf(err) != nebula.ErrUntrustedKey {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
}
