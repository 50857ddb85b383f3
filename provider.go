package nebula

import (
	"context"
	"fmt"
	"time"
)

// Provider keeps sealed records under names. It never sees a plaintext: an
// [Envelope] is made by sealing, or by [ParseEnvelope] from a sealed record.
//
// All methods may be called by several goroutines at once. Each obeys its
// context and fails with an [Error] that names operation, provider and id.
// Before Connect and after Close (see [Connector]) each fails with [ErrClosed].
// The suite in package providertest checks these rules.
type Provider interface {
	// Store replaces the record of that name, with its metadata, if the
	// precondition holds, and returns the new version. No caller ever sees part
	// of a record, and after a failure either the old or the new record is
	// there, whole. Storing after a deletion works at once. If a provider can
	// compare under a lock, it refuses a record that is not sealed under the
	// key of the keyring that it holds, with an ErrConflict that wraps
	// [ErrKeyChanged].
	//
	// Errors: ErrAlreadyExists and ErrConflict (the precondition does not hold;
	// a deleted record counts as absent), ErrTooLarge, ErrInvalidMetadata (a
	// limit of this provider), ErrNotSupported (the precondition cannot be
	// checked). No other writer comes between the check and the write, unless
	// the provider's documentation says that the backend cannot compare.
	Store(ctx context.Context, name Name, envelope *Envelope, options StoreOptions) (Version, error)

	// Retrieve returns the current record. Errors: ErrNotFound; ErrCorrupted
	// and ErrUnsupportedVersion of [ParseEnvelope].
	Retrieve(ctx context.Context, name Name) (Record, error)

	// Delete removes a credential, for good or until it is restored (see
	// [Restorer]), and reports whether there was one. It succeeds if there is
	// none. If the outcome of an attempt was unclear and the credential is
	// gone, it counts as deleted. The caller can set a condition on the
	// version: [ErrConflict] says that it does not hold, also if there is no
	// credential. No other writer comes between the check and the deletion,
	// unless the provider's documentation says that the backend cannot compare.
	// The keyring is refused, with ErrUsage.
	Delete(ctx context.Context, name Name, condition Precondition) (existed bool, err error)

	// List returns the credentials that match, a page at a time and in no
	// order, never the keyring nor deleted ones. It fetches no values and does
	// no I/O before the first page.
	List(ctx context.Context, filter Filter) Pager

	// Exists reports whether Retrieve would find a record, readable or not.
	Exists(ctx context.Context, name Name) (bool, error)
}

// StoreOptions goes with [Provider.Store].
type StoreOptions struct {
	Precondition Precondition

	// Previous is the record that is written over, if the caller has read it,
	// or nil. It spares a provider a read of what it keeps beside the record,
	// tags for example, to see what changes.
	Previous *Envelope
}

// Precondition is a condition for a record to be written or deleted. The zero
// value sets none.
type Precondition struct {
	absent  bool
	version Version
}

// IfAbsent requires that there is no record, or a deleted one.
func IfAbsent() Precondition { return Precondition{absent: true} }

// IfVersion requires that the current record has version v.
func IfVersion(v Version) Precondition { return Precondition{version: v} }

// IsZero reports whether there is no condition.
func (p Precondition) IsZero() bool { return p == Precondition{} }

// IsAbsent reports whether it requires that there is no record: see [IfAbsent].
func (p Precondition) IsAbsent() bool { return p.absent }

// Version returns the version that it requires, and false if it requires none:
// see [IfVersion].
func (p Precondition) Version() (Version, bool) { return p.version, p.version != "" }

// Check returns nil if the precondition holds for the current version, and else
// an error of kind [ErrAlreadyExists] or [ErrConflict]. The current version is
// "" if there is no record.
func (p Precondition) Check(current Version) error {
	switch {
	case p.absent && current != "":
		return &Error{Kind: ErrAlreadyExists, Message: "there is one already, of version " + shown(string(current))}
	case p.version == "" || p.version == current:
		return nil
	case current == "":
		return &Error{Kind: ErrConflict, Message: "there is none, and version " + shown(string(p.version)) + " was expected"}
	}
	return &Error{Kind: ErrConflict,
		Message: "the version is " + shown(string(current)) + ", and " + shown(string(p.version)) + " was expected"}
}

// Version tells the states of one credential apart. It is opaque: the backend's
// own version if it has versions, else derived from the record's bytes. A
// version never comes back for a name, even after a purge, unless the bytes are
// the same. If a backend counts from 1 again, the provider adds something that
// tells the two counts apart.
type Version string

