package migrate

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/many"
)

// DefaultExtension is the end of the names of version 1 files, after a dot.
const DefaultExtension = "cred"

// maxFile is in bytes. A number array has up to 18 bytes for each byte of the
// value.
const maxFile = 200 << 20

// Options goes with [Dir].
type Options struct {
	// Extension is the end of the files' names, without the dot before it. If
	// it is empty, it is DefaultExtension. Other files are ignored.
	Extension string

	// DryRun reads and opens everything and stores nothing. It cannot foresee
	// problems that only the provider finds, such as a name that differs from
	// another one by case alone.
	DryRun bool

	// Jobs is how many records are under way at once. 0 means
	// [nebula.Store.Jobs].
	Jobs int

	// Progress is called after each file with the number of those done, and of all
	// there are, by the goroutine that called Dir.
	Progress func(done, total int)
}

// Dir takes over the records in the directory at path, which it only reads. The
// id of each is its file's name without the extension. If the store already has
// an id, that credential stays as it is. So you can repeat a run that was
// stopped: no credential is ever stored in part, twice, or over another.
//
// Report.Left has the files that cannot be taken over. An error means that the
// run ended early. The report then says what was done until then. Errors:
// ErrUsage if there is no such directory, or it is the store's own; those of
// [nebula.Store.Adopt] that concern the store as a whole, ErrUnauthenticated or
// ErrUnavailable for example; ErrInterrupted or ErrTimeout with the context.
func Dir(ctx context.Context, store *nebula.Store, path string, key Key, options Options) (Report, error) {
	m := &migration{store: store, key: key, options: options, report: newReport()}
	err := m.run(ctx, path)
	m.report.sort()
	return m.report, err
}

type migration struct {
	store   *nebula.Store
	key     Key
	options Options
	dir     *atomicfile.Dir
	suffix  string
	present map[string]bool // ids of files that the store had at the beginning

	room   *many.Room // for files that are read
	report Report
}

