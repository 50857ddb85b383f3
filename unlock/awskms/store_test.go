package awskms_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/provider/local"
)

// place is a directory with a store, and the id of its data key.
type place struct {
	dir string
	id  nebula.KeyID
}

// newPlace makes a store with a slot for each key, and the credential x.
func newPlace(t *testing.T, keys ...nebula.Key) *place {
	t.Helper()
	p := &place{dir: filepath.Join(t.TempDir(), "store")}
	s := p.open(t, nebula.Options{Keys: keys})
	id, err := s.Init(t.Context(), keys[0])
	if err != nil {
		t.Fatal(err)
	}
	p.id = id
	for _, key := range keys[1:] {
		if _, err := s.AddKey(t.Context(), key, ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Put(t.Context(), "x", nebula.NewSecret([]byte("v")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	return p
}

// open opens the store like another process that knows its data key.
func (p *place) open(t *testing.T, o nebula.Options) *nebula.Store {
	t.Helper()
	config := local.DefaultConfig()
	config.BasePath = p.dir
	provider, err := local.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if o.TrustedKey == nil && p.id != (nebula.KeyID{}) {
		o.TrustedKey = &p.id
	}
	s, err := nebula.Open(t.Context(), provider, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (p *place) with(t *testing.T, keys ...nebula.Key) *nebula.Store {
	t.Helper()
	return p.open(t, nebula.Options{Keys: keys})
}

func (p *place) slots(t *testing.T, key nebula.Key) []nebula.Slot {
	t.Helper()
	info, err := p.with(t, key).Keys(t.Context())
	if err != nil || !info.Authentic {
		t.Fatalf("keys: %+v, %v", info, err)
	}
	return info.Slots
}

func hintOf(err error) string {
	var e *nebula.Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

func get(t *testing.T, s *nebula.Store) error {
	t.Helper()
	c, err := s.Get(t.Context(), "x")
	if err == nil && string(c.Secret.Reveal()) != "v" {
		t.Error("got another value")
	}
	return err
}

// A process opens a store with one call to KMS, however much it reads. After a rotation
// it calls KMS once more.
func TestCallsOfAProcess(t *testing.T) {
	s := newKMS(t)
	arn := s.CreateKey(region)
	p := newPlace(t, with(t, arn))
	running := p.with(t, with(t, arn))
	calls(s)
	for range 3 {
		if err := get(t, running); err != nil {
			t.Fatal(err)
		}
	}
	wantCalls(t, s, "Decrypt")
	result, err := p.with(t, with(t, arn)).Rotate(t.Context(), nebula.RotateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantCalls(t, s, "Decrypt", "Encrypt", "Decrypt")
	p.id = result.KeyID
	for range 3 {
		if err := get(t, running); err != nil {
			t.Fatal(err)
		}
	}
	wantCalls(t, s, "Decrypt")
}

// Anyone who may use both keys of a store can rotate it. If they may encrypt with a key,
// its slot gets another secret. If they may only decrypt, the slot keeps its secret.
func TestRotate(t *testing.T) {
	for name, test := range map[string]struct {
		denied  map[string][]string // operations, by key
		state   string              // of the second key
		lacks   bool                // the second key is not configured
		renewed []bool
		kind    nebula.Kind
	}{
		"may all":                  {renewed: []bool{true, true}},
		"may not encrypt with one": {denied: map[string][]string{"second": {"Encrypt"}}, renewed: []bool{true, false}},
		"may not decrypt with one": {denied: map[string][]string{"second": {"Decrypt"}}, renewed: []bool{true, true}},
		"may encrypt with neither": {denied: map[string][]string{"first": {"Encrypt"}, "second": {"Encrypt"}}, renewed: []bool{false, false}},
		"may decrypt with neither": {denied: map[string][]string{"first": {"Decrypt"}, "second": {"Decrypt"}}, renewed: []bool{true, true}},
		"may do nothing with one":  {denied: map[string][]string{"second": {"Encrypt", "Decrypt"}}, kind: nebula.ErrUsage},
		"one is disabled":          {state: awsserver.KMSDisabled, kind: nebula.ErrUsage},
		"one is to be deleted":     {state: awsserver.KMSPendingDeletion, kind: nebula.ErrUsage},
		"one is not configured":    {lacks: true, kind: nebula.ErrUsage},
	} {
		t.Run(name, func(t *testing.T) {
			s := newKMS(t)
			arns := map[string]string{"first": s.CreateKey(region), "second": s.CreateKey(region)}
			file := &nebula.KeyFile{Path: t.TempDir() + "/key"}
			if err := nebula.CreateKeyFile(file.Path); err != nil {
				t.Fatal(err)
			}
			p := newPlace(t, with(t, arns["first"]), with(t, arns["second"]), file)
			before := p.slots(t, file)
			for key, operations := range test.denied {
				for _, operation := range operations {
					s.Inject(awsserver.Fault{Operation: operation, Secret: arns[key], Deny: true})
				}
			}
			if test.state != "" {
				s.SetState(arns["second"], test.state)
			}
			rotator := with(t, arns["first"], arns["second"])
			if test.lacks {
				rotator = with(t, arns["first"])
			}
			result, err := p.with(t, file, rotator).Rotate(t.Context(), nebula.RotateOptions{})
			if nebula.KindOf(err) != test.kind {
				t.Fatalf("the rotation: %v, want %q", err, test.kind)
			}
			if err != nil {
				if !strings.Contains(err.Error(), arns["second"]) || !slices.EqualFunc(before, p.slots(t, file), func(a, b nebula.Slot) bool { return string(a.Data) == string(b.Data) }) {
					t.Errorf("the rotation began, or the error does not say why it did not: %v", err)
				}
				result, err = p.with(t, file, with(t, arns["first"])).Rotate(t.Context(), nebula.RotateOptions{Drop: []string{before[1].ID}})
				if err != nil {
					t.Fatalf("the rotation without the slot: %v", err)
				}
				if p.id = result.KeyID; len(p.slots(t, file)) != 2 {
					t.Error("the slot is still there")
				}
				return
			}
			p.id = result.KeyID
			s.ClearFaults()
			for i, key := range []string{"first", "second"} {
				if err := get(t, p.with(t, with(t, arns[key]))); err != nil {
					t.Errorf("with the %s key: %v", key, err)
				}
				now := p.slots(t, file)[i]
				if renewed := string(now.Data) != string(before[i].Data); now.ID != before[i].ID || renewed != test.renewed[i] || (now.Salt != before[i].Salt) != renewed {
					t.Errorf("slot %d was %+v and is %+v", i+1, before[i], now)
				}
			}
		})
	}
}

// While KMS does not answer, nothing is rotated.
func TestRotateWithoutKMS(t *testing.T) {
	s := newKMS(t)
	arn := s.CreateKey(region)
	file := &nebula.KeyFile{Path: t.TempDir() + "/key"}
	if err := nebula.CreateKeyFile(file.Path); err != nil {
		t.Fatal(err)
	}
	p := newPlace(t, file, with(t, arn))
	_ = s.Close()
	store := p.with(t, file, with(t, arn))
	if _, err := store.Rotate(t.Context(), nebula.RotateOptions{}); nebula.KindOf(err) != nebula.ErrUnavailable {
		t.Errorf("the rotation: %v", err)
	}
	if err := get(t, p.with(t, file)); err != nil {
		t.Error(err)
	}
}

// An alias that has moved renews no slot. The ARN beside it does.
func TestRotateWithMovedAlias(t *testing.T) {
	s := newKMS(t)
	first, second := s.CreateKey(region), s.CreateKey(region)
	s.SetAlias(region, "alias/team", first)
	p := newPlace(t, with(t, "alias/team"))
	s.SetAlias(region, "alias/team", second)
	moved := p.with(t, with(t, "alias/team", first))
	before := p.slots(t, with(t, first))
	result, err := moved.Rotate(t.Context(), nebula.RotateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.id = result.KeyID
	if now := p.slots(t, with(t, first)); string(now[0].Data) == string(before[0].Data) {
		t.Error("the ARN that is named beside the alias did not renew the slot")
	}
	store := p.with(t, with(t, "alias/team"))
	err = get(t, store)
	if nebula.KindOf(err) != nebula.ErrWrongKey || !strings.Contains(err.Error()+hintOf(err), first) {
		t.Errorf("with the alias: %v, %s", err, hintOf(err))
	}
	file := &nebula.KeyFile{Path: t.TempDir() + "/key"}
	if err := nebula.CreateKeyFile(file.Path); err != nil {
		t.Fatal(err)
	}
	if _, err := p.with(t, with(t, first)).AddKey(t.Context(), file, ""); err != nil {
		t.Fatal(err)
	}
	_, err = p.with(t, file, with(t, "alias/team")).Rotate(t.Context(), nebula.RotateOptions{})
	if nebula.KindOf(err) != nebula.ErrUsage || !strings.Contains(err.Error(), "alias/team is "+second+", and the slot is for "+first) {
		t.Errorf("a rotation with the alias: %v", err)
	}
}

// A stranger needs no secret to make a store that a key opens. Such a store is refused,
// for reading and for writing, with a pin and without, and from an agent too.
func TestStrangersStoreIsRefused(t *testing.T) {
	s := newKMS(t)
	arn := s.CreateKey(region)
	mine, theirs := newPlace(t, with(t, arn)), newPlace(t, with(t, arn))
	agent := &keptKeys{}
	if err := get(t, theirs.open(t, nebula.Options{Keys: []nebula.Key{with(t, arn)}, DataKeys: agent})); err != nil {
		t.Fatal(err)
	}
	agent.key.Pinned = false // as another client keeps it that knew no pin
	for name, o := range map[string]nebula.Options{
		"nothing is known":           {Keys: []nebula.Key{with(t, arn)}},
		"the key's id is":            {Keys: []nebula.Key{with(t, arn)}, TrustedKey: &mine.id},
		"an agent, nothing is known": {Keys: []nebula.Key{with(t, arn)}, DataKeys: agent},
		"an agent, the key's id is":  {Keys: []nebula.Key{with(t, arn)}, DataKeys: agent, TrustedKey: &mine.id},
		"an agent alone":             {DataKeys: agent},
	} {
		victim := (&place{dir: theirs.dir}).open(t, o)
		_, put := victim.Put(t.Context(), "y", nebula.NewSecret([]byte("mine")), nebula.PutOptions{})
		for what, err := range map[string]error{"get": get(t, victim), "put": put} {
			if nebula.KindOf(err) != nebula.ErrUntrustedKey {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		if exists, err := theirs.with(t, with(t, arn)).Exists(t.Context(), "y"); exists || err != nil {
			t.Errorf("%s: something was written, or %v", name, err)
		}
	}
}

// keptKeys is an agent that keeps one key.
type keptKeys struct {
	key   nebula.KeptKey
	found bool
}

func (k *keptKeys) Get(context.Context, string) (nebula.KeptKey, bool) { return k.key, k.found }

func (k *keptKeys) Keep(_ context.Context, _ string, key nebula.KeptKey) { k.key, k.found = key, true }