// Record is what a provider holds under a name.
type Record struct {
	Envelope *Envelope
	Version  Version
}

// Pager gives the pages of a list.
type Pager interface {
	// NextPage returns the next entries, possibly none, and [io.EOF] after the
	// last. The slice is valid until the next call, and until then the caller
	// may change it. After another error the caller can call again, and the
	// list goes on where it was.
	NextPage(ctx context.Context) ([]Entry, error)

	// Close frees what the pager holds. It may be called at any time and twice.
	Close() error
}

// Entry is one credential of a list.
type Entry struct {
	ID ID

	// Version and Metadata are set if they cost nothing more. They are as the
	// backend shows them, not authenticated.
	Version  Version   // "" if it is not known
	Metadata *Metadata // nil if it is not known

	// Err is set if the record had to be read, to match a filter, and cannot be
	// read. Such a record is listed, not left out.
	Err error
}

// State is the state of a provider's life.
type State int32

// A provider is configured by its New, connected by Connect, closed by Close.
const (
	StateConfigured State = iota
	StateConnected
	StateClosed
)

// String returns the state's name.
func (s State) String() string {
	switch s {
	case StateConfigured:
		return "configured"
	case StateConnected:
		return "connected"
	case StateClosed:
		return "closed"
	}
	return fmt.Sprintf("State(%d)", int32(s))
}

// The abilities that a provider may have besides its five methods. Ask for one
// with [As], never with a type assertion: a wrapper has the methods of all
// abilities, even if the provider inside lacks some.
type (
	// Connector is connected and closed. A provider without it is always
	// connected.
	Connector interface {
		// Connect makes the provider ready, and logs in if that needs a call.
		// The context holds for the connecting only. A second call does
		// nothing. A call after Close fails with ErrClosed.
		Connect(ctx context.Context) error
		State() State
		// Close ends background work and waits for it.
		Close() error
	}

	// Describer tells what the provider is, without I/O. The address is final
	// once the provider is connected.
	Describer interface {
		Describe() Description
	}

	// Restorer undoes a deletion.
	Restorer interface {
		// Restore brings back the credential that the last Delete removed.
		// Errors: ErrNotFound if there is nothing to restore, ErrConflict if
		// there is a live record.
		Restore(ctx context.Context, name Name) error
	}

	// Purger removes a credential for good, live or deleted, with all its
	// versions.
	Purger interface {
		// Purge returns when the name is free, and reports whether there was
		// anything. It succeeds if there was nothing.
		Purge(ctx context.Context, name Name) (existed bool, err error)
	}

	// Historian lists the versions of a credential, the newest first.
	Historian interface {
		// History returns ErrNotFound if there is none, or a deleted one.
		History(ctx context.Context, name Name) ([]VersionInfo, error)
	}

	// VersionRetriever reads one version, the current one or an older one.
	VersionRetriever interface {
		// RetrieveVersion returns ErrNotFound if that version is not there
		// or its credential was deleted.
		RetrieveVersion(ctx context.Context, name Name, v Version) (Record, error)
	}

	// BatchRetriever reads several credentials in fewer calls than one each.
	BatchRetriever interface {
		// RetrieveBatch returns one result for each name, in their order. It
		// makes as many calls as the backend's limit requires. If a call fails,
		// its names have the error. The returned error says that the batch
		// could not be begun.
		RetrieveBatch(ctx context.Context, names []Name) ([]BatchResult, error)
	}

	// BatchStorer stores several records in fewer steps than one each. Its Store
	// does the same if many records are stored at the same time. So it is worth
	// having many records under way, see [Store.Jobs].
	BatchStorer interface {
		// StoreBatch stores each record as Store does, under the same promises,
		// and returns one outcome for each, in their order. If one fails, the
		// others are still stored. Those that succeeded are as durable as after
		// Store.
		//
		// The returned error says that the batch could not be begun, and that
		// nothing of it is stored. It is ErrUsage if there are more than
		// [MaxBatch] records, or several with more than [MaxBatchBytes]
		// together. It is also ErrUsage if a name comes twice, since records
		// are stored in any order, and for the keyring, which is stored alone.
		StoreBatch(ctx context.Context, items []BatchItem) ([]BatchOutcome, error)
	}

	// Notifier reports changes as they happen.
	Notifier interface {
		// Notify calls changed with the names whose record may have changed or
		// may be gone. It passes all of them when it begins to listen, and again
		// if it may have missed something. A call without names is a sign of
		// life. The calls come one after the other. Notify returns at the end of
		// the context, or with the reason why it cannot report changes (any
		// longer): ErrNotSupported, ErrPermissionDenied, ErrUnavailable. Do not
		// change the names meanwhile.
		Notify(ctx context.Context, names []Name, changed func(...Name)) error
	}

	// Identifier says which backend this is. It asks the backend itself, so a
	// backend that is reached by two spellings of its address has one identity.
	Identifier interface {
		// Identity returns the same text for every provider that has the same
		// records, and another text for others. It is "" while there is nothing
		// to identify: no directory, or no keyring.
		Identity(ctx context.Context) (string, error)
	}

	// Fitter tells before a write whether the backend can hold a record.
	Fitter interface {
		// Fits returns the error with which Store would refuse the record
		// because of a limit of the backend: ErrInvalidMetadata, for its tags
		// for example. It does no I/O. It does not look at the size, see
		// [Description].
		Fits(name Name, envelope *Envelope) error
	}

	// Checker examines what the provider needs: reachability, permissions,
	// modes. It changes nothing and leaves nothing behind.
	Checker interface {
		Check(ctx context.Context) []Finding
	}
)