func (m *migration) run(ctx context.Context, path string) error {
	if m.key.secret.Len() != KeySize {
		return failed(nebula.ErrUsage, "the version 1 key is not set", nil)
	}
	extension := m.options.Extension
	if extension == "" {
		extension = DefaultExtension
	}
	if strings.ContainsAny(extension, `/\`) {
		return failed(nebula.ErrUsage, "the extension holds a separator of paths", nil)
	}
	m.suffix = "." + extension
	dir, err := atomicfile.Open(path)
	if err != nil {
		return badDirectory(path, err)
	}
	defer dir.Close()
	m.dir = dir
	if m.isTheStores() {
		return failed(nebula.ErrUsage, path+" is the store's own directory: version 1 records need one of their own", nil)
	}
	names, err := m.names()
	if err != nil {
		return badDirectory(path, err)
	}
	if err := m.findPresent(ctx, names); err != nil {
		return err
	}
	return m.each(ctx, names)
}

// isTheStores reports whether the store writes into the directory, which must
// not be changed.
func (m *migration) isTheStores() bool {
	d := m.store.Describe()
	if d.Provider != "local" {
		return false
	}
	own, err := atomicfile.StatPath(d.Address)
	if err != nil {
		return false // it is not there yet
	}
	stat, err := m.dir.Stat()
	return err == nil && stat.ID == own.ID
}

func (m *migration) names() ([]string, error) {
	all, err := m.dir.Names()
	if err != nil {
		return nil, err
	}
	defer all.Close()
	var names []string
	for {
		err := all.Next(func(name []byte, _ os.FileMode) {
			if strings.HasSuffix(string(name), m.suffix) {
				names = append(names, string(name))
			}
		})
		if err != nil {
			slices.Sort(names)
			return names, ignoreEnd(err)
		}
	}
}

// findPresent asks for all ids at once, which spares a call for each that an
// earlier run took over. A list may be late, so Adopt decides.
func (m *migration) findPresent(ctx context.Context, names []string) error {
	m.present = make(map[string]bool)
	for _, name := range names {
		m.present[strings.TrimSuffix(name, m.suffix)] = false
	}
	for e, err := range m.store.List(ctx, nebula.ListOptions{}) {
		if errors.Is(err, nebula.ErrNotInitialised) {
			return nil // the first credential that is taken over makes the store, or says that it cannot
		}
		if err != nil {
			return err
		}
		if _, ours := m.present[string(e.ID)]; ours && e.Err == nil {
			m.present[string(e.ID)] = true
		}
	}
	return nil
}

// each takes over the files, several at once. If an error does not concern one
// file alone, the run has failed, although it may go on.
func (m *migration) each(ctx context.Context, names []string) (failure error) {
	done := 0
	jobs, large := m.options.Jobs, m.options.Jobs
	if jobs == 0 {
		jobs, large = m.store.Jobs(), m.store.MaxConcurrency()
	}
	m.room = many.NewRoom(large)
	options := many.Options{Jobs: jobs, Finish: true, Judge: about}
	for r, err := range many.Do(ctx, many.Of(names), options, m.one) {
		switch {
		case err != nil && err == ctx.Err():
			return failed(nebula.KindOf(err), "stopped; run it again to do the rest", err)
		case err != nil:
			return err
		case r.Err == nil || isAboutOne(r.Err):
			m.note(r.Item, r.Value, r.Err)
		default:
			failure = cmp.Or(failure, r.Err)
			continue
		}
		if done++; m.options.Progress != nil {
			m.options.Progress(done, len(names))
		}
	}
	return failure
}

// one handles a file.
func (m *migration) one(ctx context.Context, name string) (present bool, err error) {
	id := strings.TrimSuffix(name, m.suffix)
	if m.present[id] {
		return true, nil
	}
	return m.take(ctx, name, id)
}

// note reports the outcome for a file.
func (m *migration) note(name string, present bool, why error) {
	id := strings.TrimSuffix(name, m.suffix)
	switch {
	case why != nil:
		m.report.Left = append(m.report.Left, left(name, id, why))
	case present:
		m.report.Present = append(m.report.Present, nebula.ID(id))
	default:
		m.report.Migrated = append(m.report.Migrated, nebula.ID(id))
	}
}

// take reads, opens and stores one record, or reports that its id is taken.
func (m *migration) take(ctx context.Context, file, text string) (present bool, err error) {
	place, err := m.room.Enter(ctx)
	if err != nil {
		return false, err
	}
	defer place.Leave()
	data, _, err := m.dir.Read(file, maxFile)
	if err != nil {
		return false, unreadable(err)
	}
	place.Sized(len(data))
	record, err := Open(data, m.key)
	if err != nil {
		return false, aboutOne(err)
	}
	defer record.Secret.Wipe()
	id, err := nebula.ParseID(text)
	if err == nil {
		err = record.Validate()
	}
	if err != nil {
		return false, aboutOne(err)
	}
	if m.options.DryRun {
		return false, m.checkSize(id, record)
	}
	_, err = m.store.Adopt(ctx, nebula.Credential{ID: id, Secret: record.Secret, Metadata: record.Metadata},
		nebula.AdoptOptions{Precondition: nebula.IfAbsent(), Older: true})
	if errors.Is(err, nebula.ErrAlreadyExists) {
		return m.whose(ctx, id)
	}
	return false, judge(err)
}

// whose tells an existing credential from one of another scope, which this
// store never shows: otherwise the one in the file would seem to be lost.
func (m *migration) whose(ctx context.Context, id nebula.ID) (present bool, err error) {
	found, err := m.store.Exists(ctx, id)
	if err == nil && !found {
		err = aboutOne(failed(nebula.ErrConflict, "the id is taken by a credential of another scope", nil))
	}
	return found, err
}

// checkSize compares the size of the sealed record with the provider's limit.
// It needs no key, because the size is the same under every key.
func (m *migration) checkSize(id nebula.ID, record Record) error {
	name, err := id.Name()
	if err != nil {
		return aboutOne(err)
	}
	e, err := nebula.SealRecord([KeySize]byte{}, name, record.Secret, record.Metadata)
	if err != nil {
		return aboutOne(err)
	}
	if limit := m.store.Describe().MaxRecordSize; limit > 0 && len(e.Bytes()) > limit {
		return aboutOne(failed(nebula.ErrTooLarge, "the record would be over the limit of the provider", nil))
	}
	return nil
}
