package transfer

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/many"
)

// ImportOptions goes with [Import].
type ImportOptions struct {
	// Source opens the backup as a store, with the keys that may open it: see
	// [Backup.Provider]. It is called for records of another data key, and for a dry
	// run into a store that is not initialised. In these cases it may not be nil.
	// trusted is the data key that the store must have, if that is known.
	Source func(ctx context.Context, trusted *nebula.KeyID) (*nebula.Store, error)

	// TrustedKey is the data key that, as the caller knows, the export has.
	TrustedKey *nebula.KeyID

	IDs []nebula.ID // what to import; none: everything

	Overwrite bool // replace credentials that differ
	Reseal    bool // open records of another data key, and seal them anew
	Older     bool // accept an older keyring than the one that is remembered
	DryRun    bool // check everything and store nothing

	Jobs int // credentials that are worked on at once; 0 is what the store takes, see [nebula.Store.Jobs]

	// Progress is called after each credential, by one goroutine at a time. It may
	// be nil.
	Progress func(done, total int)
}

// ImportReport has the outcome for each credential of a backup. The lists are
// sorted.
type ImportReport struct {
	Initialised bool        // the store received the keyring
	Imported    []nebula.ID // stored; in a dry run, those that would be
	Same        []nebula.ID // there already, with the same value and metadata
	Differs     []nebula.ID // there already, and left as they are
	Failed      []nebula.Entry
	NotBegun    int
}

// Import stores the credentials of a backup, with their metadata. A store that is
// not initialised receives the backup's keyring, as [nebula.Store.InitSealed] says.
// In a store of the same data key, current or retired, records are stored as they
// are, each only if it opens under its id. For a store of another data key they are
// opened with Source and sealed anew, if Reseal is set.
//
// Import does not replace credentials that are there, so you can repeat an import
// that was stopped. With Overwrite it replaces each, on condition that it has not
// changed since it was compared.
//
// Errors that concern one credential are in Failed. A returned error means that
// the run did not begin, or ended early. Errors: ErrWrongKey for a store of
// another data key; those of InitSealed, ErrUntrustedKey and ErrRolledBack among
// them, and of the keyring of Source; ErrUnavailable and the like if the backend
// keeps failing; ErrInterrupted and ErrTimeout with the context, after what was
// under way.
func Import(ctx context.Context, store *nebula.Store, b *Backup, options ImportOptions) (ImportReport, error) {
	m := &importing{store: store, backup: b, options: options}
	if err := m.choose(); err != nil {
		return m.report, err
	}
	if err := m.prepare(ctx); err != nil {
		return m.report, err
	}
	err := m.each(ctx)
	m.report.sort()
	return m.report, err
}

type importing struct {
	store   *nebula.Store
	backup  *Backup
	options ImportOptions
	report  ImportReport
	room    *many.Room // for records of the backup

	ids    []nebula.ID
	listed []bool        // whether each is in the store; nil: that is not known
	source *nebula.Store // the backup, where the store cannot open its records

	reseal bool // the store has another data key
	absent bool // there is no store yet, and in a dry run will be none
}

// choose finds the credentials to import.
func (m *importing) choose() error {
	if len(m.options.IDs) == 0 {
		m.ids = slices.AppendSeq(make([]nebula.ID, 0, m.backup.Len()), m.backup.IDs())
		return nil
	}
	m.ids = slices.Compact(slices.Sorted(slices.Values(m.options.IDs)))
	var absent []nebula.ID
	for _, id := range m.ids {
		if _, found := m.backup.find(id); !found {
			absent = append(absent, id)
		}
	}
	if absent == nil {
		return nil
	}
	return notThere("import", absent, "in the export")
}

