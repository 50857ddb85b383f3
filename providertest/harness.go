package providertest

import (
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// Harness says how to get at a provider and what its backend cannot do. Only
// New has to be set.
type Harness struct {
	// New returns a provider over an empty backend that nobody else uses, not
	// yet connected. It is called several times in a test, each time for
	// another backend. The suite connects and closes the provider; what else
	// there is to clean up goes to t.Cleanup.
	// The options have to reach the New of the provider.
	New func(t *testing.T, options ...provider.Option) nebula.Provider

	// Reopen returns one more provider over the backend of p, not yet
	// connected, as another process would have it. It is called while p is
	// open and after p was closed. nil where the records live in p itself.
	Reopen func(t *testing.T, p nebula.Provider) nebula.Provider

	// Corrupt puts raw in the place of the bytes that the backend of p holds
	// under name, behind the provider's back. There is a record, and raw is
	// not empty. Tags and the like beside the bytes stay as they are. nil
	// where that cannot be done.
	Corrupt func(t *testing.T, p nebula.Provider, name nebula.Name, raw []byte)

	// Abilities are those that nebula.As finds in the provider, no more and
	// no fewer.
	Abilities []Ability

	// Lag is how long List and History may show what was. The suite asks
	// again until the answer is right or this time has passed. Zero: they are
	// never late.
	Lag time.Duration

	// Preconditions says how they are kept.
	Preconditions Preconditions

	// SharedDeletions says that of several deletions of one version at the
	// same time more than one may succeed: the backend does not say which of
	// them removed it.
	SharedDeletions bool

	// RacyDeletions says that another writer may come between the check of a
	// deletion's precondition and the deletion, though that of a Store is atomic.
	RacyDeletions bool

	// MaxRecordSize is the greatest size of a record in bytes, and 0 where no
	// limit is known. Describe must say the same.
	MaxRecordSize int

	// MaxTags is the greatest number of tags of a credential, 0 for no limit
	// below 50.
	MaxTags int

	// AcceptsTag reports the tags that this provider takes of those that
	// nebula.ValidateTag allows. nil: all. The others it must refuse.
	AcceptsTag func(key, value string) bool

	// FoldsCase says that the backend cannot hold two names that differ by
	// case alone. The second is refused then, and the first one left alone.
	FoldsCase bool

	// ComparesKeyring says that a Store of a record which is not sealed under
	// the key of the stored keyring is refused. Describe must say the same.
	ComparesKeyring bool

	// MaxStores is the greatest number of records that one rule stores, for
	// backends that are slow or cost money. At least 20; 0 is 400.
	MaxStores int
}

// Preconditions says how a backend keeps those of [nebula.StoreOptions].
type Preconditions int

const (
	// Atomic preconditions hold at the moment of the write.
	Atomic Preconditions = iota
	// Racy ones are checked, and another writer may come between check and
	// write. Rules with one writer apply.
	Racy
	// Refused ones fail with ErrNotSupported, but for IfAbsent of the keyring.
	Refused
)

// Ability is the name of an optional interface of package nebula.
type Ability string

// The abilities.
const (
	Connector        Ability = "Connector"
	Describer        Ability = "Describer"
	Restorer         Ability = "Restorer"
	Purger           Ability = "Purger"
	Historian        Ability = "Historian"
	VersionRetriever Ability = "VersionRetriever"
	BatchRetriever   Ability = "BatchRetriever"
	Checker          Ability = "Checker"
)

// abilitiesOf returns those that p has, in the order of the constants.
func abilitiesOf(p nebula.Provider) []Ability {
	var found []Ability
	note := func(a Ability, able bool) {
		if able {
			found = append(found, a)
		}
	}
	note(Connector, able[nebula.Connector](p))
	note(Describer, able[nebula.Describer](p))
	note(Restorer, able[nebula.Restorer](p))
	note(Purger, able[nebula.Purger](p))
	note(Historian, able[nebula.Historian](p))
	note(VersionRetriever, able[nebula.VersionRetriever](p))
	note(BatchRetriever, able[nebula.BatchRetriever](p))
	note(Checker, able[nebula.Checker](p))
	return found
}

func able[T any](p nebula.Provider) bool {
	_, ok := nebula.As[T](p)
	return ok
}

// Run checks every rule, each in a subtest of its name.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.New == nil {
		t.Fatal("providertest: Harness.New is not set")
	}
	if h.MaxStores == 0 {
		h.MaxStores = 400
	}
	if h.MaxStores < 20 {
		t.Fatal("providertest: Harness.MaxStores is less than 20")
	}
	for _, rule := range rules() {
		t.Run(rule.name, func(t *testing.T) { rule.check(newRig(t, h)) })
	}
}
