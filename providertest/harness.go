package providertest

import (
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// Harness says how to make a provider and what its backend cannot do. Only New
// is required.
type Harness struct {
	// New returns a provider that is not yet connected, over an empty backend
	// that nobody else uses. Each call is for another backend. The suite connects
	// and closes the provider; New registers any other cleanup with t.Cleanup. It
	// must pass the options to the New of the provider.
	New func(t *testing.T, options ...provider.Option) nebula.Provider

	// Reopen returns another provider over the backend of p, not yet connected,
	// as in another process. It is called while p is open and after p was closed.
	// nil if p itself holds the records.
	Reopen func(t *testing.T, p nebula.Provider) nebula.Provider

	// Corrupt replaces the bytes that the backend of p holds under name by raw,
	// without the provider. There is a record of that name, and raw is not empty.
	// Corrupt does not change tags and other data beside the bytes. nil if that
	// is impossible.
	Corrupt func(t *testing.T, p nebula.Provider, name nebula.Name, raw []byte)

	// Abilities are exactly those that nebula.As finds in the provider.
	Abilities []Ability

	// Lag is how long List and History may be out of date. The suite asks again
	// until the answer is right or this time has passed. 0: they are always up to
	// date.
	Lag time.Duration

	// Preconditions says how the backend keeps preconditions.
	Preconditions Preconditions

	// SharedDeletions says that several concurrent deletions of one version may
	// all succeed: the backend does not say which of them removed it.
	SharedDeletions bool

	// RacyDeletions says that another writer may come between the check of a
	// deletion's precondition and the deletion, although Store is atomic.
	RacyDeletions bool

	// MaxRecordSize is the maximum size of a record in bytes; 0 if no limit is
	// known. Describe must say the same.
	MaxRecordSize int

	// MaxTags is the maximum number of tags of a credential; 0 if there is no
	// limit below 50.
	MaxTags int

	// AcceptsTag reports whether the provider accepts a tag that
	// nebula.ValidateTag allows. It must refuse the others. nil: it accepts all.
	AcceptsTag func(key, value string) bool

	// FoldsCase says that the backend cannot hold two names that differ only by
	// case. Then the provider refuses the second and does not change the first.
	FoldsCase bool

	// ComparesKeyring says that Store refuses a record which is not sealed under
	// the key of the stored keyring. Describe must say the same.
	ComparesKeyring bool

	// MaxStores is the maximum number of records that one rule stores, for
	// backends that are slow or cost money. At least 20; 0 means 400.
	MaxStores int
}

// Preconditions says how a backend keeps the preconditions of
// [nebula.StoreOptions].
type Preconditions int

const (
	// Atomic preconditions hold at the moment of the write.
	Atomic Preconditions = iota
	// Racy ones are checked, and another writer may come between check and
	// write. Rules with one writer apply.
	Racy
	// Refused ones fail with ErrNotSupported, except IfAbsent of the keyring.
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
	BatchStorer      Ability = "BatchStorer"
	Notifier         Ability = "Notifier"
	Identifier       Ability = "Identifier"
	Fitter           Ability = "Fitter"
	Checker          Ability = "Checker"
)

// abilitiesOf returns the abilities that p has, in the order of the constants.
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
	note(BatchStorer, able[nebula.BatchStorer](p))
	note(Notifier, able[nebula.Notifier](p))
	note(Identifier, able[nebula.Identifier](p))
	note(Fitter, able[nebula.Fitter](p))
	note(Checker, able[nebula.Checker](p))
	return found
}

func able[T any](p nebula.Provider) bool {
	_, ok := nebula.As[T](p)
	return ok
}

// Run checks every rule, each in a subtest of the same name.
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