// prepare opens the keyrings. If the store has none, it stores that of the
// backup.
func (m *importing) prepare(ctx context.Context) error {
	o := m.options
	id, err := m.store.InitSealed(ctx, m.backup.keyring, nebula.InitSealedOptions{
		TrustedKey: o.TrustedKey, Older: o.Older, DryRun: o.DryRun || o.Reseal})
	switch {
	case err == nil && o.Reseal:
		return &nebula.Error{Kind: nebula.ErrNotFound, Op: "import", Err: nebula.ErrNotInitialised,
			Message: "the store is not initialised: there is no data key to seal under",
			Hint:    "make one with: nebula init; or leave out --reseal, and the store receives the keyring of the export"}
	case err == nil:
		m.report.Initialised, m.absent = true, o.DryRun
		if m.absent {
			return m.openSource(ctx, &id)
		}
		return m.list(ctx)
	case !errors.Is(err, nebula.ErrAlreadyExists):
		return err
	}
	ours, err := m.store.HoldsKeyring(ctx, m.backup.keyring)
	switch {
	case err != nil:
		return err
	case ours:
		return m.list(ctx)
	case !o.Reseal:
		return &nebula.Error{Kind: nebula.ErrWrongKey, Op: "import",
			Message: "the export is of another data key than the store; nothing was stored",
			Hint:    "to open each record and seal it under the key of this store: --reseal"}
	}
	m.reseal = true
	if err := m.openSource(ctx, o.TrustedKey); err != nil {
		return err
	}
	return m.list(ctx)
}

// openSource opens the backup as a store, with its keyring.
func (m *importing) openSource(ctx context.Context, trusted *nebula.KeyID) (err error) {
	if m.options.Source == nil {
		return &nebula.Error{Kind: nebula.ErrUsage, Op: "import", Message: "the options name no way to open the backup"}
	}
	if m.source, err = m.options.Source(ctx, trusted); err != nil {
		return err
	}
	err = m.source.Unlock(ctx)
	if errors.Is(err, nebula.ErrUntrustedKey) && trusted == nil {
		// The store's hint would be about a store, and this is a backup.
		return &nebula.Error{Kind: nebula.ErrUntrustedKey, Op: "import", Err: err,
			Message: "the export is opened by a slot that anyone could have made, for a data key of their own; nothing was stored",
			Hint:    "ask the owner of the exported store for the id of its key; they see it with: nebula key list. Then give it with --key-id"}
	}
	return err
}

// list finds out which of the credentials are in the store, so that the others need
// not be asked for. A list may be late, so every write has a condition.
func (m *importing) list(ctx context.Context) error {
	if m.store.Describe().NoPreconditions {
		return nil
	}
	m.listed = make([]bool, len(m.ids))
	for e, err := range m.store.List(ctx, nebula.ListOptions{}) {
		if err != nil {
			return err
		}
		if i, found := slices.BinarySearch(m.ids, e.ID); found {
			m.listed[i] = true
		}
	}
	return nil
}

func (m *importing) each(ctx context.Context) error {
	total, done := len(m.ids), 0
	jobs, large := m.options.Jobs, m.options.Jobs
	if jobs == 0 {
		jobs, large = m.store.Jobs(), m.store.MaxConcurrency()
	}
	m.room = many.NewRoom(large)
	options := many.Options{Jobs: jobs, Finish: true, Judge: judge}
	var stopped error
	for r, err := range many.Do(ctx, many.Of(m.ids), options, m.one) {
		if err != nil {
			stopped = err
			break
		}
		m.note(r.Item, r.Value, r.Err)
		done++
		if m.options.Progress != nil {
			m.options.Progress(done, total)
		}
	}
	m.report.NotBegun = total - done
	if stopped == nil || done == total {
		return nil
	}
	kind, message := nebula.KindOf(stopped), "stopped, since the backend keeps failing"
	if kind == nebula.ErrInterrupted {
		message = "interrupted"
	}
	return &nebula.Error{Kind: kind, Op: "import", Provider: m.store.Describe().Provider, Err: stopped,
		Message: fmt.Sprintf("%s; %d of %d are not done: %v", message, total-done, total, stopped), Hint: "run it again for the rest"}
}

func (m *importing) note(id nebula.ID, what outcome, err error) {
	r := &m.report
	switch {
	case err != nil:
		r.Failed = append(r.Failed, nebula.Entry{ID: id, Err: err})
	case what == same:
		r.Same = append(r.Same, id)
	case what == differs:
		r.Differs = append(r.Differs, id)
	default:
		r.Imported = append(r.Imported, id)
	}
}