// Description tells what a provider is.
type Description struct {
	Provider      string // local, memory, aws, azure, vault, kubernetes
	Address       string // identity of the backend, the same however it was spelt; "" if it ends with the process
	MaxRecordSize int    // bytes of a record; 0 if no limit is known

	// ComparesKeyring says that Store refuses a record that is not sealed under
	// the key of the stored keyring. After a new keyring is written, no record
	// is stored under the old key.
	ComparesKeyring bool

	// NoPreconditions says that Store fails with ErrNotSupported if there is a
	// precondition, and writes without one otherwise. Only the keyring can be
	// stored with IfAbsent, so that a store can be made.
	NoPreconditions bool

	// ListLag is how long a list may show an earlier state.
	ListLag time.Duration

	// SlowStore says that Store may take minutes, because the backend blocks
	// the name of a credential that was deleted a moment ago.
	SlowStore bool
}

// VersionInfo describes a version of a credential.
type VersionInfo struct {
	Version   Version
	CreatedAt time.Time // as the backend says
	Current   bool
	Deleted   bool // listed, and no longer readable
}

// BatchResult is the outcome for one name of a batch.
type BatchResult struct {
	Record Record
	Err    error
}

// The limits of a batch for [BatchStorer]. A single record may have more bytes.
const (
	MaxBatch      = 1000    // records
	MaxBatchBytes = 8 << 20 // of all of them together
)

// BatchItem is one record of a batch to be stored, with the arguments of Store.
type BatchItem struct {
	Name     Name
	Envelope *Envelope
	Options  StoreOptions
}

// BatchOutcome is the outcome for one record of a batch, with the results of
// Store.
type BatchOutcome struct {
	Version Version
	Err     error
}

// Severity ranks a [Finding].
type Severity string

// The severities, from mild to severe.
const (
	SeverityOK      Severity = "ok"
	SeverityWarning Severity = "warning" // works, and should be mended
	SeverityError   Severity = "error"   // does not work
)

// Finding is one line of an examination.
type Finding struct {
	Check    string   `json:"check"` // what was looked at: "directory", "lock", …
	Kind     Kind     `json:"-"`     // of the error that an operation would meet; "" if none would
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	Fix      string   `json:"fix,omitempty"` // what to do, with commands if there are some
}

// Wrapper is a provider that has the methods of every ability, whatever is
// inside it, and says which of them work. [As] asks it.
type Wrapper interface {
	Provider

	// Has calls ask with its parts, one after the other, until ask reports that
	// it found the ability, and returns whether it did.
	Has(ask func(part any) bool) bool
}

// As returns p as T, if p has that ability. A [Wrapper] decides itself, and
// calls of the result go through the wrapper.
func As[T any](p Provider) (T, bool) {
	ability, ok := p.(T)
	if w, wraps := p.(Wrapper); ok && wraps {
		ok = w.Has(func(part any) bool { _, has := part.(T); return has })
	}
	if !ok {
		var none T
		return none, false
	}
	return ability, true
}

// describeProvider returns the provider's description, if it has one.
func describeProvider(p Provider) Description {
	if d, ok := As[Describer](p); ok {
		return d.Describe()
	}
	return Description{Provider: "provider"}
}
