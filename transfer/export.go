package transfer

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/many"
)

// Output takes an export.
type Output interface {
	io.Writer

	// Reset drops what was written: the export begins anew.
	Reset() error
}

// ExportOptions goes with [Export].
type ExportOptions struct {
	IDs    []nebula.ID   // what to export; none: what Filter finds
	Filter nebula.Filter // the zero value finds everything
	Jobs   int           // records that are read at once; 0 is many.DefaultJobs

	// Progress is called after each record, by one goroutine at a time. It starts
	// from 1 again if the export begins anew. It may be nil.
	Progress func(done, total int)

	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// ExportReport says what was written.
type ExportReport struct {
	KeyID   nebula.KeyID
	Records int
	Bytes   int64

	// Unreadable are records whose form is damaged or of another version. They are
	// in the export as the backend holds them, unless they could not be read at all.
	Unreadable []nebula.Entry
}

// maxRestarts is how often an export begins anew because the data key was
// replaced meanwhile.
const maxRestarts = 3

// Export writes the keyring and the current records of a store, sealed as they
// are: see docs/format.md. No key is needed, and nothing is decrypted. Memory
// grows with the ids, not with the records.
//
// Errors: ErrNotFound for an id that is not there, or if there is no store;
// ErrConflict if the data key was replaced while the records were read, three
// times again; those of reading, except for records that are unreadable by
// themselves; those of the output, as they come. After an error what was written
// is of no use.
func Export(ctx context.Context, store *nebula.Store, out Output, options ExportOptions) (ExportReport, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	for restarts := 0; ; restarts++ {
		x := &exporting{store: store, options: options}
		err := x.run(ctx, out)
		if !errors.Is(err, errKeyReplaced) || restarts == maxRestarts {
			return x.report, err
		}
		if err := out.Reset(); err != nil {
			return x.report, err
		}
	}
}

var errKeyReplaced = &nebula.Error{Kind: nebula.ErrConflict, Op: "export",
	Message: "the data key was replaced again and again while the records were read",
	Hint:    "export when the rotation is over"}

type exporting struct {
	store   *nebula.Store
	options ExportOptions
	report  ExportReport
}

func (x *exporting) run(ctx context.Context, out io.Writer) error {
	keyring, id, err := x.store.SealedKeyring(ctx)
	if err != nil {
		return err
	}
	x.report.KeyID = id
	ids, err := x.ids(ctx)
	if err != nil {
		return err
	}
	counted := &counter{w: out}
	buffered := bufio.NewWriterSize(counted, 64<<10)
	w := newWriter(buffered)
	header := Header{Address: x.store.Describe().Address, KeyID: id, CreatedAt: x.options.Now().UTC().Truncate(time.Second)}
	if err := w.begin(header, keyring.Envelope.Bytes()); err != nil {
		return err
	}
	if err := x.records(ctx, w, ids); err != nil {
		return err
	}
	if err := w.end(); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	x.report.Records, x.report.Bytes = int(w.records), counted.n
	switch _, now, err := x.store.SealedKeyring(ctx); {
	case err != nil:
		return err
	case now != id:
		return errKeyReplaced
	}
	return nil
}

// ids returns what to export in the order of the file. What had to be read to
// match the filter and cannot be is taken along: it might match.
func (x *exporting) ids(ctx context.Context) ([]nebula.ID, error) {
	ids := slices.Clone(x.options.IDs)
	if len(ids) == 0 {
		for e, err := range x.store.List(ctx, nebula.ListOptions{Filter: x.options.Filter}) {
			if err != nil {
				return nil, err
			}
			if _, err := e.ID.Name(); err != nil { // a name of ours that nobody can tell
				x.unreadable(e.ID, cmp.Or(e.Err, err))
				continue
			}
			ids = append(ids, e.ID)
		}
	}
	slices.SortFunc(ids, func(a, b nebula.ID) int { return strings.Compare(string(a), string(b)) })
	return slices.Compact(ids), nil
}

func (x *exporting) unreadable(id nebula.ID, err error) {
	x.report.Unreadable = append(x.report.Unreadable, nebula.Entry{ID: id, Err: err})
}

// records writes the records of ids.
func (x *exporting) records(ctx context.Context, w *writer, ids []nebula.ID) error {
	var absent []nebula.ID
	read := func(ctx context.Context, id nebula.ID) ([]byte, error) {
		r, err := x.store.GetSealed(ctx, id)
		if err != nil {
			return nil, err
		}
		return r.Envelope.Bytes(), nil
	}
	options := many.Options{Jobs: x.options.Jobs, Ordered: true, Judge: judgeReading}
	for r, err := range many.Do(ctx, many.Of(ids), options, read) {
		if err != nil {
			return err
		}
		record := r.Value
		switch {
		case r.Err == nil:
		case errors.Is(r.Err, nebula.ErrNotFound):
			if len(x.options.IDs) > 0 { // else it was deleted meanwhile
				absent = append(absent, r.Item)
			}
		default:
			x.unreadable(r.Item, r.Err)
			record = nebula.UnparsedRecord(r.Err)
		}
		if record != nil {
			if err := w.record(r.Item, record); err != nil {
				return err
			}
		}
		if x.options.Progress != nil {
			x.options.Progress(r.Index+1, len(ids))
		}
	}
	if len(absent) > 0 {
		return notThere(absent)
	}
	return nil
}

func notThere(ids []nebula.ID) error {
	const most = 10
	var b strings.Builder
	for i, id := range ids[:min(len(ids), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(id))
	}
	if more := len(ids) - most; more > 0 {
		fmt.Fprintf(&b, ", and %d more", more)
	}
	return &nebula.Error{Kind: nebula.ErrNotFound, Op: "export", Message: "not there: " + b.String() + "; nothing was exported"}
}

// judgeReading ends an export for whatever is not about one record alone: an
// export with holes is no backup.
func judgeReading(err error) many.About {
	switch nebula.KindOf(err) {
	case nebula.ErrNotFound:
		if errors.Is(err, nebula.ErrNotInitialised) {
			return many.AboutRun
		}
		return many.AboutItem
	case nebula.ErrCorrupted, nebula.ErrUnsupportedVersion, nebula.ErrTooLarge:
		return many.AboutItem
	}
	return many.AboutRun
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