func (r *ImportReport) sort() {
	slices.Sort(r.Imported)
	slices.Sort(r.Same)
	slices.Sort(r.Differs)
	slices.SortFunc(r.Failed, func(a, b nebula.Entry) int { return cmp.Compare(a.ID, b.ID) })
}

// one imports one credential, and tries again if another writer came between.
func (m *importing) one(ctx context.Context, id nebula.ID) (what outcome, err error) {
	const attempts = 3
	for attempt := range attempts {
		what, err = m.try(ctx, id, attempt == 0 && m.isNew(id))
		if !errors.Is(err, errRaced) {
			break
		}
	}
	return what, err
}

// isNew reports whether the list of the store had no such credential.
func (m *importing) isNew(id nebula.ID) bool {
	i, _ := slices.BinarySearch(m.ids, id)
	return m.listed != nil && !m.listed[i]
}

// errRaced marks a failure of a condition that this package set.
var errRaced = errors.New("another writer came between")

func (m *importing) try(ctx context.Context, id nebula.ID, isNew bool) (outcome, error) {
	place, err := m.room.Enter(ctx)
	if err != nil {
		return 0, err
	}
	defer place.Leave()
	e, err := m.backup.Record(id)
	if err != nil {
		return 0, err
	}
	place.Sized(len(e.Bytes()))
	arriving, err := m.open(ctx, id, e)
	if err != nil {
		return 0, err
	}
	defer arriving.Secret.Wipe()
	if m.absent {
		return copied, m.store.Fits(ctx, id, e)
	}
	if isNew {
		return copied, m.put(ctx, e, arriving, nebula.IfAbsent(), nil)
	}
	there, err := m.store.GetSealed(ctx, id)
	switch {
	case err == nil:
		if m.isSame(ctx, there.Envelope, e, arriving) {
			return same, nil
		}
	case errors.Is(err, nebula.ErrNotFound) && !errors.Is(err, nebula.ErrNotInitialised):
		return copied, m.put(ctx, e, arriving, m.condition(nebula.IfAbsent()), nil)
	case !isUnreadable(err):
		return 0, err
	}
	if !m.options.Overwrite {
		return differs, nil
	}
	return copied, m.put(ctx, e, arriving, m.condition(nebula.IfVersion(there.Version)), there.Envelope)
}

// open opens a record of the backup.
func (m *importing) open(ctx context.Context, id nebula.ID, e *nebula.Envelope) (nebula.Credential, error) {
	if m.source != nil {
		return m.source.Get(ctx, id)
	}
	return m.store.OpenSealed(ctx, id, e)
}

// isSame reports whether the existing credential has the same value and metadata as
// the one that arrives, except for the time of the last read. If it does not open,
// it is different.
func (m *importing) isSame(ctx context.Context, there, e *nebula.Envelope, arriving nebula.Credential) bool {
	if bytes.Equal(there.Bytes(), e.Bytes()) {
		return true
	}
	found, err := m.store.OpenSealed(ctx, arriving.ID, there)
	if err != nil {
		return false
	}
	defer found.Secret.Wipe()
	return found.Secret.Equal(arriving.Secret) && sameMetadata(found.Metadata, arriving.Metadata)
}

// condition returns none if the provider compares nothing.
func (m *importing) condition(p nebula.Precondition) nebula.Precondition {
	if m.store.Describe().NoPreconditions {
		return nebula.Precondition{}
	}
	return p
}

func (m *importing) put(ctx context.Context, e *nebula.Envelope, c nebula.Credential, condition nebula.Precondition, previous *nebula.Envelope) (err error) {
	if m.options.DryRun {
		return m.store.Fits(ctx, c.ID, e)
	}
	options := nebula.AdoptOptions{Precondition: condition, Previous: previous, Older: m.options.Overwrite}
	if m.reseal {
		_, err = m.store.Adopt(ctx, c, options)
	} else {
		_, err = m.store.PutSealed(ctx, c.ID, e, options)
	}
	if !condition.IsZero() && (errors.Is(err, nebula.ErrAlreadyExists) || errors.Is(err, nebula.ErrConflict)) {
		err = errors.Join(errRaced, err)
	}
	return err
}
